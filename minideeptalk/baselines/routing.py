"""Routing that knows the modality of a token: only its own experts (MoST), or a router of its own (Ming-lite-omni).

Axes: N tokens, B batch, T steps, E experts, D width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel, Router
from minideeptalk.training.arm import ALIGNED


class Ears:
    """Remembers which tokens of the current forward are audio: those with a heard frame, a code, or a word that sounds."""

    def __init__(self, model: DeepTalkModel):
        self.audio = torch.zeros(0, dtype=torch.bool)  # (N,)
        model.embedding.register_forward_pre_hook(self._look)

    def _look(self, embedding, rows) -> None:
        text, codes, _, heard_mask, elapsed = (*rows, None, None, None, None)[:5]
        self.audio = is_audio(embedding.pad, text, codes, heard_mask, elapsed).flatten()


def is_audio(pad: int, text: torch.Tensor, codes: torch.Tensor | None = None, frame_mask: torch.Tensor | None = None,
             elapsed: torch.Tensor | None = None) -> torch.Tensor:
    """Which steps (B, T) have a code other than `pad`, a heard frame, or a word that sounds. Rows as in `DeepTalkModel.forward`."""
    audio = torch.zeros_like(text, dtype=torch.bool)
    if codes is not None:
        audio |= (codes != pad).any(dim=-1)
    for mask in (frame_mask, elapsed):
        if mask is not None:
            audio |= mask.bool()
    return audio


class HardRouter(Router):
    """A router that keeps each token to the experts of its modality, unless the stage closes some for all.

    Args:
        router: whose weights it takes over. ears: see `Ears`. audio_experts: of this layer.
    """

    def __init__(self, router: Router, ears: Ears, audio_experts: tuple[int, ...]):
        super().__init__(router.weight.shape[1], router.weight.shape[0], router.experts_per_token, router.renormalise)
        self.weight, self.ears = router.weight, ears
        speaks = torch.zeros(len(router.weight), dtype=torch.bool)
        speaks[list(audio_experts)] = True
        self.register_buffer("speaks", speaks, persistent=False)  # (E,)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, D) -> (N, E)."""
        logits = super().logits(hidden)
        if self.closed is not None:
            return logits
        return logits.masked_fill(self.ears.audio[:, None] != self.speaks, float("-inf"))


class TwoRouters(Router):
    """A router for text and a second one for audio, over the same experts; the second begins as a copy of the first."""

    def __init__(self, router: Router, ears: Ears):
        super().__init__(router.weight.shape[1], router.weight.shape[0], router.experts_per_token, router.renormalise)
        self.weight, self.ears = router.weight, ears
        self.audio_weight = nn.Parameter(router.weight.detach().clone())

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, D) -> (N, E)."""
        heard = F.linear(hidden.float(), self.audio_weight.float())
        return torch.where(self.ears.audio[:, None], heard, super().logits(hidden))


def keep_to_own_experts(model: DeepTalkModel, selection: Selection) -> DeepTalkModel:
    """Put a `HardRouter` into every layer."""
    ears = Ears(model)
    for mixture, audio_experts in zip(model.mixtures(), selection.audio_experts, strict=True):
        mixture.router = HardRouter(mixture.router, ears, audio_experts)
    return model


def give_two_routers(model: DeepTalkModel, selection: Selection | None) -> DeepTalkModel:
    """Put `TwoRouters` into every layer."""
    ears = Ears(model)
    for mixture in model.mixtures():
        mixture.router = TwoRouters(mixture.router, ears)
    return model


HARD_ROUTING = replace(ALIGNED, name="hard-routing", prepare=keep_to_own_experts,
                       changes="in stage 3 and when talking, each token keeps to the experts of its modality")
SEPARATE_ROUTERS = replace(PUREMOE, name="separate-routers", prepare=give_two_routers,
                           changes="as puremoe, with a router for text and one for audio")
