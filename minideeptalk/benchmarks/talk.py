"""The wait for the first sound in parts, the real-time factor of a long answer, and single steps beside transformers.

Times to the first sound are wall clock: that is what a listener waits.  With untrained weights every step costs what it
costs with trained ones; only the voice's own leading silence needs a finished run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from minideeptalk.benchmarks.record import bar
from minideeptalk.benchmarks.steps import one_token_rows, text_rows
from minideeptalk.codec import PyramidCodec, StreamingDecoder
from minideeptalk.codec.pyramid import SLOTS
from minideeptalk.config import MELS, SAMPLE_RATE, STEP_SECONDS, size_config
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.talker import AUDIBLE, Talker
from minideeptalk.model import AudioToken, DeepTalkConfig, DeepTalkModel
from minideeptalk.training.folders import RunSettings
from minideeptalk.world import Tokenizer

QUESTION_SECONDS, QUESTION_WORDS, LONG_ANSWER = 2.0, 8, 100  # the last in codec frames of 80 ms
DECODERS = {"two rows": ParallelDecoder, "one row": SpokenDecoder}  # the first is what `talk` does
PARTS = ("encode", "prefill", "lead", "delay", "step", "codec", "leading silence")
FIRST_SOUND, REAL_TIME = 150.0, 0.2
FEW = 5  # chunks at either end of a long answer
ENOUGH = 20  # answers, to say something of the slowest tenth


@dataclass
class Take:
    """One answer: milliseconds of each part up to the first sound, and the real-time factor of each later chunk."""

    parts: dict[str, float] = field(default_factory=dict)
    chunk_factors: list[float] = field(default_factory=list)

    @property
    def wait(self) -> float:
        """Milliseconds of computing before the first sound; the voice's own silence is not in it."""
        return sum(value for part, value in self.parts.items() if part != "leading silence")


def untrained_talker(size: str) -> Talker:
    """A talker of one size with random weights and codebooks, whose text never ends, so that a second row never leaves."""
    settings, tokenizer = size_config(size), Tokenizer()
    torch.manual_seed(0)
    model = DeepTalkModel(DeepTalkConfig.from_size(settings.model, len(tokenizer), settings.ear.width,
                                                   codebook_size=settings.codec.codebook_size))
    books = [torch.randn(settings.codec.codebook_size, length * MELS) for _, length in SLOTS]
    talker = Talker(model, Ear(tokenizer.words, settings.ear).freeze(), PyramidCodec(torch.full((MELS,), -5.0), books))
    with torch.no_grad():
        model.embedding.text.weight[talker.builder.end] = 0.0  # hardly the likeliest word of a random model
    return talker


def bench_talk(size: str, rounds: int, clock: Callable[[], float], run: Path | None = None) -> dict:
    """Measure `rounds` answers by each decoder, in turns, and single steps; `rows`, `bars`, `latency_ms` and `notes` for the record.

    Args:
        run: a finished run of this size, whose voice then counts too; None takes untrained weights.
    """
    if run and (lies := RunSettings.read(Path(run)).size) != size:
        raise LearnerError(f"a run of size {size}", f"one of size {lies}, {run}", "the record compares it with other rows of its size", f"add --size {lies}")
    talker = Talker.load(run) if run else untrained_talker(size)
    sound = 0.1 * torch.randn(int(QUESTION_SECONDS * SAMPLE_RATE), generator=torch.Generator().manual_seed(0))
    takes = {name: [] for name in DECODERS}
    for number in range(rounds + 2):
        for name in list(DECODERS)[::1 if number % 2 else -1]:
            take = take_answer(talker, sound, DECODERS[name], trained=run is not None)
            takes[name] += [take] if number >= 2 else []  # the first two warm up
    latency, bars = {}, []
    for name, answers in takes.items():
        latency |= {f"{name}: {part}": _percentiles([take.parts[part] for take in answers]) for part in answers[0].parts}
        latency[f"{name}: first sound, without leading silence"] = _percentiles([take.wait for take in answers])
        bars += _bars(name, answers)
    notes = ["wall clock: the wait in parts and the real-time factors; the clock that the record names: the rows of single steps and of words",
             "lead is 0: text and sound begin together, no step is spent on text alone",
             f"question of {QUESTION_SECONDS:g} s, {QUESTION_WORDS} heard words; first chunk of {talker.first_frames} codec frames"]
    notes += [] if run else ["untrained weights: the voice's leading silence is not measured, and the second row stays to the end"]
    notes += [] if rounds >= ENOUGH else [f"p90 of {rounds} answers, fewer than {ENOUGH}: it tells little of the slowest tenth"]
    rows = one_token_rows(size, 40 * rounds, clock) + text_rows(size, rounds, clock)
    return {"rows": rows, "bars": bars, "latency_ms": latency, "notes": notes}


def _bars(name: str, takes: list[Take]) -> list[dict]:
    """The claims of one decoder: first sound, and the real-time factor at both ends of a long answer and where it is highest."""
    wait = _percentiles([take.wait for take in takes])["p90"]
    factors = [statistics.median(chunk) for chunk in zip(*(take.chunk_factors for take in takes))]  # one a chunk, over the takes
    return [bar(f"{name}: ms to the first sound without leading silence, p90 of {len(takes)}", wait, at_most=FIRST_SOUND),
            bar(f"{name}: real-time factor at the start of an answer", statistics.median(factors[:FEW]), at_most=REAL_TIME),
            bar(f"{name}: real-time factor at the end of {LONG_ANSWER * STEP_SECONDS:.0f} s", statistics.median(factors[-FEW:]), at_most=REAL_TIME),
            bar(f"{name}: real-time factor of the dearest chunk", max(factors), at_most=REAL_TIME)]


@torch.no_grad()
def take_answer(talker: Talker, question: torch.Tensor, decoder: type[SpokenDecoder], trained: bool) -> Take:
    """Answer one question for `LONG_ANSWER` codec frames, whether or not the model wants to stop."""
    take, moment = Take(), _Stopwatch()
    talker.listen(question)
    take.parts["encode"] = moment.lap()
    frames = torch.randn(QUESTION_WORDS, talker.model.config.ear_width, generator=torch.Generator().manual_seed(1))
    moment.lap()
    speaking = decoder(talker.model, talker.builder, [talker.builder.heard_prompt(frames, AudioToken.ANSWER)])
    speaking.step()
    take.parts |= {"prefill": moment.lap(), "lead": 0.0}
    _step_until(speaking, 1)
    take.parts["delay"] = moment.lap()
    _step_until(speaking, talker.first_frames)
    take.parts["step"] = moment.lap()
    vocoder = StreamingDecoder(talker.codec)
    pieces = [_push(talker, vocoder, speaking, 0, talker.first_frames)]
    take.parts["codec"] = moment.lap()
    for start in range(talker.first_frames, LONG_ANSWER - talker.chunk_frames + 1, talker.chunk_frames):
        moment.lap()
        _step_until(speaking, start + talker.chunk_frames)
        pieces.append(_push(talker, vocoder, speaking, start, start + talker.chunk_frames))
        take.chunk_factors.append(moment.lap() / (1e3 * STEP_SECONDS * talker.chunk_frames))
    if trained:
        loud = (torch.cat(pieces).abs() > AUDIBLE).nonzero()
        take.parts["leading silence"] = 1e3 * float(loud[0]) / SAMPLE_RATE if len(loud) else 0.0
    return take


class _Stopwatch:
    def __init__(self):
        self.last = time.perf_counter()

    def lap(self) -> float:
        """Milliseconds since the last lap."""
        before, self.last = self.last, time.perf_counter()
        return 1e3 * (self.last - before)


def _step_until(decoder: SpokenDecoder, frames: int) -> None:
    while decoder.frames_ready() < frames:
        decoder.step()


def _push(talker: Talker, vocoder: StreamingDecoder, decoder: SpokenDecoder, start: int, end: int) -> torch.Tensor:
    return vocoder.push(decoder.frames(0, start, end).clamp(max=talker.codec.codebook_size - 1))


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": round(statistics.median(ordered), 3), "p90": round(ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))], 3)}
