"""A load is a count with a normaliser; the three normalisers sum to 1, sum to K, and reach 1."""

import json

import numpy as np
import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.experts import ExpertLoads

AUDIO, TEXT = [[6, 2, 0, 0], [1, 1, 3, 3]], [[4, 4, 4, 0], [2, 2, 2, 6]]


def test_shares_sum_to_one(make_loads):
    assert np.allclose(make_loads(AUDIO, TEXT, chosen=2).share("share").sum(axis=2), 1)


def test_fractions_of_tokens_sum_to_k(make_loads):
    loads = make_loads(AUDIO, TEXT, chosen=2)
    assert np.allclose(loads.share("fraction").sum(axis=2), 2)
    assert loads.share("fraction")[0, 0].tolist() == [1.5, 0.5, 0, 0]  # 4 tokens, 8 assignments


def test_the_busiest_expert_counts_as_one(make_loads):
    audio, text = make_loads(AUDIO, TEXT).share("max")
    assert audio.tolist() == [[1, 1 / 3, 0, 0], [1 / 3, 1 / 3, 1, 1]]
    assert text.tolist() == [[1, 1, 1, 0], [1 / 3, 1 / 3, 1 / 3, 1]]


def test_prompts_count_only_if_the_policy_says_so():
    counts = np.zeros((4, 1, 2))
    counts[0, 0], counts[1, 0], counts[2, 0], counts[3, 0] = [5, 0], [0, 3], [1, 1], [2, 2]
    with_prompts = ExpertLoads(counts, counts.sum(axis=2), ("a",))
    only_answers = ExpertLoads(counts, counts.sum(axis=2), ("a",), count_prompts=False)
    assert with_prompts.share("share")[:, 0].tolist() == [[2 / 7, 5 / 7], [6 / 7, 1 / 7]]
    assert only_answers.share("share")[:, 0].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_loads_survive_json(make_loads):
    loads = make_loads(AUDIO, TEXT, chosen=2, count_prompts=False)
    again = ExpertLoads.from_dict(json.loads(json.dumps(loads.to_dict())))
    assert (again.counts == loads.counts).all() and (again.tokens == loads.tokens).all()
    assert (again.layers, again.count_prompts) == (loads.layers, False)
    assert again.counts.dtype == np.float64


def test_merged_loads_are_the_sum(make_loads):
    both = make_loads(AUDIO, TEXT).merge(make_loads(TEXT, AUDIO))
    assert (both.counts[3] == np.add(AUDIO, TEXT)).all() and (both.tokens[3] == [20, 20]).all()


def test_loads_of_different_policies_do_not_merge(make_loads):
    with pytest.raises(LearnerError, match="same model and policy"):
        make_loads(AUDIO, TEXT).merge(make_loads(AUDIO, TEXT, count_prompts=False))


def test_a_modality_that_was_never_seen_is_named(make_loads):
    with pytest.raises(LearnerError, match="some audio prompts or answers in every layer, got none"):
        make_loads(np.zeros((2, 4)), TEXT).share()


def test_an_unknown_normaliser_lists_the_known_ones(make_loads):
    with pytest.raises(LearnerError, match="max, share, fraction, got 'softmax'"):
        make_loads(AUDIO, TEXT).share("softmax")


def test_a_record_of_something_else_is_refused():
    with pytest.raises(LearnerError, match="no expert load"):
        ExpertLoads.from_dict({"counts": []})


def test_axes_in_another_order_are_refused():
    with pytest.raises(LearnerError, match="modality, layer, expert"):
        ExpertLoads(np.zeros((2, 4, 8)), np.zeros((4, 2)), ("a", "b"))
