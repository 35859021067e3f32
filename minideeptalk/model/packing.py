"""Computing only the steps that exist: rows of unequal length are packed end to end, and padded again where it matters.

Everything in the decoder but attention treats each step alone, so padding is pure waste there; in a batch of speech it is
nearly half of all steps.  Axes: B batch, T steps, N steps that exist.
"""

from __future__ import annotations

import torch


class Packing:
    """Which steps of a padded batch exist.

    Args:
        real: (B, T) bool, True on steps that exist; padding stands on the right.
    """

    def __init__(self, real: torch.Tensor):
        self.shape = real.shape
        self.places = real.flatten().nonzero().squeeze(1)  # (N,)

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """(B, T, ...) -> (1, N, ...), the steps that exist, row after row."""
        return padded.flatten(0, 1).index_select(0, self.places)[None]

    def unpack(self, packed: torch.Tensor) -> torch.Tensor:
        """(1, N, ...) -> (B, T, ...), zero where no step exists."""
        padded = packed.new_zeros(self.shape.numel(), *packed.shape[2:])
        return padded.index_copy(0, self.places, packed[0]).unflatten(0, self.shape)
