"""The page's explorer of selection holds the library's own scores, and a list for readers without JavaScript."""

import numpy as np
import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.experts import FORMULAS, NORMALISERS, ExpertLoads, select_audio_experts
from minideeptalk.viz.selection import SelectionExplorer


@pytest.fixture
def loads():
    counts = np.random.default_rng(5).integers(1, 50, size=(4, 2, 6)).astype(float)
    return ExpertLoads(counts, counts.sum(axis=2) / 2, ("one", "two"))


def test_ranking_its_scores_gives_the_librarys_choice(loads):
    data = SelectionExplorer(loads, count=2, seed=3).data()
    for formula in FORMULAS:
        for normaliser in NORMALISERS:
            scores = np.array(data["scores"][formula][normaliser])
            chosen = np.argsort(-scores, axis=1, kind="stable")[:, :2]
            theirs = select_audio_experts(loads, 2, formula, normaliser, seed=3).audio_experts
            assert [sorted(layer) for layer in chosen.tolist()] == [list(layer) for layer in theirs]


def test_without_javascript_the_papers_choice_stands_there(loads):
    page = SelectionExplorer(loads, count=2)._repr_html_()
    first, second = select_audio_experts(loads, 2).audio_experts[0]
    assert f"<li>layer 1: {first} and {second}</li>" in page
    assert page.count('aria-pressed="true"') == 3 and 'type="range" min="1" max="5"' in page


def test_it_is_the_same_twice_and_refuses_a_side_without_experts(loads):
    assert SelectionExplorer(loads, 2)._repr_html_() == SelectionExplorer(loads, 2)._repr_html_()
    with pytest.raises(LearnerError, match="between 1 and 5"):
        SelectionExplorer(loads, 6)
