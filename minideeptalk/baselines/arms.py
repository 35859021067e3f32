"""All arms by name: the two of the recipe, then the rivals, each from the short file that describes it."""

from __future__ import annotations

from minideeptalk.baselines.ablations import ABLATIONS
from minideeptalk.baselines.by_token import BY_TOKEN, BY_TOKEN_IMPORTANCE
from minideeptalk.baselines.cascade import CASCADE
from minideeptalk.baselines.dense import DENSE
from minideeptalk.baselines.experts_apart import EXPERTS_APART
from minideeptalk.baselines.lanes import LANES, LANES_COVERED
from minideeptalk.baselines.lanes_copied import LANES_COPIED
from minideeptalk.baselines.lanes_from_sound import LANES_COPIED_FROM_SOUND, LANES_FROM_SOUND
from minideeptalk.baselines.lora_puremoe import LORA_PUREMOE
from minideeptalk.baselines.modular import MODULAR, MODULAR_JOINED
from minideeptalk.baselines.moextend import MOEXTEND
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.remedies import AVERAGED, DISTILLED, REPLAY
from minideeptalk.baselines.routing import HARD_ROUTING, SEPARATE_ROUTERS
from minideeptalk.baselines.selections import IMPORTANCE, RANDOM, SPLIT_BY_INDEX
from minideeptalk.baselines.sequential import SEQUENTIAL
from minideeptalk.baselines.weighted import WEIGHTED
from minideeptalk.errors import LearnerError
from minideeptalk.training.arm import ALIGNED, DEEPTALK, Arm

MAIN = (ALIGNED, DEEPTALK, LANES, PUREMOE, SEQUENTIAL, IMPORTANCE, RANDOM[0], LORA_PUREMOE, DENSE)
RIVALS = (*MAIN, LANES_COVERED, LANES_COPIED, LANES_FROM_SOUND, LANES_COPIED_FROM_SOUND, BY_TOKEN, BY_TOKEN_IMPORTANCE, *RANDOM[1:], SPLIT_BY_INDEX,
          HARD_ROUTING, SEPARATE_ROUTERS, MOEXTEND, EXPERTS_APART, REPLAY, AVERAGED, DISTILLED, MODULAR, MODULAR_JOINED, CASCADE, *WEIGHTED)

TIERS: dict[str, tuple[tuple[Arm, ...], int]] = {"A": (MAIN, 5), "B": (RIVALS, 3), "C": ((ALIGNED, *ABLATIONS), 3)}
"""Arms and number of seeds of each tier: the main arms, all rivals, the ablations."""

ARMS: dict[str, Arm] = {arm.name: arm for arm in (*RIVALS, *ABLATIONS)}
"""Every arm that `minideeptalk train --arm` and the study know."""


def find_arm(name: str) -> Arm:
    """The arm of this name.

    Raises:
        LearnerError: for a name that no arm has.
    """
    if name not in ARMS:
        raise LearnerError(f"an arm out of {', '.join(ARMS)}", repr(name))
    return ARMS[name]
