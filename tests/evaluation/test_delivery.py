"""Delivery: two listeners, melody and length, each of which a reward by one listener could spoil."""

import math
from types import SimpleNamespace

import pytest
import torch

from minideeptalk.evaluation import delivery as module
from minideeptalk.evaluation.delivery import delivery, melody, paired_interval
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.inference.decoding import Answer
from minideeptalk.tasks import SpokenSet


def tone(*hertz):
    """Half a second of a voice-like sound at each pitch."""
    pieces = []
    for pitch in hertz:
        time = torch.arange(8000) / 16_000
        pieces.append(sum(torch.sin(2 * math.pi * pitch * number * time) / number for number in range(1, 5)))
    return 0.2 * torch.cat(pieces)


def test_a_monotone_has_no_melody_and_two_tones_have_half_their_interval():
    assert melody([tone(150.0)]) < 0.01
    assert melody([tone(150.0, 200.0)]) == pytest.approx(math.log(200 / 150) / 2, rel=0.1)
    assert melody([tone(150.0), tone(200.0)]) < 0.01  # two monotones of other pitch have none inside them
    assert melody([torch.zeros(16_000)]) is None


class Fakes:
    """A codec whose sound is the number of its frames, a judge and an ear that hear fixed words."""

    step_samples = 1280

    def decode(self, codes):
        return torch.zeros(1280 * len(codes))

    def transcribe(self, sounds):
        return ["red cat"] * len(sounds)

    def listen(self, log_mels):
        return [SimpleNamespace(words=("red", "hat"))] * len(log_mels)


def test_both_listeners_and_the_length_are_reported_for_trained_unseen_and_original(tiny, monkeypatch):
    train = SpokenSet([], [tiny.reply(("red", "cat"), "sad"), tiny.reply(("box", "hat"), "sad")])
    unseen = SpokenSet([], [tiny.reply(("red", "cat"), "happy"), tiny.reply(("red", "hat"), "sad")])
    said = Answer(["red", "cat"], torch.zeros(6, 7, dtype=torch.long), [0, 2], True)
    monkeypatch.setattr(module, "speak", lambda model, builder, prompts, decoder: [said] * len(prompts))
    fakes = Fakes()
    found = delivery(None, tiny.builder(), Examiners(fakes, fakes, fakes), fakes, train, unseen, 2)
    assert set(found) == {"trained", "unseen", "original"}
    assert found["unseen"]["judge_wer"] == 0.25 and found["unseen"]["ear_wer"] == 0.25 and found["unseen"]["errors"] == [0, 1]
    assert found["unseen"]["length_ratio"] == 12 / 8 and found["original"]["length_ratio"] == 1.0
    assert found["trained"]["f0_spread"] is None  # silence


def test_the_interval_is_that_of_the_change_and_pairs_the_utterances():
    before, after = [1, 2, 0, 3] * 30, [0, 1, 0, 2] * 30
    low, high = paired_interval(before, after, words=360)
    assert low < -90 / 360 < high < 0
    assert paired_interval(before, before, words=360) == (0.0, 0.0)
    assert paired_interval(before, after, words=360) == (low, high)
