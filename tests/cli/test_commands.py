"""The commands around a run: their help teaches, their errors are one line, and each is one call of the library."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from minideeptalk.cli import main
from minideeptalk.records import read_record

COMMANDS = (("doctor",), ("demo",), ("train",), ("evaluate",), ("talk",), ("dpo",), ("profile",), ("explain",), ("record", "show"), ("bench",))


@pytest.fixture
def recipe(monkeypatch):
    """The recipe, replaced by a list of the calls it got."""
    calls = []

    def run_recipe(size, folder, seed, arm, shipped, progress):
        calls.append({"size": size, "seed": seed, "arm": arm.name, "shipped": shipped, "progress": progress})
        raise KeyboardInterrupt

    monkeypatch.setattr("minideeptalk.teaching.demo.run_recipe", run_recipe)
    return calls


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_each_command_teaches_by_an_example(command, words):
    status, out, _ = command(*words, "--help")
    assert status == 0
    assert "example:" in out and f"minideeptalk {' '.join(words)}" in out.split("example:")[1]
    assert "--seed N" in out and max(map(len, out.splitlines())) <= 120


def test_the_first_help_names_every_command(command):
    status, out, _ = command("--help")
    assert status == 0 and all(words[0] in out for words in COMMANDS)


@pytest.mark.parametrize("words", [(), ("dance",), ("train",), ("train", "--out"), ("record",), ("evaluate",),
                                   ("talk", "x", "--seed", "one")])
def test_a_mistyped_command_is_answered_in_one_line(command, words):
    status, out, err = command(*words)
    assert (status, out, err.count("\n")) == (2, "", 1) and "--help" in err


def test_a_process_starts_without_torch_and_prints_no_noise(run):
    probe = "import sys, minideeptalk.cli; print({'torch', 'numpy', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "set()\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_", "PYTHONWARNINGS"))}
    done = subprocess.run([sys.executable, "-m", "minideeptalk.cli", "talk", str(run), "--text", "say hat"], capture_output=True,
                          text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


# ---- train ---------------------------------------------------------------------------------------------------------------


def test_training_is_one_call_of_the_recipe(command, recipe, tmp_path):
    command("train", "--size", "mini", "--out", tmp_path / "new", "--seed", 7, "--arm", "deeptalk", "--quiet")
    assert recipe == [{"size": "mini", "seed": 7, "arm": "deeptalk", "shipped": None, "progress": False}]


def test_an_interrupted_training_says_how_to_go_on_and_does_so(command, recipe, tmp_path):
    status, _, err = command("train", "--size", "mini", "--out", tmp_path / "new", "--seed", 7)
    assert status == 130 and f"minideeptalk train --resume --out {tmp_path / 'new'}" in err
    command("train", "--resume", "--out", tmp_path / "new")
    assert recipe[0] == recipe[1]


def test_a_folder_in_use_is_left_alone(command, recipe, tmp_path):
    (tmp_path / "letter.txt").write_text("dear diary")
    status, _, err = command("train", "--out", tmp_path)
    assert status == 2 and "--resume" in err and recipe == []
    status, _, err = command("train", "--out", tmp_path, "--resume")
    assert status == 2 and "folder of a run" in err and recipe == []
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("setting", [("--size", "mini"), ("--seed", "1"), ("--arm", "deeptalk")])
def test_a_run_cannot_be_resumed_as_another(command, recipe, tmp_path, setting):
    command("train", "--out", tmp_path / "new")
    status, _, err = command("train", "--resume", "--out", tmp_path / "new", *setting)
    assert status == 2 and "another run" in err and len(recipe) == 1


@pytest.mark.parametrize("words, says", [(("--size", "giant"), "nano, mini, base"), (("--arm", "crooked"), "deeptalk-aligned"),
                                         (("--seed", "-1"), "seed")])
def test_unknown_settings_are_explained_and_leave_no_folder(command, recipe, tmp_path, words, says):
    status, _, err = command("train", "--out", tmp_path / "new", *words)
    assert status == 2 and says in err and err.count("\n") == 1
    assert not (tmp_path / "new").exists() and recipe == []


def test_a_damaged_checkpoint_of_a_resumed_run_is_named(command, run):
    (run / "record.json").unlink()
    (run / "ear" / "ear.safetensors").write_bytes(b"half")
    status, _, err = command("train", "--resume", "--out", run)
    assert status == 2 and str(run) in err and err.count("\n") == 1


def test_a_finished_training_ends_with_its_report(command, run):
    status, out, _ = command("train", "--resume", "--out", run)
    assert status == 0 and "spoken question, text answer" in out and str((run / "report.html").resolve()) in out
    assert (run / "report.html").stat().st_size > 100_000


# ---- evaluate, profile, record ---------------------------------------------------------------------------------------------


def test_a_run_is_measured_again_without_changing_its_record(command, run, monkeypatch):
    before = (run / "record.json").read_bytes()
    fresh = read_record(run)["metrics"] | {"asr_wer": 0.5}
    monkeypatch.setattr("minideeptalk.training.evaluate.measure", lambda *_: json.loads(json.dumps(fresh)))
    status, out, _ = command("evaluate", run, "--json")
    assert status == 0 and json.loads(out) == fresh
    status, out, _ = command("evaluate", run)
    assert status == 0 and "measured again" in out
    assert (run / "record.json").read_bytes() == before


def test_only_a_finished_run_can_be_measured_again(command, run, tmp_path):
    (run / "record.json").unlink()
    for folder in (run, tmp_path / "nothing"):
        status, _, err = command("evaluate", folder)
        assert status == 2 and "finished run" in err and err.count("\n") == 1


def test_a_run_without_its_speech_is_told_and_nothing_is_synthesised(command, run):
    shutil.rmtree(run / "spoken")
    status, _, err = command("evaluate", run)
    assert status == 2 and "spoken/train/spoken.json" in err and err.count("\n") == 1 and not (run / "spoken").exists() and not (run / "cache").exists()


def test_a_damaged_list_of_parts_is_told_in_one_line(command, run):
    (run / "parts.json").write_text('{"seconds": ')
    status, _, err = command("evaluate", run)
    assert status == 2 and "parts.json" in err and err.count("\n") == 1


def test_a_profile_has_the_loads_of_each_layer_and_modality_and_the_selection(command, run):
    status, out, _ = command("profile", run, "--json")
    profile = json.loads(out)
    assert status == 0 and profile["loads"] == read_record(run)["loads"] and profile["selection"]["formula"] == "product"
    status, out, _ = command("profile", run)
    assert status == 0 and "audio" in out and "*" in out


def test_a_profile_can_be_seen_before_the_run_is_finished(command, run):
    record = read_record(run)
    (run / "record.json").unlink()
    (run / "parts.json").write_text(json.dumps({"loads": record["loads"]}))
    assert json.loads(command("profile", run, "--json")[1]) == {"loads": record["loads"], "selection": None}
    selection = {"audio_experts": [[1], [2], [3]], "experts": 16, "formula": "product", "normaliser": "max"}
    (run / "selection.json").write_text(json.dumps(selection))
    chosen = json.loads(command("profile", run, "--json")[1])["selection"]["audio_experts"]
    assert chosen == [{"layer": layer, "experts": [layer]} for layer in (1, 2, 3)]
    (run / "parts.json").write_text("{}")
    assert command("profile", run)[0] == 2


def test_a_record_is_shown_from_its_folder_and_from_its_file(command, run):
    shown = command("record", "show", run)
    assert shown == command("record", "show", run / "record.json") and shown[0] == 0 and "arm     deeptalk" in shown[1]
    assert json.loads(command("record", "show", run, "--json")[1]) == read_record(run)
    assert command("record", "show", run, "--markdown")[1].startswith("| ability | measured |")


@pytest.mark.parametrize("content", [None, "", "[1, 2]", '{"schema_version": 1}'])
def test_a_file_that_is_no_record_is_explained(command, tmp_path, content):
    if content is not None:
        (tmp_path / "record.json").write_text(content)
    status, _, err = command("record", "show", tmp_path)
    assert status == 2 and err.count("\n") == 1


@pytest.mark.parametrize("error, says", [
    (FileExistsError(errno.EEXIST, "File exists", "a/x"), "a/x: File exists; likely cause: a file where a folder should be"),
    (PermissionError(errno.EACCES, "Permission denied", "a/x"), "a/x: Permission denied; likely cause: a missing right"),
    (OSError(errno.ENOSPC, "No space left on device", "a/x"), "a/x: No space left on device; likely cause: a full disk"),
    (OSError("no name resolution"), "the system: no name resolution"),
])
def test_what_the_system_refuses_is_one_line(command, monkeypatch, error, says):
    def refused(*_):
        raise error
    monkeypatch.setattr("minideeptalk.records.read_record", refused)
    assert command("record", "show", "x") == (2, "", f"minideeptalk show: {says}\n")


def test_a_folder_that_cannot_be_made_is_explained_in_one_line(command, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for words in (("train", "--out", tmp_path / "file" / "x"), ("demo", "--out", tmp_path / "file" / "x"), ("train", "--out", "/proc/x")):
        status, out, err = command(*words)
        assert (status, out, err.count("\n")) == (2, "", 1) and f"{words[2]}: " in err and "likely cause" in err


def test_an_interruption_leaves_with_130(monkeypatch, capsys, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr("minideeptalk.records.read_record", interrupted)
    assert main(["record", "show", str(tmp_path)]) == 130 and "interrupted" in capsys.readouterr().err
