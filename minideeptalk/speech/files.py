"""Audio files in and out, through soundfile: WAV and FLAC at any rate become 16 kHz mono."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import soundfile

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError

LONGEST_SECONDS = 20.0
SILENT_DBFS = -60.0


def read_audio(path: str | Path, longest_seconds: float = LONGEST_SECONDS) -> np.ndarray:
    """Read a recording.

    Args:
        path: a WAV or FLAC file of any sample rate and number of channels.
        longest_seconds: limit on its duration.

    Returns:
        (N,) float32 in [-1, 1] at 16 kHz, channels averaged.

    Raises:
        LearnerError: a file that is missing, not audio, empty, silent (below -60 dBFS), or too long.
    """
    path = Path(path)
    samples, rate = _decode(path, longest_seconds)  # (N, channels)
    if len(samples) == 0:
        raise LearnerError("sound", f"{path.name} without a single sample", next_step="record again")
    waveform = samples.mean(axis=1)  # (N,)
    if not np.isfinite(waveform).all():
        raise LearnerError("finite samples", f"nan or infinity in {path.name}",
                           cause="a fault of the program that wrote it")
    level = 20 * np.log10(np.abs(waveform).max() + 1e-12)
    if level < SILENT_DBFS:
        raise LearnerError(f"sound above {SILENT_DBFS:g} dBFS", f"silence in {path.name} (peak {level:.0f} dBFS)",
                           cause="the microphone was off or muted", next_step="record again and watch the level")
    return _to_project_rate(waveform, rate)


def _decode(path: Path, longest_seconds: float) -> tuple[np.ndarray, int]:
    """Samples (N, channels) and their rate; the length is checked before anything is read."""
    if not path.is_file():
        found = f"the folder {path}" if path.exists() else f"{path}, which is not there"
        raise LearnerError("an audio file", found, cause="a mistyped path, or another working folder",
                           next_step=f"look into {path.parent}")
    if path.stat().st_size == 0:
        raise LearnerError("sound", f"{path.name} of 0 bytes", cause="the recording or the download was cut off",
                           next_step="record or fetch it again")
    try:
        with soundfile.SoundFile(path) as file:
            seconds = file.frames / file.samplerate
            if seconds > longest_seconds:
                raise LearnerError(f"at most {longest_seconds:g} s", f"{seconds:.1f} s in {path.name}",
                                   cause="the model knows short utterances only",
                                   next_step="cut one question out of it")
            return file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw, which needs a rate
        raise LearnerError("a WAV or FLAC file", path.name, cause=str(error).split(": ")[-1],
                           next_step=f"convert it: ffmpeg -i {path.name} -ar 16000 -ac 1 speech.wav") from None


def _to_project_rate(waveform: np.ndarray, rate: int) -> np.ndarray:
    if rate == SAMPLE_RATE:
        return np.ascontiguousarray(waveform, dtype=np.float32)
    from minideeptalk.speech.features import resample  # here: only files at another rate need torchaudio

    return resample(waveform, rate).numpy()


def check_output(path: str | Path) -> None:
    """Raise a `LearnerError` unless sound can be written to `path`: by its ending, and by what is there already. Makes nothing."""
    path = Path(path)
    if path.suffix.lower() not in (".wav", ".flac"):
        raise LearnerError("a name that ends with .wav or .flac", path.name)
    if path.is_dir():
        raise LearnerError("a file for the sound", f"the folder {path}", next_step=f"write {path / 'answer.wav'}")
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if nearest != path and not nearest.is_dir():
        raise LearnerError(f"a folder for {path.name}", f"the file {nearest}", "a file where a folder should be", "give another place")
    if not os.access(nearest, os.W_OK):
        raise LearnerError(f"a place where {path.name} can be written", f"{nearest}, which is closed to you", "a missing right",
                           "give another place")


def write_audio(path: str | Path, waveform: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Path:
    """Write a waveform (N,) as 16-bit WAV or FLAC, whichever the name ends with. Values outside [-1, 1] are clipped.

    Raises:
        LearnerError: another ending, an array that is not one-dimensional, or a place that cannot be written to.
    """
    path, waveform = Path(path), np.asarray(waveform, dtype=np.float32)
    check_output(path)
    if waveform.ndim != 1:
        raise LearnerError("a mono waveform of shape (N,)", f"shape {waveform.shape}", next_step="write waveform[0]")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(path, np.clip(waveform, -1.0, 1.0), sample_rate, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise LearnerError("a place where sound can be written", f"{path} ({error.error_string.rstrip('.')})",
                           "a full disk or a missing right", "make room, or give another place") from error
    return path
