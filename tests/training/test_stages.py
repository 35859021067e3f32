"""The stages as data, and the promise of each: what it does not train keeps every byte."""

from dataclasses import replace

import pytest
import torch

from minideeptalk.config import WorldConfig, size_config
from minideeptalk.experts.partition import BACKBONE, PARTS, parameters_of
from minideeptalk.tasks import TaskSampler
from minideeptalk.training.loop import train_stage
from minideeptalk.training.stages import AUDIO_SIDE, pretrain_stage, speech_stages

NANO = size_config("nano")
STAGES = [pretrain_stage(NANO), *speech_stages(NANO)]
ALLOWED = {"audio": [[1, 2, 5], [0, 6, 7]], "text": [[0, 3, 4, 6, 7], [1, 2, 3, 4, 5]], "all": None}
BY_NAME = pytest.mark.parametrize("stage", STAGES, ids=[stage.name for stage in STAGES])


def train(tiny, model, stage, updates=3, **changes):
    """A few updates, by default with all that moves frozen parameters elsewhere: a high rate, momentum, weight decay."""
    stage = replace(stage, **{"updates": updates, "batch": 6, "learning_rate": 1e-2, "weight_decay": 0.1, **changes})
    sampler = TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())
    return train_stage(model, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"{stage.code}-{step}"), seed=0,
                       selection=ALLOWED[stage.experts], show_progress=False)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


# ---- what the stages are -----------------------------------------------------------------------------------------------


def test_the_stages_are_the_papers():
    assert [stage.code for stage in STAGES] == ["0", "1", "2.1", "2.2", "3"]
    assert [stage.experts for stage in STAGES] == ["all", "all", "audio", "text", "all"]
    by_code = {stage.code: stage for stage in STAGES}
    assert set(by_code["0"].trainable) == set(BACKBONE)
    assert not set(by_code["1"].trainable) & set(BACKBONE)  # alignment: the backbone is frozen
    assert by_code["2.2"].trainable == ("bank",)
    assert {"experts", *AUDIO_SIDE} <= set(by_code["3"].trainable)


def test_no_speech_stage_decays_weights_so_an_idle_expert_keeps_its_bytes():
    assert [stage.weight_decay for stage in STAGES[1:]] == [0.0] * 4


def test_after_stage_0_text_is_drawn_from_covered_families_only():
    assert STAGES[0].tasks == {"all_text": 1.0}
    assert all("all_text" not in stage.tasks for stage in STAGES[1:])


@BY_NAME
def test_every_task_of_a_stage_can_be_drawn_and_every_part_exists(tiny, stage):
    sampler = TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())
    assert set(stage.tasks) <= set(sampler.draws) and set(stage.trainable) <= set(PARTS)


@pytest.mark.parametrize("size", ["nano", "mini", "base"])
def test_every_size_has_the_same_stages_with_lengths_of_its_own(size):
    for stage, nano in zip([pretrain_stage(size_config(size)), *speech_stages(size_config(size))], STAGES):
        assert (stage.name, stage.trainable, stage.tasks, stage.experts) == (nano.name, nano.trainable, nano.tasks, nano.experts)
        assert stage.updates >= nano.updates


# ---- frozen is frozen --------------------------------------------------------------------------------------------------


@BY_NAME
def test_what_a_stage_does_not_train_keeps_every_byte(tiny, stage):
    """After an earlier stage that left nothing at rest, under momentum and weight decay."""
    model = tiny.model()
    train(tiny, model, STAGES[-1], trainable=(*BACKBONE, *AUDIO_SIDE))
    before, trained = state(model), set(parameters_of(model, stage.trainable))
    train(tiny, model, stage)
    after = state(model)
    banked = {f"layers.{layer + 1}.feed_forward.experts.{weight}": ALLOWED[stage.experts][layer]
              for layer in range(2) for weight in ("gate_up_proj", "down_proj")} if "bank" in stage.trainable else {}
    assert set(after) == set(before)
    for name in before:
        if name in banked:
            frozen = [expert for expert in range(8) if expert not in banked[name]]
            assert torch.equal(after[name][frozen], before[name][frozen]), name
            assert not any(torch.equal(after[name][expert], before[name][expert]) for expert in banked[name]), name
        elif name in trained:
            assert not torch.equal(after[name], before[name]), f"{name} was to learn"
        else:
            assert torch.equal(after[name], before[name]), f"{name} was frozen"


def test_text_rows_do_not_move_in_alignment_although_the_table_is_the_text_head(tiny):
    model = tiny.model()
    before = model.embedding.text.weight.detach().clone()
    train(tiny, model, STAGES[1], updates=4)
    assert torch.equal(model.embedding.text.weight, before)


@pytest.mark.parametrize("code, unchanged", [("1", True), ("2.1", False)])
def test_alignment_changes_no_answer_to_a_written_question(tiny, code, unchanged):
    """The whole audio table trains, its row of silence decays, and text is bit for bit the same; stage 2.1 trains experts."""
    model, stage = tiny.model(), next(stage for stage in STAGES if stage.code == code)
    question = torch.tensor([tiny.builder().text_prompt(("say", "red", "cat")).text])

    @torch.no_grad()
    def answer():
        return model.eval().text_logits(model(question).hidden)

    before = answer()
    train(tiny, model, stage)
    assert torch.equal(answer(), before) is unchanged


@BY_NAME
def test_a_stage_leaves_the_model_fully_open(tiny, stage):
    model = tiny.model()
    train(tiny, model, stage, updates=1)
    assert all(mixture.router.closed is None and mixture.experts.bank is None for mixture in model.mixtures())


def test_without_decay_an_idle_expert_of_a_trained_stage_keeps_its_bytes_and_the_rest_learns(tiny):
    """The joint stage with one expert that no token ever reaches."""
    model = tiny.model()
    for mixture in model.mixtures():
        mixture.router.close([4])
    before = state(model)
    result = train(tiny, model, STAGES[-1], weight_decay=0.0)
    after = state(model)
    name = "layers.1.feed_forward.experts.down_proj"
    assert torch.equal(after[name][4], before[name][4]) and not torch.equal(after[name][3], before[name][3])
    assert all(torch.isfinite(torch.tensor(point["value"])) for point in result["curves"])
