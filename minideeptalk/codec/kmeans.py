"""k-means, the whole of vector quantisation: a codebook is K points, a code is the number of the nearest one.

Axes: M vectors, K codebook entries, D width.
"""

from __future__ import annotations

import torch

from minideeptalk.errors import LearnerError


def nearest(vectors: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
    """The code of each vector: index of the entry at the smallest Euclidean distance.

    Args:
        vectors: `(M, D)`.
        codebook: `(K, D)`.

    Returns:
        `(M,)` int64.

    >>> nearest(torch.tensor([[0.1], [0.9]]), torch.tensor([[0.0], [1.0]])).tolist()
    [0, 1]
    """
    # |v - c|^2 = |v|^2 - 2 v.c + |c|^2, and |v|^2 is the same for every entry
    scores = codebook.square().sum(dim=1) - 2 * vectors @ codebook.T  # (M, K)
    return scores.argmin(dim=1)  # (M,)


def spread_start(vectors: torch.Tensor, entries: int, generator: torch.Generator) -> torch.Tensor:
    """First guess of k-means++ (Arthur and Vassilvitskii, 2007): draw far points with greater chance.

    Drawing at random instead would spend many entries on silence, which fills a good part of any speech.

    Returns:
        `(K, D)` entries taken from `vectors` `(M, D)`.
    """
    first = torch.randint(len(vectors), (1,), generator=generator)
    chosen = [vectors[first]]  # each (1, D)
    distances = (vectors - chosen[0]).square().sum(dim=1)  # (M,)
    for _ in range(entries - 1):
        # the small constant keeps the draw valid when every vector already coincides with an entry
        pick = torch.multinomial(distances + 1e-12, 1, generator=generator)
        chosen.append(vectors[pick])
        distances = torch.minimum(distances, (vectors - chosen[-1]).square().sum(dim=1))
    return torch.cat(chosen)  # (K, D)


def fit_codebook(
    vectors: torch.Tensor, entries: int, iterations: int, generator: torch.Generator, start_vectors: int = 6000
) -> torch.Tensor:
    """Learn a codebook: assign every vector to its nearest entry, move each entry to the mean of its vectors, repeat.

    An entry that lost all its vectors is dead: it would never be used again (codebook collapse). It restarts at one of
    the vectors that are represented worst.

    Args:
        vectors: `(M, D)` training vectors, `M >= entries`.
        entries: K.
        iterations: rounds of assign-and-move.
        generator: makes the result reproducible.
        start_vectors: the first guess looks at this many vectors only, which is enough to spread it.

    Returns:
        `(K, D)` codebook.

    Raises:
        LearnerError: for fewer vectors than entries.
    """
    if len(vectors) < entries:
        raise LearnerError(f"at least {entries} training vectors", f"{len(vectors)}", "too little speech to fit on",
                           "give the codec more audio or lower codebook_size")
    order = torch.randperm(len(vectors), generator=generator)[:max(start_vectors, entries)]
    codebook = spread_start(vectors[order], entries, generator)
    for _ in range(iterations):
        codes = nearest(vectors, codebook)  # (M,)
        counts = torch.bincount(codes, minlength=entries)  # (K,)
        sums = torch.zeros_like(codebook).index_add_(0, codes, vectors)  # (K, D)
        alive = counts > 0
        codebook[alive] = sums[alive] / counts[alive, None]
        if not alive.all():
            errors = (vectors - codebook[codes]).square().sum(dim=1)  # (M,)
            codebook[~alive] = vectors[errors.topk(int((~alive).sum())).indices]
    return codebook
