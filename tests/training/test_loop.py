"""One loop: its rate, its determinism, its accounts, and a stage that was interrupted ends where it would have ended."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from minideeptalk.config import WorldConfig, size_config
from minideeptalk.tasks import TaskSampler
from minideeptalk.training import loop
from minideeptalk.training.loop import choose_precision, learning_rate, train_stage
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.stages import speech_stages

ALIGN, AUDIO, TEXT, JOINT = (replace(stage, updates=6, batch=4, learning_rate=1e-2) for stage in speech_stages(size_config("nano")))
ALLOWED = [[1, 2, 5], [0, 6, 7]]


class Interrupted(Exception):
    """The power went."""


def train(tiny, model, stage, stop_at=None, **choices):
    """Train a stage on invented speech; at update `stop_at` the run dies."""
    sampler = TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())
    drawn = []

    def draw(step):
        if step == stop_at:
            raise Interrupted
        drawn.append(step)
        return sampler.batch(stage.tasks, stage.batch, str(step))

    selection = ALLOWED if stage.experts != "all" else None
    result = train_stage(model, stage, draw, seed=3, selection=selection, show_progress=False, **choices)
    return result | {"drawn": drawn}


def equal(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.fixture
def every_update_is_saved(monkeypatch):
    """A clock that goes a minute and a second each time somebody looks at it."""
    ticks = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: 61.0 * next(ticks)))


# ---- interrupted and continued -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [ALIGN, AUDIO, JOINT], ids=["align", "bank of audio experts", "joint"])
def test_an_interrupted_stage_ends_bit_for_bit_where_an_uninterrupted_one_ends(tiny, tmp_path, every_update_is_saved, stage):
    whole, broken = tiny.model(dropout=0.1), tiny.model(dropout=0.1)
    expected = train(tiny, whole, stage)
    with pytest.raises(Interrupted):
        train(tiny, broken, stage, stop_at=4, progress_folder=tmp_path / "stage")
    assert all(mixture.experts.bank is None for mixture in broken.mixtures())

    resumed = tiny.model(seed=9, dropout=0.1)  # a new process: nothing of the old model is left but the folder
    result = train(tiny, resumed, stage, progress_folder=tmp_path / "stage")
    assert result["drawn"] == [4, 5] and expected["drawn"] == [0, 1, 2, 3, 4, 5]
    assert equal(resumed, whole) and not equal(broken, whole)
    assert {key: result[key] for key in ("curves", "tokens", "updates", "trainable")} == \
        {key: expected[key] for key in ("curves", "tokens", "updates", "trainable")}


def test_progress_is_json_and_safetensors_and_a_half_written_one_is_not_taken_for_whole(tiny, tmp_path, every_update_is_saved):
    folder = tmp_path / "stage"
    with pytest.raises(Interrupted):
        train(tiny, tiny.model(), ALIGN, stop_at=2, progress_folder=folder)
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "optimizer.safetensors", "progress.json"}
    folder.rename(tmp_path / ".stage.new")  # as a crash in the middle of saving leaves it
    assert train(tiny, tiny.model(), ALIGN, progress_folder=folder)["drawn"] == [0, 1, 2, 3, 4, 5]


def test_a_crash_between_the_old_progress_and_the_new_leaves_one_of_them(tiny, tmp_path, every_update_is_saved):
    folder = tmp_path / "stage"
    with pytest.raises(Interrupted):
        train(tiny, tiny.model(), ALIGN, stop_at=2, progress_folder=folder)
    folder.rename(tmp_path / ".stage.old")  # the new one has not taken its place yet
    assert train(tiny, tiny.model(), ALIGN, progress_folder=folder)["drawn"] == [2, 3, 4, 5]


def test_a_model_ends_in_its_own_precision(tiny, half_precision):
    model = tiny.model()
    train(tiny, model, JOINT)
    same, batch = tiny.model(), tiny.batch(tiny.builder()).model_inputs()
    same.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).hidden, same.eval()(**batch).hidden)  # not rounded by what wrapped it in training


def what_heads_give(monkeypatch, model):
    """The logits of both heads, filled in as they come."""
    seen = []
    for head in ("text_logits", "audio_logits"):
        plain = getattr(model, head)
        monkeypatch.setattr(model, head, lambda hidden, plain=plain: seen.append(plain(hidden)) or seen[-1])
    return seen


def test_the_heads_work_in_half_precision_too_and_losses_in_full(tiny, monkeypatch, half_precision):
    model, losses = tiny.model(), []
    seen = what_heads_give(monkeypatch, model)
    train(tiny, model, JOINT, loss=lambda *parts: losses.append(batch_loss(*parts)) or losses[-1])
    assert len(seen) == 12 and {logits.dtype for logits in seen} == {torch.bfloat16}
    assert {part.dtype for parts in losses for part in (parts.total, parts.text, parts.audio, parts.balance)} == {torch.float32}


def test_without_half_precision_the_heads_work_in_full(tiny, monkeypatch):
    model = tiny.model()
    seen = what_heads_give(monkeypatch, model)
    train(tiny, model, JOINT)
    assert {logits.dtype for logits in seen} == {torch.float32}


def test_a_model_comes_out_of_half_precision_when_an_update_fails(tiny, half_precision):
    model, batch = tiny.model(), tiny.batch(tiny.builder()).model_inputs()
    with pytest.raises(Interrupted):
        train(tiny, model, JOINT, stop_at=2)
    same = tiny.model()
    same.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.eval()(**batch).hidden, same.eval()(**batch).hidden)


def test_without_a_fast_gpu_training_stays_on_the_cpu_whatever_else_there_is(tiny, monkeypatch):
    asked = []

    class Noted(loop.Accelerator):
        def __init__(self, **choices):
            asked.append(choices)
            super().__init__(**choices)

    monkeypatch.setattr(loop, "Accelerator", Noted)
    train(tiny, tiny.model(), ALIGN)
    assert asked[0]["cpu"] is not torch.cuda.is_available()


def test_without_a_folder_nothing_is_written(tiny, tmp_path, every_update_is_saved, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny, tiny.model(), ALIGN)
    assert list(tmp_path.iterdir()) == []


# ---- determinism and accounts ------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_whatever_random_numbers_were_drawn_before(tiny):
    models = [tiny.model(dropout=0.1) for _ in range(2)]
    for number, model in enumerate(models):
        torch.manual_seed(number)
        train(tiny, model, JOINT)
    assert equal(*models)


def test_evaluating_during_training_does_not_change_the_result(tiny):
    quiet, watched, asked = tiny.model(dropout=0.1), tiny.model(dropout=0.1), []

    def evaluate(step):
        asked.append(step)
        watched.eval()
        torch.rand(step)
        return {"accuracy": step / 6}

    train(tiny, quiet, JOINT)
    result = train(tiny, watched, JOINT, evaluate=evaluate, evaluations=3)
    assert equal(quiet, watched) and asked == [2, 4, 6]
    points = [point for point in result["curves"] if point["name"] == "accuracy"]
    assert points == [{"name": "accuracy", "stage": "3", "step": step, "value": step / 6} for step in (2, 4, 6)]


def test_updates_tokens_and_trained_parameters_are_counted(tiny):
    model = tiny.model()
    sampler = TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())
    expected = sum(int(sampler.batch(AUDIO.tasks, 4, str(step)).mask.sum()) for step in range(6))
    result = train(tiny, model, AUDIO)
    assert (result["updates"], result["tokens"]) == (6, expected)
    bank = sum(parameter.numel() for mixture in model.mixtures() for parameter in mixture.experts.parameters()) * 3 // 8
    audio_side = sum(parameter.numel() for part in (model.embedding.audio, model.embedding.elapsed, model.adapter, model.audio_heads)
                     for parameter in part.parameters())
    assert result["trainable"] == bank + audio_side


def test_curves_name_the_stage_and_the_text_stage_has_no_audio_curve(tiny):
    curves = train(tiny, tiny.model(), TEXT)["curves"]
    assert {point["name"] for point in curves} == {"loss", "text_loss", "balance"}
    assert {(point["stage"], point["step"]) for point in curves} == {("2.2", 0), ("2.2", 5)}
    assert {point["name"] for point in train(tiny, tiny.model(), JOINT)["curves"]} == {"loss", "text_loss", "audio_loss", "balance"}


def test_training_lowers_the_loss(tiny):
    curves = train(tiny, tiny.model(), replace(JOINT, updates=41, tasks={"speak": 1.0}))["curves"]
    losses = [point["value"] for point in curves if point["name"] == "audio_loss"]
    assert losses[-1] < losses[0] - 0.3


# ---- rate and precision ------------------------------------------------------------------------------------------------


def test_the_rate_warms_up_to_its_peak_and_falls_to_a_tenth():
    stage = replace(JOINT, updates=100, learning_rate=2.0, warmup=0.1)
    rates = [learning_rate(step, stage) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6]) and rates[9] == rates[10] == 2.0 == max(rates)
    assert rates[55] == pytest.approx(1.1) and rates[99] == pytest.approx(0.2, abs=0.001)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("capability, precision", [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp16")])
def test_the_precision_is_chosen_by_the_hardware_and_says_why(monkeypatch, capability, precision):
    """A T4 (7.5) has no bf16 in hardware, whatever `torch.cuda.is_bf16_supported` says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    chosen, reason = choose_precision()
    assert chosen == precision and "bf16" in reason
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_precision() == ("no", "no GPU: fp32")
