"""Records drawn by lot and run once more: the lot, the rows, and the finding that is committed."""

import copy

import pytest

from minideeptalk.baselines.bands import ITEMS_OF, bands_of
from minideeptalk.baselines.summary import committed_records, value_of
from minideeptalk.errors import LearnerError
from minideeptalk.records.finding import read_finding
from minideeptalk.teaching import second_runs
from minideeptalk.teaching.findings import book_finding


def test_a_lot_gives_the_same_records_again_and_another_lot_others():
    names = [[(record["arm"], record["seed"]) for record in second_runs.drawn(5, lot)] for lot in (1, 1, 2)]
    assert names[0] == names[1] != names[2] and len(set(names[0])) == 5


@pytest.mark.parametrize("count", [0, 10**6])
def test_more_than_there_are_is_told(count):
    with pytest.raises(LearnerError, match="--runs"):
        second_runs.drawn(count, 0)


def test_a_finding_tells_both_runs_and_what_was_outside(monkeypatch, tmp_path):
    def forgetful(record, folder, shipped):
        again = copy.deepcopy(record) | {"commit": "a" * 40, "device": {"name": "an abacus"}, "seconds": 10.0}
        if record is not chosen[0]:
            again["metrics"]["relative_text_drop"]["all"] += 0.5
        return again

    chosen = second_runs.drawn(2, 1)
    monkeypatch.setattr(second_runs, "drawn", lambda count, lot: chosen)
    monkeypatch.setattr(second_runs, "rerun", forgetful)
    second_runs.main([str(tmp_path / "runs"), str(tmp_path / "again.json"), "--runs", "2", "--lot", "1"])
    found = read_finding(tmp_path / "again.json", "second-runs")
    same, other = found["result"]["runs"]
    assert same["record"] == same["here"] and same["outside"] == [] and set(same["here"]) == set(ITEMS_OF)
    assert same["devices"] == [chosen[0]["device"]["name"], "an abacus"] and same["commits"] == [chosen[0]["commit"], "a" * 40]
    assert other["here"]["relative_text_drop.all"] == pytest.approx(other["record"]["relative_text_drop.all"] + 0.5)
    assert other["outside"] == ["relative_text_drop.all"] and found["settings"]["lot"] == 1 and found["seconds"] == 20.0


def test_the_committed_second_runs_are_those_of_the_lot_and_inside_as_they_say():
    found = book_finding("nano-second-runs", "second-runs")
    settings, runs = found["settings"], found["result"]["runs"]
    chosen = {(record["arm"], record["seed"]): record for record in committed_records()}
    assert settings["drawn_from"] == len(chosen), "the study has grown: draw again"
    assert [(run["arm"], run["seed"]) for run in runs] == [(record["arm"], record["seed"]) for record in second_runs.drawn(settings["runs"], settings["lot"])]
    for run in runs:
        assert run["record"] == {metric: value_of(chosen[run["arm"], run["seed"]], metric) for metric in ITEMS_OF} and len(set(run["devices"])) == 2
        bands = bands_of(chosen[run["arm"], run["seed"]])
        assert [metric for metric, band in bands.items() if abs(run["here"][metric] - run["record"][metric]) > band] == run["outside"]
