"""What records say side by side: shares of text kept, the front, the goals and their verdicts, and where committed records are found."""

import json

import pytest

from minideeptalk.baselines import ARMS
from minideeptalk.baselines.evidence import (
    KINDS,
    MET,
    MISSED,
    OPEN,
    STAGE_CODES,
    at_most,
    front,
    goals,
    kept_by_stage,
    kept_over_seeds,
    kind_of,
    no_worse,
    told,
)
from minideeptalk.baselines.intervals import Interval
from minideeptalk.baselines.summary import by_arm, committed_records
from minideeptalk.errors import LearnerError


def with_codes(record):
    """Curve rows of the invented record, named by stage codes as the recipe writes them."""
    for row in record["curves"]:
        row["stage"] = row["stage"].split("-")[0]
    return record


# ---- forgetting --------------------------------------------------------------------------------------------------------


def test_text_kept_begins_at_one_and_ends_at_one_minus_the_drop(record_of):
    record = with_codes(record_of("puremoe"))
    kept = kept_by_stage(record)
    assert list(kept) == list(STAGE_CODES)
    assert kept["0"]["all"] == kept["0"]["covered"] == pytest.approx(1.0)
    drop = record["metrics"]["relative_text_drop"]
    assert kept["3"]["uncovered"] == pytest.approx(1 - drop["uncovered"])
    assert kept["3"]["by_family"]["sort"] == pytest.approx(1 - drop["by_family"]["sort"])


def test_an_arm_without_a_stage_has_no_point_there_and_the_last_step_of_a_stage_counts(record_of):
    record = with_codes(record_of("puremoe"))
    record["curves"] = [row for row in record["curves"] if row["stage"] in ("0", "1", "3")]
    assert list(kept_by_stage(record)) == ["0", "1", "3"]
    early = [row for row in record["curves"] if row["stage"] == "3" and row["step"] == 0]
    assert kept_by_stage(record)["3"]["all"] < 1 and all(row["value"] > 0.5 for row in early)


def test_seeds_become_intervals_of_a_group_or_of_a_family(record_of):
    runs = {seed: with_codes(record_of("puremoe", seed)) for seed in (0, 1, 2)}
    for row in runs[1]["curves"]:
        if row["stage"] == "3" and row["name"] == "text_accuracy/sort":
            row["value"] *= 0.5
    intervals = kept_over_seeds(runs, "uncovered")
    assert list(intervals) == list(STAGE_CODES) and intervals["3"].count == 3 and intervals["3"].half > 0
    assert intervals["2.2"].half == pytest.approx(0.0)
    assert kept_over_seeds(runs, "sort")["3"].half > intervals["3"].half


# ---- the front ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points, expected", [
    ({"a": (0, 1), "b": (1, 0), "c": (0.5, 0.6), "d": (0.4, 0.5)}, ["a", "c", "b"]),
    ({"a": (1, 1), "b": (1, 0.5)}, ["a"]), ({"a": (1, 1), "b": (1, 1)}, ["a", "b"]), ({"a": (0, 0)}, ["a"])])
def test_the_front_is_who_nobody_beats(points, expected):
    assert front(points) == expected


def test_every_arm_is_of_a_kind():
    assert {kind_of(arm) for arm in ARMS} == set(KINDS)
    assert [kind_of(arm) for arm in ("deeptalk", "deeptalk-importance", "random-2", "puremoe", "without-2.1")] == list(KINDS)


# ---- goals -------------------------------------------------------------------------------------------------------------


def test_a_verdict_needs_the_whole_interval():
    assert [at_most(Interval(mean, half, 5), 0.05) for mean, half in ((0.03, 0.01), (0.03, 0.03), (0.09, 0.01))] == [MET, OPEN, MISSED]
    assert [no_worse(Interval(mean, half, 5)) for mean, half in ((0.0, 0.01), (0.0, 0.1), (-0.05, 0.1), (-0.05, 0.01))] == [MET, OPEN, OPEN, MISSED]
    assert no_worse(Interval(0.5, 0.1, 3)) == MET
    assert at_most(Interval(0.0, 0.0, 2), 0.05) == no_worse(Interval(0.5, 0.0, 2)) == OPEN  # two may agree by accident
    assert at_most(Interval(0.0, None, 1), 0.05) == no_worse(None) == OPEN  # one seed settles nothing, nor does none


def test_goals_follow_the_records(record_of):
    losses = {"deeptalk-aligned": 0.10, "deeptalk-lanes": 0.01, "puremoe": 0.30, "random-0": 0.15}
    records = [record_of(arm, seed, lost + 0.001 * seed) for arm, lost in losses.items() for seed in range(3)]
    verdicts = [goal.verdict for goal in goals(by_arm(records), "deeptalk-lanes")]
    assert verdicts[:3] == [MISSED, MET, MET]
    assert verdicts[3:6] == [MET] * 3  # the same speech in all invented records
    assert verdicts[6] == MET and "+5.0" in goals(by_arm(records), "deeptalk-lanes")[6].measured
    style = records[0]["metrics"]["style_accuracy"]
    assert verdicts[7] == (MISSED if style["mirrored"] / style["ceiling"] < 0.8 else MET)


def test_goals_of_arms_that_have_not_run_are_open(record_of):
    found = goals(by_arm([record_of("deeptalk-aligned")]), "deeptalk-lanes")
    assert {goal.verdict for goal in found} == {OPEN} and found[1].measured == "not run"


def test_an_interval_is_told_in_percent():
    assert [told(Interval(0.123, 0.01, 3)), told(Interval(0.02, 0.01, 3), signed=True), told(Interval(0.5, None, 1))] == [
        "12.3 ± 1.0", "+2.0 ± 1.0", "50.0"]


# ---- where the records are ---------------------------------------------------------------------------------------------


def test_committed_records_are_read_from_a_folder_or_missed_politely(record_of, tmp_path):
    with pytest.raises(LearnerError, match="records of the study"):
        committed_records(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps(record_of("puremoe", 3)))
    (tmp_path / "b.json").write_text(json.dumps(record_of("puremoe", 4) | {"size": "mini"}))
    assert [record["seed"] for record in committed_records(tmp_path)] == [3]
    assert [record["seed"] for record in committed_records(tmp_path, "mini")] == [4]
