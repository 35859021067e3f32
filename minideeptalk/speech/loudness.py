"""Loudness by root mean square over the part that sounds.

An angry voice is louder than a sad one. Without this step a classifier of styles becomes a volume detector,
and a pause would make an utterance seem quieter than it is.
"""

from __future__ import annotations

import numpy as np

from minideeptalk.config import HOP

TARGET_DBFS = -23.0
ACTIVE_BELOW_PEAK_DB = 40.0  # frames more than this below the loudest one count as pause
PEAK_LIMIT = 0.99


def frame_decibels(waveform: np.ndarray, hop: int = HOP) -> np.ndarray:
    """Level of each 20 ms frame in dB relative to full scale: (N,) -> (N // hop,)."""
    frames = np.asarray(waveform, dtype=np.float64)[: len(waveform) // hop * hop].reshape(-1, hop)  # (F, hop)
    return 10 * np.log10((frames**2).mean(axis=1) + 1e-12)  # (F,)


def decibels(waveform: np.ndarray) -> float:
    """Level of the part that sounds, in dBFS; -120 for digital silence.

    Frames more than 40 dB below the loudest frame are pauses and do not count.
    """
    waveform = np.asarray(waveform, dtype=np.float64)
    levels = frame_decibels(waveform) if len(waveform) >= HOP else frame_decibels(waveform, max(1, len(waveform)))
    if len(levels) == 0:
        return -120.0
    active = levels[levels >= levels.max() - ACTIVE_BELOW_PEAK_DB]
    return float(10 * np.log10((10 ** (active / 10)).mean()))


def normalise_loudness(waveform: np.ndarray, target_dbfs: float = TARGET_DBFS) -> np.ndarray:
    """Scale a waveform so that its sounding part has the target level; peaks stay below full scale.

    Args:
        waveform: (N,) numbers in [-1, 1]; arrays and CPU tensors.
        target_dbfs: level wanted, in dB relative to full scale.

    Returns:
        (N,) float32. Digital silence comes back unchanged.
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    level = decibels(waveform)
    if level <= -119:
        return waveform.copy()
    gain = 10 ** ((target_dbfs - level) / 20)
    peak = float(np.abs(waveform).max())
    return (waveform * min(gain, PEAK_LIMIT / peak)).astype(np.float32)
