"""The distance of two loads is what two independent ways of computing it say."""

import numpy as np
import pytest

from minideeptalk.experts import ExpertLoads, jensen_shannon, modality_distance


def entropy(load):
    return -sum(value * np.log2(value) for value in load if value > 0)


def loads_of(audio, text):
    counts = np.zeros((4, 1, len(audio)))
    counts[1, 0], counts[2, 0] = audio, text
    return ExpertLoads(counts, counts.sum(axis=2) / 2, ("layer",))


def test_the_divergence_is_the_entropy_of_the_middle_less_the_mean_entropy():
    first, second = np.random.default_rng(3).dirichlet(np.ones(8), size=2)
    assert jensen_shannon(first, second) == pytest.approx(entropy((first + second) / 2) - (entropy(first) + entropy(second)) / 2)


@pytest.mark.parametrize(("audio", "text", "distance"), [([4, 0], [0, 6], 1.0), ([2, 6], [1, 3], 0.0)])
def test_the_distance_is_one_without_a_common_expert_and_zero_for_the_same_shares(audio, text, distance):
    assert modality_distance(loads_of(audio, text)) == pytest.approx([distance])


def test_the_distance_is_the_same_both_ways_and_larger_for_more_different_loads():
    near, far = loads_of([5, 3, 2], [4, 4, 2]), loads_of([5, 3, 2], [1, 1, 8])
    assert modality_distance(near) < modality_distance(far)
    assert modality_distance(loads_of([4, 4, 2], [5, 3, 2])) == pytest.approx(modality_distance(near))
