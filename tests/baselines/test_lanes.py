"""Lanes: whatever audio steps learn, a written step gives the same bytes."""

import json
from dataclasses import replace

import pytest
import torch

from minideeptalk.baselines.lanes import LANES, lane_bank, lay_lanes, stages
from minideeptalk.baselines.lanes_copied import LANES_COPIED, lay_copied_lanes
from minideeptalk.baselines.lanes_from_sound import LANES_COPIED_FROM_SOUND, LANES_FROM_SOUND, LastingEars
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.routing import Ears, keep_to_own_experts
from minideeptalk.baselines.talking import open_run
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import CodecConfig, size_config
from minideeptalk.errors import LearnerError
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import trainable_only
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.cache import RoomyCache
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.training.losses import batch_loss

WRITTEN = torch.tensor([[7, 8, 9, 5]])


def _selection(model):
    return Selection(((1, 4, 6),) * len(model.mixtures()), model.config.experts, "by hand")


def _stage(code):
    return next(stage for stage in stages(size_config("nano")) if stage.code == code)


def _learn(model, code, batch, updates=3, selection=None):
    with lane_bank(model, _stage(code), selection or _selection(model)):
        trained = trainable_only(model, _stage(code).trainable)
        optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
        for _ in range(updates):
            batch_loss(model, batch).total.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval()


def test_lanes_begin_as_tokens_that_keep_to_their_experts(tiny):
    model, plain = tiny.model(), tiny.model()
    plain.load_state_dict(model.state_dict())
    batch = tiny.batch(tiny.builder())
    lanes, apart = lay_lanes(model, _selection(model)).eval(), keep_to_own_experts(plain, _selection(plain)).eval()
    with torch.no_grad():
        assert torch.allclose(lanes(**batch.model_inputs()).hidden, apart(**batch.model_inputs()).hidden, atol=1e-6)


@pytest.mark.parametrize("code", ["2.1", "3"])
def test_learning_speech_leaves_written_steps_the_same_to_the_byte(tiny, code):
    model = tiny.model()
    lay_lanes(model, _selection(model)).eval()
    batch = tiny.batch(tiny.builder())
    with torch.no_grad():
        written, spoken = model(WRITTEN).hidden, model(**batch.model_inputs()).hidden
    _learn(model, code, batch)
    with torch.no_grad():
        assert torch.equal(model(WRITTEN).hidden, written)
        assert not torch.allclose(model(**batch.model_inputs()).hidden, spoken, atol=1e-3)


def test_every_part_of_a_lane_learns(tiny):
    model = tiny.model()
    lay_lanes(model, _selection(model))
    before = {name: value.detach().clone() for name, value in model.named_parameters() if ".lane_" in name}
    _learn(model, "2.1", tiny.batch(tiny.builder()))
    still = [name for name, value in model.named_parameters() if name in before and torch.equal(value, before[name])]
    assert before and not still


def test_no_gate_draws_a_written_step_to_an_audio_expert(tiny):
    model = tiny.model()
    lay_lanes(model, _selection(model))
    with torch.no_grad():
        for mixture in model.mixtures():
            mixture.router.lane_gate.fill_(50.0)
        routing = model(WRITTEN).routing
    assert all(not set(layer.indices.flatten().tolist()) & {1, 4, 6} for layer in routing)


def test_a_run_with_lanes_is_read_again_as_it_was(tiny):
    model = tiny.model()
    lay_lanes(model, _selection(model))
    batch = tiny.batch(tiny.builder())
    _learn(model, "2.1", batch)
    again = lay_lanes(tiny.model(), _selection(model)).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(**batch.model_inputs()).hidden, model(**batch.model_inputs()).hidden)


# ---- lanes with copies -----------------------------------------------------------------------------------------------------


def _copies(model):
    experts = model.config.experts
    return Selection((tuple(range(experts, 2 * experts)),) * len(model.mixtures()), 2 * experts, "copies")


def test_lanes_with_copies_begin_as_the_model_that_they_copy(tiny):
    model, plain = tiny.model(), tiny.model()
    plain.load_state_dict(model.state_dict())
    lanes, batch = lay_copied_lanes(model, _copies(model)).eval(), tiny.batch(tiny.builder())
    with torch.no_grad():
        assert torch.allclose(lanes(**batch.model_inputs()).hidden, plain.eval()(**batch.model_inputs()).hidden, atol=1e-6)
    assert lanes.active_parameters() == pytest.approx(plain.active_parameters(), rel=0.04)


def test_copies_learn_and_written_steps_stay_the_same_to_the_byte(tiny):
    model = tiny.model()
    selection = _copies(model)
    lay_copied_lanes(model, selection).eval()
    batch = tiny.batch(tiny.builder())
    before = {name: value.detach().clone() for name, value in model.named_parameters() if ".lane_" in name}
    experts = [mixture.experts.gate_up_proj.detach().clone() for mixture in model.mixtures()]
    with torch.no_grad():
        written = model(WRITTEN).hidden
    _learn(model, "3", batch, selection=selection)
    with torch.no_grad():
        assert torch.equal(model(WRITTEN).hidden, written)
    assert before and not [name for name, value in model.named_parameters() if name in before and torch.equal(value, before[name])]
    half = len(experts[0]) // 2
    for mixture, old in zip(model.mixtures(), experts):
        assert torch.equal(mixture.experts.gate_up_proj[:half], old[:half])
        assert not torch.equal(mixture.experts.gate_up_proj[half:], old[half:])


def test_lanes_with_copies_train_as_long_as_puremoe():
    mine, theirs = LANES_COPIED.stages(size_config("nano")), PUREMOE.stages(size_config("nano"))
    assert [(stage.updates, stage.batch, stage.tasks) for stage in mine] == [(stage.updates, stage.batch, stage.tasks) for stage in theirs]


# ---- lanes that a conversation changes once ------------------------------------------------------------------------------


def _as_it_comes(model, batch):
    """The model's steps of a batch one after another, from a cache."""
    cache, parts = RoomyCache(), []
    inputs = {name: rows for name, rows in batch.model_inputs().items() if name != "real" and rows is not None}
    for step in range(batch.text.shape[1]):
        parts.append(model(**{name: rows[:, step:step + 1] for name, rows in inputs.items()}, cache=cache).hidden)
    return torch.cat(parts, dim=1), cache


def test_after_the_first_sound_every_step_is_in_the_audio_lane_and_none_before(tiny):
    model, batch = tiny.model(), tiny.batch(tiny.builder())
    momentary, lasting = Ears(model), LastingEars(model)
    model(**batch.model_inputs() | {"real": None})
    sounds, lane = (ears.audio.view(batch.text.shape) for ears in (momentary, lasting))
    for row, steps in zip(lane, sounds):
        first = int(steps.nonzero()[0]) if steps.any() else len(row)
        assert not row[:first].any() and row[first:].all()
    assert (lane & ~sounds & batch.mask).any()
    model(**batch.model_inputs() | {"real": batch.mask})
    assert torch.equal(lasting.audio, lane[batch.mask])


@pytest.mark.parametrize("arm", [LANES_FROM_SOUND, LANES_COPIED_FROM_SOUND], ids=lambda arm: arm.name)
def test_a_conversation_in_writing_stays_the_same_to_the_byte_whatever_is_learnt(tiny, arm):
    model = tiny.model()
    selection = _copies(model) if arm is LANES_COPIED_FROM_SOUND else _selection(model)
    arm.prepare(model, selection).eval()
    batch = tiny.batch(tiny.builder())
    with torch.no_grad():
        written, spoken = model(WRITTEN).hidden, model(**batch.model_inputs()).hidden
    _learn(model, "3", batch, selection=selection)
    with torch.no_grad():
        assert torch.equal(model(WRITTEN).hidden, written)
        assert not torch.allclose(model(**batch.model_inputs()).hidden, spoken, atol=1e-3)


def test_step_by_step_a_conversation_takes_the_lane_that_it_took_in_training(tiny):
    model = tiny.model()
    batch = tiny.batch(tiny.builder())
    LANES_FROM_SOUND.prepare(model, _selection(model))
    _learn(model, "2.1", batch)
    with torch.no_grad():
        whole = model(**batch.model_inputs()).hidden
        stepwise, cache = _as_it_comes(model, batch)
        assert torch.allclose(stepwise[batch.mask], whole[batch.mask], atol=1e-5)
        cache.rows["sounded"][:] = False
        assert not torch.equal(model(WRITTEN[:, :1].expand(len(batch.text), 1), cache=cache).hidden,
                               model(WRITTEN[:, :1].expand(len(batch.text), 1), cache=_as_it_comes(model, batch)[1]).hidden)


def test_a_doubled_row_remembers_that_there_was_a_sound():
    cache = RoomyCache()
    cache.rows["sounded"] = torch.tensor([True, False])
    cache.take(torch.tensor([0, 1, 0, 1]))
    assert cache.rows["sounded"].tolist() == [True, False, True, False]


# ---- talking to a finished run --------------------------------------------------------------------------------------------


def _finished(tiny, folder):
    """A run of `deeptalk-lanes` as far as talking needs it; returns the trained model."""
    model = tiny.model()
    for name in ("0-pretrain", "1-align"):
        model.save_pretrained(folder / "stages" / name)
    _selection(model).save(folder / "selection.json")
    trained = lay_lanes(tiny.model(), _selection(model))
    trained.load_state_dict(model.state_dict(), strict=False)
    _learn(trained, "2.1", tiny.batch(tiny.builder()))
    trained.save_pretrained(folder / "stages" / "3-joint")
    Ear(tiny.words, replace(size_config("nano").ear, width=6, heads=2)).save(folder / "ear")
    PyramidCodec.fit([torch.randn(200, 80)], CodecConfig(codebook_size=8, iterations=1)).save(folder / "codec")
    (folder / "config.json").write_text(json.dumps({"size": "nano", "seed": 0, "arm": LANES.name, "scratch": True}))
    return trained


def test_a_finished_run_is_opened_as_it_was_trained(tiny, tmp_path):
    trained = _finished(tiny, tmp_path)
    batch = tiny.batch(tiny.builder())
    opened = open_run(tmp_path).model
    with torch.no_grad():
        assert torch.equal(opened(**batch.model_inputs()).hidden, trained(**batch.model_inputs()).hidden)


def test_opened_as_a_plain_model_it_is_refused(tiny, tmp_path):
    _finished(tiny, tmp_path)
    with pytest.raises(LearnerError, match="rebuilt the model"):
        load_stage(tmp_path, "3-joint")
