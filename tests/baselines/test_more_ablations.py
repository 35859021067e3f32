"""Padding in or out of the loss, one row instead of two, a weighted mean: what each changes, and that it changes nothing else."""

from dataclasses import replace

import pytest
import torch

from minideeptalk.baselines import ablations, find_arm
from minideeptalk.baselines.ablations import PaddingInTheLoss, padding_in_the_loss
from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.tasks import IGNORE, collate
from minideeptalk.training.losses import batch_loss

SPOKEN_AHEAD = {"layout": "ahead", "delay": "none"}


@pytest.fixture
def spoken(tiny):
    """One spoken answer of six frames and three words, all text first, and one written answer."""
    builder = tiny.builder(**SPOKEN_AHEAD)
    return builder, collate([builder.speak(("red", "cat", "box"), "happy", tiny.answer()), builder.chat(("say", "red"), ("red",))], builder.silence)


def test_padding_gets_the_waiting_word_as_its_target_and_nothing_else_changes(tiny, spoken, monkeypatch):
    builder, batch = spoken
    seen = []
    monkeypatch.setattr(ablations, "batch_loss", lambda model, batch, *rest: seen.append(batch) or batch_loss(model, batch, *rest))
    parts = PaddingInTheLoss(builder.wait)(tiny.model(**SPOKEN_AHEAD), batch)
    changed = seen[0].text_target != batch.text_target
    assert changed.sum() == 4 and not changed[1].any()  # 6 frames, the end and one step of lag, less 3 words and their end
    assert (batch.text_target[changed] == IGNORE).all() and (seen[0].text_target[changed] == builder.wait).all()
    assert parts.more == {"padding": pytest.approx(4 / 7)}
    assert all(torch.equal(getattr(seen[0], name), getattr(batch, name)) for name in ("text", "codes", "code_target", "modality"))


def test_a_batch_without_speech_costs_what_it_cost(tiny, spoken):
    builder, model = spoken[0], tiny.model(**SPOKEN_AHEAD).eval()
    batch = collate([builder.chat(("say", "red"), ("red",))], builder.silence)
    parts = padding_in_the_loss(model)(model, batch)
    assert parts.total == batch_loss(model, batch).total and parts.more == {"padding": 0.0}


def test_the_rows_with_and_without_padding_differ_in_the_loss_alone():
    without, within = find_arm("layout-ahead"), find_arm("layout-ahead-padding")
    assert replace(within, name=without.name, changes=without.changes, loss=None) == without and within.loss is padding_in_the_loss


def test_one_row_is_the_recipe_measured_with_the_plain_decoder(tiny, monkeypatch):
    seen = []
    monkeypatch.setattr(ablations, "measure", lambda recipe, model, tools, spoken, talker, decoder: seen.append((talker, decoder)) or {"asked": True})
    arm, recipe = find_arm("one-row"), find_arm("deeptalk-aligned")
    tools = type("Tools", (), {"ear": None, "codec": None})()
    assert arm.measure(None, tiny.model(), tools, {}) == {"asked": True}
    talker, decoder = seen[0]
    assert decoder is talker.decoder is SpokenDecoder and not issubclass(decoder, ParallelDecoder)
    assert arm.rates_of == recipe.name
    assert replace(arm, name=recipe.name, changes=recipe.changes, measure=None, rates_of=None) == recipe


def test_in_a_weighted_mean_text_counts_as_much_as_all_codes(tiny):
    embedding = tiny.model(combine="weighted", embedding_multiplier=2.0).embedding
    text, codes = torch.tensor([[3]]), torch.tensor([[[0, 1, 2, 3, 4, 5, 6]]])
    rows = embedding.audio.weight[[stream * embedding.rows + stream for stream in range(7)]]  # (Q, D)
    by_hand = 2.0 * (embedding.text.weight[3] / 2 + rows.mean(dim=0) / 2)
    torch.testing.assert_close(embedding(text, codes)[0, 0], by_hand)
    heard = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(embedding(text, None, heard, torch.tensor([[True]]))[0, 0], embedding.text.weight[3] + heard[0, 0])


def test_a_written_word_is_as_large_in_the_weighted_row_as_in_the_recipe(tiny):
    choices = find_arm("rows-weighted").choices(tiny.size())
    plain, weighted = tiny.model(embedding_multiplier=80.0).embedding, tiny.model(**choices).embedding
    assert weighted.scale == plain.scale
