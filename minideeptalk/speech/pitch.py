"""Pitch of the voice by autocorrelation: how high it is, and how far it moves.

A voiced sound repeats with the period of the vocal folds, so the waveform resembles itself shifted by one period.
The lag of the best resemblance is the period; frames without a good one are unvoiced and do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from minideeptalk.config import HOP, SAMPLE_RATE

WINDOW = 960  # samples of 60 ms: three periods of the lowest pitch
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
VOICED_CORRELATION = 0.6
QUIET_BELOW_PEAK_DB = 30.0


@dataclass(frozen=True)
class Pitch:
    """Fundamental frequency of an utterance.

    Args:
        track: (F,) Hz for each 20 ms frame; nan where unvoiced.
        mean: Hz over voiced frames; nan when there are none.
        spread: standard deviation in Hz over voiced frames; nan when there are none.
    """

    track: np.ndarray
    mean: float
    spread: float


def pitch(waveform: torch.Tensor | np.ndarray) -> Pitch:
    """Measure the fundamental frequency of a waveform (N,) at 16 kHz."""
    waveform = torch.as_tensor(waveform, dtype=torch.float32).cpu()
    padded = torch.nn.functional.pad(waveform, ((WINDOW - HOP) // 2, WINDOW))
    frames = padded.unfold(0, WINDOW, HOP)[: len(waveform) // HOP]  # (F, 960)
    if len(frames) == 0:
        return Pitch(np.zeros(0, dtype=np.float32), float("nan"), float("nan"))
    correlation = _normalised_autocorrelation(frames - frames.mean(dim=1, keepdim=True))  # (F, lags)
    shortest = int(SAMPLE_RATE / HIGHEST_HZ)
    strength, lag = _first_high_peak(correlation[:, shortest:])
    frequency = SAMPLE_RATE / (lag + shortest)  # (F,)
    energy = 10 * torch.log10(frames.square().mean(dim=1) + 1e-12)
    voiced = (strength > VOICED_CORRELATION) & (energy > energy.max() - QUIET_BELOW_PEAK_DB) & (energy > -60)
    track = np.where(voiced.numpy(), frequency.numpy(), np.nan).astype(np.float32)
    heard = track[~np.isnan(track)]
    if len(heard) == 0:
        return Pitch(track, float("nan"), float("nan"))
    return Pitch(track, float(heard.mean()), float(heard.std()))


def _normalised_autocorrelation(frames: torch.Tensor) -> torch.Tensor:
    """Resemblance in [-1, 1] of each frame to itself shifted by 0, 1, 2 ... samples: (F, 960) -> (F, lags)."""
    lags = int(SAMPLE_RATE / LOWEST_HZ) + 2
    spectrum = torch.fft.rfft(frames, n=2 * WINDOW)
    product = torch.fft.irfft(spectrum.abs().square())[:, :lags]  # (F, lags)
    power = torch.nn.functional.pad(frames.square().cumsum(dim=1), (1, 0))  # (F, 961)
    head = power[:, WINDOW - torch.arange(lags)]  # energy of the part that stays
    tail = power[:, -1:] - power[:, torch.arange(lags)]  # energy of the part that it meets
    return product / (head * tail).clamp_min(1e-12).sqrt()


def _first_high_peak(correlation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The shortest lag whose peak is nearly the best; the best alone may be two periods. Refined by a parabola."""
    inner = correlation[:, 1:-1]
    is_peak = (inner >= correlation[:, :-2]) & (inner > correlation[:, 2:])
    peaks = torch.where(is_peak, inner, torch.full_like(inner, -1.0))  # (F, lags)
    best = peaks.max(dim=1, keepdim=True).values
    lag = (peaks >= 0.9 * best).float().argmax(dim=1)  # (F,) the first that qualifies
    rows = torch.arange(len(lag))
    left, middle, right = correlation[rows, lag], inner[rows, lag], correlation[rows, lag + 2]
    bend = left - 2 * middle + right
    shift = torch.where(bend.abs() > 1e-9, 0.5 * (left - right) / bend, torch.zeros_like(bend)).clamp(-0.5, 0.5)
    return best[:, 0], lag + 1 + shift
