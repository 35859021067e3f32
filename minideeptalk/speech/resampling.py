"""From espeak-ng's 22,050 Hz to 16,000 Hz, in numpy.

torchaudio resamples too, and `features.resample` uses it. This copy exists because a corpus is built in many fresh
processes, and importing torch would cost each of them longer than the synthesis itself. A test holds the two together.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np

ZERO_CROSSINGS = 24  # half length of the sinc, in samples of the slower rate
ROLLOFF = 0.95  # cut a little below the Nyquist frequency, so that the filter may fall off


@lru_cache(maxsize=4)
def _filter_bank(source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """One windowed-sinc filter for each of the `target` output phases: (target, taps), and where each begins."""
    cutoff = ROLLOFF * min(1.0, target / source)  # relative to the source's Nyquist frequency
    half = int(np.ceil(ZERO_CROSSINGS / cutoff))
    position = np.arange(target) * source / target  # (phases,) output time in source samples
    first = np.floor(position).astype(np.int64) - half + 1  # (phases,)
    time = first[:, None] + np.arange(2 * half) - position[:, None]  # (phases, taps)
    window = np.cos(np.pi * time / (2 * half)) ** 2 * (np.abs(time) < half)
    filters = cutoff * np.sinc(cutoff * time) * window
    return (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32), first + half


def resample_numpy(waveform: np.ndarray, source: int, target: int) -> np.ndarray:
    """Polyphase resampling without delay: (N,) at `source` Hz -> (ceil(N * target / source),) at `target` Hz."""
    divisor = gcd(source, target)
    source, target = source // divisor, target // divisor
    filters, offsets = _filter_bank(source, target)
    taps = filters.shape[1]
    length = -(-len(waveform) * target // source)
    blocks = -(-length // target)
    padded = np.zeros(taps // 2 + blocks * source + taps, dtype=np.float32)
    padded[taps // 2 : taps // 2 + len(waveform)] = waveform
    view = np.lib.stride_tricks.sliding_window_view(padded, taps)  # (positions, taps)
    result = np.empty((blocks, target), dtype=np.float32)
    for phase in range(target):
        begin = offsets[phase]
        result[:, phase] = view[begin : begin + blocks * source : source][:blocks] @ filters[phase]
    return result.reshape(-1)[:length]
