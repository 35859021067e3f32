"""What the live explorers share: a learner's mistake becomes a sentence on the page, and an upload becomes sound."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import numpy as np

from minideeptalk.errors import LearnerError
from minideeptalk.speech.files import read_audio


@contextmanager
def told_on(page) -> Iterator[None]:
    """Within this block, a `LearnerError` is no traceback: its sentence stands on `page`, an HTML widget."""
    try:
        yield
    except LearnerError as error:
        page.value = f"<p>{escape(str(error))}</p>"


def uploaded_sound(uploaded) -> np.ndarray:
    """The first file of an upload widget, whose value differs between ipywidgets 7 and 8, as (N,) float32 at 16 kHz.

    Raises:
        LearnerError: as `speech.files.read_audio`.
    """
    entry = next(iter(uploaded.values())) if isinstance(uploaded, dict) else uploaded[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "your recording.wav")
        path.write_bytes(bytes(entry["content"]))
        return read_audio(path)
