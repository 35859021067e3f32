"""DeepTalk in lanes, ours: audio steps get experts that text misses least, a gate of their own among them, and low-rank updates
of all that both modalities pass through. What a written step passes through never moves.

In the recipe, text is lost at three places: the experts that are given away, the routing that opens again in stage 3, and the
attention that serves both.  Here the first is kept small (chosen by measured importance), the second stays closed, and the third
is left alone: an audio step sees the frozen matrices plus a low-rank update (as LoRA), a written step the matrices alone.  So
after the selection the text model is the same to the byte, whatever speech is learnt, and how much text is lost is known before
speech training begins.  Written and audio steps meet in attention only, which is the idea of Mixture-of-Transformers (Liang and
others, 2024) at a fraction of its parameters.

Importance is measured on text that pretraining saw, of all families but `LEFT_OUT`: measured on the covered families alone, it gave
away experts that the others needed.  The left-out ones tell whether that carries over to text that no selection looked at.
Axes: B batch, T steps, N tokens, A audio experts, E experts, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.baselines.by_token import BY_TOKEN, bank_of
from minideeptalk.baselines.routing import Ears, HardRouter
from minideeptalk.baselines.selections import ByImportance
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.stages import AUDIO_SIDE, Stage, speech_stages
from minideeptalk.world import FAMILIES

RANK = 32
LEFT_OUT = ("compare", "story")  # the first and the last, by the alphabet, of those that no written text of after-training repeats
PROFILED = tuple(name for name in FAMILIES if name not in LEFT_OUT)
SHARED_BY_BOTH = ("attention.qkv", "attention.output", "feed_forward.gate_up", "feed_forward.down", "feed_forward.shared.gate_up",
                  "feed_forward.shared.down")


class LaneLinear(nn.Module):
    """A frozen matrix with a low-rank update that audio steps alone see; it begins at zero.

    Args:
        linear: the matrix (out, in). ears: knows which steps are audio. rank: of the update.
    """

    def __init__(self, linear: nn.Linear, ears: Ears, rank: int):
        super().__init__()
        self.weight, self.ears = linear.weight, ears
        outputs, inputs = linear.weight.shape
        self.lane_in = nn.Parameter(torch.randn(rank, inputs) * inputs ** -0.5)
        self.lane_out = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        audio = self.ears.audio.view(hidden.shape[:-1])[..., None]  # (..., 1)
        update = F.linear(F.linear(hidden, self.lane_in), self.lane_out)
        return F.linear(hidden, self.weight) + update * audio.to(update.dtype)


class LaneRouter(HardRouter):
    """Each token keeps to the experts of its modality, and the audio experts' gate may learn apart from that of the others."""

    def __init__(self, router, ears: Ears, audio_experts: tuple[int, ...]):
        super().__init__(router, ears, audio_experts)
        self.audio_experts = list(audio_experts)
        self.lane_gate = nn.Parameter(router.weight.detach()[self.audio_experts].clone())  # (A, D)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, D) -> (N, E)."""
        logits = super().logits(hidden)
        own = F.linear(hidden.float(), self.lane_gate.float())  # (N, A)
        columns = torch.tensor(self.audio_experts, device=logits.device)
        own = own.masked_fill(~self.ears.audio[:, None], float("-inf"))
        return logits.index_copy(1, columns, own)


def low_rank_lane(linear: nn.Linear, ears: Ears) -> nn.Module:
    """What takes the place of a matrix that both modalities pass."""
    return LaneLinear(linear, ears, RANK)


def lay_lanes(model: DeepTalkModel, selection: Selection, lane: Callable[[nn.Linear, Ears], nn.Module] = low_rank_lane,
              listen: Callable[[DeepTalkModel], Ears] = Ears) -> DeepTalkModel:
    """Put a `LaneRouter` into every mixture, and a `lane` in the place of every matrix that both modalities pass.

    Args:
        listen: gives what tells which steps take the audio lane.
    """
    ears = listen(model)
    for mixture, audio_experts in zip(model.mixtures(), selection.audio_experts, strict=True):
        mixture.router = LaneRouter(mixture.router, ears, audio_experts)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in model.layers:
            for path in SHARED_BY_BOTH:
                holder, _, name = path.rpartition(".")
                try:
                    owner = layer.get_submodule(holder)
                    linear = owner.get_submodule(name)
                except AttributeError:  # the dense layer has no shared experts, the others no dense matrices
                    continue
                setattr(owner, name, lane(linear, ears).to(linear.weight.device))
    return model


def stages(size: SizeConfig) -> list[Stage]:
    """The recipe's without 2.2, with every expert reachable; 2.1 and 3 teach the audio lane, text has none to learn."""
    lane = ("bank", "lane", *AUDIO_SIDE)
    return [stage if stage.code == "1" else replace(stage, experts="all", trainable=lane)
            for stage in speech_stages(size) if stage.code != "2.2"]


def lane_bank(model: DeepTalkModel, stage: Stage, selection: Selection) -> AbstractContextManager[None]:
    """The audio experts learn in every stage, stage 3 included."""
    return bank_of(model, selection.audio_experts)


LANES = replace(BY_TOKEN, name="deeptalk-lanes", stages=stages, select=ByImportance(families=PROFILED), prepare=lay_lanes, around=lane_bank,
                changes="audio steps have experts that text misses least, their own gate, and low-rank updates of what text passes",
                declared=("text tokens: fewer, since what text passes through does not learn and stage 2.2 falls away",
                          "updates: those of stage 2.2 fall away",
                          "parameters: low-rank updates and a gate of their own, about a sixth more at work in an audio step",
                          "selection: looks at training text of eight families, not of the covered three"))

LANES_COVERED = replace(LANES, name="deeptalk-lanes-covered", select=ByImportance(), rates_of=LANES.name, declared=LANES.declared[:-1],
                        changes="as deeptalk-lanes, but its selection looks at the covered families alone, like that of every other arm")
"""How much of what lanes keep is owed to the text that their selection may read."""
