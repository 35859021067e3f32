"""Figures of the findings: each can be told in words, says what the finding says, and moves when its slider does."""

import importlib.util
import json
from pathlib import Path

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.viz import alt_text
from minideeptalk.viz.importance import (
    by_balance,
    closing_figure,
    closing_means,
    correlation_figure,
    correlation_rows,
    load_against_importance,
    mean_kept,
)
from minideeptalk.viz.why import (
    conditions,
    drift_beside_figure,
    drift_figure,
    kept,
    knock_out_by_family,
    knock_out_figure,
    knock_out_rows,
    load_distance_figure,
    load_shift_rows,
    probe_figure,
    within_frame_figure,
)

SPECIFICATION = importlib.util.spec_from_file_location("findings", Path(__file__).resolve().parents[1] / "records" / "findings.py")
findings = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(findings)
FIGURES = [(builder, findings.why) for builder in (knock_out_figure, knock_out_by_family, drift_figure, load_distance_figure, probe_figure, within_frame_figure)]
FIGURES += [(builder, findings.load_and_importance) for builder in (load_against_importance, correlation_figure, closing_figure)]
EVERY_FIGURE = pytest.mark.parametrize(("builder", "make"), FIGURES, ids=lambda value: getattr(value, "__name__", ""))


@EVERY_FIGURE
def test_every_figure_can_be_told_in_words_and_leaves_its_width_to_the_page(builder, make):
    layout = json.loads(builder(make()).to_json())["layout"]
    assert len(layout["meta"]["alt"]) > 60 and layout["meta"]["alt"].endswith(".") and "width" not in layout and layout["autosize"]


@EVERY_FIGURE
def test_every_step_of_a_slider_gives_each_trace_other_data_and_has_a_name(builder, make):
    drawn = json.loads(builder(make()).to_json())
    for slider in drawn["layout"].get("sliders", []):
        assert slider["currentvalue"]["prefix"].strip() and len({step["value"] for step in slider["steps"]}) == len(slider["steps"]) > 1
        data = [json.dumps(step["args"][0]) for step in slider["steps"]]
        assert len(set(data)) > 1
        for step in slider["steps"]:
            assert {len(values) for values in step["args"][0].values()} == {len(drawn["data"])}


# ---- what they say -----------------------------------------------------------------------------------------------------


def test_lots_stand_beside_the_group_of_their_size():
    groups = conditions(findings.why())
    assert list(groups) == ["none", "2 audio", "2 by lot", "6 text", "6 by lot"]
    assert [len(rows) for rows in groups.values()] == [1, 1, 2, 1, 2]


def test_covered_and_uncovered_skills_are_averaged_apart():
    record = findings.why()
    row = record["result"]["knock_out"][0]
    assert [kept(record, row, group) for group in ("all", "covered", "uncovered")] == pytest.approx([(1 + 1 + 0.5 + 0.25) / 4, 1, 0.375])


def test_a_bar_of_draws_is_their_mean_with_the_worst_and_the_best():
    figure = knock_out_figure(findings.why())
    drawn = figure.data[2]
    assert drawn.name == "closed: 2 by lot" and drawn.x[1] == pytest.approx(0.75)
    assert (drawn.error_x.array[1], drawn.error_x.arrayminus[1]) == pytest.approx((0.05, 0.05)) and not figure.data[1].error_x.visible
    assert "2 by lot closed: all text" in alt_text(figure)


def test_the_table_of_the_exam_names_the_spread_of_draws():
    head, rows, caption = knock_out_rows(findings.why())
    assert len(head) == len(rows[0]) == 7 and rows[2][2] == "75 % (70 % to 80 %)" and rows[1][2] == "90 %" and caption


def test_what_did_not_move_is_written_as_zero_and_told():
    figure = drift_figure(findings.why())
    assert figure.data[0].text[0][0] == "0" and "still: attention and router" in alt_text(figure)
    moved = figure.layout.sliders[0].steps[1]["args"][0]["text"][0]
    assert moved[2][0] == "<0.01"


def two_runs():
    """The invented run, and one as long that sets no experts apart and moved all of them."""
    one, other = findings.why(), findings.why()
    one["result"]["run"]["updates"] = 1000
    other["result"]["run"] |= {"arm": "puremoe", "updates": 1000}
    other["result"]["drift"] = [row | {"group": row["group"].replace("audio experts", "experts"), "since_start": 0.7} for row in other["result"]["drift"]]
    other["result"]["drift"].append({"stage": "3", "group": "adapter", "since_start": 5.0, "since_before": 0.1})
    other["result"]["knock_out"] = other["result"]["knock_out"][:1]
    return [one, other]


def test_drift_of_two_runs_stands_side_by_side_without_what_began_random():
    figure = drift_beside_figure(two_runs())
    assert [list(bars.y) for bars in figure.data] == [["attention", "audio experts", "router"], ["attention", "experts", "router"]]
    assert list(figure.layout.yaxis.categoryarray) == ["attention", "audio experts", "router", "experts"]
    assert "puremoe, 1,000 updates: attention 0.70, experts 0.70 and router 0.70" in alt_text(figure)


def test_a_run_without_closed_experts_says_what_can_be_looked_at():
    for builder in (knock_out_figure, knock_out_by_family, knock_out_rows):
        with pytest.raises(LearnerError, match="drift"):
            builder(two_runs()[1])


def test_shifts_are_means_over_layers():
    head, rows, _ = load_shift_rows(findings.why())
    assert head[0] == "stage" and rows[0] == ("1", "0.15", "0.15")


def test_probes_are_told_with_their_chance():
    assert "next word: 60 % at best after stage 3, 60 % after stage 0, chance 25 %" in alt_text(probe_figure(findings.why()))


def test_models_are_grouped_by_the_weight_of_their_balance():
    assert {name: len(models) for name, models in by_balance(findings.load_and_importance()).items()} == {"shipped": 1, "balance 0": 2}


def test_what_is_kept_can_be_asked_of_skills_that_no_rule_saw():
    record = findings.load_and_importance()
    row = {"kept": {"add": 1.0, "lookup": 0.5, "story": 0.2}}
    assert [mean_kept(record, row, skills) for skills in ("profiled", "held out", "all")] == pytest.approx([0.75, 0.2, 1.7 / 3])
    assert mean_kept(record, {"kept": {"add": 1.0}}, "held out") is None
    with pytest.raises(LearnerError, match="profiled"):
        mean_kept(record, row, "some")


def test_draws_and_seeds_are_all_in_a_line_of_the_closing_figure():
    record = findings.load_and_importance()
    values = closing_means(record, "drawn by lot", "all", "covered", by_balance(record)["balance 0"])
    assert {closed: len(found) for closed, found in values.items()} == {1: 4, 2: 4, 4: 4}
    assert "balance 0, 4 closed: lowest importance 96 %" in alt_text(closing_figure(record))


def test_the_table_of_correlations_tells_text_kept_with_a_quarter_closed():
    head, rows, _ = correlation_rows(findings.load_and_importance())
    assert len(head) == len(rows[0]) and rows[1] == ("balance 0", "0.975", "+0.80", "+0.85", "98 %", "88 %", "80 %")


def test_an_unknown_profile_lists_the_known_ones():
    for builder in (load_against_importance, correlation_figure, correlation_rows):
        with pytest.raises(LearnerError, match="covered and eight"):
            builder(findings.load_and_importance(), "nine")
