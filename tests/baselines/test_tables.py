"""Intervals, budgets and the table: what they say, and when they object."""

import json
from pathlib import Path

import pytest

from minideeptalk.baselines.budgets import undeclared
from minideeptalk.baselines.intervals import paired_interval, t_interval, t_quantile
from minideeptalk.baselines.paper import PAPER
from minideeptalk.baselines.summary import COLUMNS, by_arm, read_records, study_table
from minideeptalk.errors import LearnerError
from minideeptalk.records import RunRecord, read_record

BOOK = Path(__file__).resolve().parents[2] / "book" / "records"


# ---- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("freedom, quantile", [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (100, 1.984)])
def test_quantiles_are_those_of_the_printed_tables(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, abs=0.001)


def test_an_interval_of_known_values():
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0 and interval.half == pytest.approx(4.303 / 3 ** 0.5, abs=0.001) and not interval.sure_of_sign
    assert t_interval([0.5]).half is None and not t_interval([0.5]).sure_of_sign


def test_pairing_takes_out_what_a_seed_does_to_both_arms():
    theirs = {0: 0.1, 1: 0.5, 2: 0.9, 7: 0.0}
    ours = {seed: value + 0.01 + 0.001 * seed for seed, value in theirs.items() if seed != 7}
    paired = paired_interval(ours, theirs)
    assert paired.count == 3 and paired.mean == pytest.approx(0.011) and paired.sure_of_sign
    assert not t_interval(list(ours.values())).sure_of_sign
    assert paired_interval({0: 1.0}, {1: 1.0}) is None


# ---- budgets -----------------------------------------------------------------------------------------------------------


def test_equal_budgets_pass_and_a_difference_must_be_declared(record_of):
    usual = record_of("deeptalk-aligned")
    assert undeclared([usual, record_of("puremoe", speech_tokens=1_020_000)]) == []
    found = undeclared([usual, record_of("puremoe", speech_tokens=1_100_000)])
    assert len(found) == 1 and "puremoe, seed 0" in found[0] and "speech tokens" in found[0]
    assert undeclared([usual, record_of("replay", text_tokens=900_000, declared=["text tokens: replays all"])]) == []
    assert len(undeclared([usual, record_of("replay", text_tokens=900_000, declared=["weights: twice"])])) == 1
    assert "trials" in undeclared([usual, record_of("puremoe", learning_rate_trials=[{"factor": 3.0}])])[0]


def test_seeds_and_scales_are_compared_with_their_like(record_of):
    other = record_of("puremoe", seed=1, updates=5)
    assert ["no run of deeptalk-aligned" in fault for fault in undeclared([record_of("deeptalk-aligned"), other])] == [True]
    assert len(undeclared([record_of("deeptalk-aligned"), record_of("deeptalk-aligned", seed=1), other])) == 1


def test_no_committed_record_of_the_study_hides_a_difference():
    assert undeclared(read_record(path) for path in BOOK.rglob("*.json") if "metrics" in json.loads(path.read_text(encoding="utf-8"))) == []


# ---- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_has_every_arm_its_interval_and_the_papers_row(record_of):
    records = [record_of(arm, seed, lost) for arm, losses in (("puremoe", (0.30, 0.32, 0.34)), ("deeptalk-aligned", (0.1, 0.12, 0.16)))
               for seed, lost in enumerate(losses)]
    table = study_table(records)
    lines = {line.split("  ")[0]: line for line in reversed(table.splitlines())}  # of an arm's two lines the upper one stays
    assert "32.0 +- 5.0" in lines["puremoe"] and lines["deeptalk-aligned"].split()[1] == "3"
    assert "+19.3 +- 2.9!" in table
    assert "5.5" in lines["paper: DeepOmni"] and "~36.8" in lines["paper: DeepOmni"] and "second-hand" in table
    assert list(by_arm(records)) == ["deeptalk-aligned", "puremoe"]


def test_one_run_makes_a_table_too_and_what_was_not_measured_is_a_dash(record_of):
    record = record_of("deeptalk-aligned")
    record["metrics"]["asr_wer"] = None
    assert "+-" not in study_table([record]).split("\n")[1] and " - " in study_table([record])


def test_the_papers_rows_stand_in_columns_that_exist():
    names = {column.name for column in COLUMNS}
    assert all(set(row.values) <= names and set(row.second_hand) <= set(row.values) for row in PAPER)
    assert PAPER[0].second_hand and "text lost" not in PAPER[0].second_hand  # the abstract says it


def test_records_are_found_in_a_study_and_an_empty_folder_is_explained(record_of, tmp_path):
    RunRecord(**record_of("puremoe")).write(tmp_path / "records" / "puremoe-s0.json")
    assert [record["arm"] for record in read_records(tmp_path)] == ["puremoe"]
    with pytest.raises(LearnerError, match="no run"):
        read_records(tmp_path / "records" / "none")
