"""A little speech for a chapter: synthesised, heard by the shipped ear and coded by the shipped codec, in seconds."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from minideeptalk.config import SizeConfig, size_config
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import ExampleBuilder, SpokenSet, TaskSampler
from minideeptalk.teaching.samples import SHIPPED, shipped_run, shipped_talker
from minideeptalk.training.preparation import Tools, encode_split, synthesise
from minideeptalk.world import Tokenizer


def spoken_material(questions: int, replies: int, split: str = "train") -> SpokenSet:
    """Spoken questions and replies of one split, the same on every call.

    Args:
        questions: how many. replies: how many word lists are said; in training, the answers to the questions come on top.

    Raises:
        LearnerError: without the extra `speech`, or when the shipped tools are missing.
    """
    tools = Tools.load(shipped_run())
    size = _size(questions, replies)
    with tempfile.TemporaryDirectory() as folder:
        corpora = synthesise(size, Path(folder), splits=(split,), workers=1, progress=False)
        return encode_split(tools, corpora[split])


def _size(questions: int, replies: int) -> SizeConfig:
    """The shipped size with this much speech in each split; validation takes shares of the test's numbers."""
    size = size_config(SHIPPED)
    speech = replace(size.speech, questions=questions, answers=replies, test_questions=questions, test_answers=replies)
    return replace(size, speech=speech)


def shipped_stage(stage: str) -> DeepTalkModel:
    """The shipped model after a stage, `0-pretrain` to `3-joint`, in eval mode."""
    return shipped_talker(stage).model


def chapter_sampler(model: DeepTalkModel, spoken: SpokenSet | None = None, split: str = "train") -> TaskSampler:
    """Batches of every task in the layout of this model, with the text families that the shipped size covers."""
    return TaskSampler(ExampleBuilder(model.config, Tokenizer()), size_config(SHIPPED).world, spoken, split)
