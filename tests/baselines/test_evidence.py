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
    lost_at_most_all,
    no_worse,
    preference_goal,
    style_goals,
    style_scores,
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
    found = goals(by_arm(records), "deeptalk-lanes")
    verdicts = [goal.verdict for goal in found]
    assert verdicts[:4] == [OPEN, MISSED, MET, MET], "deeptalk has not run; the intervals of the two last do not meet"
    assert verdicts[4:7] == [MET] * 3  # the same speech in all invented records
    assert verdicts[7:11] == [MET, OPEN, OPEN, OPEN] and "+5.0" in found[7].measured, "one of four controls has run"
    wide = [record_of("puremoe", seed, lost) for seed, lost in enumerate((0.0, 0.3, 0.6))]
    met = goals(by_arm([record for record in records if record["arm"] != "puremoe"] + wide), "deeptalk-lanes")[3]
    assert met.verdict == MISSED, "an interval that reaches into the other decides against"


def test_goals_of_style_count_each_style_equally():
    """Twelve of sixteen neutral questions answered neutrally by a voice that never changes are no skill."""
    constant = [[12, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    native = [[9, 3, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    runs = [{"arm": arm, "seed": seed, "mirrored": table} for arm, table in (("cascade", constant), ("deeptalk-aligned", native)) for seed in range(3)]
    style = {"result": {"runs": runs, "chance": 0.25, "ceiling": {"mirrored": 0.98}}}
    assert style_scores(style, "cascade", "mirrored") == [0.25] * 3 and style_scores(style, "deeptalk-aligned", "mirrored") == [pytest.approx(15 / 16)] * 3
    assert [goal.verdict for goal in style_goals(style)] == [MET, MET]
    runs[:] = [run | {"mirrored": native if run["arm"] == "cascade" else constant} for run in runs]
    assert [goal.verdict for goal in style_goals(style)] == [MISSED, MISSED]


@pytest.mark.parametrize(("high", "spread", "verdict"), [(-0.01, 0.95, MET), (0.02, 0.95, OPEN), (-0.01, 0.85, MISSED)])
def test_the_goal_of_preference_wants_fewer_errors_and_the_melody(high, spread, verdict):
    told_by = {"change": {"unseen": {"judge_wer": -0.03, "low": -0.06, "high": high}}, "before": {"unseen": {"f0_spread": 1.0}},
               "after": {"unseen": {"f0_spread": spread}}}
    goal = preference_goal([{"metrics": {"preference": told_by}}] * 2)
    assert goal.verdict == verdict and f"spread {spread:.0%}" in goal.measured
    assert preference_goal([]).verdict == OPEN


def test_a_skill_is_lost_once_at_most(record_of):
    record = record_of("puremoe")
    record["metrics"]["relative_text_drop"]["by_family"] = {"add": 1.5, "sort": 0.5}
    assert lost_at_most_all({0: record}) == {0: 0.75}


def test_goals_of_arms_that_have_not_run_are_open(record_of):
    found = goals(by_arm([record_of("deeptalk-aligned")]), "deeptalk-lanes")
    assert {goal.verdict for goal in found} == {OPEN} and found[2].measured == "not run"


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
