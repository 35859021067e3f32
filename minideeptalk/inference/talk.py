"""One question to a finished run, spoken or typed, and the answer as plain facts: what `minideeptalk talk` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.model import AudioToken
from minideeptalk.speech.files import check_output, read_audio, write_audio


@contextmanager
def damage_explained(folder: Path):
    """Within this block, a checkpoint in `folder` that is cut off or belongs to another model is told in plain words."""
    try:
        yield
    except (SafetensorError, json.JSONDecodeError) as error:
        mend = ("this run is finished and cannot be mended: train again with another --out" if (folder / "record.json").exists() else
                "delete the damaged part, then `minideeptalk train --resume --out DIR` makes it again")
        raise LearnerError(f"readable checkpoints in {folder}", f"{_damaged(folder)}{type(error).__name__}: {error}", "a file was cut off or edited",
                           mend) from error


def _damaged(folder: Path) -> str:
    """The first file of a run that cannot be opened, as `ear/ear.safetensors: `; empty if all can, and another thing is wrong."""
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.json")]):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            else:
                with safe_open(path, "pt"):
                    pass
        except (SafetensorError, ValueError):
            return f"{path.relative_to(folder).as_posix()}: "
    return ""


def open_talker(folder: Path | str, stage: str = "3-joint", parallel: bool = True) -> Talker:
    """`Talker.load`, with damaged ear and codec files explained as the model's are."""
    with damage_explained(Path(folder)):
        return Talker.load(folder, stage, parallel)


def talk(talker: Talker, audio: Path | str | None = None, text: str | None = None, out: Path | str | None = None,
         sampling: Sampling = Sampling(), mirror: bool = False) -> dict:
    """Ask one question.

    Args:
        talker: see `open_talker`.
        audio: a spoken question (WAV or FLAC at any rate). text: a typed one instead; it is answered in text alone.
        out: where the sound of the answer goes.  Nothing is written when the question was not understood.
        mirror: answer a spoken question in the style in which it was asked, instead of the neutral one.

    Returns:
        `understood`, `text`, `heard`, `style`, `confidence`, `audio` (path or None), `seconds` of the answer, `first_audio_ms`
        (parts in milliseconds) and `real_time_factor`.

    Raises:
        LearnerError: for audio that cannot be used, or a typed word outside the world.
    """
    if text is not None:
        return {"understood": True, "text": talker.answer_text(text, sampling), "heard": text, "style": None, "confidence": None,
                "audio": None, "seconds": None, "first_audio_ms": {}, "real_time_factor": None}
    trigger = AudioToken.MIRROR if mirror else AudioToken.ANSWER
    reply = talker.answer(torch.from_numpy(read_audio(audio)), trigger, sampling)
    written = write_audio(out, reply.waveform.numpy()) if out is not None and len(reply.waveform) else None
    return {"understood": reply.understood, "text": reply.text, "heard": reply.heard, "style": reply.style,
            "confidence": reply.confidence, "audio": None if written is None else str(written),
            "seconds": len(reply.waveform) / SAMPLE_RATE, "first_audio_ms": reply.latency_ms,
            "real_time_factor": reply.real_time_factor}


def ask(folder: Path | str, audio: Path | str | None = None, text: str | None = None, out: Path | str | None = None,
        sampling: Sampling = Sampling(), mirror: bool = False, stage: str = "3-joint", parallel: bool = True,
        opener: Callable[[Path | str, str, bool], Talker] = open_talker) -> dict:
    """`talk` to the model of a stage of the run in `folder`; bad audio and a bad `out` are told before the model is opened.

    Args:
        opener: what opens the run, for runs that are not one model (`baselines.talking.open_run`).

    Raises:
        LearnerError: also for a folder without a finished run, or a damaged checkpoint.
    """
    if out is not None and text is not None:
        raise LearnerError("--out with a spoken question", "--out with --text", "a typed question is answered in text",
                           "leave --out away")
    if mirror and text is not None:
        raise LearnerError("--mirror with a spoken question", "--mirror with --text", "a typed question has no style",
                           "leave --mirror away")
    if audio is not None:
        read_audio(audio)
    if out is not None:
        check_output(out)
    if (audio is None) == (text is None):
        raise LearnerError("one question: --audio FILE or --text WORDS", "both" if audio else "none")
    if text is not None and not text.split():
        raise LearnerError("a question of at least one word", repr(text))
    return talk(opener(folder, stage, parallel), audio, text, out, sampling, mirror)
