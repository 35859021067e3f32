"""Draws batches: which task, which item, which voice. A batch depends on seed, stage and step alone, so runs can resume."""

from __future__ import annotations

import random

from minideeptalk.config import WorldConfig
from minideeptalk.tasks.batch import Batch, collate
from minideeptalk.tasks.examples import Example, ExampleBuilder, SpokenAnswer
from minideeptalk.tasks.spoken import SpokenQuestion, SpokenReply, SpokenSet
from minideeptalk.world import FAMILIES, mixture


class TaskSampler:
    """Examples of every task of one split.

    Args:
        builder: makes the rows. world: says which families after-training repeats, and which stage 0 draws more often.
        spoken: questions and replies; None where only text is drawn.
        split: `train`, `validation` or `test`.
    """

    def __init__(self, builder: ExampleBuilder, world: WorldConfig, spoken: SpokenSet | None = None, split: str = "train"):
        self.builder = builder
        self.spoken = spoken
        self.covered = world.covered
        self.everything = (*FAMILIES, *world.drawn_more)
        self.answerable = [question for question in spoken.questions if self._can_be_said(question)] if spoken else []
        self.split = split
        self.draws = {
            "all_text": self._all_text, "covered_text": self._covered_text, "recognise": self._recognise,
            "speak": self._speak, "answer_in_text": self._answer_in_text, "answer_aloud": self._answer_aloud,
            "mirror": self._mirror, "name_style": self._name_style,
        }

    def batch(self, tasks: dict[str, float], size: int, key: str) -> Batch:
        """`size` examples, each of a task drawn by weight; the same `key` gives the same batch."""
        rng = random.Random(key)
        names = rng.choices(list(tasks), weights=list(tasks.values()), k=size)
        return collate([self.draws[name](rng) for name in names], self.builder.silence)

    def spoken_answer(self, reply: SpokenReply) -> SpokenAnswer:
        """A reply with its words as ids."""
        return SpokenAnswer(tuple(self.builder.tokenizer.encode(reply.words)), reply.codes, reply.starts)

    def _can_be_said(self, question: SpokenQuestion) -> bool:
        """Whether its answer was synthesised: held-out word lists were not."""
        return all(self.spoken.reply(question.item.answer, style) for style in ("neutral", question.style))

    def _question(self, rng: random.Random) -> SpokenQuestion:
        return rng.choice(self.spoken.questions)

    def _all_text(self, rng) -> Example:
        item = mixture(rng, self.split, self.everything)
        return self.builder.chat(item.question, item.answer)

    def _covered_text(self, rng) -> Example:
        item = mixture(rng, self.split, self.covered)
        return self.builder.chat(item.question, item.answer)

    def _recognise(self, rng) -> Example:
        question = self._question(rng)
        return self.builder.recognise(question.frames, question.item.question)

    def _speak(self, rng) -> Example:
        reply = rng.choice(self.spoken.replies)
        return self.builder.speak(reply.words, reply.style, self.spoken_answer(reply))

    def _answer_in_text(self, rng) -> Example:
        question = self._question(rng)
        return self.builder.answer_in_text(question.frames, question.item.answer)

    def _answer_aloud(self, rng) -> Example:
        question = rng.choice(self.answerable)
        reply = self.spoken.reply(question.item.answer, "neutral")
        return self.builder.answer_aloud(question.frames, self.spoken_answer(reply))

    def _mirror(self, rng) -> Example:
        question = rng.choice(self.answerable)
        reply = self.spoken.reply(question.item.answer, question.style)
        return self.builder.mirror(question.frames, self.spoken_answer(reply))

    def _name_style(self, rng) -> Example:
        question = self._question(rng)
        return self.builder.name_style(question.frames, question.style)
