"""One recipe, many arms: hooks are called where they say, a resumed run ends where a whole one ends, and the base keeps its stages."""

import json
import pickle
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch

from minideeptalk.experts import Selection
from minideeptalk.training import profile, recipe
from minideeptalk.training.arm import ALIGNED, DEEPTALK
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.parts import Parts
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import speech_stages


@pytest.fixture(autouse=True)
def short_profile(monkeypatch):
    """Loads measured on a few examples: what they are does not matter here."""
    for module in (profile, recipe):
        monkeypatch.setattr(module, "profile_loads", partial(profile.profile_loads, batches=1, size=8))


def run(tiny, folder, arm=ALIGNED):
    made = Recipe(tiny.size(), folder, 0, arm, None, progress=False)
    return made, made.run_stages(made.pretrained(), {"train": tiny.spoken_set()})


def equal(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_the_papers_arm_differs_from_ours_in_the_layout_alone():
    assert (DEEPTALK.layout, DEEPTALK.delay, ALIGNED.layout, ALIGNED.delay) == ("ahead", "stream", "held", "none")
    told = {"name": "", "changes": "", "layout": "", "delay": "", "declared": ()}
    assert replace(DEEPTALK, **told) == replace(ALIGNED, **told)
    assert all(line.startswith("speech tokens") for line in DEEPTALK.declared)  # what the layout alone costs


def test_an_arm_can_go_to_another_process():
    assert pickle.loads(pickle.dumps(ALIGNED)) == ALIGNED


def test_a_run_leaves_its_stages_its_selection_and_its_accounts(tiny, tmp_path):
    made, model = run(tiny, tmp_path)
    assert sorted(path.name for path in (tmp_path / "stages").iterdir()) == [
        "0-pretrain", "1-align", "2.1-audio-experts", "2.2-text-experts", "3-joint"]
    assert equal(made.finished_model(), model)
    assert [len(experts) for experts in Selection.load(tmp_path / "selection.json").audio_experts] == [3, 3]
    budget = json.loads((tmp_path / "parts.json").read_text())["budget"]
    assert all(budget[code]["updates"] == 2 for code in ("0", "1", "2.1", "2.2", "3"))
    assert budget["0"]["speech_tokens"] == budget["2.2"]["speech_tokens"] == 0 < budget["2.1"]["speech_tokens"] < budget["2.1"]["tokens"]


def test_text_is_measured_on_the_test_split_after_every_stage(tiny, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(recipe, "text_accuracy", lambda model, builder, split, count: asked.append((split, count)) or {"add": len(asked) / 10})
    made, _ = run(tiny, tmp_path)
    assert asked == [("test", tiny.size().evaluation.text_items)] * 5
    rows = [(row["stage"], row["value"]) for row in made.parts.curves if row["name"] == "text_accuracy/add"]
    assert rows == [("0", 0.1), ("1", 0.2), ("2.1", 0.3), ("2.2", 0.4), ("3", 0.5)]


@pytest.mark.parametrize("lost", ["3-joint", "2.2-text-experts"])
def test_a_run_that_lost_its_last_stages_makes_them_again(tiny, tmp_path, lost):
    _, whole = run(tiny, tmp_path)
    for path in (tmp_path / "stages").iterdir():
        if path.name >= lost:
            path.rename(tmp_path / path.name)
    again = run(tiny, tmp_path)[1].state_dict()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6, msg=name)  # grouped products round by where memory lies


def test_a_run_with_a_hole_in_the_middle_goes_on_from_before_the_hole(tiny, tmp_path):
    _, whole = run(tiny, tmp_path)
    for path in (tmp_path / "stages" / "2.1-audio-experts").iterdir():
        if path.name == "model.safetensors":  # damaged and deleted, as the advice says; its folder is still there
            path.unlink()
    again = run(tiny, tmp_path)[1].state_dict()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=1e-6, msg=name)


def test_what_a_run_has_measured_survives_a_full_disk(tmp_path, monkeypatch):
    parts = Parts.open(tmp_path)
    parts.seconds["stage 1"] = 5.0
    parts.save()

    def full(path, text, **_):
        with path.open("w") as file:
            file.write(text[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_text", full)
    with pytest.raises(OSError, match="No space"):
        parts.save()
    assert Parts.open(tmp_path).seconds == {"stage 1": 5.0}


def test_two_arms_of_a_seed_share_everything_up_to_stage_1(tiny, tmp_path):
    other = replace(ALIGNED, name="other", stages=lambda size: [replace(stage, learning_rate=1e-2) if stage.code != "1" else stage
                                                                for stage in speech_stages(size)])
    for name, arm in (("one", ALIGNED), ("two", other)):
        run(tiny, tmp_path / name, arm)

    def files(stage):
        return {(tmp_path / name / "stages" / stage / "model.safetensors").read_bytes() for name in ("one", "two")}

    assert (len(files("0-pretrain")), len(files("1-align")), len(files("3-joint"))) == (1, 1, 2)


class Hooks:
    """An arm that notes when each hook is called, and adds one to the last norm where it may."""

    def __init__(self):
        self.calls = []

    def arm(self):
        return replace(ALIGNED, name="noted", select=self.select, prepare=self.prepare, around=self.around, loss=self.loss, finish=self.finish)

    def select(self, profile):
        self.calls.append("select")
        return Selection(((0, 1, 2), (3, 4, 5)), 12)

    def prepare(self, model, selection):
        self.calls.append(("prepare", selection.audio_experts[0]))
        model.own_weight = torch.nn.Parameter(torch.zeros(1))
        return model

    @contextmanager
    def around(self, model, stage, selection):
        self.calls.append(f"enter {stage.code}")
        yield
        self.calls.append(f"leave {stage.code}")

    def loss(self, text_model):
        self.calls.append(("loss", any(parameter.requires_grad for parameter in text_model.parameters())))
        return batch_loss

    def finish(self, model, text_model):
        self.calls.append("finish")
        model.own_weight.data += 1


def test_each_hook_is_called_in_its_place(tiny, tmp_path):
    hooks = Hooks()
    made, model = run(tiny, tmp_path, hooks.arm())
    stages = [call for code in ("2.1", "2.2", "3") for call in (f"enter {code}", ("loss", False), f"leave {code}")]
    assert hooks.calls == ["select", ("prepare", (0, 1, 2)), *stages, "finish"]
    assert made.finished_model().own_weight == model.own_weight == 1  # what `prepare` added is saved and found again


def test_an_arm_without_selection_and_without_stage_1_trains_what_it_lists(tiny, tmp_path):
    arm = replace(ALIGNED, name="one stage", select=None, stages=lambda size: speech_stages(size)[-1:])
    made, _ = run(tiny, tmp_path, arm)
    assert made.chosen() is None and set(made.parts.budget) == {"0", "3"}


def test_another_architecture_does_not_take_the_shipped_text_model(tiny, tmp_path):
    run(tiny, tmp_path / "shipped")
    arm = replace(ALIGNED, name="dense", choices=lambda size: {"experts": 4})
    own = Recipe(tiny.size(), tmp_path / "own", 0, arm, tmp_path / "shipped", progress=False)
    assert own.pretrained().config.experts == 4
