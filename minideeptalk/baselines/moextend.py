"""MoExtend: every expert stays a text expert, and new audio experts are added beside them, each a copy of one.

Axes: E experts before, A added, H hidden width of one expert, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.profile import Profile
from minideeptalk.training.stages import Stage, speech_stages


@dataclass(frozen=True)
class Added:
    """The audio experts are those that `add_experts` is going to add."""

    def __call__(self, profile: Profile) -> Selection:
        before, added = profile.model.config.experts, profile.size.model.audio_experts
        return Selection((tuple(range(before, before + added)),) * profile.model.config.moe_layers, before + added, "added")


def stages(size: SizeConfig) -> list[Stage]:
    """The recipe's; in 2.1 the router learns too, which moves the new rows alone: closed experts get no gradient."""
    return [replace(stage, trainable=("router", *stage.trainable)) if stage.experts == "audio" else stage
            for stage in speech_stages(size)]


def add_experts(model: DeepTalkModel, selection: Selection) -> DeepTalkModel:
    """Copy every (E / A)-th expert as a new one and give it a fresh router row."""
    added = len(selection.audio_experts[0])
    before = selection.experts - added
    generator = torch.Generator().manual_seed(0)
    rows = [nn.init.kaiming_uniform_(torch.empty(added, model.config.width), a=5 ** 0.5, generator=generator) for _ in model.mixtures()]
    return append_copies(model, [(number + 1) * before // added - 1 for number in range(added)], rows)


def append_copies(model: DeepTalkModel, sources: Sequence[int], rows: Sequence[torch.Tensor]) -> DeepTalkModel:
    """Add a copy of each of the given experts behind the last one of every mixture.

    Args:
        sources: experts to copy (A). rows: for each mixture, the router's rows of the copies (A, D).
    """
    for mixture, fresh in zip(model.mixtures(), rows, strict=True):
        experts, router = mixture.experts, mixture.router
        for name in ("gate_up_proj", "down_proj"):
            weight = getattr(experts, name).detach()
            setattr(experts, name, nn.Parameter(torch.cat([weight, weight[list(sources)]])))  # (E + A, ...)
        router.weight = nn.Parameter(torch.cat([router.weight.detach(), fresh.to(router.weight)]))  # (E + A, D)
        experts.num_experts += len(sources)
    model.config.experts += len(sources)
    return model


MOEXTEND = replace(ALIGNED, name="moextend", stages=stages, select=Added(), prepare=add_experts,
                   changes="the audio experts are added beside all the others, as copies of some",
                   declared=("parameters: the added experts, stored beside all the others; as many as ever are at work in a step",))
