"""Trials collected with what they kept, and arms compared where they speak as well as the recipe."""

import json

import pytest

from minideeptalk.baselines import rates
from minideeptalk.errors import LearnerError
from minideeptalk.records.finding import read_finding
from minideeptalk.world import FAMILIES

COVERED = ("add", "lookup", "repeat")


def trial(arm, factor, seed, speech, kept):
    return {"arm": arm, "factor": factor, "seed": seed, "spoken_qa_text": speech, "said": speech, "covered_text": 0.9,
            "score": (2 * speech + 0.9) / 3, "kept": {"all": kept, "covered": 1.0, "uncovered": kept}}


@pytest.fixture
def study(tmp_path):
    """A study's folder with one trial, in which half of every skill above chance was lost after stage 2.1 and a quarter at the end."""
    folder = tmp_path / "trials" / "an-arm-x0.3-s1"
    folder.mkdir(parents=True)
    curves = [{"name": "loss", "stage": "3", "step": 5, "value": 2.0}]
    for stage, left in (("0", 1.0), ("2.1", 0.5), ("3", 0.75)):
        curves += [{"name": f"text_accuracy/{name}", "stage": stage, "step": 10, "value": family.chance + left * (0.9 - family.chance)}
                   for name, family in FAMILIES.items()]
    (folder / "parts.json").write_text(json.dumps({"curves": curves}))
    score = {"factor": 0.3, "seed": 1, "spoken_qa_text": 0.5, "said": 0.4, "covered_text": 0.9, "score": 0.6}
    (folder / "score.json").write_text(json.dumps(score))
    (tmp_path / "trials" / "an-arm-x1-s1").mkdir()  # begun, not finished
    (tmp_path / "study.json").write_text(json.dumps({"size": "nano", "scale": 0.5}))
    return tmp_path


def test_a_trial_is_collected_with_the_text_of_its_last_stage(study):
    [row] = rates.collect_trials(study, COVERED)
    assert (row["arm"], row["factor"], row["seed"], row["said"]) == ("an-arm", 0.3, 1, 0.4)
    assert row["kept"] == {group: pytest.approx(0.75) for group in ("all", "covered", "uncovered")}


def test_the_command_writes_a_finding(study):
    rates.main([str(study), str(study / "rates.json")])
    found = read_finding(study / "rates.json", "rates")
    assert found["seeds"] == [1] and found["result"]["trials"] == rates.collect_trials(study, COVERED)


def test_a_study_without_trials_is_told_how_to_get_them(tmp_path):
    with pytest.raises(LearnerError, match="--trials"):
        rates.collect_trials(tmp_path, COVERED)


@pytest.mark.parametrize(("path", "level", "kept"), [
    ([(0.2, 1.0), (0.6, 0.8), (0.8, 0.2)], 0.1, 1.0), ([(0.2, 1.0), (0.6, 0.8), (0.8, 0.2)], 0.7, 0.5), ([(0.2, 1.0), (0.6, 0.8), (0.8, 0.2)], 0.8, 0.2),
    ([(0.2, 1.0), (0.6, 0.8), (0.4, 0.95)], 0.5, 0.875), ([(0.2, 1.0), (0.6, 0.8)], 0.61, None), ([(0.5, 0.3)], 0.5, 0.3)])
def test_the_most_text_at_a_level_of_speech(path, level, kept):
    """The fourth path turns back at its highest rate; the better of its two crossings counts."""
    assert rates.most_kept(path, level) == (None if kept is None else pytest.approx(kept))


def test_arms_are_compared_at_the_speech_of_the_reference_by_seed():
    trials = [trial("recipe", factor, seed, speech + 0.1 * seed, kept) for seed in (0, 1) for factor, speech, kept in ((0.3, 0.2, 1.0), (1.0, 0.4, 0.9), (3.0, 0.3, 0.7))]
    trials += [trial("rival", factor, 0, speech, kept) for factor, speech, kept in ((0.3, 0.3, 0.8), (1.0, 0.5, 0.6))]
    trials += [trial("rival", factor, 1, speech, kept) for factor, speech, kept in ((0.3, 0.1, 0.8), (1.0, 0.45, 0.6))]
    assert rates.kept_at_equal_speech(trials, "recipe", "recipe") == {0: 0.9, 1: 0.9}
    assert rates.kept_at_equal_speech(trials, "rival", "recipe") == {0: pytest.approx(0.7)}, "in seed 1 it never speaks so well"
