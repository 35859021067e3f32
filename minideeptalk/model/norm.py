"""Root-mean-square normalisation, quicker to learn through on a CPU.

There torch spells `rms_norm` and its gradient as some fifteen operations, each of which reads and writes every number; the
gradient by hand needs five.  On a GPU torch has one kernel for it, and `torch.compile` joins the operations by itself.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.autograd.function import once_differentiable


class NormalisedByHand(torch.autograd.Function):
    """`x / rms(x) * weight` over the last axis; with n = x / rms(x) and g the gradient, to x goes (g w - n mean(g w n)) / rms(x)."""

    @staticmethod
    def forward(ctx, hidden, weight, eps):
        """(..., D), (D,) -> (..., D)."""
        mean_square = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_().div_(hidden.shape[-1])  # (..., 1)
        scale = mean_square.add_(eps).rsqrt_()
        normalised = hidden * scale
        ctx.save_for_backward(normalised, weight, scale)
        return normalised * weight

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        """(..., D) -> the gradients of the first two arguments."""
        normalised, weight, scale = ctx.saved_tensors
        product = gradient * normalised
        to_weight = product.reshape(-1, len(weight)).sum(dim=0) if ctx.needs_input_grad[1] else None  # (D,)
        along = (product @ weight)[..., None].div_(len(weight))  # (..., 1)
        to_hidden = (gradient * weight).addcmul_(normalised, along, value=-1).mul_(scale)
        return to_hidden, to_weight, None


class RMSNorm(nn.RMSNorm):
    """`nn.RMSNorm` over the last axis; where a CPU learns through it in fp32, by `NormalisedByHand`."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D)."""
        by_hand = torch.is_grad_enabled() and hidden.device.type == "cpu" and hidden.dtype == self.weight.dtype == torch.float32
        if by_hand and not torch.compiler.is_compiling():
            return NormalisedByHand.apply(hidden, self.weight, self.eps)
        return super().forward(hidden)
