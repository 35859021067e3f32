"""What the codec, the ear and the judge see: a log-mel spectrogram, and the way back to sound.

One frame is 20 ms, four frames are a step of the language model, and N samples give exactly N // 320 frames: frame t is
centred in samples [320 t, 320 (t + 1)), so a word that begins on a step begins with a frame.

Axes: B batch, F frames, M mel bands (80), N samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torchaudio

from minideeptalk.config import HOP, MELS, SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.speech.loudness import decibels, normalise_loudness
from minideeptalk.speech.pitch import Pitch, pitch

__all__ = [
    "FFT_SIZE",
    "FLOOR",
    "SILENCE",
    "LogMel",
    "Pitch",
    "decibels",
    "griffin_lim",
    "log_mel",
    "mel_inverse",
    "normalise_loudness",
    "pitch",
    "resample",
]

FFT_SIZE = 1024
FLOOR = 1e-2  # smallest mel magnitude; speech at -23 dBFS peaks near 10
SILENCE = float(np.log(FLOOR))  # what a frame of digital silence contains in every band
_EDGE = (FFT_SIZE - HOP) // 2  # zeros at both ends that centre each frame in its hop


@lru_cache(maxsize=1)
def _filter_bank() -> torch.Tensor:
    """Mel filters (513, 80) on Slaney's scale: none of them is empty at this resolution."""
    return torchaudio.functional.melscale_fbanks(FFT_SIZE // 2 + 1, 0.0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE,
                                                 norm=None, mel_scale="slaney")


class LogMel(torch.nn.Module):
    """Waveform to log-mel: (N,) or (B, N) -> (..., N // 320, 80), natural logarithm of the magnitude with a floor.

    Example:
        >>> import torch
        >>> LogMel()(torch.zeros(16_000)).shape
        torch.Size([50, 80])
    """

    def __init__(self):
        super().__init__()
        # Buffers that are not persistent follow .to(device) and are not saved.
        self.register_buffer("window", torch.hann_window(FFT_SIZE), persistent=False)
        self.register_buffer("filters", _filter_bank().clone(), persistent=False)

    @torch.no_grad()
    def forward(self, waveform: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Samples (N,) or (B, N) at 16 kHz -> log-mel (..., N // 320, 80).

        Raises:
            LearnerError: for less than one hop (20 ms) of sound.
        """
        waveform = torch.as_tensor(waveform, dtype=torch.float32, device=self.filters.device)  # (..., N)
        if waveform.shape[-1] < HOP:
            raise LearnerError(f"at least {HOP} samples (20 ms)", f"{waveform.shape[-1]}")
        padded = torch.nn.functional.pad(waveform, (_EDGE, _EDGE))  # (..., N + 704)
        magnitude = torchaudio.functional.spectrogram(padded, 0, self.window, FFT_SIZE, HOP, FFT_SIZE, power=1.0,
                                                      normalized=False, center=False)  # (..., 513, F)
        mel = magnitude.transpose(-1, -2) @ self.filters  # (..., F, 80)
        return mel.clamp_min(FLOOR).log()


@lru_cache(maxsize=1)
def _default_log_mel() -> LogMel:
    return LogMel()


def log_mel(waveform: torch.Tensor | np.ndarray) -> torch.Tensor:
    """`LogMel` on the CPU as a function: (N,) or (B, N) -> (..., N // 320, 80)."""
    return _default_log_mel()(waveform)


@lru_cache(maxsize=1)
def _pseudo_inverse() -> torch.Tensor:
    return torch.linalg.pinv(_filter_bank().double()).float()  # (80, 513)


def mel_inverse(mel: torch.Tensor, refinements: int = 8) -> torch.Tensor:
    """Log-mel (..., F, 80) to a magnitude spectrogram (..., F, 513) that is nowhere negative.

    80 numbers cannot say 513, so there are many answers. The start is the pseudo-inverse with its negative part cut
    off; each refinement multiplies by the ratio of wanted to present energy (the update of non-negative factorisation).
    """
    filters = _filter_bank().to(mel.device)  # (513, 80)
    wanted = mel.exp()  # (..., F, 80)
    magnitude = (wanted @ _pseudo_inverse().to(mel.device)).clamp_min(FLOOR * 1e-2)  # (..., F, 513)
    above = wanted @ filters.T  # (..., F, 513)
    for _ in range(refinements):
        magnitude = magnitude * above / (magnitude @ filters @ filters.T).clamp_min(1e-8)
    return magnitude


def griffin_lim(mel: torch.Tensor, iterations: int = 16, seed: int = 0) -> torch.Tensor:
    """Log-mel back to sound by Griffin and Lim's alternation of spectrogram and phase.

    Args:
        mel: (F, 80) or (B, F, 80) as `LogMel` gives it.
        iterations: more is better and slower.
        seed: of the random first phase; the same seed gives the same sound.

    Returns:
        (F * 320,) or (B, F * 320) float32 waveform.
    """
    frames = mel.shape[-2]
    padded = torch.nn.functional.pad(mel.float(), (0, 0, 1, 1), value=SILENCE)  # (..., F + 2, 80)
    magnitude = mel_inverse(padded).transpose(-1, -2)  # (..., 513, F + 2)
    window = torch.hann_window(FFT_SIZE, device=mel.device)
    devices = [mel.device] if mel.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        waveform = torchaudio.functional.griffinlim(magnitude, window, FFT_SIZE, HOP, FFT_SIZE, power=1.0,
                                                    n_iter=iterations, momentum=0.99, length=None, rand_init=True)
    # The first added frame is centred 160 samples before the sound begins.
    return waveform[..., HOP // 2 : HOP // 2 + frames * HOP]  # (..., F * 320)


def resample(waveform: torch.Tensor | np.ndarray, source: int, target: int = SAMPLE_RATE) -> torch.Tensor:
    """Change the sample rate: (..., N) at `source` Hz -> (..., N * target / source) at `target` Hz, by torchaudio."""
    return torchaudio.functional.resample(torch.as_tensor(waveform, dtype=torch.float32), source, target)
