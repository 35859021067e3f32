"""The paper's rule and its rivals: what each formula picks, and why the normaliser is not cosmetic."""

import json

import numpy as np
import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.experts import FORMULAS, NORMALISERS, Selection, select_audio_experts

# expert 0: busy with both; 1: busy with audio only; 2: little audio, no text; 3: text only; 4: idle
AUDIO, TEXT = [[10, 8, 2, 0, 0]], [[10, 1, 0, 8, 0]]


@pytest.mark.parametrize("formula, expected", [
    ("product", (1, 2)),  # 1 * 0, 0.8 * 0.9, 0.2 * 1: the busy generalist is held back
    ("difference", (1, 2)),
    ("ratio", (1, 2)),
    ("audio_only", (0, 1)),
    ("worst_first", (0, 3)),  # all of 0, 3 and 4 score 0: the lower index wins
    ("by_index", (3, 4)),
])
def test_what_each_formula_picks(make_loads, formula, expected):
    assert select_audio_experts(make_loads(AUDIO, TEXT), 2, formula).audio_experts == (expected,)


def test_the_papers_scores_by_hand(make_loads):
    scores = select_audio_experts(make_loads(AUDIO, TEXT), 2).scores
    assert np.allclose(scores, [[0, 0.8 * 0.9, 0.2 * 1, 0, 0]])


def test_the_product_is_the_default(make_loads):
    selection = select_audio_experts(make_loads(AUDIO, TEXT), 2)
    assert (selection.formula, selection.normaliser) == ("product", "max")


def test_random_obeys_its_seed_and_covers_every_expert(make_loads):
    loads = make_loads(np.ones((30, 8)), np.ones((30, 8)))
    first, again, other = (select_audio_experts(loads, 2, "random", seed=seed).audio_experts for seed in (1, 1, 2))
    assert first == again != other
    assert {expert for layer in first for expert in layer} == set(range(8))


@pytest.mark.parametrize("formula", ["product", "difference", "ratio", "audio_only", "worst_first"])
def test_ties_go_to_the_lower_index(make_loads, formula):
    loads = make_loads(np.ones((3, 6)), np.ones((3, 6)))
    assert select_audio_experts(loads, 2, formula).audio_experts == ((0, 1),) * 3


def test_with_shares_the_text_term_is_nearly_inert_and_with_max_it_is_not(make_loads):
    rng = np.random.default_rng(0)
    loads = make_loads(rng.dirichlet(np.ones(64), 200), rng.dirichlet(np.ones(64), 200), chosen=1 / 6)
    overlap = {name: select_audio_experts(loads, 6, "product", name).overlap(select_audio_experts(loads, 6, "audio_only", name))
               for name in NORMALISERS}
    assert overlap["share"] > 5.7 and overlap["max"] < 5


def test_text_experts_are_the_complement(make_loads):
    selection = select_audio_experts(make_loads(AUDIO, TEXT), 2)
    assert selection.text_experts(0) == (0, 3, 4)


def test_the_file_holds_the_papers_list_of_lists(make_loads, tmp_path):
    selection = select_audio_experts(make_loads(AUDIO * 2, TEXT * 2), 2, "ratio", "fraction", seed=3)
    path = tmp_path / "selection.json"
    selection.save(path)
    assert json.loads(path.read_text())["audio_experts"] == [[1, 2], [1, 2]]
    again = Selection.load(path)
    assert again.to_dict() == selection.to_dict()
    assert again.audio_experts == selection.audio_experts


@pytest.mark.parametrize("count", [0, 5, -1])
def test_a_count_that_leaves_a_modality_without_experts_is_refused(make_loads, count):
    with pytest.raises(LearnerError, match="between 1 and 4 audio experts"):
        select_audio_experts(make_loads(AUDIO, TEXT), count)


def test_unknown_names_list_the_known_ones(make_loads):
    with pytest.raises(LearnerError, match=", ".join(FORMULAS)):
        select_audio_experts(make_loads(AUDIO, TEXT), 2, "best")
    with pytest.raises(LearnerError, match=", ".join(NORMALISERS)):
        select_audio_experts(make_loads(AUDIO, TEXT), 2, normaliser="best")


def test_formulas_that_ignore_loads_do_not_need_both_modalities(make_loads):
    only_text = make_loads(np.zeros((1, 5)), TEXT)
    assert select_audio_experts(only_text, 2, "by_index").num_layers == 1
    with pytest.raises(LearnerError, match="some audio"):
        select_audio_experts(only_text, 2)


@pytest.mark.parametrize("chosen", [(1, 1), (4, 9), (), (0, 1, 2, 3, 4)])
def test_a_list_that_does_not_fit_the_model_is_refused(chosen):
    with pytest.raises(LearnerError, match="distinct audio experts"):
        Selection((chosen,), experts=5)


@pytest.mark.parametrize("content, message", [("[[1, 2]]", "bare list of lists"), ("{}", "without audio_experts"), ("x", "not JSON")])
def test_files_that_are_no_selection_are_explained(tmp_path, content, message):
    path = tmp_path / "selection.json"
    path.write_text(content)
    with pytest.raises(LearnerError, match=message):
        Selection.load(path)
    with pytest.raises(LearnerError, match="no file"):
        Selection.load(tmp_path / "nowhere.json")
