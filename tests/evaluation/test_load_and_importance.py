"""Load and importance are two measurements, and each rule closes what it says."""

import numpy as np
import pytest
import torch

from minideeptalk.config import WorldConfig
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation import load_and_importance as module
from minideeptalk.evaluation.load_and_importance import (
    closing_curve,
    correlation_by_chance,
    evenness,
    profile_of_text,
    rank_correlation,
    text_importance,
    text_loads,
    to_close,
)
from minideeptalk.experts import LoadRecorder, forbid_experts
from minideeptalk.tasks import TaskSampler
from minideeptalk.training.losses import text_loss


@pytest.fixture
def batches(tiny):
    sampler = TaskSampler(tiny.builder(), WorldConfig())
    return [sampler.batch({"covered_text": 1.0}, 6, f"test-{number}") for number in range(4)]


def test_the_load_is_that_of_the_recorder(tiny, batches):
    model = tiny.model().eval()
    with LoadRecorder(model) as recorder, torch.no_grad():
        for batch in batches:
            recorder.modality(batch.modality)
            model(**batch.model_inputs())
    counts = recorder.loads().counts.sum(axis=0)  # (L, E)
    assert np.allclose(text_loads(model, batches), counts / counts.sum(axis=1, keepdims=True))


def test_importance_is_the_rise_of_the_loss_without_that_expert(tiny, batches):
    model = tiny.model().eval()

    @torch.no_grad()
    def loss():
        return float(text_loss(model, model(**batches[0].model_inputs()).hidden, batches[0].text_target))

    rise, base = text_importance(model, batches[:1]), loss()
    with forbid_experts(model, {1: [3]}):
        assert rise[1, 3] == pytest.approx(loss() - base, abs=1e-5)
    assert rise.shape == (2, 8)


def test_a_profile_tells_how_far_two_halves_of_the_text_agree(tiny, batches):
    model = tiny.model().eval()
    found = profile_of_text(model, batches)
    halves = [text_importance(model, part) for part in (batches[:2], batches[2:])]
    assert np.allclose(found["rise"], (halves[0] + halves[1]) / 2)
    assert found["reliability"].tolist() == [rank_correlation(*pair) for pair in zip(*halves)]
    assert found["correlation"].tolist() == [rank_correlation(*pair) for pair in zip(found["load"], found["rise"])]
    assert profile_of_text(model, batches[:2] * 2)["reliability"].tolist() == [1.0, 1.0]


def test_ranks_forget_the_size_of_differences_and_share_ties():
    rising = np.array([1.0, 2.0, 300.0, 4e6])
    assert rank_correlation(rising, np.log(rising)) == 1.0 and rank_correlation(rising, -rising) == -1.0
    assert 0 < rank_correlation(rising, np.array([1.0, 1.0, 2.0, 2.0])) < 1
    with pytest.raises(LearnerError, match="same value"):
        rank_correlation(rising, np.zeros(4))


def test_what_random_orders_reach_shrinks_with_more_experts():
    """Half of the distance of sixteen is known: 0.5 holds about 95 % of the correlations of random orders."""
    assert correlation_by_chance(16) == pytest.approx(0.5, abs=0.02)
    assert correlation_by_chance(64) < correlation_by_chance(16) < correlation_by_chance(6)


def test_an_even_load_has_evenness_one_and_a_single_expert_zero():
    assert np.allclose(evenness(np.array([[0.25] * 4, [1.0, 0.0, 0.0, 0.0]])), [1.0, 0.0])
    assert evenness(np.full((1, 16), 1 / 16)).max() <= 1


def test_each_rule_closes_what_it_says():
    load, rise = np.array([[0.4, 0.1, 0.3, 0.2]]), np.array([[0.0, 0.9, -0.1, 0.5]])
    assert [to_close(rule, 2, load, rise) for rule in ("lowest load", "lowest importance", "highest load")] == [[[1, 3]], [[0, 2]], [[0, 2]]]
    assert to_close("drawn by lot", 2, load, rise, 0) != to_close("drawn by lot", 2, load, rise, 3)
    with pytest.raises(LearnerError, match="lowest load, lowest importance"):
        to_close("best", 1, load, rise)


def test_the_curve_is_measured_with_those_experts_closed(tiny, monkeypatch):
    model, builder = tiny.model().eval(), tiny.builder()
    seen = []

    def accuracy(model, builder, split, items):
        closed = [set(range(8)) - open_experts(tiny, model, layer) for layer in range(2)]
        seen.append(closed)
        return {"compare": 1.0 if len(seen) == 1 else 0.75, "story": 0.5}

    monkeypatch.setattr(module, "text_accuracy", accuracy)
    load, rise = np.arange(16.0).reshape(2, 8), -np.arange(16.0).reshape(2, 8)
    rows = closing_curve(model, builder, load, rise, items=3, draws=2, counts=(3,))
    assert [(row["rule"], row["closed"], row["draw"]) for row in rows] == [
        ("lowest load", 3, None), ("lowest importance", 3, None), ("highest load", 3, None), ("drawn by lot", 3, 0), ("drawn by lot", 3, 1)]
    assert all(row["kept"] == {"compare": 0.5} for row in rows)
    assert {0, 1, 2} <= seen[1][0] and {5, 6, 7} <= seen[2][0] and {5, 6, 7} <= seen[3][1]


@torch.no_grad()
def open_experts(tiny, model, layer):
    text = torch.randint(3, 40, (8, 40), generator=torch.Generator().manual_seed(0))
    return set(model(text).routing[layer].indices.flatten().tolist())
