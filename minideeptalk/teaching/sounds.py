"""Sounds in a chapter: players with title, words and what to listen for, in the page and in a notebook alike."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import soundfile

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.viz.audio import AudioClip, data_uri

LONGEST_SECONDS = 8.0


@dataclass(frozen=True)
class Sounds:
    """Some clips, each a figure with its caption. Waveforms are packed as FLAC, half the size of WAV and without loss.

    Args:
        clips: `viz.AudioClip`s; each needs a title and, where words are said, a transcript.
    """

    clips: Sequence[AudioClip]

    def _repr_html_(self) -> str:
        return '<div class="sounds">' + "".join(_figure(clip) for clip in self.clips) + "</div>"


def _figure(clip: AudioClip) -> str:
    says = f"“{escape(clip.transcript)}”" if clip.transcript else "(no words)"
    lines = [f"<strong>{escape(clip.title)}</strong> {says}"]
    if clip.heard is not None:
        lines.append(f"<br><small>The judge wrote down: “{escape(clip.heard)}”</small>")
    if clip.listen_for:
        lines.append(f"<br><small>{escape(clip.listen_for)}</small>")
    seconds = 0.0 if isinstance(clip.source, (str, Path)) else len(clip.source) / SAMPLE_RATE
    if seconds > LONGEST_SECONDS:
        lines.append(f"<br><small>The player stops after {LONGEST_SECONDS:g} of {seconds:.0f} seconds.</small>")
    name = escape(f"{clip.title}: {clip.transcript}", quote=True)
    return (f'<figure class="sound"><figcaption>{"".join(lines)}</figcaption>'
            f'<audio controls preload="none" style="width:100%;max-width:26rem" aria-label="{name}" src="{_address(clip)}"></audio></figure>')


def _address(clip: AudioClip) -> str:
    if isinstance(clip.source, (str, Path)):
        return data_uri(clip)
    samples = clip.source.detach().cpu().numpy() if hasattr(clip.source, "detach") else np.asarray(clip.source)
    samples = samples[: int(LONGEST_SECONDS * SAMPLE_RATE)]
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
