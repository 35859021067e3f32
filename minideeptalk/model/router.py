"""The router: which K of the E experts see a token, and with which weight.

Paper: softmax over all routed experts, greedy top-k, weights not renormalised (DeepSeek-V2-Lite).
Axes: N tokens, E experts, K chosen experts, D width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.errors import LearnerError


class Router(nn.Module):
    """Softmax top-k gate, with experts that can be closed.

    `closed` is None or a bool tensor (E,): closed experts get a logit of minus infinity *before* the softmax, so the
    weights spread over the open ones (masking after the softmax would lose weight).  It is state of a stage, not of
    the checkpoint.
    """

    def __init__(self, width: int, experts: int, experts_per_token: int, renormalise: bool):
        super().__init__()
        self.experts_per_token = experts_per_token
        self.renormalise = renormalise
        self.weight = nn.Parameter(torch.empty(experts, width))
        self.closed: torch.Tensor | None
        self.register_buffer("closed", None, persistent=False)  # a buffer, so that it follows the model to a GPU

    def close(self, experts: list[int] | None) -> None:
        """Close the experts with these indices; None or an empty list opens all.

        Raises:
            LearnerError: if fewer than K experts would stay open.
        """
        if not experts:
            self.closed = None
            return
        closed = torch.zeros(self.weight.shape[0], dtype=torch.bool, device=self.weight.device)
        closed[experts] = True
        open_count = int((~closed).sum())
        if open_count < self.experts_per_token:
            raise LearnerError(f"at least {self.experts_per_token} open experts", f"{open_count}",
                               "each token needs K experts", "close fewer experts or lower experts_per_token")
        self.closed = closed

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores in fp32 before the softmax; (N, D) -> (N, E)."""
        return F.linear(hidden.float(), self.weight.float())

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Route tokens.

        Args:
            hidden: (N, D).

        Returns:
            probabilities (N, E) in fp32 over the open experts, weights (N, K) and indices (N, K) of the chosen ones.
        """
        with torch.autocast(hidden.device.type, enabled=False):  # mixed precision would round logits and make ties
            logits = self.logits(hidden)  # (N, E)
        if self.closed is not None:
            logits = logits.masked_fill(self.closed, float("-inf"))
        probabilities = logits.softmax(dim=-1)
        weights, indices = probabilities.topk(self.experts_per_token, dim=-1)  # (N, K)
        if self.renormalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return probabilities, weights, indices


def sequence_balance_loss(probabilities: torch.Tensor, indices: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sequence-wise balance loss of one layer: 1 when every sequence spreads its tokens evenly, up to E / K when not.

    `sum_e f_e * P_e` for each sequence, with f_e = count_e / (T K / E) and P_e the mean probability, averaged over
    the batch (DeepSeek-V2).  Computed for each layer alone, so one layer's imbalance cannot hide another's.

    Args:
        probabilities: (B, T, E). indices: (B, T, K). mask: (B, T), True on real tokens: padding is never counted.
    """
    experts, chosen = probabilities.shape[-1], indices.shape[-1]
    real = mask.to(probabilities.dtype)[..., None]  # (B, T, 1)
    tokens = real.sum(dim=1).clamp(min=1)  # (B, 1)
    hits = torch.zeros_like(probabilities).scatter_(2, indices, 1.0)  # (B, T, E)
    frequency = (hits * real).sum(dim=1) * experts / (chosen * tokens)  # (B, E)
    mean_probability = (probabilities * real).sum(dim=1) / tokens  # (B, E)
    return (frequency * mean_probability).sum(dim=-1).mean()
