"""The study of load and importance at two updates a model: every pair is trained once, from its own seed and weight, and the finding is whole."""

import importlib.util
from pathlib import Path

import pytest
import torch

from minideeptalk.baselines import load_and_importance as module
from minideeptalk.baselines.lanes import LEFT_OUT
from minideeptalk.baselines.load_and_importance import Study, compare_rules, missing_models, profile_batches, run_study, train_text_model
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.model import DeepTalkModel
from minideeptalk.records.finding import read_finding, write_finding
from minideeptalk.world import FAMILIES, Tokenizer

STUDY = Study(balance_weights=(0.0, 0.1), seeds=(0,), updates=2, batches=2, batch=8, items=3, draws=1, closed=(2,))


SPECIFICATION = importlib.util.spec_from_file_location("findings", Path(__file__).resolve().parents[1] / "records" / "findings.py")
findings = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(findings)


@pytest.fixture(autouse=True)
def small(tiny, monkeypatch):
    """The size of the tests in place of nano."""
    monkeypatch.setattr(module, "size_config", lambda name: tiny.size())


def test_what_no_rule_may_see_is_in_no_profile(tiny):
    model, profiles = tiny.model(), Study().profiles
    assert profiles["covered"] == size_config("nano").world.covered and set(profiles["eight"]) == set(FAMILIES) - set(LEFT_OUT)
    assert len(profiles["eight"]) == 8 and not set(LEFT_OUT) & {family for families in profiles.values() for family in families}
    begun = {tuple(Tokenizer().decode(row.tolist())) for batch in profile_batches(STUDY, model, profiles["eight"]) for row in batch.text[:, 1:4]}
    assert ("which", "is", "more") not in begun and begun  # so begins compare


def test_a_text_model_is_trained_from_its_seed_under_its_own_balance(tiny):
    models = {key: train_text_model(STUDY, *key)[0] for key in ((0.0, 0), (0.1, 0), (0.0, 1))}
    again = train_text_model(STUDY, 0.0, 0)[0]
    weight = {key: model.mixtures()[0].router.weight for key, model in models.items()}
    assert torch.equal(again.mixtures()[0].router.weight, weight[(0.0, 0)])
    assert not torch.equal(weight[(0.0, 0)], weight[(0.1, 0)]) and not torch.equal(weight[(0.0, 0)], weight[(0.0, 1)])


def test_the_study_is_whole_and_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    DeepTalkModel(tiny.config(experts=12)).save_pretrained(shipped / "stages" / "0-pretrain")
    record = run_study(STUDY, tmp_path / "study", shipped)
    models = record["result"]["models"]
    assert [model["name"] for model in models] == ["shipped", "balance 0, seed 0", "balance 0.1, seed 0"]
    assert [model["balance_weight"] for model in models] == [0.001, 0.0, 0.1]
    assert missing_models(record) == [] and record["result"]["held_out"] == list(LEFT_OUT)
    assert {len(model["profiles"]["covered"]["closing"]) for model in models} == {4} and record["settings"]["updates"] == 2
    monkeypatch.setattr(module, "train_text_model", None)  # nothing is trained twice
    again = run_study(STUDY, tmp_path / "study", shipped)
    assert again["result"] == record["result"]
    assert read_finding(write_finding(again, tmp_path / "finding.json"), "load-and-importance") == again


def test_a_study_that_was_ended_early_tells_which_models_it_lacks():
    record = findings.load_and_importance()
    record["settings"] |= {"balance_weights": [0.0, 0.1], "seeds": [0, 1]}
    assert missing_models(record) == ["balance 0.1, seed 0", "balance 0.1, seed 1"]
    record["result"]["models"].pop(0)
    assert missing_models(record)[0] == "shipped"


def test_two_rules_are_compared_model_by_model():
    """In the invented finding a closed expert costs 0.01 by importance and 0.1 times one less half the agreement by load."""
    found = compare_rules(findings.load_and_importance(), "lowest importance", "lowest load", 4)
    gains = [0.4 * (1 - 0.5 * agree - 0.1) for agree in (0.3, 0.9, 0.8)]
    assert found.mean == pytest.approx(sum(gains) / 3) and found.count == 3
    by_lot = compare_rules(findings.load_and_importance(), "lowest importance", "drawn by lot", 2, "held out")
    assert by_lot.mean == pytest.approx(0.2 * (1.0 - 0.1)) and by_lot.half == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(LearnerError, match=r"\[1, 2, 4\]"):
        compare_rules(findings.load_and_importance(), "lowest importance", "lowest load", 3)
