"""What a selection may look at: the model after stage 1 and training material, never anything held out (chapter 07)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from minideeptalk.config import SizeConfig
from minideeptalk.experts import ExpertLoads, LoadRecorder, Modality, Selection, select_audio_experts
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import TaskSampler

PROFILE_BATCHES = 8
HEARD_AND_SPOKEN = {"recognise": 1.0, "answer_aloud": 1.0, "speak": 1.0}
COVERED_TEXT = {"covered_text": 1.0}


@torch.no_grad()
def profile_loads(model: DeepTalkModel, sampler: TaskSampler, batches: int = PROFILE_BATCHES, size: int = 64,
                  unimodal: bool = False) -> ExpertLoads:
    """Load of every expert on audio (heard and spoken) and on text, measured on training material.

    The text is that of the families which after-training covers, for who adapts a published model has no more, and the text steps of
    the speech tasks, unless `unimodal`: then text is counted on batches of text alone.
    """
    model.eval()
    with LoadRecorder(model) as recorder:
        for number in range(batches):
            for tasks in (HEARD_AND_SPOKEN, COVERED_TEXT):
                batch = sampler.batch(tasks, size, f"profile-{number}").to(model.device)
                beside_speech = (batch.modality == Modality.TEXT_PROMPT) | (batch.modality == Modality.TEXT_ANSWER)
                uncounted = beside_speech & (unimodal and tasks is HEARD_AND_SPOKEN)
                recorder.modality(batch.modality.masked_fill(uncounted, int(Modality.PADDING)))
                model(**batch.model_inputs())
    return recorder.loads()


@dataclass
class Profile:
    """One model before its experts are shared out.

    Args:
        model: after stage 1. sampler: draws training examples; its text families are the covered ones.
        size: says how many audio experts a layer gets. seed: of the run.
    """

    model: DeepTalkModel
    sampler: TaskSampler
    size: SizeConfig
    seed: int

    @cached_property
    def loads(self) -> ExpertLoads:
        """Load of every expert by modality, measured once."""
        return profile_loads(self.model, self.sampler)

    @cached_property
    def unimodal_loads(self) -> ExpertLoads:
        """The same without the text of the speech tasks."""
        return profile_loads(self.model, self.sampler, unimodal=True)


@dataclass(frozen=True)
class ByLoad:
    """The paper's way: the experts with the highest score of audio load against text load become audio experts.

    Args:
        formula, normaliser: see `experts.select_audio_experts`.
        count: audio experts of a layer; None takes the size's own number.
        draw: number of a random draw; only the formula `random` looks at it.
        unimodal: whether text load is counted on batches of text alone.
    """

    formula: str = "product"
    normaliser: str = "max"
    count: int | None = None
    draw: int = 0
    unimodal: bool = False

    def __call__(self, profile: Profile) -> Selection:
        count = self.count or profile.size.model.audio_experts
        loads = profile.unimodal_loads if self.unimodal else profile.loads
        return select_audio_experts(loads, count, self.formula, self.normaliser, profile.seed + 1000 * self.draw)


THE_PAPERS = ByLoad()
