"""Every token keeps to the experts of its own modality, from stage 2.1 to the last answer.

The recipe sends all tokens of stage 2.1 to the audio experts, the written ones of a prompt too, and opens the routing again
in stage 3, where text tokens meet experts that have changed.  Here a written token never meets an audio expert, so text can
change through the shared parts alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from minideeptalk.baselines.routing import keep_to_own_experts
from minideeptalk.baselines.selections import IMPORTANCE
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.stages import Stage, speech_stages


def stages(size: SizeConfig) -> list[Stage]:
    """The recipe's, with every expert reachable; what may learn is still the bank of `own_bank`."""
    return [replace(stage, experts="all") for stage in speech_stages(size)]


@contextmanager
def bank_of(model: DeepTalkModel, experts: Sequence[Sequence[int]]) -> Iterator[None]:
    """Let the given experts of each mixture learn; the others work beside them, frozen.

    Args:
        experts: one list for each mixture; empty where no bank is wanted.
    """
    try:
        for mixture, learning in zip(model.mixtures(), experts):
            mixture.experts.open_bank(list(learning), exclusive=False)
        yield
    finally:
        for mixture in model.mixtures():
            mixture.experts.close_bank()


def own_bank(model: DeepTalkModel, stage: Stage, selection: Selection) -> AbstractContextManager[None]:
    """In stage 2.1 the audio experts learn, in 2.2 the text experts."""
    learning = {"2.1": selection.audio_experts,
                "2.2": [selection.text_experts(layer) for layer in range(selection.num_layers)]}
    return bank_of(model, learning.get(stage.code, ()))


BY_TOKEN = replace(ALIGNED, name="deeptalk-by-token", stages=stages, prepare=keep_to_own_experts, around=own_bank,
                   changes="each token keeps to the experts of its modality, in every stage after the selection and when talking")
BY_TOKEN_IMPORTANCE = replace(BY_TOKEN, name="deeptalk-by-token-importance", select=IMPORTANCE.select, rates_of=BY_TOKEN.name,
                              changes="as deeptalk-by-token, and the audio experts are those that text misses least")
