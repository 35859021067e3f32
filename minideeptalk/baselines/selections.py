"""Other ways to choose who speaks: by chance, by index (MoST), and by importance, ours."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import torch

from minideeptalk.experts import Selection, measure_importance
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import Batch, collate
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.losses import text_loss
from minideeptalk.training.profile import ByLoad, Profile
from minideeptalk.world import mixture

RANDOM = tuple(replace(ALIGNED, name=f"random-{draw}", select=ByLoad("random", draw=draw + 1),
                       changes="the audio experts are drawn by lot", rates_of=ALIGNED.name) for draw in range(3))
"""Three draws, as in the paper's Table 8; each seed draws anew."""

SPLIT_BY_INDEX = replace(ALIGNED, name="split-by-index", select=ByLoad("by_index"), rates_of=ALIGNED.name,
                         changes="the last experts of each layer are the audio experts, as in MoST")


@dataclass(frozen=True)
class ByImportance:
    """The experts that text misses least become audio experts, whatever their load.

    Importance is the rise of the text loss when one expert alone is closed, on text of the training split.

    Args:
        families: of that text; None takes those that after-training covers.
        count: audio experts of a layer; None takes the size's own number. batches, batch: how much text is read.
    """

    families: tuple[str, ...] | None = None
    count: int | None = None
    batches: int = 4
    batch: int = 128

    def __call__(self, profile: Profile) -> Selection:
        drawn = [self._text(profile, number) for number in range(self.batches)]

        @torch.no_grad()
        def loss(model: DeepTalkModel) -> float:
            losses = []
            for batch in drawn:
                batch = batch.to(model.device)
                hidden = model(**batch.model_inputs(), real=batch.mask).hidden
                losses.append(float(text_loss(model, hidden, batch.text_target)))
            return sum(losses) / len(losses)

        rise = measure_importance(profile.model, loss).rise  # (L, E)
        order = np.argsort(rise, axis=1, kind="stable")[:, :self.count or profile.size.model.audio_experts]
        chosen = tuple(tuple(sorted(int(expert) for expert in layer)) for layer in order)
        return Selection(chosen, rise.shape[1], "importance", "none", profile.seed, -rise)

    def _text(self, profile: Profile, number: int) -> Batch:
        builder, rng = profile.sampler.builder, random.Random(f"importance-{number}")
        items = [mixture(rng, "train", self.families or profile.sampler.covered) for _ in range(self.batch)]
        return collate([builder.chat(item.question, item.answer) for item in items], builder.silence)


IMPORTANCE = replace(ALIGNED, name="deeptalk-importance", select=ByImportance(), rates_of=ALIGNED.name,
                     changes="the audio experts are those that text misses least, by measured importance")
