"""A corpus of synthetic speech: the same requests give the same bytes.

The requests are dealt into shards of a fixed number, and each shard is said by one fresh process (see `build_shard`).
So neither the number of workers nor an interruption changes the result: workers only say how many shards are made side
by side, and a shard that is already on disk is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import safe_open
from tqdm.auto import tqdm

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.speech.utterance import Span
from minideeptalk.speech.voices import find_style, find_voice

SHARD_SIZE = 200
VERSION = 1  # raise it when the same request would sound different, so that old caches are left alone


@dataclass(frozen=True)
class Request:
    """One utterance to be said.

    Args:
        words: what to say.
        voice: name of a voice in `voices.VOICES`.
        style: name of a style.
        on_grid: whether words begin on multiples of 80 ms, as the assistant's do.
    """

    words: tuple[str, ...]
    voice: str
    style: str = "neutral"
    on_grid: bool = False

    def __post_init__(self):
        object.__setattr__(self, "words", tuple(self.words))
        if not self.words:
            raise LearnerError("a request with at least one word", "none")
        find_voice(self.voice)
        find_style(self.style)


class Corpus:
    """Utterances on disk. Reads one at a time, so that it may be larger than memory.

    Args:
        folder: where `build_corpus` put it (`corpus.folder`).
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        card = self.folder / "corpus.json"
        if not card.exists():
            raise LearnerError("a folder with corpus.json", str(self.folder), cause="the corpus was not finished",
                               next_step="call build_corpus again; it goes on where it stopped")
        content = json.loads(card.read_text(encoding="utf-8"))
        self.sha256: str = content["sha256"]
        self.seconds: float = content["seconds"]
        self._requests = [Request(**request) for request in content["requests"]]
        self._read_shard = lru_cache(maxsize=None)(self._open_shard)

    def __len__(self) -> int:
        return len(self._requests)

    def __getstate__(self) -> dict:
        return {"folder": self.folder}  # open files do not travel to another process

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["folder"])

    def request(self, index: int) -> Request:
        """What was asked for."""
        return self._requests[index]

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests in order."""
        return tuple(self._requests)

    def waveform(self, index: int) -> np.ndarray:
        """The sound: (N,) float32 at 16 kHz."""
        samples, offsets, _, place = self._locate(index)
        begin, end = int(offsets[place]), int(offsets[place + 1])
        return samples[begin:end].astype(np.float32) / 32767

    def duration(self, index: int) -> float:
        """Seconds of one utterance, without reading it."""
        _, offsets, _, place = self._locate(index)
        return int(offsets[place + 1] - offsets[place]) / SAMPLE_RATE

    def words(self, index: int) -> tuple[Span, ...]:
        """Words with start and end in seconds."""
        _, _, times, place = self._locate(index)
        return tuple(Span(*span) for span in times[place]["words"])

    def phonemes(self, index: int) -> tuple[Span, ...]:
        """Phonemes (IPA) with start and end in seconds."""
        _, _, times, place = self._locate(index)
        return tuple(Span(*span) for span in times[place]["phonemes"])

    def word_steps(self, index: int) -> tuple[float, ...]:
        """Second at which each word begins; on the grid these are multiples of 0.08."""
        return tuple(word.start for word in self.words(index))

    def _locate(self, index: int) -> tuple:
        if not -len(self) <= index < len(self):
            raise IndexError(f"utterance {index} of a corpus of {len(self)}")
        shard, place = divmod(index % len(self), SHARD_SIZE)
        return *self._read_shard(shard), place

    def _open_shard(self, shard: int) -> tuple:
        """Sound as a slice that reads from disk when indexed, where each utterance begins in it, and the times."""
        stem = _stem(self.folder, shard)
        file = safe_open(stem.with_suffix(".safetensors"), framework="numpy")
        samples, offsets = file.get_slice("samples"), file.get_tensor("offsets")
        return samples, offsets, json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))


def build_corpus(requests: Sequence[Request], folder: str | Path, workers: int = 2, progress: bool = True) -> Corpus:
    """Say all requests, or find them said already.

    Args:
        requests: what to say; their order is part of the result.
        folder: cache; the corpus goes into a sub-folder named after the fingerprint of the requests.
        workers: processes side by side. The result does not depend on it.
        progress: whether to show a bar.

    Returns:
        The corpus. `corpus.sha256` is a fingerprint of every byte of sound and of all times.

    Raises:
        LearnerError: no requests, espeak-ng missing, or a word that cannot be said.
    """
    requests = list(requests)
    if not requests:
        raise LearnerError("at least one request", "none")
    target = Path(folder) / fingerprint(requests)
    if (target / "corpus.json").exists():
        return Corpus(target)
    if find_spec("espeakng_loader") is None:
        raise LearnerError("the package espeakng-loader", "an installation without it",
                           cause="speech synthesis is an optional extra", next_step="pip install minideeptalk[speech]")
    target.mkdir(parents=True, exist_ok=True)
    count = -(-len(requests) // SHARD_SIZE)
    jobs = [(_stem(target, shard), requests[shard * SHARD_SIZE : (shard + 1) * SHARD_SIZE]) for shard in range(count)]
    with (ThreadPoolExecutor(max(1, workers)) as pool,
          tqdm(total=len(requests), desc="synthesise", unit="utterance", disable=not progress) as bar):
        for done in pool.map(_make_shard, jobs):
            bar.update(done)
    _write_card(target, requests, count)
    return Corpus(target)


def fingerprint(requests: Sequence[Request]) -> str:
    """Short name of a list of requests; it changes with their order, their content and the voices' settings."""
    content = [VERSION, SHARD_SIZE, [asdict(request) for request in requests],
               {name: asdict(find_voice(name)) for name in sorted({request.voice for request in requests})},
               {name: asdict(find_style(name)) for name in sorted({request.style for request in requests})}]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _stem(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:04d}"


def _make_shard(job: tuple[Path, list[Request]]) -> int:
    """Start the fresh process for one shard; returns the number of utterances."""
    stem, requests = job
    if stem.with_suffix(".json").exists():
        return len(requests)
    order = stem.with_suffix(f".{os.getpid()}.requests")
    order.write_text(json.dumps([asdict(request) for request in requests]), encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])  # so that the child finds this very package
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                   "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}
    command = [sys.executable, "-m", "minideeptalk.speech.build_shard", str(order), str(stem)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        last = last.removeprefix("minideeptalk.errors.LearnerError: ")
        raise LearnerError("a shard of speech", f"exit status {result.returncode} for {stem.name}", cause=last,
                           next_step=f"run it by hand to see more: {' '.join(command)}")
    order.unlink()
    return len(requests)


def _write_card(folder: Path, requests: list[Request], shards: int) -> None:
    """Hash everything and write corpus.json, which marks the corpus as whole."""
    digest, samples = hashlib.sha256(), 0
    for shard in range(shards):
        stem = _stem(folder, shard)
        for suffix in (".safetensors", ".json"):
            digest.update(stem.with_suffix(suffix).read_bytes())
        with safe_open(stem.with_suffix(".safetensors"), framework="numpy") as file:
            samples += int(file.get_tensor("offsets")[-1])
    card = {"version": VERSION, "sample_rate": SAMPLE_RATE, "seconds": samples / SAMPLE_RATE,
            "sha256": digest.hexdigest(), "requests": [asdict(request) for request in requests]}
    draft = folder / f"corpus.{os.getpid()}.draft"
    draft.write_text(json.dumps(card), encoding="utf-8")
    os.replace(draft, folder / "corpus.json")
