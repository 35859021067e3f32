"""What the loss is on: answers and their end, each codec stream, the balance; never prompts, never padding."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from minideeptalk.experts.recorder import Modality
from minideeptalk.tasks import IGNORE, collate
from minideeptalk.training.losses import audio_loss, batch_loss, text_loss


def numbers(parts):
    """Everything in a `LossParts` as floats."""
    return [part.item() for part in (parts.total, parts.text, parts.balance, *parts.audio)]


def longer(batch, silence, steps=5):
    """The same batch with more padding on the right."""
    values = {"text": 0, "text_target": IGNORE, "codes": silence, "code_target": IGNORE, "modality": int(Modality.PADDING),
              "frames": 0.0, "frame_mask": False, "elapsed": 0}
    padded = {}
    for name, value in values.items():
        old = getattr(batch, name)
        padded[name] = torch.cat([old, old.new_full((len(old), steps, *old.shape[2:]), value)], dim=1)
    return replace(batch, **padded)


@torch.no_grad()
def test_extra_padding_leaves_the_loss_unchanged(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    batch = tiny.batch(builder)
    wide = longer(batch, builder.silence)
    assert wide.text.shape[1] == batch.text.shape[1] + 5
    assert numbers(batch_loss(model, wide)) == pytest.approx(numbers(batch_loss(model, batch)), abs=1e-6)


@torch.no_grad()
def test_the_loss_of_an_example_does_not_depend_on_who_shares_its_batch(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    short, long = builder.speak(("red",), "sad", tiny.answer(("red",))), builder.speak(("leo",), "sad", tiny.answer(tiny.words[:6]))
    alone = batch_loss(model, collate([short], builder.silence))
    both = collate([short, long], builder.silence)
    both.text_target[1], both.code_target[1] = IGNORE, IGNORE
    both.modality[1] = int(Modality.PADDING)
    shared = batch_loss(model, both)
    assert float(shared.text) == pytest.approx(float(alone.text), abs=1e-6)
    torch.testing.assert_close(shared.audio, alone.audio, atol=1e-6, rtol=0)


def test_the_loss_is_on_the_answer_and_not_on_the_prompt(tiny):
    """No gradient reaches the output layer from prompt steps, and a changed prompt target cannot exist."""
    model, builder = tiny.model(), tiny.builder()
    batch = tiny.batch(builder)
    hidden = model(**batch.model_inputs()).hidden
    hidden.retain_grad()
    (text_loss(model, hidden, batch.text_target) + audio_loss(model, hidden, batch.code_target).mean()).backward()
    pulled = hidden.grad.abs().sum(dim=-1) > 0  # (B, T)
    wanted = (batch.text_target != IGNORE) | (batch.code_target != IGNORE).any(dim=-1)
    assert torch.equal(pulled, wanted)
    for row, last in enumerate((batch.text == builder.assistant).int().argmax(dim=1).tolist()):
        assert not pulled[row, :last].any() and pulled[row, last]


@torch.no_grad()
def test_the_text_loss_is_the_mean_over_target_steps_by_hand(tiny):
    model, batch = tiny.model().eval(), tiny.batch(tiny.builder())
    hidden = model(**batch.model_inputs()).hidden
    likely = (hidden @ model.embedding.text.weight.T).log_softmax(dim=-1)
    by_hand = [-likely[row, step, word].item() for row, line in enumerate(batch.text_target.tolist())
               for step, word in enumerate(line) if word != IGNORE]
    assert float(text_loss(model, hidden, batch.text_target)) == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-5)


@torch.no_grad()
def test_each_streams_loss_is_the_mean_over_its_own_targets(tiny):
    """Streams of unequal delay have their targets at unequal steps."""
    choices = {"layout": "ahead", "delay": "stream"}
    model, batch = tiny.model(**choices).eval(), tiny.batch(tiny.builder(**choices))
    hidden = model(**batch.model_inputs()).hidden
    losses = audio_loss(model, hidden, batch.code_target)
    logits = model.audio_logits(hidden)
    for stream in range(7):
        wanted = batch.code_target[..., stream].flatten()
        expected = F.cross_entropy(logits[:, :, stream].flatten(0, 1), wanted, ignore_index=IGNORE)
        assert float(losses[stream]) == pytest.approx(float(expected), abs=1e-5)


def test_a_batch_without_speech_has_no_audio_term(tiny):
    model, builder = tiny.model(), tiny.builder()
    parts = batch_loss(model, collate([builder.chat(("say", "red"), ("red",)), builder.recognise(tiny.frames(3), ("red",))], builder.silence))
    assert parts.audio is None
    assert float(parts.total.detach()) == pytest.approx(float(parts.text.detach() + 0.001 * parts.balance.detach()), abs=1e-6)
    parts.total.backward()
    assert model.audio_heads.projection.weight.grad is None


@torch.no_grad()
def test_a_batch_without_words_to_say_has_no_text_term(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    batch = tiny.batch(builder)
    batch.text_target[:] = IGNORE
    parts = batch_loss(model, batch, balance=False)
    assert parts.text is None and float(parts.total) == pytest.approx(float(parts.audio.mean()))


@torch.no_grad()
def test_the_total_is_text_and_mean_audio_and_balance_by_their_weights(tiny):
    model, batch = tiny.model(balance_weight=0.5).eval(), tiny.batch(tiny.builder())
    parts = batch_loss(model, batch, text_weight=3.0)
    expected = 3.0 * parts.text + parts.audio.sum() / 7 + 0.5 * parts.balance
    assert float(parts.total) == pytest.approx(float(expected), abs=1e-5)
    without = batch_loss(model, batch, text_weight=3.0, balance=False)
    assert float(parts.total - without.total) == pytest.approx(0.5 * float(parts.balance), abs=1e-5)
    assert torch.equal(parts.balance, without.balance)  # still reported: load and loss are read together


def test_with_the_balance_off_its_gradient_is_zero(tiny):
    """The routers learn from the language-model loss alone, bit for bit as if the balance did not exist."""
    gradients = []
    for weight in (0.0, 5.0):
        model = tiny.model(balance_weight=weight)
        batch_loss(model, tiny.batch(tiny.builder()), balance=False).total.backward()
        gradients.append(model.mixtures()[0].router.weight.grad)
    assert torch.equal(*gradients) and gradients[0].abs().sum() > 0


@pytest.mark.parametrize("implementation", ["loop", "grouped"])
def test_a_batch_trains_in_mixed_precision(tiny, implementation):
    model, batch = tiny.model(experts_implementation=implementation), tiny.batch(tiny.builder())
    exact = numbers(batch_loss(model, batch))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = batch_loss(model, batch)
    parts.total.backward()
    assert numbers(parts) == pytest.approx(exact, rel=0.03)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
