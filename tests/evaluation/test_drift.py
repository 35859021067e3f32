"""A group that did not move has drifted by exactly zero; one that did by the relative norm of what was added."""

import numpy as np
import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.drift import GROUPS, relative_change, weight_drift, weight_groups
from minideeptalk.evaluation.load_shift import distance, load_distances, load_shifts
from minideeptalk.experts import Selection
from minideeptalk.records import load_rows

CHOSEN = Selection(((0, 5, 6), (1, 2, 7)), experts=8)


def moved(tiny, change):
    model = tiny.model()
    with torch.no_grad():
        change(model)
    return model


def test_every_weight_of_the_model_is_in_exactly_one_group(tiny):
    model = tiny.model()
    groups = weight_groups(model, CHOSEN)
    assert set(groups) == {*GROUPS, "text experts", "audio experts"}
    counted = sum(weight.numel() for weights in groups.values() for weight in weights)
    assert counted == sum(parameter.numel() for parameter in model.parameters())


def test_only_what_moved_has_drifted_and_by_how_much(tiny):
    def change(model):
        model.mixtures()[1].experts.down_proj[[1, 2, 7]] *= 1.5
        model.norm.weight += 1.0

    rows = {row["group"]: row for row in weight_drift({"0": tiny.model(), "2.1": moved(tiny, change)}, CHOSEN)}
    assert {name for name, row in rows.items() if row["since_start"] > 0} == {"audio experts", "norms"}
    ones = sum(weight.numel() for weight in weight_groups(tiny.model(), CHOSEN)["norms"])
    assert rows["norms"]["since_start"] == pytest.approx((tiny.model().config.width / ones) ** 0.5)


def test_a_way_there_and_back_shows_in_the_stages_and_not_in_the_whole(tiny):
    away = moved(tiny, lambda model: model.layers[0].attention.qkv.weight.mul_(2.0))
    rows = [row for row in weight_drift({"0": tiny.model(), "1": away, "2": tiny.model()}, CHOSEN) if row["group"] == "attention"]
    assert [row["stage"] for row in rows] == ["1", "2"]
    assert rows[0]["since_start"] == rows[0]["since_before"] > 0 and rows[1]["since_start"] == 0 < rows[1]["since_before"]


def test_without_a_selection_all_experts_are_one_group(tiny):
    assert "experts" in weight_groups(tiny.model(), None) and "text experts" not in weight_groups(tiny.model(), None)


def test_models_of_different_size_are_refused(tiny):
    with pytest.raises(LearnerError, match="different sizes"):
        relative_change([torch.ones(2)], [torch.ones(3)])


# ---- load maps ---------------------------------------------------------------------------------------------------------


def test_the_distance_of_the_modalities_is_none_for_equal_and_one_for_disjoint_loads():
    apart = [[[0.5, 0.5, 0.0, 0.0]], [[0.0, 0.0, 0.5, 0.5]]]  # audio, text; one layer
    rows = load_rows("0", [[[0.25] * 4], [[0.25] * 4]]) + load_rows("1", apart)
    assert [(row["stage"], row["layer"], row["distance"]) for row in load_distances(rows)] == [("0", 1, 0.0), ("1", 1, 1.0)]


def test_a_shift_is_told_for_each_modality_since_the_start_and_since_the_stage_before():
    even, left, right = [[0.5, 0.5]], [[1.0, 0.0]], [[0.0, 1.0]]
    rows = load_rows("0", [even, left]) + load_rows("1", [left, left]) + load_rows("2", [right, left])
    found = {(row["stage"], row["modality"]): (row["since_start"], row["since_before"]) for row in load_shifts(rows)}
    assert found[("1", "text")] == found[("2", "text")] == (0.0, 0.0)
    assert found[("1", "audio")] == found[("2", "audio")][:1] * 2 and found[("2", "audio")][1] == 1.0
    assert 0 < distance(np.array([1.0, 0.0]), np.array([0.5, 0.5])) < 1


def test_a_record_without_loads_is_explained():
    with pytest.raises(LearnerError, match="load recorder"):
        load_distances([])
