"""What chapter 11 shows of records: every trial with its setting, changes with their intervals, before and after by seed."""

from minideeptalk.teaching import preference_records
from minideeptalk.teaching.preference_records import (
    preference_runs,
    preference_trials,
    runs_table,
    trials_figure,
    trials_table,
    verdicts,
)


def heard(wer, spread=0.2):
    return {"judge_wer": wer, "ear_wer": wer + 0.01, "f0_spread": spread, "length_ratio": 1.0}


def run(seed, after, high):
    model = {"original": heard(0.05), "relative_text_drop": 0.1, "spoken_qa_speech": 0.4}
    change = {"judge_wer": after - 0.3, "low": after - 0.35, "high": high}
    return {"config": {"preference": {"seed": seed}}, "metrics": {"preference": {
        "before": model | {"trained": heard(0.2), "unseen": heard(0.3)},
        "after": model | {"trained": heard(0.2), "unseen": heard(after, 0.1)},
        "change": {"trained": {"judge_wer": 0.0, "low": -0.1, "high": 0.1}, "unseen": change}}}}


def test_the_committed_trials_name_their_setting_and_one_was_taken():
    recorded = preference_trials()
    assert recorded["split"] == "validation" and sum(trial["taken"] for trial in recorded["trials"]) == 1
    assert len({trial["letter"] for trial in recorded["trials"]}) == len(recorded["trials"])
    for trial in recorded["trials"]:
        for texts in ("trained", "unseen"):
            one = trial[texts]
            assert one["low"] <= one["change"] <= one["high"] and abs(one["after"] - one["before"] - one["change"]) < 1e-4


def test_the_trials_are_shown_with_their_intervals_for_both_kinds_of_texts():
    trials = preference_trials()["trials"]
    assert trials_table(trials)._repr_html_().count("<tr") == len(trials) + 1
    figure = trials_figure(trials)
    unseen, trained = (step.args[0] for step in figure.layout.sliders[0].steps)
    assert list(figure.data[0].x) == unseen["x"][0] != trained["x"][0]
    taken = [trial["taken"] for trial in trials].index(True)
    assert figure.data[0].marker.symbol[taken] == "square" and trials[taken]["letter"] in figure.layout.meta["alt"]
    change = trials[taken]["trained"]
    assert abs(trained["x"][0][taken] + trained["error_x.array"][0][taken] - 100 * change["high"]) < 1e-9


def test_before_and_after_stand_side_by_side_with_every_seed():
    html = runs_table([run(0, 0.2, -0.01), run(1, 0.25, 0.02)])._repr_html_()
    assert all(text in html for text in ("after, seed 0", "after, seed 1", "30.0%", "20.0%", "25.0%", "0.200", "0.100"))


def test_a_verdict_says_whether_zero_is_inside_and_what_is_left_of_the_melody():
    lines = verdicts([run(0, 0.2, -0.01), run(1, 0.25, 0.02)])
    assert len(lines) == 4 and "zero is inside" in lines[0]
    assert "-10.0 (-15.0 to -1.0) points, clear of zero; melody 50%" in lines[1] and "zero is inside" in lines[3]


def test_where_no_run_was_made_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(preference_records, "records_folder", lambda: tmp_path)
    assert preference_runs() == []
