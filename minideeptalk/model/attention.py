"""Causal self-attention with rotary positions and a key-value cache. Axes: B batch, T new steps, S all steps, D width."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from transformers import DynamicCache

from minideeptalk.model.configuration import DeepTalkConfig
from minideeptalk.model.packing import Packing


def rotary_tables(positions: torch.Tensor, size: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotation angles, computed when needed (a buffer would come back wrong from a checkpoint).

    Args:
        positions: (B, T) step numbers. size: width of one head. base: longest wavelength.

    Returns:
        two tensors (B, T, 1, 1, size / 2).
    """
    frequencies = base ** (-torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    angles = positions[..., None, None, None].float() * frequencies  # (B, T, 1, 1, size/2)
    return angles.cos(), angles.sin()


def rotate(vectors: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Turn each pair of halves by its angle; (B, T, ..., size) -> the same shape."""
    first, second = vectors.chunk(2, dim=-1)
    turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return turned.to(vectors.dtype)


class Attention(nn.Module):
    """Multi-head attention without bias."""

    def __init__(self, config: DeepTalkConfig, layer: int):
        super().__init__()
        self.heads, self.layer = config.heads, layer
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self,
        hidden: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        cache: DynamicCache | None,
        packing: Packing | None = None,
    ) -> torch.Tensor:
        """(B, T, D) -> (B, T, D).

        `mask` is a bool (B, 1, T, S), True where a step may look; None means plain causal attention over T steps.
        `packing` says that `hidden` is (1, N, D), the steps that exist in B rows: only here do the rows matter.
        """
        qkv = self.qkv(hidden).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, heads, size)
        to_turn, value = qkv.split((2, 1), dim=2)  # (B, T, 2, heads, size), (B, T, 1, heads, size)
        turned, value = rotate(to_turn, *rotary), value.squeeze(2)
        if packing is not None:
            turned, value = packing.unpack(turned), packing.unpack(value)
        query, key, value = (part.transpose(1, 2) for part in (*turned.unbind(2), value))  # (B, heads, T, size)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)  # (B, heads, S, size)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask,
                                               is_causal=mask is None and query.shape[2] > 1)
        mixed = mixed.transpose(1, 2).flatten(2)  # (B, T, D)
        return self.output(mixed if packing is None else packing.pack(mixed))
