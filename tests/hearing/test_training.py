"""Training in a few updates on sounds that need no synthesiser: each word is a tone of its own."""

import math

import pytest
import torch

from minideeptalk.config import EarConfig, JudgeConfig
from minideeptalk.hearing import StyleJudge, calibrate_ear, train_ear, train_judge, train_style_judge
from minideeptalk.speech.corpus import Request

TONES = {"red": 300.0, "cat": 900.0, "box": 2500.0}


class FakeCorpus:
    """Every pair of the three words, as tones with pauses; "sad" is slower than "happy"."""

    def __init__(self):
        pairs = [(a, b) for a in TONES for b in TONES]
        self.requests = [Request(pair, "assistant", style) for pair in pairs for style in ("happy", "sad")]

    def __len__(self):
        return len(self.requests)

    def request(self, index):
        return self.requests[index]

    def waveform(self, index):
        request = self.requests[index]
        samples = 3200 if request.style == "happy" else 6400
        tones = [torch.sin(2 * math.pi * TONES[word] / 16000 * torch.arange(samples)) for word in request.words]
        pause = 0.001 * torch.sin(torch.arange(1600.0))
        return torch.cat([part for tone in tones for part in (0.1 * tone, pause)]).numpy()


def losses_of(train, *arguments, **settings):
    losses = []
    model = train(*arguments, progress=lambda update, updates, loss: losses.append(loss), **settings)
    return model, losses


def test_the_ear_learns_tones_as_words_and_is_then_frozen():
    config = EarConfig(width=32, layers=1, heads=2, updates=60, batch_seconds=6, learning_rate=5e-3)
    ear, losses = losses_of(train_ear, FakeCorpus(), tuple(TONES), config)
    assert len(losses) == 60 and losses[-1] < 0.5 * losses[0]
    assert not any(parameter.requires_grad for parameter in ear.parameters()) and not ear.training


def test_calibration_sets_the_threshold_that_it_reports():
    config = EarConfig(width=32, layers=1, heads=2, updates=60, batch_seconds=6, learning_rate=5e-3)
    ear = train_ear(FakeCorpus(), tuple(TONES), config)
    report = calibrate_ear(ear, FakeCorpus(), FakeCorpus())
    assert float(ear.threshold) == pytest.approx(report.threshold) and 0 <= report.accepted_outside <= report.accepted_inside <= 1


def test_the_same_seed_trains_the_same_ear():
    config = EarConfig(width=32, layers=1, heads=2, updates=3, batch_seconds=6)
    first, second = (train_ear(FakeCorpus(), tuple(TONES), config, seed=5) for _ in range(2))
    assert torch.equal(first.word_head.weight, second.word_head.weight)


def test_the_judge_learns_from_several_corpora():
    config = JudgeConfig(width=32, layers=1, updates=40, batch_seconds=6, learning_rate=5e-3)
    judge, losses = losses_of(train_judge, [FakeCorpus(), FakeCorpus()], config)
    assert losses[-1] < 0.7 * losses[0] and not judge.training
    assert all(isinstance(text, str) for text in judge.transcribe([FakeCorpus().waveform(0)]))


def test_the_style_judge_tells_slow_from_fast():
    corpus = FakeCorpus()
    judge, _ = losses_of(train_style_judge, corpus, updates=40, copies=4)
    assert isinstance(judge, StyleJudge)
    heard = judge.classify([corpus.waveform(i) for i in range(len(corpus))])
    assert sum(style == corpus.request(i).style for i, style in enumerate(heard)) >= 15
