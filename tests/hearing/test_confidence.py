"""Confidence: familiar words count, firm reading of strange sounds does not."""

import pytest
import torch

from minideeptalk.config import EarConfig
from minideeptalk.hearing import Ear, choose_threshold, strange_sounds
from minideeptalk.hearing.confidence import confidence, strangeness, word_statistics


def two_words(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """States of two words around (0, ...) and (5, ...): (M, 8) frames and (M,) labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    return 5.0 * labels[:, None] + torch.randn(count, 8, generator=generator), labels


def test_training_frames_are_familiar_and_others_are_not():
    frames, labels = two_words()
    means, precision = word_statistics(frames, labels, 3)
    assert float(strangeness(frames, labels, means, precision).mean()) == pytest.approx(1, abs=0.02)
    assert confidence(frames, labels, means, precision) > 0.95
    assert confidence(frames + 4, labels, means, precision) < 0.01
    assert confidence(frames, 1 - labels, means, precision) < 0.01  # the right sounds under the wrong word


def test_nothing_heard_means_no_confidence():
    frames, labels = two_words()
    means, precision = word_statistics(frames, labels, 3)
    assert confidence(frames[:0], labels[:0], means, precision) == 0


def test_strange_sounds_keep_length_and_level():
    waves = [0.1 * torch.randn(4000) for _ in range(3)]
    sounds = strange_sounds(waves)
    assert len(sounds) == 6 and torch.equal(sounds[0], waves[0].flip(0))
    for wave, sound in zip([w for w in waves for _ in range(2)], sounds, strict=True):
        assert sound.shape == wave.shape
        assert float(sound.square().mean()) == pytest.approx(float(wave.square().mean()), rel=1e-3)


class FakeEar:
    """An ear whose confidence is the first number of what it hears."""

    def __init__(self):
        self.threshold = torch.tensor(0.5)

    def listen(self, mels):
        return [type("Heard", (), {"confidence": float(mel[0, 0])}) for mel in mels]


def test_the_threshold_lies_between_inside_and_outside():
    ear = FakeEar()
    report = choose_threshold(ear, [torch.full((1, 1), x) for x in (0.9, 0.8, 0.7)], [torch.full((1, 1), x) for x in (0.0, 0.2)])
    assert 0.2 < report.threshold < 0.7 and (report.accepted_inside, report.accepted_outside) == (1, 0)
    assert float(ear.threshold) == pytest.approx(report.threshold)


def test_an_ear_says_whether_it_understands():
    ear = Ear(("red",), EarConfig(width=32, layers=1, heads=2)).freeze()
    heard = ear.listen([torch.randn(40, 80)])[0]
    ear.threshold.fill_(1.1)
    assert not ear.understands(heard)
