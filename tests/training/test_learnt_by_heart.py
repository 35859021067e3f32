"""End to end in miniature: a model that has learnt a few answers by heart says them, word for word and code for code."""

from dataclasses import replace

import pytest
import torch

from minideeptalk.config import size_config
from minideeptalk.evaluation.text_skills import answers_right
from minideeptalk.experts.partition import BACKBONE
from minideeptalk.inference.decoding import answer_in_text, speak
from minideeptalk.model import AudioToken
from minideeptalk.tasks import collate
from minideeptalk.training.loop import train_stage
from minideeptalk.training.stages import AUDIO_SIDE, speech_stages

EVERYTHING = replace(speech_stages(size_config("nano"))[-1], trainable=(*BACKBONE, *AUDIO_SIDE), learning_rate=1e-2)
ANSWERS = [("red", "cat"), ("box",), ("leo", "hat", "mia")]


def memorise(tiny, updates=90, **choices):
    """A model that has seen three heard questions, each answered aloud and in writing, again and again."""
    model, builder = tiny.model(width=32, **choices), tiny.builder(**choices)
    examples = [example for number, words in enumerate(ANSWERS) for example in (
        builder.answer_aloud(tiny.frames(4 + number, number), tiny.answer(words, number)),
        builder.answer_in_text(tiny.frames(4 + number, number), words))]
    batch = collate(examples, builder.silence)
    train_stage(model, replace(EVERYTHING, updates=updates), lambda step: batch, seed=0, show_progress=False)
    return model, builder


@pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("aligned", "level"), ("held", "none")])
def test_spoken_answers_learnt_by_heart_are_said_code_for_code(tiny, layout, delay):
    model, builder = memorise(tiny, layout=layout, delay=delay)
    heard = [builder.heard_prompt(tiny.frames(4 + number, number), AudioToken.ANSWER) for number in range(3)]
    for number, (words, answer) in enumerate(zip(ANSWERS, speak(model, builder, heard))):
        reply = tiny.reply(words, seed=number)
        assert tuple(answer.words) == words and answer.finished
        assert torch.equal(answer.codes, reply.codes)
        assert tuple(answer.starts) == (reply.starts if layout != "ahead" else tuple(range(len(words))))


def test_the_same_questions_are_answered_in_writing_when_the_trigger_asks_for_it(tiny):
    model, builder = memorise(tiny)
    prompts = [builder.heard_prompt(tiny.frames(4 + number, number)) for number in range(3)]
    written = answer_in_text(model, builder, prompts)
    assert [tuple(answer.words) for answer in written] == ANSWERS and all(answer.finished for answer in written)
    assert answers_right(model, builder, [builder.answer_in_text(tiny.frames(4 + n, n), words) for n, words in enumerate(ANSWERS)]) == [True] * 3
