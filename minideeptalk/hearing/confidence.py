"""Does the ear know what it hears? A recogniser always answers something; this module tells when not to believe it.

Two things make the ear doubt. Its word probabilities may be low. Or the hidden states of the words may lie far from
every training example of those words, as they do for a human voice: the ear then reads a word firmly, but from sounds
it has never met. The second is measured by the Mahalanobis distance to the word's mean (Lee et al., 2018).
Axes: N words heard, D width, V words + blank.
"""

from __future__ import annotations

import torch


def word_statistics(frames: torch.Tensor, labels: torch.Tensor, vocabulary: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean state of each word, and the inverse of the spread around these means that all words share.

    Args:
        frames: `(M, D)` compressed frames of the training speech.
        labels: `(M,)` their words.
        vocabulary: V.

    Returns:
        means `(V, D)` (the overall mean for words never heard) and precision `(D, D)`.
    """
    means = frames.mean(dim=0).repeat(vocabulary, 1)  # (V, D)
    for label in labels.unique().tolist():
        means[label] = frames[labels == label].mean(dim=0)
    away = frames - means[labels]  # (M, D)
    spread = away.T @ away / len(frames)  # (D, D)
    ridge = 1e-3 * spread.diagonal().mean() * torch.eye(len(spread))
    return means, torch.linalg.inv(spread + ridge)


def strangeness(frames: torch.Tensor, labels: torch.Tensor, means: torch.Tensor, precision: torch.Tensor) -> torch.Tensor:
    """Squared Mahalanobis distance of each frame from its word's mean, divided by D: near 1 for familiar speech.

    Args:
        frames: `(N, D)`.
        labels: `(N,)`.

    Returns:
        `(N,)`.
    """
    away = frames - means[labels]  # (N, D)
    return ((away @ precision) * away).sum(dim=1) / frames.shape[1]
