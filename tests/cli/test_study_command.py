"""`study` and `compare`: thin, explained, safe to interrupt; the study itself is tested where it lives."""

import shutil

import pytest

from minideeptalk.records import RunRecord, read_record


@pytest.fixture
def plans(monkeypatch):
    """The study, replaced by a list of the plans it got."""
    got = []
    monkeypatch.setattr("minideeptalk.teaching.research.run_study", lambda plan, workers, trials: got.append((plan, workers)))
    monkeypatch.setattr("minideeptalk.teaching.research.shipped_run", lambda: "shipped")
    return got


@pytest.fixture
def folder(tmp_path, run):
    """A study of one finished run."""
    record = read_record(run) | {"arm": "deeptalk-aligned"}
    RunRecord(**record).write(tmp_path / "study" / "records" / "deeptalk-aligned-s0.json")
    return tmp_path / "study"


def test_a_tier_and_its_seeds_become_a_plan_and_the_table_is_printed(command, plans, folder):
    status, out, _ = command("study", "--out", folder, "--tier", "B", "--scale", "0.5", "--workers", 1)
    plan, workers = plans[0]
    assert status == 0 and workers == 1 and "paper: DeepOmni" in out and "deeptalk-aligned" in out
    assert (plan.size, plan.seeds, plan.scale, plan.shipped) == ("nano", (0, 1, 2), 0.5, "shipped") and "replay" in {arm.name for arm in plan.arms}


def test_arms_and_seeds_can_be_named(command, plans, folder):
    command("study", "--out", folder, "--arms", "puremoe,dense", "--seed", 2, "--seeds", 2, "--size", "mini")
    plan, _ = plans[0]
    assert ([arm.name for arm in plan.arms], plan.seeds, plan.shipped) == (["puremoe", "dense"], (2, 3), None)


def test_rates_that_another_study_tried_are_taken_over_or_missed(command, plans, folder, tmp_path):
    words = ("study", "--out", tmp_path / "larger", "--size", "mini", "--rates", folder)
    status, _, err = command(*words, "--arms", "deeptalk-aligned")
    assert status == 2 and "trials of every arm" in err and plans == []
    path = folder / "records" / "deeptalk-aligned-s0.json"
    record = read_record(path)
    record["budget"]["learning_rate_trials"] = [{"factor": 3.0, "score": 0.5}]
    RunRecord(**record).write(path)
    assert command(*words, "--arms", "deeptalk-aligned,puremoe")[2].count("none of puremoe;")
    assert command(*words, "--arms", "deeptalk-aligned", "--trials")[0] == 2 and plans == []
    command(*words, "--arms", "deeptalk-aligned")
    assert plans[0][0].tried == folder


def test_the_table_alone_trains_nothing(command, plans, folder, tmp_path):
    assert command("study", "--out", folder, "--table")[0] == 0 and plans == []
    status, _, err = command("study", "--out", tmp_path / "none", "--table")
    assert status == 2 and "no run" in err


@pytest.mark.parametrize("words, says", [(("--arms", "crooked"), "puremoe"), (("--size", "giant"), "nano, mini, base"),
                                         (("--seeds", "0"), "--seeds"), (("--seed", "-1"), "--seed, got -1"),
                                         (("--scale", "-1"), "--scale"), (("--tier", "Z"), "--tier")])
def test_what_cannot_be_is_told_in_one_line(command, plans, folder, words, says):
    status, _, err = command("study", "--out", folder, *words)
    assert status == 2 and says in err and err.count("\n") == 1 and plans == []


def test_an_interruption_says_how_to_go_on(command, monkeypatch, folder):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr("minideeptalk.teaching.research.run_study", interrupted)
    status, _, err = command("study", "--out", folder)
    assert status == 130 and "the same command goes on" in err


@pytest.mark.parametrize("changed, status", [(0.0, 0), (0.4, 1)])
def test_a_compared_record_is_run_again_and_its_verdict_is_the_exit_status(command, monkeypatch, folder, tmp_path, changed, status):
    path = folder / "records" / "deeptalk-aligned-s0.json"
    published = read_record(path)
    published["metrics"]["counts"] = {"text_items_per_family": 200, "spoken_questions": 200, "spoken_answers": 200, "ceilings": 100}
    RunRecord(**published).write(path)
    again = published | {"metrics": published["metrics"] | {"spoken_qa_text": published["metrics"]["spoken_qa_text"] + changed}}
    monkeypatch.setattr("minideeptalk.teaching.research.rerun", lambda record, folder, shipped: again)
    got, out, _ = command("compare", path, "--out", tmp_path / "again")
    assert got == status and ("outside" in out) is bool(changed) and "inside the band" in out


@pytest.mark.parametrize("words", [("study",), ("compare",)])
def test_the_help_teaches(command, words):
    status, out, _ = command(*words, "--help")
    assert status == 0 and "example:" in out and "--seed N" in out and max(map(len, out.splitlines())) <= 120


def test_a_record_of_no_study_needs_its_folder(command, tmp_path):
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    assert command("compare", tmp_path / "none", "--out", tmp_path / "again")[0] == 2
