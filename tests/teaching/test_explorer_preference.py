"""The explorer of takes ranks what the judge hears, names the pair, and explains an unknown word."""

import re

import pytest
import torch

from minideeptalk.inference.decoding import Answer
from minideeptalk.teaching import explorer_preference
from minideeptalk.teaching.explorer_preference import TakesExplorer


class Fakes:
    """A codec, and a judge who hears as many of the words as it is told."""

    step_samples = 1280

    def __init__(self, heard):
        self.heard = heard

    def decode(self, codes):
        return torch.linspace(-0.5, 0.5, 1280 * len(codes))

    def transcribe(self, sounds):
        return self.heard[:len(sounds)]


class FakeTalker:
    def __init__(self, tiny, codec):
        self.model, self.builder, self.codec = tiny.model().eval(), tiny.builder(), codec


@pytest.fixture
def explorer(tiny, monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.setattr(explorer_preference, "speak", lambda model, builder, prompts, *rest, **more: [
        Answer(["red", "cat"], torch.zeros(2, 7, dtype=torch.long), [0, 1], True)] * len(prompts))

    def make(heard, words="Red cat"):
        fakes = Fakes(heard)
        made = TakesExplorer(FakeTalker(tiny, fakes), fakes, words)
        made.count.value = len(heard)
        return made

    return make


def test_takes_stand_in_the_order_of_their_errors(explorer):
    made = explorer(["rat", "red cat", "red hat"])
    made.run()
    titles = re.findall(r"<strong>(.*?)</strong>", made.page.value)
    assert titles == ["Chosen: 0 word errors, asked for:", "Place 2: 1 word errors, asked for:", "Rejected: 2 word errors, asked for:"]
    assert made.page.value.count("<audio") == 3 and "make the pair" in made.page.value
    assert len(made.show().children) == 4


def test_equal_takes_make_no_pair(explorer):
    made = explorer(["red cat", "red cat"])
    made.run()
    assert "no pair" in made.page.value and "Chosen" not in made.page.value


def test_a_word_outside_the_world_gets_a_sentence(explorer):
    made = explorer(["red cat", "red cat"], "elephant")
    made.run()
    assert "elephant" in made.page.value and "<audio" not in made.page.value
