"""An utterance: the sound together with what was said when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minideeptalk.config import SAMPLE_RATE


class Span(NamedTuple):
    """A word or phoneme and the seconds between which it sounds."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """Synthesised speech with its exact times.

    Args:
        waveform: (N,) float32 in [-1, 1] at 16 kHz.
        words: one span a word, in spoken order.
        phonemes: one span a phoneme (IPA); pauses are left out.
    """

    waveform: np.ndarray
    words: tuple[Span, ...]
    phonemes: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """Duration of the waveform."""
        return len(self.waveform) / SAMPLE_RATE
