"""`explain`: from the checkpoints of a finished run to a finding, and nothing in the run changes."""

import importlib.util
import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from minideeptalk.evaluation import knock_out
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.records import read_record
from minideeptalk.records.finding import read_finding
from minideeptalk.tasks import SpokenQuestion, SpokenReply, SpokenSet
from minideeptalk.training import explain
from minideeptalk.world import FAMILIES

CHOSEN = [[0, 1], [2, 3]]


def spoken(split, count=8):
    """Questions of two skills in two styles and word lists of three words, with invented frames and codes."""
    generator, rng = torch.Generator().manual_seed(0), random.Random(0)
    asked, replies = [], []
    for number in range(count):
        item, style = FAMILIES[("add", "compare")[number % 2]].sample(rng, split), ("neutral", "sad")[number // 2 % 2]
        asked.append(SpokenQuestion(item, "amy", style, torch.randn(3, 16, generator=generator), item.question))
        words = tuple(rng.sample(("red", "cat", "box", "hat"), 3))
        replies.append(SpokenReply(words, style, torch.randint(8, (6, 7), generator=generator), (0, 2, 4)))
    return SpokenSet(asked, replies)


@pytest.fixture
def explained(run, monkeypatch):
    """A run with every checkpoint, of which the middle ones are the first; text skills are asked two items each."""
    for stage in ("1-align", "2.1-audio-experts", "2.2-text-experts"):
        shutil.copytree(run / "stages" / "0-pretrain", run / "stages" / stage)
    last = load_stage(run, "3-joint")
    with torch.no_grad():
        last.mixtures()[0].experts.down_proj[CHOSEN[0]] += 0.1
    last.save_pretrained(run / "stages" / "3-joint")
    (run / "selection.json").write_text(json.dumps({"audio_experts": CHOSEN, "experts": 4, "formula": "product", "normaliser": "max"}))
    for split in ("train", "validation", "test"):
        shutil.rmtree(run / "spoken" / split)
        spoken(split, 1 if split == "test" else 8).save(run / "spoken" / split)  # each exam says all of the test split
    accuracy = knock_out.text_accuracy
    for module in (knock_out, explain):
        monkeypatch.setattr(module, "text_accuracy", lambda model, builder, split, count: accuracy(model, builder, split, 2))
    return run


def test_a_run_is_explained_and_left_as_it_was(command, explained, tmp_path):
    before = {path: path.read_bytes() for path in explained.rglob("*") if path.is_file()}
    status, out, err = command("explain", explained, "--json", "--out", tmp_path / "why.json")
    assert status == 0 and "probes" in err
    found = json.loads(out)
    assert read_finding(tmp_path / "why.json", "why") == found and found["result"]["run"]["arm"] == "deeptalk"
    assert [row["experts"] for row in found["result"]["knock_out"][1:3]] == [CHOSEN, [[2, 3], [0, 1]]]
    moved = {(row["stage"], row["group"]): row["since_start"] for row in found["result"]["drift"]}
    assert [key for key, value in moved.items() if value > 0] == [("3", "audio experts")]
    assert [row["stage"] for row in found["result"]["load_distance"][::3]] == list(dict.fromkeys(row["stage"] for row in read_record(explained)["loads"]))
    assert {row["stage"] for row in found["result"]["probes"]} == {"0", "1", "3"} and len(found["result"]["within_frame"]) == 7
    assert {path: path.read_bytes() for path in explained.rglob("*") if path.is_file()} == before


def test_a_run_that_sets_no_experts_apart_is_explained_without_closing_any(command, explained):
    (explained / "selection.json").unlink()
    record = json.loads((explained / "record.json").read_text())
    (explained / "record.json").write_text(json.dumps(record | {"arm": "puremoe"}))
    status, out, _ = command("explain", explained, "--json")
    found = json.loads(out)
    result = found["result"]
    assert status == 0 and found["notes"] == ["no experts were closed: puremoe sets none apart"]
    assert [(row["closed"], row["experts"]) for row in result["knock_out"]] == [("nothing", [[], []])]
    assert [(row["stage"], row["group"]) for row in result["drift"] if row["since_start"] > 0] == [("3", "experts")]
    assert result["run"] | {"arm": "puremoe", "updates": record["budget"]["updates"]} == result["run"]
    assert {row["stage"] for row in result["probes"]} == {"0", "1", "3"} and result["load_shift"] and result["within_frame"]


def test_the_explanation_is_also_a_table(command, explained, monkeypatch):
    specification = importlib.util.spec_from_file_location("findings", Path(__file__).resolve().parents[1] / "records" / "findings.py")
    findings = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(findings)
    monkeypatch.setattr("minideeptalk.training.explain.explain_run", lambda *arguments, **more: findings.why())
    status, out, _ = command("explain", explained)
    lines = out.splitlines()
    assert status == 0 and lines[2].split() == ["audio", "experts", "2", "62%", "54%", "36%", "30%"]
    assert "moved in stage" in out and lines[-1].split() == ["next", "word", "30%", "40%", "50%", "60%", "25%"]


def test_an_arm_with_a_routing_of_its_own_is_refused_in_one_line(command, explained):
    record = json.loads((explained / "record.json").read_text())
    (explained / "record.json").write_text(json.dumps(record | {"arm": "hard-routing"}))
    status, _, err = command("explain", explained)
    assert status == 2 and "open routing" in err and err.count("\n") == 1


def test_a_run_that_lost_its_selection_or_is_not_finished_is_refused_in_one_line(command, explained, tmp_path):
    (explained / "selection.json").unlink()
    status, _, err = command("explain", explained)
    assert status == 2 and "experts set apart" in err and err.count("\n") == 1
    (explained / "record.json").unlink()
    status, _, err = command("explain", explained)
    assert status == 2 and "finished run" in err and err.count("\n") == 1
