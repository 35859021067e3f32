"""Error rates on examples small enough to count by hand."""

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.hearing import character_error_rate, edit_distance, word_error_rate


def test_edit_distance_counts_the_cheapest_repair():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance([], ["a", "b"]) == 2
    assert edit_distance(["a", "b"], []) == 2


def test_word_error_rate_weighs_by_reference_words():
    assert word_error_rate(["forty nine", "red cat box"], ["forty nine", "red box"]) == pytest.approx(1 / 5)
    assert word_error_rate([("red", "cat")], [("red", "cat")]) == 0
    assert word_error_rate(["red"], ["blue cat box"]) == 3  # insertions can lift it above one


def test_character_error_rate_sees_a_near_miss():
    assert character_error_rate(["red cat"], ["red bat"]) == pytest.approx(1 / 7)


def test_uneven_or_empty_lists_are_explained():
    with pytest.raises(LearnerError, match="as many hypotheses"):
        word_error_rate(["a"], [])
    with pytest.raises(LearnerError, match="at least one reference word"):
        word_error_rate([""], ["a"])
