"""Before the language model: speech is synthesised, the codec fitted, the ear and the judges trained, and all of it turned
into the frames and codes that the stages read (chapters 02 and 03)."""

from __future__ import annotations

import random
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from minideeptalk.codec import PyramidCodec
from minideeptalk.config import STEP_SECONDS, STYLES, SizeConfig
from minideeptalk.hearing.data import foreign_requests, question_items
from minideeptalk.hearing.ear import Ear
from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.style_judge import StyleJudge, train_style_judge
from minideeptalk.hearing.train_ear import calibrate_ear, corpus_mels, train_ear
from minideeptalk.hearing.train_judge import train_judge
from minideeptalk.speech.corpus import Corpus, Request, build_corpus
from minideeptalk.speech.voices import ASSISTANT_VOICE, HELD_OUT_VOICE, USER_VOICES
from minideeptalk.tasks import SpokenQuestion, SpokenReply, SpokenSet
from minideeptalk.world import Item, speaking_text, split_of

SPLITS = ("train", "validation", "test")


@dataclass
class Tools:
    """The frozen helpers: codec, ear, and the judges of words and of style."""

    codec: PyramidCodec
    ear: Ear
    judge: Judge
    style_judge: StyleJudge

    def save(self, folder: Path) -> None:
        """One sub-folder each."""
        for name in ("codec", "ear", "judge", "style_judge"):
            getattr(self, name).save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Tools:
        """Read what `save` wrote."""
        return cls(PyramidCodec.load(folder / "codec"), Ear.load(folder / "ear"), Judge.load(folder / "judge"),
                   StyleJudge.load(folder / "style_judge"))


@dataclass
class SplitCorpora:
    """One split in sound: questions (with the items behind them) and replies of the assistant."""

    items: list[Item]
    questions: Corpus
    replies: Corpus


def _asked(size: SizeConfig, split: str) -> tuple[list[Item], list[Request]]:
    """Questions of a split with voices and styles in turn; every fourth test question comes from a voice never trained."""
    count = {"train": size.speech.questions, "validation": size.speech.test_questions // 2,
             "test": size.speech.test_questions}[split]
    items = question_items(size, split, count, size.speech.seed)
    rng = random.Random(f"voices-{split}-{size.speech.seed}")
    requests = []
    for number, item in enumerate(items):
        voice = HELD_OUT_VOICE if split == "test" and number % 4 == 3 else USER_VOICES[rng.randrange(len(USER_VOICES))]
        requests.append(Request(item.question, voice.name, rng.choice(STYLES), False))
    return items, requests


def _replied(size: SizeConfig, split: str, items: list[Item], asked: list[Request]) -> list[Request]:
    """Replies of a split: random word lists in all styles and, in training, the answers to its questions.

    An answer that is a held-out word list is never synthesised for training, so it stays unheard there.
    """
    rng = random.Random(f"replies-{split}-{size.speech.seed}")
    count = {"train": size.speech.answers, "validation": size.speech.test_answers // 4, "test": size.speech.test_answers}[split]
    wanted = [(speaking_text(rng, split), rng.choice(STYLES)) for _ in range(count)]
    if split == "train":
        for item, request in zip(items, asked):
            if split_of("speaking", item.answer) == "train":
                wanted += [(item.answer, "neutral"), (item.answer, request.style)]
    return [Request(words, ASSISTANT_VOICE.name, style, True) for words, style in dict.fromkeys(wanted)]


def synthesise(size: SizeConfig, cache: Path, splits=SPLITS, workers: int = 2, progress: bool = True) -> dict[str, SplitCorpora]:
    """All sound of the given splits, from the cache where it was made before."""
    corpora = {}
    for split in splits:
        items, asked = _asked(size, split)
        replied = _replied(size, split, items, asked)
        corpora[split] = SplitCorpora(items, build_corpus(asked, cache, workers, progress),
                                      build_corpus(replied, cache, workers, progress))
    return corpora


def _train_ear_here(corpus: Corpus, words: tuple[str, ...], config, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    train_ear(corpus, words, config, seed).save(folder)


def _train_judge_here(corpora: list[Corpus], config, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    train_judge(corpora, config, seed).save(folder)


def train_ear_and_judge(size: SizeConfig, train: SplitCorpora, folder: Path, seed: int, workers: int = 2) -> None:
    """Ear and judge, in processes of their own; one that an earlier run finished in `folder` stays as it is."""
    words = tuple(sorted({word for item in train.items for word in item.question}))
    # Ctrl-C ends a worker at once: left to Python, it would raise in the job, and the worker would take the next one
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_DFL)) as pool:
        jobs = []
        if not (folder / "ear" / "ear.json").exists():  # written last, as judge.json is
            jobs.append(pool.submit(_train_ear_here, train.questions, words, size.ear, seed + 7, folder / "ear"))
        if not (folder / "judge" / "judge.json").exists():
            corpora = [train.questions, train.replies]
            jobs.append(pool.submit(_train_judge_here, corpora, size.judge, seed + 101, folder / "judge"))
        for job in jobs:
            job.result()


def prepare_tools(size: SizeConfig, corpora: dict[str, SplitCorpora], cache: Path, folder: Path, seed: int,
                  workers: int = 2) -> Tools:
    """Train ear and judge, fit the codec, then train the judge of style; saved in `folder`. What is whole there is not trained again."""
    train = corpora["train"]
    train_ear_and_judge(size, train, folder, seed, workers)
    codec = PyramidCodec.fit(corpus_mels(train.replies), size.codec, seed)
    style_judge = train_style_judge(train.replies, seed=seed + 202)
    ear = Ear.load(folder / "ear")
    foreign = build_corpus(foreign_requests(200, seed), cache, progress=False)
    calibrate_ear(ear, corpora["validation"].questions, foreign, seed)
    tools = Tools(codec, ear, Judge.load(folder / "judge"), style_judge)
    tools.save(folder)
    return tools


def encode_split(tools: Tools, corpora: SplitCorpora) -> SpokenSet:
    """Questions through the ear, replies through the codec."""
    heard = tools.ear.listen(corpus_mels(corpora.questions))
    questions = []
    for number, (item, hearing) in enumerate(zip(corpora.items, heard)):
        request = corpora.questions.request(number)
        questions.append(SpokenQuestion(item, request.voice, request.style, hearing.frames, hearing.words))
    replies = []
    for number, log_mel in enumerate(corpus_mels(corpora.replies)):
        request = corpora.replies.request(number)
        starts = tuple(round(second / STEP_SECONDS) for second in corpora.replies.word_steps(number))
        replies.append(SpokenReply(request.words, request.style, tools.codec.encode_mel(log_mel), starts))
    return SpokenSet(questions, replies)


