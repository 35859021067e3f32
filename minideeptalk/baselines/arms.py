"""All arms by name: the two of the recipe, then the rivals, each from the short file that describes it."""

from __future__ import annotations

from minideeptalk.errors import LearnerError
from minideeptalk.training.arm import ALIGNED, DEEPTALK, Arm

ARMS: dict[str, Arm] = {arm.name: arm for arm in (DEEPTALK, ALIGNED)}
"""Every arm that `minideeptalk train --arm` and the study know."""


def find_arm(name: str) -> Arm:
    """The arm of this name.

    Raises:
        LearnerError: for a name that no arm has.
    """
    if name not in ARMS:
        raise LearnerError(f"an arm out of {', '.join(ARMS)}", repr(name))
    return ARMS[name]
