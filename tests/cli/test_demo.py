"""`demo`: from the shipped parts to a page; it goes on where it was, and it does not choose its question by the answer."""

import json
import shutil

import pytest

from minideeptalk.baselines import find_arm
from minideeptalk.baselines.routing import HardRouter
from minideeptalk.experts import Selection
from minideeptalk.records import read_record
from minideeptalk.teaching.demo import describe, show_run
from minideeptalk.teaching.samples import SHIPPED_PARTS, sample_questions, samples_folder


@pytest.fixture
def samples(finished_run, question, tmp_path, monkeypatch):
    """Samples like the shipped ones, with the miniature run in place of the trained one."""
    folder = tmp_path / "samples"
    shutil.copytree(finished_run, folder / "nano")
    (folder / "clips").mkdir()
    shutil.copy(question, folder / "clips" / "q.wav")
    clips = [{"file": "r.wav", "kind": "reply", "words": "hat"},
             {"file": "q.wav", "kind": "question", "words": "what is two plus two", "answer": "four"}]
    (folder / "clips.json").write_text(json.dumps(clips))
    monkeypatch.setattr("minideeptalk.teaching.samples.samples_folder", lambda: folder)
    return folder


@pytest.fixture
def recipe(monkeypatch, finished_run):
    """The recipe, replaced by a copy of a finished run."""
    calls = []

    def run_recipe(size, folder, seed, arm, shipped, progress):
        calls.append((size, seed, shipped))
        settings = (folder / "config.json").read_text()
        shutil.copytree(finished_run, folder, dirs_exist_ok=True)
        (folder / "config.json").write_text(settings)
        return read_record(folder)

    monkeypatch.setattr("minideeptalk.teaching.demo.run_recipe", run_recipe)
    return calls


def test_the_demo_trains_from_the_shipped_parts_answers_and_reports(command, recipe, samples, tmp_path):
    status, out, _ = command("demo", "--out", tmp_path / "demo", "--quiet")
    assert status == 0 and recipe == [("nano", 0, samples / "nano")]
    assert "question  what is two plus two" in out and "right: four" in out
    assert str((tmp_path / "demo" / "report.html").resolve()) in out and "minideeptalk talk" in out
    assert (tmp_path / "demo" / "answer.wav").is_file()
    html = (tmp_path / "demo" / "report.html").read_text()
    assert html.count("<audio") == 5  # question, answer, codec's copy, a trained and an unseen text


def test_a_finished_demo_only_asks_again(command, recipe, samples, tmp_path):
    for _ in range(2):
        status, out, _ = command("demo", "--out", tmp_path / "demo")
    assert status == 0 and len(recipe) == 1 and "finished demo" in out


def test_from_scratch_nothing_shipped_is_used(command, recipe, samples, tmp_path):
    assert command("demo", "--out", tmp_path / "demo", "--scratch", "--seed", 3)[0] == 0
    assert recipe == [("nano", 3, None)]
    status, _, err = command("demo", "--out", tmp_path / "demo", "--seed", 3)
    assert status == 2 and "scratch" in err


def test_missing_shipped_parts_are_explained(command, recipe, samples, tmp_path):
    (samples / "nano" / "ear" / "ear.safetensors").unlink()
    status, _, err = command("demo", "--out", tmp_path / "demo")
    assert status == 2 and "ear.safetensors" in err and "--scratch" in err and recipe == []


def test_a_run_without_samples_still_gets_its_report(run, samples):
    (samples / "clips.json").unlink()
    shown = show_run(run, read_record(run))
    assert shown.question is None and shown.report.is_file() and not (run / "answer.wav").exists()
    assert "question.wav" in "\n".join(describe(shown, run))


@pytest.mark.skipif(not (samples_folder() / "clips.json").is_file(), reason="the samples are not made yet")
def test_the_shipped_samples_are_complete():
    assert [part for part in SHIPPED_PARTS if not (samples_folder() / part).is_file()] == []
    questions = sample_questions()
    assert len(questions) >= 10 and all(question.path.is_file() and question.words and question.answer for question in questions)


@pytest.mark.slow
@pytest.mark.skipif(not (samples_folder() / "clips.json").is_file(), reason="the samples are not made yet")
def test_the_demo_really_runs(command, tmp_path):
    status, _, _ = command("demo", "--out", tmp_path / "demo")
    assert status == 0 and (tmp_path / "demo" / "report.html").is_file()
    assert read_record(tmp_path / "demo")["metrics"]["spoken_qa_text"] > 0.1


def test_a_run_of_an_arm_that_changes_its_model_is_shown_as_it_was_trained(run, samples, monkeypatch):
    arm = find_arm("deeptalk-by-token")
    (run / "config.json").write_text(json.dumps({"size": "nano", "seed": 0, "arm": arm.name, "scratch": True}))
    shutil.copytree(run / "stages" / "0-pretrain", run / "stages" / "1-align")
    Selection(((1, 2),) * 2, 4, "by hand").save(run / "selection.json")
    shown = []
    monkeypatch.setattr("minideeptalk.teaching.demo.ask_samples", lambda talker, *_: shown.append(talker))
    show_run(run, read_record(run))
    assert all(isinstance(mixture.router, HardRouter) for mixture in shown[0].model.mixtures())
