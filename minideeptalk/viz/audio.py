"""Sound inside a page: a clip with its transcript, carried in the page itself."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError

KINDS = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg"}
SILENCE = 1e-3  # peak, -60 dB below full scale


@dataclass(frozen=True)
class AudioClip:
    """One clip of a report.

    Args:
        title: what this is, e.g. `the answer`.
        source: a file (WAV, FLAC, MP3 or Ogg), or a waveform (N,) at 16 kHz with values -1 to 1, numpy or torch.
        transcript: the words in it; for the model's answer, the words of its text stream. May be empty.
        listen_for: one sentence on what to listen for.
        role: `question` and `answer` go to the top of the report, anything else to the list of clips.
        heard: what the judge wrote down when it listened, where it did.
    """

    title: str
    source: object
    transcript: str
    listen_for: str = ""
    role: str = ""
    heard: str | None = None


def data_uri(clip: AudioClip) -> str:
    """The clip as a `data:` address: files as they are, waveforms as 16-bit WAV.

    Raises:
        LearnerError: if the file is missing or of another kind, or the waveform is empty or not one channel.
    """
    if isinstance(clip.source, (str, Path)):
        path = Path(clip.source)
        if not path.is_file():
            raise LearnerError(f"an audio file for the clip '{clip.title}'", f"no file at {path}")
        if path.suffix.lower() not in KINDS:
            raise LearnerError(f"a file that ends in {', '.join(KINDS)}", path.name)
        kind, content = KINDS[path.suffix.lower()], path.read_bytes()
    else:
        kind, content = "audio/wav", _wav(_samples(clip))
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def player_html(clip: AudioClip) -> str:
    """An audio element with its name; it says so when the sound is silent."""
    silent = "" if isinstance(clip.source, (str, Path)) or np.abs(_samples(clip)).max() > SILENCE else \
        '<p class="soft">This clip is silent.</p>'
    return f'<audio controls preload="metadata" aria-label="{escape(clip.title, quote=True)}" src="{data_uri(clip)}"></audio>{silent}'


def _samples(clip: AudioClip) -> np.ndarray:
    """(N,) float32"""
    source = clip.source.detach().cpu().numpy() if hasattr(clip.source, "detach") else clip.source
    samples = np.asarray(source, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise LearnerError(f"a waveform (N,) with N > 0 for the clip '{clip.title}'", f"shape {samples.shape}")
    return samples


def _wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
