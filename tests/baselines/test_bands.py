"""Bands for a second run: as wide as runs of one arm differ, and narrow enough that other arms fall outside."""

import copy
import random
from itertools import combinations

import pytest

from minideeptalk.baselines.bands import COUNTED, LEAST, Spread, bands_of, chance_variance, committed_spreads, spreads_of, value_of
from minideeptalk.baselines.intervals import t_quantile
from minideeptalk.baselines.rerun import comparison_table, outside
from minideeptalk.baselines.summary import committed_records

RECOGNISED = "style_accuracy.recognised"


def with_values(record, metric, value):
    """A record with one of its metrics changed."""
    *path, last = metric.split(".")
    place = record["metrics"]
    for name in path:
        place = place[name]
    place[last] = value
    return record


# ---- the spread --------------------------------------------------------------------------------------------------------


def test_items_that_fall_by_chance_have_no_overdispersion(record_of):
    draw = random.Random(0)
    records = [with_values(record_of(arm, seed), "spoken_qa_text", sum(draw.random() < share for _ in range(200)) / 200)
               for arm, share in (("puremoe", 0.2), ("deeptalk-aligned", 0.5), ("dense", 0.9)) for seed in range(60)]
    assert spreads_of(records)["spoken_qa_text"].overdispersion == pytest.approx(1.0, abs=0.2)


def test_a_spread_of_known_values(record_of):
    records = [with_values(record_of("puremoe", seed), "spoken_qa_text", value) for seed, value in enumerate((0.4, 0.5, 0.6))]
    alone = record_of("dense")  # one seed says nothing
    spread = spreads_of([*records, alone])["spoken_qa_text"]
    assert spread.freedom == 2 and spread.factor == pytest.approx(0.02 / 0.25 / 2) and spread.overdispersion == pytest.approx(8.0)
    assert spreads_of([alone]) == {}


def test_errors_per_word_are_no_share_and_certainty_is_never_claimed():
    assert chance_variance("asr_wer", 2.0, 200) == 2.0 and chance_variance("spoken_qa_text", 0.5, 10**6) == pytest.approx(0.25)
    assert 0 < chance_variance("spoken_qa_text", 1.0, 200) < 0.01 and 0 < chance_variance("asr_wer", 0.0, 200) < 0.01
    assert chance_variance("relative_text_drop.all", -0.02, 200) == chance_variance("relative_text_drop.all", 0.0, 200)


# ---- the band ----------------------------------------------------------------------------------------------------------


def test_a_band_is_the_spread_of_a_difference_at_the_mean_of_both(record_of):
    first, second = (with_values(record_of("puremoe"), "spoken_qa_text", value) for value in (0.4, 0.6))
    spreads = {"spoken_qa_text": Spread(0.01, 200, 30), "asr_wer": Spread(1e-9, 200, 30)}
    bands = bands_of(first, second, spreads)
    assert bands["spoken_qa_text"] == pytest.approx(t_quantile(30, 0.999) * (2 * 0.01 * 0.25) ** 0.5, rel=1e-3) and bands["asr_wer"] == LEAST
    first["metrics"]["counts"]["spoken_questions"] = 50  # a quarter of the items, twice the error
    assert bands_of(first, second, spreads)["spoken_qa_text"] == pytest.approx(2 * bands["spoken_qa_text"], rel=1e-3)
    assert "asr_wer" not in bands_of(with_values(first, "asr_wer", None), second, spreads)


def test_what_no_run_could_fail_is_not_called_inside(record_of):
    first, second = record_of("deeptalk-aligned"), record_of("deeptalk-aligned")
    assert RECOGNISED not in bands_of(first, second, {RECOGNISED: Spread(0.3, 100, 166)})
    told = comparison_table(first, second)
    assert RECOGNISED in committed_spreads() and f"not held, since runs of one recipe differ by nearly all there is: {RECOGNISED}" in told


def test_a_second_run_is_told_metric_by_metric(record_of):
    first, second = record_of("deeptalk-aligned"), record_of("deeptalk-aligned")
    held = len(bands_of(first, second))
    assert outside(first, second) == [] and held == len(COUNTED) - 1 and f"{held} of {held} inside" in comparison_table(first, second)
    second["metrics"]["spoken_qa_text"] += 0.4
    second["metrics"]["asr_wer"] = None
    told = comparison_table(first, second)
    assert [row.metric for row in outside(first, second)] == ["spoken_qa_text"] and f"{held - 2} of {held} inside" in told
    assert any("asr_wer" in line and "not measured" in line for line in told.splitlines())
    second["size"] = "mini"
    assert "setting differs: size" in comparison_table(first, second)


# ---- on the committed study --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    return committed_records()


def test_seeds_of_one_arm_are_inside_and_some_arms_are_outside_in_every_metric(study):
    of_one_arm = [bool(outside(first, second)) for first, second in combinations(study, 2) if first["arm"] == second["arm"]]
    assert len(of_one_arm) > 300 and sum(of_one_arm) / len(of_one_arm) < 0.05
    of_two_arms = [{row.metric for row in outside(first, second)} for first, second in combinations(study, 2) if first["seed"] == second["seed"] == 0]
    assert sum(map(bool, of_two_arms)) / len(of_two_arms) > 0.5
    assert set().union(*of_two_arms) == set(COUNTED) - {RECOGNISED}


@pytest.mark.parametrize("claimed, ran, metric", [("deeptalk-aligned", "puremoe", "relative_text_drop.all"), ("deeptalk-aligned", "deeptalk", "tts_wer.unseen"),
                                                  ("deeptalk-aligned", "without-3", "spoken_qa_speech"), ("puremoe", "modular", "style_accuracy.mirrored")])
def test_another_arm_under_a_false_name_is_found_in_every_seed(study, claimed, ran, metric):
    runs = {(record["arm"], record["seed"]): record for record in study}
    for seed in range(3):
        assert metric in {row.metric for row in outside(runs[claimed, seed], runs[ran, seed])}, seed


def test_a_model_that_learnt_nothing_is_outside_of_every_record_that_learnt_something(study):
    nothing = {"spoken_qa_text": 0.0, "spoken_qa_speech": 0.0, "asr_wer": 1.0, "tts_wer.trained": 1.0, "tts_wer.unseen": 1.0, "relative_text_drop.all": 1.0}
    held = 0
    for record in study:
        for metric, value in nothing.items():
            better = value_of(record, metric) - value if value == 0 else value - value_of(record, metric)
            if better > 0.5:
                untaught = with_values(copy.deepcopy(record), metric, value)
                held += 1
                assert [row.metric for row in outside(record, untaught)] == [metric], record["arm"]
    assert held > len(study)
