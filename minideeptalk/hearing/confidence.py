"""Does the ear know what it hears? A recogniser always answers something; this module tells when not to believe it.

The word probabilities alone do not tell: from a human voice the ear reads wrong words firmly. But the hidden states of
these words then lie far from every training example of them, because the ear has never met such sounds. That distance
is Mahalanobis's, to the mean of the word that was read (Lee et al., 2018, "A simple unified framework").
Axes: M training words, N words heard, D width, V words (without blank).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from minideeptalk.hearing.ear import Ear


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


def confidence(frames: torch.Tensor, labels: torch.Tensor, means: torch.Tensor, precision: torch.Tensor) -> float:
    """From 0 (nothing heard, or nothing like training) to 1 (as near as training speech); falls with the mean distance.

    Args: as `strangeness`.
    """
    if len(labels) == 0:
        return 0.0
    distance = float(strangeness(frames, labels, means, precision).mean())
    return math.exp(-max(distance - 1, 0))


@torch.no_grad()
def remember_words(ear: Ear, log_mels: list[torch.Tensor], at_most: int = 1300) -> None:
    """Let the ear listen to training speech, `(frames, 80)` each, and keep where its words lie."""
    heard = ear.listen(log_mels[:at_most])
    index = {word: place for place, word in enumerate(ear.words)}
    labels = torch.tensor([index[word] for one in heard for word in one.words], dtype=torch.int64)
    if len(labels) <= ear.width:
        return  # an ear that reads next to nothing stays with its first, meaningless statistics
    means, precision = word_statistics(torch.cat([one.frames for one in heard]), labels, len(ear.words))
    ear.word_means.copy_(means)
    ear.precision.copy_(precision)


@dataclass(frozen=True)
class Calibration:
    """The chosen threshold, and the shares of inside and outside sounds that pass it."""

    threshold: float
    accepted_inside: float
    accepted_outside: float


def choose_threshold(ear: Ear, inside: list[torch.Tensor], outside: list[torch.Tensor]) -> Calibration:
    """Set `ear.threshold` where the shares of accepted inside and rejected outside sounds have the greatest sum.

    Args:
        ear: a trained ear.
        inside: log-mels of speech it should understand (validation questions).
        outside: log-mels it should refuse: `strange_sounds` and foreign words. No human recording belongs here, so
            that human recordings can be the test.
    """
    good = torch.tensor([heard.confidence for heard in ear.listen(inside)])
    bad = torch.tensor([heard.confidence for heard in ear.listen(outside)])
    levels = torch.cat([good, bad]).unique()  # sorted
    cuts = (levels[1:] + levels[:-1]) / 2 if len(levels) > 1 else levels
    scores = torch.stack([(good >= cut).float().mean() + (bad < cut).float().mean() for cut in cuts])
    cut = float(cuts[int(scores.argmax())])
    ear.threshold.fill_(cut)
    return Calibration(cut, float((good >= cut).float().mean()), float((bad >= cut).float().mean()))


def strange_sounds(waveforms: list[torch.Tensor], seed: int = 0) -> list[torch.Tensor]:
    """Each waveform played backwards, and noise of the same length and level: white, rumbling or pulsing, in turn."""
    generator = torch.Generator().manual_seed(seed)
    sounds = []
    for index, waveform in enumerate(waveforms):
        waveform = torch.as_tensor(waveform, dtype=torch.float32)
        noise = torch.randn(len(waveform), generator=generator)
        if index % 3 == 1:  # averaging neighbours leaves the low frequencies
            noise = torch.nn.functional.avg_pool1d(noise[None], 15, stride=1, padding=7)[0]
        elif index % 3 == 2:  # four pulses a second, about as many as syllables
            noise = noise * torch.sin(torch.arange(len(noise)) * (math.pi * 4 / 16_000))
        level = waveform.square().mean().sqrt() / noise.square().mean().sqrt()
        sounds += [waveform.flip(0), noise * level]
    return sounds
