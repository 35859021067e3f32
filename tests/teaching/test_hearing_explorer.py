"""The explorer of chapter 03 shows what ear and judge make of words, recordings and noise, and says what is wrong."""

import pytest
import torch

from minideeptalk.hearing import Ear, Judge
from minideeptalk.teaching.hearing_explorer import HearingExplorer, with_noise
from minideeptalk.teaching.samples import sample_clips, shipped_run


@pytest.fixture(scope="module")
def tools():
    return Ear.load(shipped_run() / "ear"), Judge.load(shipped_run() / "judge")


def test_a_recording_is_heard_by_both(tools):
    explorer = HearingExplorer(*tools)
    explorer.listen_to_file(({"content": sample_clips("question")[0].path.read_bytes()},))
    assert "The ear heard: " in explorer.page.value and "The judge wrote down" in explorer.page.value and "vectors" in explorer.page.value


def test_typed_words_are_said(tools):
    pytest.importorskip("espeakng_loader")
    explorer = HearingExplorer(*tools, words="Say red cat")
    explorer.noise.value = "some"
    explorer.listen()
    assert "“say red cat”" in explorer.page.value and len(explorer.show().children) == 5


def test_a_bad_file_gets_a_sentence(tools):
    explorer = HearingExplorer(*tools)
    explorer.listen_to_file(({"content": b"no sound"},))
    assert "xpected" in explorer.page.value


@pytest.mark.parametrize("decibels", [0.0, 20.0])
def test_noise_is_as_far_below_the_sound_as_it_says(decibels):
    sound = torch.sin(torch.arange(16000) / 9)
    noise = with_noise(sound, decibels) - sound
    assert abs(20 * torch.log10(sound.std() / noise.std()) - decibels) < 0.5
    assert torch.equal(with_noise(sound, None), sound)
