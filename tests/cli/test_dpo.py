"""`dpo`: from a finished run to a second model, a comparison on held-out material, and a record of both."""

import json
from dataclasses import replace

import pytest
import torch

from minideeptalk.model.checkpoints import load_stage
from minideeptalk.records import RunRecord, read_record
from minideeptalk.training import dpo_run
from minideeptalk.training.preferences import Pair, PreferencePlan, Preferences, Request, Take


def invented_pairs(*arguments):
    request = Request(("red", "cat", "box"), "sad")
    takes = [Take((0, 2, 4), error, torch.randint(0, 8, (6, 7), generator=torch.Generator().manual_seed(number)))
             for number, error in enumerate((0.0, 1.0))]
    return Preferences([Pair(request, *takes)], {"requests": 1, "takes": 6, "usable": 6, "error": 0.5})


@pytest.fixture
def quick(run, monkeypatch):
    """A run of few updates and items; the rest of its evaluation is taken from its record."""
    stage = dpo_run.preference_stage
    monkeypatch.setattr(dpo_run, "preference_stage", lambda size: replace(stage(size), updates=2, batch=2))
    monkeypatch.setattr(dpo_run, "make_preferences", invented_pairs)
    monkeypatch.setattr(dpo_run, "measure", lambda recipe, *rest: read_record(recipe.folder)["metrics"])
    text_accuracy = dpo_run.text_accuracy
    monkeypatch.setattr(dpo_run, "text_accuracy", lambda model, builder, split, count: text_accuracy(model, builder, split, 2))
    return run


def test_stage_4_trains_compares_and_leaves_a_record(command, quick):
    elsewhere = read_record(quick)
    elsewhere["device"] |= {"kind": "cuda", "precision": "bf16"}  # stages 1 to 3 ran on another machine
    RunRecord(**elsewhere).write(quick / "record.json")
    before = read_record(quick)
    status, out, _ = command("dpo", quick, "--quiet")
    assert status == 0 and "| word error rate, unseen texts, ear |" in out
    record = read_record(quick / "record-dpo.json")
    assert record["device"]["kind"] == ("cuda" if torch.cuda.is_available() else "cpu") and record["device"]["precision"] != "bf16"
    found = record["metrics"]["preference"]
    assert set(found["before"]) == set(found["after"]) and found["before"]["original"] == found["after"]["original"]
    for texts in ("trained", "unseen"):
        change = found["after"][texts]["judge_wer"] - found["before"][texts]["judge_wer"]
        assert found["change"][texts]["judge_wer"] == pytest.approx(change)
        assert found["change"][texts]["low"] <= change + 1e-9 and found["change"][texts]["high"] >= change - 1e-9
    assert record["budget"]["updates"] == before["budget"]["updates"] + 2 and record["budget"]["by_stage"]["4"]["updates"] == 2
    assert any(point["stage"] == "4" and point["name"] == "preference_accuracy" for point in record["curves"])
    assert read_record(quick) == before  # the run's own record stays
    one, two = (load_stage(quick, stage).state_dict() for stage in ("3-joint", "4-dpo"))
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_a_finished_stage_4_is_shown_again_and_not_trained_again(command, quick, monkeypatch):
    first = command("dpo", quick, "--quiet", "--json")[1]
    monkeypatch.setattr(dpo_run, "train_stage", lambda *arguments, **more: pytest.fail("trained again"))
    assert command("dpo", quick, "--quiet", "--json")[1] == first and json.loads(first)["pairs"]["pairs"] == 1


@pytest.mark.parametrize("words, got", [(("--seed", 1), "seed 1 and 900 requests"), (("--requests", 50), "seed 0 and 50 requests")])
def test_a_finished_stage_4_is_not_shown_as_one_of_another_seed_or_number_of_requests(command, quick, words, got):
    assert command("dpo", quick, "--quiet")[0] == 0
    status, out, err = command("dpo", quick, "--quiet", *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "expected seed 0 and 900 requests" in err and got in err and "stages/4-dpo" in err


def test_progress_of_other_pairs_is_not_taken_up(quick, monkeypatch):
    folders = []

    def train_stage(*arguments, progress_folder, **more):
        folders.append(progress_folder)
        return {}

    monkeypatch.setattr(dpo_run, "train_stage", train_stage)
    for seed, requests in ((0, 900), (1, 900), (0, 50)):
        dpo_run.PreferenceRun(quick, dpo_run.PreferencePlan(requests=requests), seed, progress=False).train(invented_pairs())
    assert len(set(folders)) == 3


def test_a_model_whose_takes_do_not_differ_is_explained(command, quick, monkeypatch):
    monkeypatch.setattr(dpo_run, "make_preferences", lambda *arguments: Preferences([], {"requests": 1, "takes": 6, "usable": 0, "error": 0}))
    status, _, err = command("dpo", quick, "--quiet")
    assert status == 2 and "--requests" in err and err.count("\n") == 1


def test_a_folder_without_a_run_is_explained(command, tmp_path):
    status, _, err = command("dpo", tmp_path)
    assert status == 2 and err.count("\n") == 1


def test_no_requests_are_explained(command, quick):
    status, _, err = command("dpo", quick, "--requests", 0)
    assert status == 2 and "request" in err and err.count("\n") == 1


def test_both_models_are_examined_on_the_split_that_was_asked_for(quick, monkeypatch):
    asked = []
    monkeypatch.setattr(dpo_run, "text_accuracy", lambda model, builder, split, count: asked.append(split) or read_record(quick)["metrics"]["text_accuracy"]["before"])
    monkeypatch.setattr(dpo_run, "spoken_questions", lambda model, builder, examiners, questions: asked.append(questions) or dict.fromkeys(
        ("spoken_qa_text", "spoken_qa_speech", "text_beside_speech"), 0.5))
    monkeypatch.setattr(dpo_run, "delivery", lambda model, builder, examiners, ear, train, held_out, count: asked.append((train, held_out)) or {})
    stage = dpo_run.PreferenceRun(quick, progress=False)
    stage.spoken["test"].questions[0].voice = dpo_run.HELD_OUT_VOICE.name
    for split in ("test", "validation"):
        asked.clear()
        stage.examine(split)
        questions = stage.spoken[split].questions
        assert asked == [split, questions if split == "validation" else questions[1:], (stage.spoken["train"], stage.spoken[split])]


def test_pairs_of_another_plan_have_another_place():
    plan = PreferencePlan(requests=5)
    assert plan.name == PreferencePlan(requests=9).name  # parts of a longer or shorter plan are the same
    assert len({plan.name, replace(plan, aloud=0.5).name, replace(plan, right=False).name, replace(plan, temperatures=(0.0, 1.0)).name}) == 4
