"""The explorer of real time cuts an answer as told, loses nothing of it, and knows when a chunk came too late."""

from itertools import pairwise

import pytest
import torch

from minideeptalk.codec.pyramid import SLOTS, PyramidCodec
from minideeptalk.config import MELS, SAMPLE_RATE
from minideeptalk.inference.decoding import SpokenDecoder, speak
from minideeptalk.inference.sampling import Sampling
from minideeptalk.teaching.explorer_time import JOINTS, ROWS, Piece, TimeExplorer, pieces_of_answer, times_table
from tests.inference.helpers import endless


class FakeTalker:
    def __init__(self, tiny):
        self.model, self.builder = endless(tiny.model().eval()), tiny.builder()
        books = [torch.randn(8, length * MELS, generator=torch.Generator().manual_seed(0)) for _, length in SLOTS]
        self.codec = PyramidCodec(torch.full((MELS,), -4.0), books, griffin_lim_iterations=1)


@pytest.mark.parametrize("joint", JOINTS)
@pytest.mark.parametrize("rows", ROWS)
def test_the_chunks_together_are_as_long_as_the_answer_and_come_one_after_the_other(tiny, joint, rows):
    talker = FakeTalker(tiny)
    prompt = talker.builder.say_prompt(("red", "cat"), "neutral")
    words, pieces = pieces_of_answer(talker, prompt, decoder=ROWS[rows], joint=joint)
    whole = speak(talker.model, talker.builder, [prompt], decoder=ROWS[rows])[0]
    assert words == whole.words and sum(len(piece.samples) for piece in pieces) == len(whole.codes) * 1280
    assert all(one.ready < other.ready for one, other in pairwise(pieces))


def test_chunks_have_the_sizes_that_were_asked_for(tiny):
    talker = FakeTalker(tiny)
    prompt = talker.builder.say_prompt(("red", "cat"), "neutral")
    _, pieces = pieces_of_answer(talker, prompt, decoder=SpokenDecoder, first_frames=1, chunk_frames=3, joint="apart")
    assert [len(piece.samples) // 1280 for piece in pieces][:4] == [1, 3, 3, 3]


def test_a_late_chunk_is_told():
    half = torch.zeros(SAMPLE_RATE // 2)
    table = times_table([Piece(half, 0.1), Piece(half, 0.2), Piece(half, 1.5)])
    assert 'data-column="silence before">400<' in table and 'data-column="sounds at">600<' in table


def test_it_shows_sound_and_times_for_every_choice(tiny):
    pytest.importorskip("ipywidgets")
    explorer = TimeExplorer(FakeTalker(tiny), "Red cat")
    for explorer.joint.value in JOINTS:
        explorer.speak()
        assert "<audio" in explorer.page.value and explorer.joint.value in explorer.page.value and "<table" in explorer.page.value
    explorer.temperature.value, explorer.rows.value = 1.0, "one row"
    explorer.speak()
    assert "one row" in explorer.page.value and len(explorer.show().children) == 6


def test_a_word_outside_the_world_gets_a_sentence(tiny):
    pytest.importorskip("ipywidgets")
    explorer = TimeExplorer(FakeTalker(tiny), "elephant")
    explorer.speak()
    assert "elephant" in explorer.page.value and "<audio" not in explorer.page.value


def test_words_are_not_left_to_chance(tiny):
    """Whatever the temperature, words are greedy: only the sound is drawn."""
    talker = FakeTalker(tiny)
    prompt = talker.builder.say_prompt(("red", "cat"), "neutral")
    warm = Sampling(2.0, text=Sampling())
    answers = [pieces_of_answer(talker, prompt, sampling)[0] for sampling in (Sampling(), warm)]
    said = min(map(len, answers))
    assert said > 3 and answers[0][:said] == answers[1][:said]
