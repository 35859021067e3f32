"""The stream explorer speaks, undoes a delay as it is told, and explains an unknown word."""

import pytest
import torch

from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.model import delay, delays
from minideeptalk.teaching.explorer_streams import PATTERNS, UNDOINGS, StreamExplorer, undo

CODES = torch.arange(35).view(5, 7)


class FakeCodec:
    def decode(self, codes):
        assert codes.shape[1] == 7
        return torch.linspace(-0.5, 0.5, 1280 * len(codes))


class FakeTalker:
    def __init__(self, tiny):
        self.model, self.builder, self.codec = tiny.model().eval(), tiny.builder(), FakeCodec()
        self.decoder = SpokenDecoder


@pytest.mark.parametrize("pattern", PATTERNS)
def test_undone_rightly_nothing_has_changed(pattern):
    lags = delays(pattern, 7)
    assert torch.equal(undo(delay(CODES, lags, 0), lags, "rightly"), CODES)


@pytest.mark.parametrize("how", UNDOINGS[1:])
def test_undone_wrongly_streams_of_different_frames_meet(how):
    lags = delays("stream", 7)
    wrong = undo(delay(CODES, lags, 0), lags, how)
    assert wrong.shape[1] == 7 and not torch.equal(wrong[:5], CODES)


def test_one_step_too_early_moves_every_stream_by_one():
    lags = delays("stream", 7)
    early = undo(delay(CODES, lags, 0), lags, "one step too early")
    assert early.shape == CODES.shape and torch.equal(early[1:], CODES[:-1])


def test_it_shows_sound_and_steps(tiny):
    pytest.importorskip("ipywidgets")
    explorer = StreamExplorer(FakeTalker(tiny), "Red cat")
    for explorer.undoing.value in UNDOINGS:
        explorer.speak()
        assert "<audio" in explorer.page.value and explorer.undoing.value in explorer.page.value and "<table" in explorer.page.value
    assert len(explorer.show().children) == 4


def test_a_word_outside_the_world_gets_a_sentence(tiny):
    pytest.importorskip("ipywidgets")
    explorer = StreamExplorer(FakeTalker(tiny), "elephant")
    explorer.speak()
    assert "elephant" in explorer.page.value and "<audio" not in explorer.page.value
