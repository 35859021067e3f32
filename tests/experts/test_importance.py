"""Importance is the rise of the loss when one expert alone is closed; load and importance are two things."""

import json

import numpy as np
import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts import Importance, LoadRecorder, Modality, forbid_experts, measure_importance, same_modality


def used_and_rise(moe, text):
    """Which experts the text reaches, (L, E), and the importance for the distance from the unmasked output."""
    target = moe.run(text)
    with LoadRecorder(moe.model) as recorder:
        recorder.modality(same_modality(torch.ones_like(text), Modality.TEXT_PROMPT))
        moe.run(text)
    measured = measure_importance(moe.model, lambda model: (moe.run(text, model) - target).square().mean())
    assert measured.base == 0
    return recorder.loads().counts[0] > 0, measured.rise


def test_closing_an_expert_that_is_used_hurts(any_moe, text):
    used, rise = used_and_rise(any_moe, text)
    assert (rise[used] > 0).all()


def test_closing_an_expert_that_nobody_uses_does_nothing_if_the_weights_are_renormalised(mixtral, text):
    used, rise = used_and_rise(mixtral, text)
    assert not used.all() and np.allclose(rise[~used], 0, atol=1e-12)


def test_without_renormalisation_it_still_shifts_the_weights_of_the_others(ours, text):
    used, rise = used_and_rise(ours, text)
    assert (rise[~used] > 0).all() and rise[~used].mean() < rise[used].mean()


def test_each_rise_is_the_loss_with_that_expert_closed(ours, text):
    target = ours.run(text) + 1

    def distance(model):
        return (ours.run(text, model) - target).square().mean().item()

    measured = measure_importance(ours.model, distance)
    with forbid_experts(ours.model, {1: [3]}):
        assert measured.rise[1, 3] == distance(ours.model) - measured.base


def test_only_what_was_asked_for_is_measured(ours):
    calls = []
    measured = measure_importance(ours.model, lambda model: calls.append(model) or 1.0, layers=[0, 1], experts=iter([0, 4]))
    assert len(calls) == 5
    assert np.argwhere(~np.isnan(measured.rise)).tolist() == [[0, 0], [0, 4], [1, 0], [1, 4]]


def test_the_models_mode_is_kept(ours):
    ours.model.train()
    measure_importance(ours.model, lambda model: float(model.training), layers=[0])
    assert ours.model.training


def test_importance_survives_json(ours):
    measured = measure_importance(ours.model, lambda model: 1.0, layers=[0], experts=[2])
    again = Importance.from_dict(json.loads(json.dumps(measured.to_dict())))
    assert again.base == 1.0 and np.array_equal(again.rise, measured.rise, equal_nan=True)


def test_a_layer_that_does_not_exist_is_refused(ours):
    with pytest.raises(LearnerError, match="a MoE layer from 0 to 1"):
        measure_importance(ours.model, lambda model: 0.0, layers=[7])
