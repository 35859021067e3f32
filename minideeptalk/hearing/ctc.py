"""Connectionist temporal classification (Graves et al., 2006): learn labels without knowing when each was said.

The network gives every frame a label or "blank". Reading the best label of each frame, merging repeats and dropping
blanks gives the text. The ear also keeps the *frames* of the labels: that is the compression which shortens speech
to about one frame a word before a language model sees it. Axes: B batch, T frames, V labels (blank is 0), D width.
"""

from __future__ import annotations

import torch

BLANK = 0


def best_path(log_probabilities: torch.Tensor) -> torch.Tensor:
    """The likeliest label of every frame: `(T, V)` -> `(T,)` int64."""
    return log_probabilities.argmax(dim=-1)


def collapse(path: list[int] | torch.Tensor) -> list[int]:
    """Merge repeats, then drop blanks.

    >>> collapse([0, 7, 7, 0, 7, 3, 3])
    [7, 7, 3]
    """
    labels, previous = [], BLANK
    for label in map(int, path):
        if label not in (BLANK, previous):
            labels.append(label)
        previous = label
    return labels


def compress(frames: torch.Tensor, path: torch.Tensor) -> torch.Tensor:
    """One frame for each label that `collapse` finds: the mean of the consecutive frames that carry it.

    Args:
        frames: `(T, D)` hidden states.
        path: `(T,)` labels.

    Returns:
        `(N, D)`, N the length of `collapse(path)`; N may be 0.
    """
    previous = torch.cat([path.new_full((1,), BLANK), path[:-1]])  # (T,)
    starts = (path != BLANK) & (path != previous)  # (T,) True where a new label begins
    voiced = path != BLANK
    segment = starts.cumsum(dim=0)[voiced] - 1  # which label each kept frame belongs to
    sums = frames.new_zeros(int(starts.sum()), frames.shape[1]).index_add_(0, segment, frames[voiced])  # (N, D)
    counts = torch.bincount(segment, minlength=len(sums))  # (N,)
    return sums / counts[:, None].clamp(min=1)


def ctc_loss(log_probabilities: torch.Tensor, lengths: torch.Tensor, targets: list[list[int]]) -> torch.Tensor:
    """Minus log of the summed probability of all paths that read as the target; mean over labels, then over the batch.

    Args:
        log_probabilities: `(B, T, V)`.
        lengths: `(B,)` valid frames of each row.
        targets: B lists of labels without blanks.

    Returns:
        Scalar. A target too long for its frames counts as zero instead of infinity.
    """
    flat = torch.tensor([label for target in targets for label in target], device=log_probabilities.device)
    target_lengths = torch.tensor([len(target) for target in targets])
    return torch.nn.functional.ctc_loss(
        log_probabilities.transpose(0, 1), flat, lengths, target_lengths, blank=BLANK, zero_infinity=True  # (T, B, V)
    )
