import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.records import compare, corrected, different_settings, relative_text_drop, show
from minideeptalk.records.abilities import percent


def test_chance_counts_as_nothing():
    assert corrected(0.5, 0.5) == 0
    assert corrected(1.0, 0.5) == 1
    assert corrected(0.75, 0.5) == 0.5
    assert corrected(0.3, 0.0) == 0.3


def test_the_drop_by_hand():
    # add: (.8 - .6) / .8 = .25;  grammar: corrected .8 and .4, so (.8 - .4) / .8 = .5
    drop = relative_text_drop({"add": 0.8, "grammar": 0.9}, {"add": 0.6, "grammar": 0.7}, {"add": 0.0, "grammar": 0.5}, ["add"])
    assert drop["by_family"] == pytest.approx({"add": 0.25, "grammar": 0.5})
    assert drop["all"] == pytest.approx(0.375)
    assert drop["covered"] == pytest.approx(0.25)
    assert drop["uncovered"] == pytest.approx(0.5)
    assert drop["left_out"] == []


def test_uncorrected_accuracy_would_hide_half_of_it():
    uncorrected = (0.9 - 0.7) / 0.9
    drop = relative_text_drop({"grammar": 0.9}, {"grammar": 0.7}, {"grammar": 0.5}, [])
    assert drop["all"] > 2 * uncorrected


def test_what_was_never_learnt_cannot_be_forgotten():
    drop = relative_text_drop({"add": 0.8, "story": 0.54}, {"add": 0.8, "story": 0.1}, {"add": 0.0, "story": 0.5}, ["add"])
    assert drop["left_out"] == ["story"]
    assert drop["all"] == 0
    assert drop["uncovered"] is None


def test_a_gain_is_a_negative_drop():
    assert relative_text_drop({"add": 0.5}, {"add": 0.75}, {"add": 0.0}, ["add"])["all"] == pytest.approx(-0.5)


@pytest.mark.parametrize(("after", "covered", "named"), [({"sort": 0.5}, [], "add"), ({"add": 0.5}, ["sing"], "sing")])
def test_families_that_do_not_match_are_named(after, covered, named):
    with pytest.raises(LearnerError, match=named):
        relative_text_drop({"add": 0.5}, after, {"add": 0.0}, covered)


def test_inside_and_outside_the_band(record):
    other = {**record, "metrics": {**record["metrics"], "asr_wer": 0.14, "spoken_qa_text": None}}
    rows = {row.metric: row for row in compare(record, other, {"asr_wer": 0.04, "codec_wer": 0.0, "spoken_qa_text": 0.1})}
    assert rows["asr_wer"].inside is False
    assert rows["asr_wer"].difference == pytest.approx(0.05)
    assert rows["codec_wer"].inside is True
    assert rows["spoken_qa_text"].inside is None


def test_a_band_for_an_unknown_metric_is_refused(record):
    with pytest.raises(LearnerError, match="asr_werr"):
        compare(record, record, {"asr_werr": 0.1})


def test_runs_of_another_setting_are_told_apart(record):
    assert different_settings(record, record) == []
    other = {**record, "arm": "pure_moe", "config": {**record["config"], "name": "mini"}}
    assert different_settings(record, other) == ["arm", "config.name"]


@pytest.mark.parametrize(("value", "text"), [
    (None, "-"), (0, "0 %"), (-0.0001, "0 %"), (0.003, "0.3 %"), (0.0996, "10 %"), (0.0994, "9.9 %"), (0.425, "42 %"), (1, "100 %"),
    (-0.011, "-1.1 %"), (1.32, "132 %")])
def test_percentages_read_as_people_write_them(value, text):
    assert percent(value) == text


def test_the_terminal_table_shows_the_record(record):
    record["metrics"]["asr_wer"] = None
    record["not_measured"]["metrics.asr_wer"] = "not part of this arm"
    text = show(record)
    for words in ("deeptalk", "An invented CPU", "43 %", "grammar", "not part of this arm", "168 ms"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100
