"""Lanes with copies: an audio step has its own copy of every matrix and every expert, and nothing is given away.

`deeptalk-lanes` spends few parameters on speech: some experts of the text model and low-rank updates.  Here it gets as many as
there are, so that what is left between this arm and PureMoE is not how much may learn but whether text has to move with it.  The
price is memory: twice the parameters are stored, as in Mixture-of-Transformers (Liang and others, 2024); a step still uses one copy.
Axes: E experts, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.baselines.lanes import LANES, lay_lanes
from minideeptalk.baselines.moextend import append_copies
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.routing import Ears
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.profile import Profile
from minideeptalk.training.stages import AUDIO_SIDE, Stage


class CopiedLinear(nn.Module):
    """A frozen matrix for written steps and a copy of it, which learns, for audio steps.

    Args:
        linear: the matrix (out, in). ears: knows which steps are audio.
    """

    def __init__(self, linear: nn.Linear, ears: Ears):
        super().__init__()
        self.weight, self.ears = linear.weight, ears
        self.lane_weight = nn.Parameter(linear.weight.detach().clone())

    def idle_parameters(self) -> int:
        """A step uses one of the two."""
        return self.weight.numel()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        audio = self.ears.audio.view(hidden.shape[:-1])[..., None]  # (..., 1)
        return torch.where(audio, F.linear(hidden, self.lane_weight), F.linear(hidden, self.weight))


@dataclass(frozen=True)
class Copies:
    """The audio experts are the copies that `lay_copied_lanes` is going to add, one of every expert."""

    def __call__(self, profile: Profile) -> Selection:
        experts = profile.model.config.experts
        return Selection((tuple(range(experts, 2 * experts)),) * profile.model.config.moe_layers, 2 * experts, "copies")


def lay_copied_lanes(model: DeepTalkModel, selection: Selection, listen: Callable[[DeepTalkModel], Ears] = Ears) -> DeepTalkModel:
    """Copy every expert and its row of the router, then lay lanes through copies of all that both modalities pass."""
    rows = [mixture.router.weight.detach() for mixture in model.mixtures()]
    return lay_lanes(append_copies(model, range(model.config.experts), rows), selection, CopiedLinear, listen)


def stages(size: SizeConfig) -> list[Stage]:
    """PureMoE's, with the audio lane alone to learn."""
    align, joint = PUREMOE.stages(size)
    return [align, replace(joint, trainable=("bank", "lane", *AUDIO_SIDE))]


LANES_COPIED = replace(LANES, name="deeptalk-lanes-copied", stages=stages, select=Copies(), prepare=lay_copied_lanes,
                       changes="as puremoe, but an audio step has a copy of every matrix and expert, and the copies alone learn",
                       declared=("text tokens: as many are read, but what they pass through does not learn",
                                 "parameters: copies of all experts and matrices are stored, about twice as many; a step uses one"))
