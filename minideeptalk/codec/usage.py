"""How much of a codebook is really used. A codebook of 256 entries of which 3 are used carries 1.6 bits, not 8."""

from __future__ import annotations

import torch


def usage_perplexity(codes: torch.Tensor, codebook_size: int) -> list[float]:
    """exp(entropy) of each column's code frequencies: the effective number of entries in use, from 1 to K.

    Args:
        codes: `(T, Q)` int64.
        codebook_size: K.

    Returns:
        Q floats.

    >>> usage_perplexity(torch.tensor([[0, 5], [1, 5]]), 8)
    [2.0, 1.0]
    """
    perplexities = []
    for column in codes.T:  # (T,)
        shares = torch.bincount(column, minlength=codebook_size).double() / len(column)  # (K,)
        used = shares[shares > 0]
        perplexities.append(round(float(torch.exp(-(used * used.log()).sum())), 6))
    return perplexities
