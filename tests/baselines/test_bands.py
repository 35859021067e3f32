"""Bands for a second run: wider than runs of one arm differ, and narrow enough that other arms fall outside."""

import copy
import random
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from minideeptalk.baselines.bands import ITEMS_OF, LEAST, SCALE, SIZE, WIDTH, Spread, bands_of, chance_variance, overdispersion, spreads_of
from minideeptalk.baselines.rerun import comparison_table, outside
from minideeptalk.baselines.summary import committed_records, value_of

STUDY = Path(__file__).resolve().parents[2] / "book" / "records" / "study"
NO_LEARNING = {"relative_text_drop.all": 1.0, "asr_wer": 1.0, "tts_wer.trained": 1.0, "tts_wer.unseen": 1.0,
               "spoken_qa_text": 0.15, "spoken_qa_speech": 0.15, "style_accuracy.mirrored": 0.25}


def with_value(record, metric, value):
    """The record with one of its metrics changed."""
    changed = copy.deepcopy(record)
    *path, last = metric.split(".")
    place = changed["metrics"]
    for name in path:
        place = place[name]
    place[last] = value
    return changed


# ---- the spread --------------------------------------------------------------------------------------------------------


def test_independent_items_have_an_overdispersion_of_one():
    draw = random.Random(0)
    for share in (0.2, 0.5, 0.9):
        runs = [sum(draw.random() < share for _ in range(200)) / 200 for _ in range(2000)]
        assert overdispersion("spoken_qa_text", runs, 200) == pytest.approx(1.0, abs=0.1)


def test_an_overdispersion_of_known_values():
    assert overdispersion("spoken_qa_text", (0.4, 0.5, 0.6), 200) == pytest.approx(0.01 / (0.25 / 200))
    assert overdispersion("asr_wer", (1.9, 2.0, 2.1), 200) == pytest.approx(0.01 / (2.0 / 200))


def test_errors_per_word_are_no_share_and_nothing_is_certain():
    assert chance_variance("asr_wer", 2.0, 200) == 2.0 / 200 and chance_variance("spoken_qa_text", 0.5, 200) == pytest.approx(0.25 / 200)
    assert 0 < chance_variance("spoken_qa_text", 1.0, 200) < 1e-4 and 0 < chance_variance("asr_wer", 0.0, 200) < 1e-4
    assert chance_variance("relative_text_drop.all", -0.02, 200) == chance_variance("relative_text_drop.all", 0.0, 200)


def test_steady_arms_share_a_spread_and_an_unsteady_one_keeps_its_own(record_of):
    def runs(arm, apart):
        return [with_value(record_of(arm, seed), "spoken_qa_text", 0.5 + apart * (seed - 1)) for seed in range(3)]

    steady = [run for number in range(9) for run in runs(f"random-{number}", 0.02)]
    spread = spreads_of([*steady, *runs("dense", 0.2), record_of("puremoe")])["spoken_qa_text"]
    assert spread.usual == pytest.approx(0.0004 / (0.25 / 200)) and set(spread.unsteady) == {"dense"}
    assert spread.unsteady["dense"] == pytest.approx(100 * spread.usual) and "puremoe" not in spread.means  # one seed says nothing
    assert spreads_of([record_of("puremoe")]) == {}


# ---- the band ----------------------------------------------------------------------------------------------------------


def test_a_band_is_so_many_errors_of_a_difference(record_of):
    record = with_value(record_of("puremoe"), "spoken_qa_text", 0.5)
    of_arm = {"spoken_qa_text": Spread("spoken_qa_text", 200, 2.0, {"dense": 3.0}, {"puremoe": 0.2}), "asr_wer": Spread("asr_wer", 200, 1e-9, {}, {})}
    bands = bands_of(record, of_arm)
    assert bands["spoken_qa_text"] == pytest.approx(WIDTH * (2 * 2.0 * 0.2 * 0.8 / 200) ** 0.5, rel=0.01)  # at the mean of the arm, not at the run's
    assert bands["asr_wer"] == LEAST and "asr_wer" not in bands_of(with_value(record, "asr_wer", None), of_arm)
    record["arm"] = "dense"
    assert bands_of(record, of_arm)["spoken_qa_text"] == pytest.approx(WIDTH * (2 * 3.0 * 0.25 / 200) ** 0.5, rel=0.01)
    record["metrics"]["counts"]["spoken_questions"] = 150
    assert bands_of(record, of_arm)["spoken_qa_text"] == pytest.approx(WIDTH * (2 * 3.0 * 0.25 / 150) ** 0.5, rel=0.01)
    record["metrics"]["counts"]["spoken_questions"] = 10**6  # more items do not bring runs closer
    assert bands_of(record, of_arm)["spoken_qa_text"] == pytest.approx(WIDTH * (2 * 3.0 * 0.25 / 200) ** 0.5, rel=0.01)


def test_what_no_run_could_fail_is_not_called_inside(record_of):
    mirrored = "style_accuracy.mirrored"
    record = with_value(record_of("deeptalk-aligned"), mirrored, 0.6)
    assert mirrored in bands_of(record, {mirrored: Spread(mirrored, 100, 1.0, {}, {})})
    assert mirrored not in bands_of(record, {mirrored: Spread(mirrored, 100, 6.0, {}, {})})  # from below guessing to above perfect
    told = comparison_table(record, record)
    assert f"no verdict, its band would reach from guessing to perfect: {mirrored}" in told


def test_a_record_without_counts_or_chance_has_bands_too(record_of):
    record = record_of("deeptalk-aligned")
    counted = bands_of(record)
    record["metrics"]["counts"] = {"spoken_questions": 0}
    assert bands_of(record) == counted
    record["metrics"]["chance"]["spoken_qa_text"] = None
    assert set(bands_of(record)) == set(counted)


@pytest.mark.parametrize("other", [{"size": "mini"}, {"config": {"study": {"scale": 1.0}}}, {"config": {}}])
def test_a_run_of_another_size_or_length_is_held_at_its_own_value(record_of, other):
    record = with_value(record_of("dense"), "spoken_qa_text", 0.5) | other
    spreads = {"spoken_qa_text": Spread("spoken_qa_text", 200, 2.0, {"dense": 8.0}, {"dense": 0.1})}
    assert bands_of(record, spreads)["spoken_qa_text"] == pytest.approx(WIDTH * (2 * 2.0 * 0.25 / 200) ** 0.5, rel=0.01)


def test_the_committed_study_is_as_the_constants_say():
    assert {(record["size"], record["config"]["study"]["scale"]) for record in committed_records()} == {(SIZE, SCALE)}


def test_a_second_run_is_told_metric_by_metric(record_of):
    first = record_of("deeptalk-aligned")
    held = len(bands_of(first))
    assert outside(first, first) == [] and held >= len(ITEMS_OF) - 1 and f"{held} of {held} inside" in comparison_table(first, first)
    second = with_value(with_value(first, "spoken_qa_text", first["metrics"]["spoken_qa_text"] + 0.4), "asr_wer", None)
    told = comparison_table(first, second | {"size": "mini"})
    assert [row.metric for row in outside(first, second)] == ["spoken_qa_text"] and f"{held - 2} of {held} inside" in told
    assert any("asr_wer" in line and "not measured" in line for line in told.splitlines()) and "setting differs: size" in told


# ---- on the committed study --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    return committed_records()


def test_hardly_a_pair_leaves_bands_that_were_measured_on_other_seeds(study):
    verdicts = []
    for left_out in {record["seed"] for record in study}:
        spreads = spreads_of([record for record in study if record["seed"] != left_out])
        for published, again in permutations(study, 2):
            if published["arm"] == again["arm"] and again["seed"] == left_out:
                bands = bands_of(published, spreads)
                verdicts.append(any(abs(value_of(again, metric) - value_of(published, metric)) > band for metric, band in bands.items()))
    assert len(verdicts) > 600 and sum(verdicts) / len(verdicts) < 0.05


def test_most_arms_fall_outside_of_each_others_bands_and_every_metric_tells_some_apart(study):
    first_seed = [record for record in study if record["seed"] == 0]
    told = [{row.metric for row in outside(*pair)} for pair in permutations(first_seed, 2)]
    by_metric = Counter(metric for metrics in told for metric in metrics)
    assert sum(map(bool, told)) / len(told) > 0.6 and set(by_metric) == set(ITEMS_OF) and min(by_metric.values()) > 100


@pytest.mark.parametrize("claimed, ran, metric", [("deeptalk-aligned", "puremoe", "relative_text_drop.all"), ("deeptalk-aligned", "deeptalk", "tts_wer.unseen"),
                                                  ("deeptalk-aligned", "without-3", "spoken_qa_speech"), ("puremoe", "modular", "style_accuracy.mirrored")])
def test_another_arm_under_a_false_name_is_found_in_every_seed(study, claimed, ran, metric):
    runs = {(record["arm"], record["seed"]): record for record in study}
    for seed in range(3):
        assert metric in {row.metric for row in outside(runs[claimed, seed], runs[ran, seed])}, seed


def test_a_run_that_failed_in_one_ability_is_outside_of_records_that_had_it(study):
    """One ability at the level of no learning, all others as published: found wherever the record was far above it."""
    held = Counter()
    for record in study:
        for metric in set(NO_LEARNING) & set(bands_of(record)):
            had = abs(value_of(record, metric) - NO_LEARNING[metric])
            if had > 0.45:
                held[metric] += 1
                assert [row.metric for row in outside(record, with_value(record, metric, NO_LEARNING[metric]))] == [metric], record["arm"]
    assert set(held) == set(NO_LEARNING) and min(held.values()) > 20


@pytest.mark.slow
def test_a_committed_record_drawn_at_random_comes_out_again(tmp_path):
    """A healthy second run leaves some band now and then; two that were drawn apart hardly ever both do."""
    from minideeptalk.teaching.research import compare

    lot = random.randrange(10**6)
    reports = []
    for chosen in random.Random(lot).sample(sorted(STUDY.glob("*.json")), 2):  # of nano, which takes minutes
        report, inside = compare(chosen, tmp_path / chosen.stem)
        reports.append(f"{chosen.name}\n{report}")
        print(reports[-1])
        if inside:
            return
    pytest.fail(f"lot {lot}: two second runs lie outside their bands\n" + "\n".join(reports))
