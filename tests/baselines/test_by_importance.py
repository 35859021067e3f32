"""Selection by importance gives away what text misses least, and reads training text of the families that it names alone."""

from types import SimpleNamespace

import numpy as np

from minideeptalk.baselines import selections
from minideeptalk.baselines.lanes import LANES, LEFT_OUT, PROFILED
from minideeptalk.baselines.selections import ByImportance
from minideeptalk.config import WorldConfig
from minideeptalk.experts import Importance
from minideeptalk.tasks import TaskSampler
from minideeptalk.world import FAMILIES, mixture


def profile(tiny):
    return SimpleNamespace(model=tiny.model(), sampler=TaskSampler(tiny.builder(), WorldConfig()), size=tiny.size(), seed=0)


def test_the_experts_with_the_smallest_rise_are_chosen(tiny, monkeypatch):
    rise = np.array([[0.3, -0.1, 0.2, 0.0, 0.5, 0.4, 0.6, 0.7], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, -0.7]])
    monkeypatch.setattr(selections, "measure_importance", lambda model, loss: Importance(1.0, rise))
    assert ByImportance(count=3, batches=1, batch=2)(profile(tiny)).audio_experts == ((1, 2, 3), (0, 1, 7))


def test_it_reads_training_text_of_its_families_and_the_lanes_leave_two_unread(tiny, monkeypatch):
    asked = set()
    monkeypatch.setattr(selections, "mixture", lambda rng, *wanted: asked.add(wanted) or mixture(rng, *wanted))
    monkeypatch.setattr(selections, "measure_importance", lambda model, loss: Importance(1.0, np.zeros((2, 8))))
    for rule in (ByImportance(batches=1, batch=2), LANES.select):
        rule(profile(tiny))
    assert asked == {("train", WorldConfig().covered), ("train", PROFILED)}
    assert set(PROFILED) == set(FAMILIES) - set(LEFT_OUT) and not set(LEFT_OUT) & set(WorldConfig().covered)
