"""Where the shipped samples lie: recorded clips, text, and the small checkpoints that the demo and the chapters open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.records.committed import records_folder

SHIPPED = "nano"
SHIPPED_PARTS = tuple(f"{SHIPPED}/{name}" for name in (
    "codec/codec.safetensors", "ear/ear.safetensors", "judge/judge.safetensors", "style_judge/style_judge.safetensors",
    "stages/0-pretrain/model.safetensors")) + ("clips.json",)


@dataclass(frozen=True)
class SampleQuestion:
    """A recorded question: its file, its words, and the right answer where the card names one."""

    path: Path
    words: str
    answer: str


def samples_folder() -> Path:
    """`data_samples/` of a checkout, or of the installed wheel; both are the package `minideeptalk.data_samples`.

    Raises:
        LearnerError: when it is not installed.
    """
    try:
        return Path(str(files("minideeptalk.data_samples")))
    except ModuleNotFoundError:
        raise LearnerError("the package minideeptalk.data_samples", "none", "the library runs without being installed",
                           "pip install -e . in the checkout") from None


def shipped_run(samples: Path | None = None) -> Path:
    """Folder with the shipped codec, ear, judges and text model.

    Raises:
        LearnerError: when a part is missing.
    """
    samples = samples or samples_folder()
    for part in SHIPPED_PARTS[:-1]:
        if not (samples / part).is_file():
            raise LearnerError(f"shipped {part}", f"no such file in {samples}", "an incomplete clone or installation",
                               "install again, or train everything: minideeptalk demo --scratch")
    return samples / SHIPPED


def sample_questions(samples: Path | None = None) -> list[SampleQuestion]:
    """The recorded questions that have an answer, in the order of `clips.json`; empty where there are no clips.

    `clips.json` is a list; the data card beside it says what each field means.
    """
    samples = samples or samples_folder()
    card = samples / "clips.json"
    if not card.is_file():
        return []
    clips = json.loads(card.read_text(encoding="utf-8"))
    return [SampleQuestion(samples / "clips" / clip["file"], clip["words"], clip["answer"]) for clip in clips if clip["kind"] == "question"]


@dataclass(frozen=True)
class Clip:
    """One shipped clip: its file, words, speaking voice and style, `kind` question or reply; answer and family where it is a question."""

    path: Path
    kind: str
    words: str
    voice: str
    style: str
    family: str = ""
    answer: str = ""


def sample_clips(kind: str, samples: Path | None = None) -> list[Clip]:
    """The shipped clips of one kind, `question` or `reply`, in the order of `clips.json`.

    Raises:
        LearnerError: when the samples hold none.
    """
    samples = samples or samples_folder()
    card = samples / "clips.json"
    entries = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else []
    clips = [Clip(samples / "clips" / entry["file"], kind, entry["words"], entry["voice"], entry["style"], entry.get("family", ""),
                  entry.get("answer", "")) for entry in entries if entry.get("kind") == kind]
    if not clips:
        raise LearnerError(f"shipped clips of kind {kind}", f"none in {samples}", "an incomplete clone or installation", "install again")
    return clips


def book_record(name: str = "nano-deeptalk-aligned") -> dict:
    """A committed run record; the standard one is that of the shipped model.

    Raises:
        LearnerError: when it is not there, or breaks its schema.
    """
    from minideeptalk.records import read_record

    return read_record(records_folder() / f"{name}.json")


def bench_record(benchmark: str, size: str = "mini", threads: int = 1) -> dict | None:
    """The committed record of one benchmark, or None before it was taken.

    Args:
        benchmark: `experts`, `train`, `talk` or `codec`. size: of the dial. threads: that torch used.
    """
    path = records_folder() / f"bench-{benchmark}-{size}-{threads}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def shipped_talker(stage: str = "3-joint"):
    """The shipped miniature, ready to answer, without the progress bars of loading, which a page would keep.

    Args:
        stage: folder of a stage, from `0-pretrain` to `3-joint`.

    Returns:
        an `inference.talker.Talker`.
    """
    from transformers.utils import logging

    from minideeptalk.inference.talker import Talker

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return Talker.load(shipped_run(), stage)
    finally:
        if shown:
            logging.enable_progress_bar()
