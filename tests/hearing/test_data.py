"""What is said aloud: splits do not meet, every word has many contexts, styles are balanced."""

from collections import Counter

from minideeptalk.config import size_config
from minideeptalk.hearing.data import answer_requests, foreign_requests, question_items
from minideeptalk.speech.voices import ASSISTANT_VOICE
from minideeptalk.world import FAMILIES
from minideeptalk.world.vocabulary import SPEAKABLE, spoken_words

NANO = size_config("nano")


def test_the_same_seed_gives_the_same_requests():
    assert question_items(NANO, "train", 60, 1) == question_items(NANO, "train", 60, 1)
    assert answer_requests(NANO, "train", 60, 1) == answer_requests(NANO, "train", 60, 1)
    assert answer_requests(NANO, "train", 60, 1) != answer_requests(NANO, "train", 60, 2)


def test_questions_come_from_all_spoken_families_and_none_that_is_held_out_is_trained():
    train, test = ({item.question for item in question_items(NANO, split, count, 1)} for split, count in (("train", 1500), ("test", 400)))
    assert not train & test
    assert {item.family for item in question_items(NANO, "train", 280, 1)} == {name for name, family in FAMILIES.items() if family.spoken}


def test_no_word_list_that_is_tested_is_trained():
    train = {request.words for request in answer_requests(NANO, "train", 3000, 1)}
    test = {request.words for request in answer_requests(NANO, "test", 600, 1, family_share=0)}
    assert not train & test and min(map(len, test)) > 1


def test_answers_are_short_on_grid_and_in_one_voice():
    requests = answer_requests(NANO, "train", 400, 1)
    assert {request.voice for request in requests} == {ASSISTANT_VOICE.name} and all(r.on_grid for r in requests)
    assert {len(request.words) for request in requests} == {1, 2, 3, 4}
    assert set(Counter(request.style for request in requests).values()) == {100}


def test_every_word_is_spoken_in_many_contexts():
    neighbours = {word: set() for word in SPEAKABLE}
    for request in answer_requests(NANO, "train", NANO.speech.answers, NANO.speech.seed):
        for first, second in zip(request.words, request.words[1:]):
            neighbours[first].add(second)
            neighbours[second].add(first)
    assert min(map(len, neighbours.values())) >= 40


def test_foreign_speech_shares_no_word_with_what_the_ear_knows():
    words = {word for request in foreign_requests(100, 1) for word in request.words}
    assert not words & set(spoken_words())
