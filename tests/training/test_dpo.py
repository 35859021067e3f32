"""The preference loss, against one computed by hand, and the traps that it must not fall into."""

import math
from dataclasses import replace

import pytest
import torch

from minideeptalk.config import size_config
from minideeptalk.model import AudioToken
from minideeptalk.tasks import IGNORE, SpokenAnswer, collate
from minideeptalk.training.dpo import PreferenceLoss, preference_losses, preference_stage, stream_scores
from minideeptalk.training.loop import train_stage
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.stages import speech_stages

RECIPES = pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("held", "none")])


def takes(tiny, builder, words=("red", "cat", "box"), seeds=(1, 2), frames=(6, 8)):
    """A chosen and a rejected example: the same words, other codes, other lengths."""
    prompt = builder.text_prompt(["say", *words], AudioToken.SAY_HAPPY)
    for seed, count in zip(seeds, frames):
        codes = torch.randint(0, 8, (count, 7), generator=torch.Generator().manual_seed(seed))
        yield builder.with_spoken_answer(prompt, SpokenAnswer(tuple(tiny.tokenizer.encode(words)), codes, (0, 2, 4)), "preference")


def pairs_batch(tiny, builder):
    first, second = list(takes(tiny, builder)), list(takes(tiny, builder, ("leo", "hat", "mia"), (3, 4), (5, 6)))
    return collate([first[0], second[0], first[1], second[1]], builder.silence), (first, second)


@torch.no_grad()
def score_by_hand(model, builder, example, stream):
    """One take, one stream, step by step, without padding and without any function of the library's losses."""
    batch = collate([example], builder.silence)
    hidden = model(**batch.model_inputs()).hidden
    total = 0.0
    for step, target in enumerate(example.code_target[:, stream].tolist()):
        if target != IGNORE:
            scores = model.audio_logits(hidden[0, step])[stream].tolist()
            total += scores[target] - math.log(sum(math.exp(score) for score in scores))
    return total


@RECIPES
def test_the_loss_is_the_one_computed_by_hand(tiny, layout, delay):
    builder = tiny.builder(layout=layout, delay=delay)
    model, before = (tiny.model(seed, layout=layout, delay=delay).eval() for seed in (0, 1))
    batch, examples = pairs_batch(tiny, builder)
    loss = PreferenceLoss(before, beta=0.3, anchor=0.0)
    parts = loss(model, batch)
    for stream in range(7):
        expected = 0.0
        for chosen, rejected in examples:
            ratio = [score_by_hand(model, builder, take, stream) - score_by_hand(before, builder, take, stream)
                     for take in (chosen, rejected)]
            expected += math.log(1 + math.exp(-0.3 * (ratio[0] - ratio[1]))) / 2
        assert float(parts.audio[stream].detach()) == pytest.approx(expected, rel=1e-4)
    total = parts.audio.mean() + parts.text + model.config.balance_weight * parts.balance
    assert float(parts.total.detach()) == pytest.approx(float(total.detach()))


def test_before_any_update_there_is_no_preference(tiny):
    builder, model = tiny.builder(), tiny.model()
    parts = PreferenceLoss(model)(model, pairs_batch(tiny, builder)[0])
    torch.testing.assert_close(parts.audio.detach(), torch.full((7,), math.log(2.0)), atol=1e-4, rtol=0)
    assert parts.more["preference_margin"] == pytest.approx(0.0, abs=1e-4)
    assert parts.more["preference_chosen"] == pytest.approx(0.0, abs=1e-3) == parts.more["preference_rejected"]


def test_the_reference_is_scored_in_the_precision_of_the_model_that_learns(tiny, half_precision):
    model = tiny.model()
    batch, stage = pairs_batch(tiny, tiny.builder())[0], replace(preference_stage(size_config("nano")), updates=1, batch=2, learning_rate=1e-12)
    result = train_stage(model, stage, lambda step: batch, seed=0, show_progress=False, loss=PreferenceLoss(model))
    gained = [point["value"] for point in result["curves"] if point["name"] in ("preference_chosen", "preference_rejected")]
    assert gained == pytest.approx([0.0, 0.0], abs=1e-3)


def test_the_nats_that_takes_gained_are_those_of_the_margin(tiny):
    builder = tiny.builder()
    model, before = (tiny.model(seed).eval() for seed in (0, 1))
    more = PreferenceLoss(before, beta=0.3)(model, pairs_batch(tiny, builder)[0]).more
    assert more["preference_margin"] == pytest.approx(0.3 * (more["preference_chosen"] - more["preference_rejected"]), rel=1e-3)
    assert abs(more["preference_chosen"]) > 1e-2


def test_the_gradient_lifts_the_chosen_take_and_lowers_the_rejected_one():
    scores = torch.zeros(4, 7, requires_grad=True)  # two pairs
    losses, margins = preference_losses(scores, torch.zeros(4, 7), beta=0.1)
    losses.mean().backward()
    assert (scores.grad[:2] < 0).all() and (scores.grad[2:] > 0).all()
    assert torch.equal(scores.grad[:2], -scores.grad[2:]) and margins.shape == (2, 7)
    assert float(scores.grad[0, 0]) == pytest.approx(-0.1 * 0.5 / 2 / 7)  # beta * sigmoid(0) over pairs and streams


def test_each_take_is_scored_after_its_own_codes(tiny):
    """Other rejected codes change the score of the rejected take, and of no other; the first frame is scored after no code."""
    builder, model = tiny.builder(), tiny.model().eval()

    @torch.no_grad()
    def scores(examples):
        batch = collate(examples, builder.silence)
        return stream_scores(model, model(**batch.model_inputs(), real=batch.mask).hidden, batch.code_target)

    chosen, rejected = takes(tiny, builder)
    other = next(takes(tiny, builder, seeds=(9,)))
    one, two = scores([chosen, rejected]), scores([chosen, other])
    torch.testing.assert_close(one[0], two[0], atol=1e-5, rtol=0)
    assert not torch.allclose(one[1], two[1])
    alone = torch.cat([scores([example]) for example in (chosen, rejected)])
    torch.testing.assert_close(one, alone, atol=1e-4, rtol=0)


def test_the_text_of_the_chosen_takes_alone_keeps_its_cross_entropy(tiny):
    builder, model = tiny.builder(), tiny.model().eval()
    batch, examples = pairs_batch(tiny, builder)
    chosen = collate([pair[0] for pair in examples], builder.silence)
    parts = PreferenceLoss(model)(model, batch)
    assert float(parts.text.detach()) == pytest.approx(float(batch_loss(model, chosen).text.detach()), abs=1e-5)
    half = PreferenceLoss(model, anchor=0.0)(model, batch, text_weight=0.5, balance=False)
    assert float(half.total.detach()) == pytest.approx(float((half.audio.mean() + 0.5 * half.text).detach()))


def test_the_anchor_is_the_cross_entropy_of_the_chosen_codes(tiny):
    builder, model = tiny.builder(), tiny.model().eval()
    batch, examples = pairs_batch(tiny, builder)
    chosen = collate([pair[0] for pair in examples], builder.silence)
    bare, held = (PreferenceLoss(model, anchor=anchor)(model, batch) for anchor in (0.0, 0.5))
    assert float((held.total - bare.total).detach()) == pytest.approx(0.5 * float(batch_loss(model, chosen).audio.mean().detach()), abs=1e-4)
    assert torch.equal(held.audio, bare.audio)  # what is reported is the preference alone


def test_training_prefers_the_chosen_takes_and_leaves_the_reference_byte_for_byte(tiny):
    builder, model = tiny.builder(), tiny.model()
    batch, _ = pairs_batch(tiny, builder)
    loss = PreferenceLoss(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    stage = replace(preference_stage(size_config("nano")), updates=12, batch=2, learning_rate=3e-3)
    result = train_stage(model, stage, lambda step: batch, seed=0, show_progress=False, loss=loss)
    reference = loss.reference.state_dict()
    assert all(torch.equal(reference[name], value) for name, value in start.items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in loss.reference.parameters())
    curve = {name: [point["value"] for point in result["curves"] if point["name"] == name] for name in ("audio_loss", "preference_accuracy")}
    assert curve["audio_loss"][-1] < curve["audio_loss"][0] and curve["preference_accuracy"][-1] == 1.0
    frozen = [name for name in start if "attention" in name or "embedding.text" in name]
    assert frozen and all(torch.equal(model.state_dict()[name], start[name]) for name in frozen)


def test_stage_4_trains_what_stage_3_trains_without_weight_decay():
    size = size_config("nano")
    stage, joint = preference_stage(size), speech_stages(size)[-1]
    assert (stage.name, stage.code) == ("4-dpo", "4") and stage.trainable == joint.trainable and stage.experts == "all"
    assert stage.weight_decay == 0.0 and stage.learning_rate < joint.learning_rate / 2
