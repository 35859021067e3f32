"""Preference pairs without a listener: the model says a text several times, and a frozen judge ranks what it hears.

Only texts of the training split are asked for, most of which were never synthesised: ranking needs no recording.  The takes
are decoded in two rows (`inference.parallel`), so that their text is the model's best and they differ in their sound.
A pair is a take without a word error against the *requested* text and the take with the most; texts without both are left out.
Source: paper, stage 4 (LibriSpeech texts, re-transcribed by Whisper); chapter 11.
Axes: F codec frames, Q codec streams.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from minideeptalk.config import STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.hearing.metrics import word_error_rate
from minideeptalk.inference.decoding import Answer, speak
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import AudioToken, DeepTalkModel
from minideeptalk.tasks import Batch, Example, ExampleBuilder, SpokenAnswer, SpokenQuestion, TaskSampler, collate
from minideeptalk.world import speaking_text


@dataclass(frozen=True)
class PreferencePlan:
    """How pairs are made.

    Args:
        requests: texts and questions. part: requests of one file, what an interruption can lose.
        temperatures: of the codes of each take; 0 is the answer that `talk` gives. The words are chosen greedily.
            Warm takes err more often than that answer does, cool ones where it errs itself, so both are among them.
        aloud: share of spoken questions among the requests.
        right: whether the chosen take must be free of errors; else it has the fewest.
    """

    requests: int = 900
    part: int = 100
    temperatures: tuple[float, ...] = (0.0, 0.3, 0.3, 0.5, 0.5, 0.8, 0.8)
    aloud: float = 0.15
    right: bool = True

    @property
    def name(self) -> str:
        """A short name of everything but the number of requests: pairs of another plan are not taken for this one's."""
        told = {key: value for key, value in asdict(self).items() if key != "requests"}
        return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=4).hexdigest()

    def __post_init__(self):
        if self.requests < 1 or len(self.temperatures) < 2 or self.part < 1:
            raise LearnerError("at least one request of two takes",
                               f"{self.requests} requests of {len(self.temperatures)} takes, {self.part} in a part")


@dataclass(frozen=True)
class Request:
    """What was to be said: `words` in `style`; `question` is the number of a training question that it answers, or None."""

    words: tuple[str, ...]
    style: str
    question: int | None = None


@dataclass(frozen=True)
class Take:
    """One spoken answer: the frame at which each word starts, its word error rate, and codes (F, Q)."""

    starts: tuple[int, ...]
    error: float
    codes: torch.Tensor = field(compare=False, repr=False)


@dataclass(frozen=True)
class Pair:
    """Two takes of one request."""

    request: Request
    chosen: Take
    rejected: Take


@dataclass
class Preferences:
    """All pairs, and what they were drawn from: `requests`, `takes`, `usable` takes, their mean `error`, and how many requests
    were `never right`: no take of them is, so no ranking can find one."""

    pairs: list[Pair]
    counts: dict[str, float]


def draw_requests(sampler: TaskSampler, plan: PreferencePlan, count: int, rng: random.Random) -> list[Request]:
    """Texts to be read out in any style, and questions to be answered aloud, all of the training split."""
    answerable = {id(question) for question in sampler.answerable}
    numbers = [number for number, question in enumerate(sampler.spoken.questions) if id(question) in answerable]
    requests = []
    for _ in range(count):
        if numbers and rng.random() < plan.aloud:
            number = rng.choice(numbers)
            requests.append(Request(sampler.spoken.questions[number].item.answer, "neutral", number))
        else:
            requests.append(Request(speaking_text(rng, "train"), rng.choice(STYLES)))
    return requests


def prompt_of(request: Request, builder: ExampleBuilder, questions: list[SpokenQuestion]) -> Example:
    """The prompt that asks for it."""
    if request.question is not None:
        return builder.heard_prompt(questions[request.question].frames, AudioToken.ANSWER)
    return builder.say_prompt(request.words, request.style)


def is_usable(answer: Answer, request: Request, layout: str) -> bool:
    """Whether a take ended by itself, wrote the requested words, and can be put into an example as training has them."""
    if not answer.finished or tuple(answer.words) != tuple(request.words) or len(answer.codes) == 0:
        return False
    return layout == "ahead" or (answer.starts[0] == 0 and answer.starts[-1] < len(answer.codes))


def rank(request: Request, takes: list[Take], right: bool = True) -> Pair | None:
    """The best and the worst take, the first of equal ones.

    None where no two differ, and, if `right`, where even the best has an error: what is wrong should not become likelier.
    """
    if not takes:
        return None
    best, worst = min(takes, key=lambda take: take.error), max(takes, key=lambda take: take.error)
    return Pair(request, best, worst) if best.error < worst.error and not (right and best.error) else None


@torch.no_grad()
def sample_part(model: DeepTalkModel, sampler: TaskSampler, examiners: Examiners, plan: PreferencePlan, key: str) -> Preferences:
    """The pairs of one part; the same `key` gives the same requests and takes."""
    rng = random.Random(key)
    requests = draw_requests(sampler, plan, plan.part, rng)
    prompts = [prompt_of(request, sampler.builder, sampler.spoken.questions) for request in requests]
    takes: list[list[Take]] = [[] for _ in requests]
    for temperature in plan.temperatures:
        sampling = Sampling(temperature, seed=rng.randrange(2**31), text=Sampling())
        answers = speak(model, sampler.builder, prompts, sampling, decoder=ParallelDecoder)
        usable = [number for number, answer in enumerate(answers)
                  if is_usable(answer, requests[number], model.config.layout)]
        transcripts = examiners.judge.transcribe(examiners.sounds([answers[number] for number in usable]))
        for number, heard in zip(usable, transcripts):
            error = word_error_rate([requests[number].words], [heard])
            takes[number].append(Take(tuple(answers[number].starts), error, answers[number].codes.cpu()))
    pairs = [pair for request, row in zip(requests, takes) if (pair := rank(request, row, plan.right)) is not None]
    errors = [take.error for row in takes for take in row]
    return Preferences(pairs, {"requests": plan.part, "takes": plan.part * len(plan.temperatures), "usable": len(errors),
                               "error": sum(errors) / max(1, len(errors)),
                               "never right": sum(all(take.error for take in row) for row in takes)})


def make_preferences(model: DeepTalkModel, sampler: TaskSampler, examiners: Examiners, folder: Path, plan: PreferencePlan,
                     seed: int = 0, progress: bool = True) -> Preferences:
    """Sample and rank, part by part; parts that lie in `folder` are read and not made again, unless they hold more or fewer requests."""
    parts = []
    for number in tqdm(range(-(-plan.requests // plan.part)), desc="preferences", disable=not progress):
        size = min(plan.part, plan.requests - number * plan.part)
        place = Path(folder) / f"part-{number:03d}"
        part = load_preferences(place) if (place / "pairs.json").exists() else None
        if part is None or part.counts["requests"] != size:  # the last part of another plan is shorter
            part = sample_part(model, sampler, examiners, replace(plan, part=size), f"{seed}-{number}")
            save_preferences(part, place)
        parts.append(part)
    usable = sum(part.counts["usable"] for part in parts)
    counts = {name: sum(part.counts[name] for part in parts) for name in ("requests", "takes", "usable", "never right")}
    counts["error"] = sum(part.counts["error"] * part.counts["usable"] for part in parts) / max(1, usable)
    return Preferences([pair for part in parts for pair in part.pairs], counts)


def pair_batch(pairs: list[Pair], sampler: TaskSampler, size: int, key: str) -> Batch:
    """`size` pairs as one batch: the chosen takes, then the rejected ones in the same order."""
    drawn = random.Random(key).choices(pairs, k=size)
    examples = [_example(pair.request, pair.chosen, sampler) for pair in drawn]
    examples += [_example(pair.request, pair.rejected, sampler) for pair in drawn]
    return collate(examples, sampler.builder.silence)


def _example(request: Request, take: Take, sampler: TaskSampler) -> Example:
    words = tuple(sampler.builder.tokenizer.encode(request.words))
    prompt = prompt_of(request, sampler.builder, sampler.spoken.questions)
    return sampler.builder.with_spoken_answer(prompt, SpokenAnswer(words, take.codes, take.starts), "preference")


def save_preferences(preferences: Preferences, folder: Path) -> None:
    """Write `codes.safetensors` and then `pairs.json`, which says that the part is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    takes = [take for pair in preferences.pairs for take in (pair.chosen, pair.rejected)]
    if takes:
        save_file({"codes": torch.cat([take.codes for take in takes]).to(torch.int16)}, folder / "codes.safetensors")

    def facts(take):
        return {"starts": take.starts, "error": take.error, "frames": len(take.codes)}

    pairs = [asdict(pair.request) | {"chosen": facts(pair.chosen), "rejected": facts(pair.rejected)} for pair in preferences.pairs]
    fresh = folder / "pairs.json.new"
    fresh.write_text(json.dumps({"counts": preferences.counts, "pairs": pairs}, indent=1) + "\n")
    os.replace(fresh, folder / "pairs.json")


def load_preferences(folder: Path) -> Preferences:
    """Read what `save_preferences` wrote."""
    stored = json.loads((folder / "pairs.json").read_text())
    rows = [pair[name] for pair in stored["pairs"] for name in ("chosen", "rejected")]
    codes = load_file(folder / "codes.safetensors")["codes"].long().split([row["frames"] for row in rows]) if rows else []
    takes = [Take(tuple(row["starts"]), row["error"], table) for row, table in zip(rows, codes)]
    requests = [Request(tuple(pair["words"]), pair["style"], pair["question"]) for pair in stored["pairs"]]
    return Preferences([Pair(request, *takes[2 * number:2 * number + 2]) for number, request in enumerate(requests)],
                       stored["counts"])
