"""Batches of speech of similar length, and the augmentation both recognisers use (their weights are their own)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn.utils.rnn import pad_sequence

FRAMES_PER_SECOND = 50


def bucketed(lengths: list[int], batch_frames: float, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of indices; a batch holds utterances of similar length, so little is spent on padding.

    Args:
        lengths: frames of each utterance.
        batch_frames: a batch holds at most this many frames (at least one utterance).
        generator: decides the order; each round over the data is cut anew.
    """
    sizes = torch.tensor(lengths, dtype=torch.float)
    while True:
        jittered = sizes * (1 + 0.1 * torch.rand(len(sizes), generator=generator))
        batches, batch, longest = [], [], 0
        for index in jittered.argsort().tolist():
            longest = max(longest, lengths[index])
            if batch and longest * (len(batch) + 1) > batch_frames:
                batches.append(batch)
                batch, longest = [], lengths[index]
            batch.append(index)
        batches.append(batch)
        for position in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[position]


def pad_mels(mels: list[torch.Tensor], device: str | torch.device = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """B tensors `(T_i, F)` -> `(B, T, F)` padded with zeros, and `(B,)` lengths, both on `device`."""
    lengths = torch.tensor([len(mel) for mel in mels])
    return pad_sequence(mels, batch_first=True).to(device), lengths.to(device)


def mask_patches(mel: torch.Tensor, generator: torch.Generator, max_frames: int = 8, max_bands: int = 10) -> torch.Tensor:
    """SpecAugment (Park et al., 2019): silence one stretch of time and one band of frequencies in each utterance.

    Args:
        mel: `(B, T, F)` normalised features, where zero is the mean.
    """
    count, frames, bands = mel.shape
    mel = mel.clone()
    draws = torch.rand(count, 4, generator=generator)
    for row, (start, length, band, height) in zip(mel, draws.tolist(), strict=True):
        first, low = int(start * frames), int(band * bands)
        row[first : first + int(length * max_frames)] = 0
        row[:, low : low + int(height * max_bands)] = 0
    return mel
