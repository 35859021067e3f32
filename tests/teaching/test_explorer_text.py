"""The text explorer says what greedy decoding says, with what else was likely, and explains an unknown word."""

import pytest

from minideeptalk.inference.decoding import answer_in_text
from minideeptalk.teaching.explorer_text import LONGEST_ANSWER, TextExplorer, word_by_word


class FakeTalker:
    def __init__(self, tiny, seed=0):
        self.model, self.builder = tiny.model(seed).eval(), tiny.builder()


def test_it_says_what_greedy_decoding_says(tiny):
    for seed in range(3):
        talker = FakeTalker(tiny, seed)
        said = [guess.word for guess in word_by_word(talker, "say red cat")]
        answer = answer_in_text(talker.model, talker.builder, [talker.builder.text_prompt(["say", "red", "cat"])], LONGEST_ANSWER)[0]
        assert said == answer.words + ["<end>"] * answer.finished


def test_a_step_keeps_the_likeliest_words_best_first(tiny):
    for guess in word_by_word(FakeTalker(tiny), "say red cat", top=4):
        shares = [share for _, share in guess.likely]
        assert len(shares) == 4 and shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
        assert guess.word == guess.likely[0][0]


def test_the_explorer_answers_with_the_model_that_is_chosen(tiny):
    pytest.importorskip("ipywidgets")
    explorer = TextExplorer({"one": FakeTalker(tiny, 0), "two": FakeTalker(tiny, 1)}, "Say red cat")
    pages = []
    for explorer.model.value in ("one", "two"):
        explorer.ask()
        pages.append(explorer.page.value)
    assert all("<table" in page for page in pages) and pages[0] != pages[1]
    assert len(explorer.show().children) == 3


def test_a_word_outside_the_world_gets_a_sentence(tiny):
    pytest.importorskip("ipywidgets")
    explorer = TextExplorer({"one": FakeTalker(tiny)}, "say elephant")
    explorer.ask()
    assert "elephant" in explorer.page.value and "<table" not in explorer.page.value
