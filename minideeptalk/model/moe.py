"""The mixture-of-experts feed-forward: router, routed experts and the experts that are always on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.model.configuration import DeepTalkConfig
from minideeptalk.model.experts import Experts
from minideeptalk.model.router import Router


class SwiGLU(nn.Module):
    """Gated feed-forward without bias: `down(silu(gate x) * up x)`; (..., D) -> (..., D)."""

    def __init__(self, width: int, hidden: int, output: int | None = None):
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, output or width, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., output width)."""
        gate, up = self.gate_up(hidden).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


@dataclass
class Routing:
    """What one router decided: probabilities (B, T, E), weights and indices (B, T, K)."""

    probabilities: torch.Tensor
    weights: torch.Tensor
    indices: torch.Tensor


class MixtureOfExperts(nn.Module):
    """Routed experts chosen for each token, plus shared experts that see every token (paper section 1.2: 64 + 2)."""

    def __init__(self, config: DeepTalkConfig):
        super().__init__()
        self.router = Router(config.width, config.experts, config.experts_per_token, config.renormalise)
        self.experts = Experts(config.width, config.experts, config.expert_hidden, config.experts_implementation)
        self.shared = SwiGLU(config.width, config.shared_experts * config.expert_hidden) if config.shared_experts else None

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, Routing]:
        """(B, T, D) -> (B, T, D) and what the router decided."""
        batch, steps, width = hidden.shape
        flat = hidden.reshape(-1, width)  # (N, D)
        probabilities, weights, indices = self.router(flat)
        output = self.experts(flat, indices, weights)
        if self.shared is not None:
            output = output + self.shared(flat)
        routing = Routing(*(part.view(batch, steps, -1) for part in (probabilities, weights, indices)))
        return output.view(batch, steps, width), routing
