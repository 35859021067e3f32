"""What a run is trained and measured on: no text stands on two sides, and one voice is heard in the test alone."""

import pytest

from minideeptalk.config import size_config
from minideeptalk.speech.voices import ASSISTANT_VOICE, HELD_OUT_VOICE, USER_VOICES
from minideeptalk.training.preparation import SPLITS, _asked, _replied
from minideeptalk.world import split_of

SIZE = size_config("nano")


@pytest.fixture(scope="module")
def material():
    """Items, questions and replies by split, as `synthesise` asks for them."""
    found = {}
    for split in SPLITS:
        items, asked = _asked(SIZE, split)
        found[split] = items, asked, _replied(SIZE, split, items, asked)
    return found


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_and_every_reply_is_of_its_split(material, split):
    items, asked, replied = material[split]
    assert all(split_of(item.family, item.combination) == split for item in items)
    assert [request.words for request in asked] == [item.question for item in items]
    assert {split_of("speaking", request.words) for request in replied} == {split}
    assert {request.voice for request in replied} == {ASSISTANT_VOICE.name} and all(request.on_grid for request in replied)


def test_nothing_that_is_tested_was_asked_or_said_in_training(material):
    for place in (1, 2):
        words = {split: {request.words for request in material[split][place]} for split in SPLITS}
        assert not words["train"] & words["test"] and not words["train"] & words["validation"] and not words["validation"] & words["test"]


def test_the_stranger_asks_every_fourth_test_question_and_no_other(material):
    known = {voice.name for voice in USER_VOICES}
    for split in ("train", "validation"):
        assert {request.voice for request in material[split][1]} == known
    asked = [request.voice == HELD_OUT_VOICE.name for request in material["test"][1]]
    assert asked == [number % 4 == 3 for number in range(len(asked))]


def test_a_trained_answer_is_said_neutrally_and_in_the_askers_style(material):
    items, asked, replied = material["train"]
    said = {(request.words, request.style) for request in replied}
    for item, request in zip(items, asked):
        if split_of("speaking", item.answer) == "train":
            assert {(item.answer, "neutral"), (item.answer, request.style)} <= said
