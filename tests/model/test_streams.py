"""Delays can be undone, silence is really silent, and each modality's table is its own."""

import random

import pytest
import torch

from minideeptalk.model import Adapter, AudioHeads, AudioToken, StreamEmbedding, delay, delays, undelay, word_positions

PAD = 8 + AudioToken.PAD  # codebook of 8


# ---- delays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_undelay_undoes_delay_for_any_lags_lengths_and_streams(seed):
    rng = random.Random(seed)
    frames, streams = rng.randint(0, 9), rng.randint(1, 7)
    lags = [rng.randint(0, 6) for _ in range(streams)]
    codes = torch.randint(0, 8, (frames, streams), generator=torch.Generator().manual_seed(seed))
    shifted = delay(codes, lags, PAD)
    assert shifted.shape == (frames + max(lags), streams)
    assert torch.equal(undelay(shifted, lags), codes)
    assert int((shifted == PAD).sum()) == max(lags) * streams  # nothing lost: only the corners are filled


def test_the_papers_delay_lets_stream_i_lag_i_plus_one():
    shifted = delay(torch.tensor([[1, 2, 3], [4, 5, 6]]), delays("stream", 3), PAD)
    assert shifted.tolist() == [
        [PAD, PAD, PAD],
        [1, PAD, PAD],
        [4, 2, PAD],
        [PAD, 5, 3],
        [PAD, PAD, 6],
    ]


@pytest.mark.parametrize("name, lags", [
    ("stream", [1, 2, 3, 4, 5, 6, 7]), ("level", [1, 2, 2, 3, 3, 3, 3]), ("none", [1] * 7)])
def test_every_delay_leaves_the_word_one_step_before_its_first_sound(name, lags):
    assert delays(name, 7) == lags


# ---- the input rows ----------------------------------------------------------------------------------------------------


def embedding(tiny, **choices):
    torch.manual_seed(0)
    return StreamEmbedding(tiny.config(**choices))


def rows(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(6, 40, (2, 5), generator=generator), torch.randint(0, 8, (2, 5, 7), generator=generator)


def test_a_step_is_the_mean_of_its_eight_rows_times_the_multiplier(tiny):
    table = embedding(tiny, embedding_multiplier=3.0)
    text, codes = rows()
    by_hand = table.text(text) + sum(table.audio(codes[..., stream] + stream * table.rows) for stream in range(7))
    torch.testing.assert_close(table(text, codes), by_hand * 3.0 / 8)
    torch.testing.assert_close(embedding(tiny, embedding_multiplier=3.0, combine="sum")(text, codes), by_hand * 3.0)


def test_the_same_code_means_something_else_in_each_stream(tiny):
    table, text = embedding(tiny), torch.full((1, 7), 9)
    codes = torch.full((1, 7, 7), PAD)
    codes[0, range(7), range(7)] = 5  # step i: code 5 in stream i only
    assert len({tuple(step.tolist()) for step in table(text, codes)[0]}) == 7


def test_silence_adds_nothing_and_never_learns(tiny):
    table = embedding(tiny)
    text, _ = rows()
    silent = torch.full((2, 5, 7), PAD)
    assert torch.equal(table(text, silent), table(text, None))
    table(text, silent).square().sum().backward()
    assert table.audio.weight.grad.abs().sum() == 0


def test_a_heard_frame_stands_in_all_seven_rows_of_its_steps_only(tiny):
    table, (text, _) = embedding(tiny), rows()
    heard = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    place = torch.zeros(2, 5, dtype=torch.bool)
    place[0, 1:3] = True
    difference = table(text, None, heard, place) - table(text, None)
    torch.testing.assert_close(difference[place], heard[place] * 7 * table.scale)
    assert difference[~place].abs().sum() == 0


def test_the_place_inside_a_word_counts_from_one_and_zero_is_no_place(tiny):
    table, (text, _) = embedding(tiny), rows()
    elapsed = torch.tensor([[0, 1, 2, 3, 0], [0, 0, 0, 14, 400]])
    difference = table(text, None, elapsed=elapsed) - table(text, None)
    torch.testing.assert_close(difference[0, 2], table.elapsed.weight[2] * table.scale)
    torch.testing.assert_close(difference[1, 4], table.elapsed.weight[15] * table.scale)  # no word is longer
    assert difference[elapsed == 0].abs().sum() == 0


def test_places_advance_with_each_written_word_and_each_new_spoken_one_and_stand_still_while_it_sounds():
    written, spoken = [0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 2, 3, 1, 2]
    places = word_positions(torch.tensor([written, spoken]))
    assert places.tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 2, 2, 3, 3]]


@torch.no_grad()
def test_what_text_means_does_not_change_when_every_audio_table_does(tiny):
    model = tiny.model().eval()
    batch = tiny.batch(tiny.builder())
    inputs = {"text": batch.text, "codes": torch.full_like(batch.codes, PAD)}
    before = model(batch.text).hidden
    for part in (model.embedding.audio, model.embedding.elapsed, model.audio_heads, model.adapter):
        for parameter in part.parameters():
            parameter.normal_()
    assert torch.equal(model(batch.text).hidden, before)
    assert torch.equal(model(**inputs).hidden, before)
    assert torch.equal(model.text_logits(before), before @ model.embedding.text.weight.T)


# ---- the way in and the way out ----------------------------------------------------------------------------------------


def test_the_adapter_is_the_papers_gated_mlp_levelled(tiny):
    adapter, frames = Adapter(tiny.config()), tiny.frames(4)
    gate = adapter.fc1(frames)
    mixed = adapter.proj(gate * gate.sigmoid() * adapter.fc2(frames))
    torch.testing.assert_close(adapter.gated(frames), mixed)
    torch.testing.assert_close(adapter(frames), adapter.level * mixed / (mixed.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt())
    as_it_comes = Adapter(tiny.config(heard_loudness=0.0))
    torch.testing.assert_close(as_it_comes(frames), as_it_comes.gated(frames))
    assert not any(name.endswith("bias") for name, _ in adapter.named_parameters())


@torch.no_grad()
@pytest.mark.parametrize("combine", ["mean", "sum", "weighted"])
def test_a_heard_frame_is_as_loud_as_said_beside_a_new_word_however_rows_combine_and_whatever_the_adapter_learnt(tiny, combine):
    model = tiny.model(combine=combine)
    words, heard_at = torch.arange(6)[None] + 5, torch.ones(1, 6, dtype=torch.bool)
    alone = model.embedding(words, None)
    for spread in (0.5, 50.0):
        model.adapter.proj.weight.normal_(std=spread)
        heard = model.embedding(words, None, model.adapter(tiny.frames(6))[None], heard_at) - alone
        loudness = heard.square().mean().sqrt() / (model.embedding.scale * model.embedding.text.weight.square().mean().sqrt())
        assert loudness.item() == pytest.approx(model.config.heard_loudness, rel=0.05)



def test_there_is_one_output_layer_for_each_stream_with_room_for_the_special_tokens(tiny):
    heads = AudioHeads(tiny.config())
    hidden = torch.randn(2, 3, 16)
    logits = heads(hidden)
    assert logits.shape == (2, 3, 7, 8 + len(AudioToken))
    one = heads.projection.weight.view(7, 8 + len(AudioToken), 16)[4]
    torch.testing.assert_close(logits[..., 4, :], hidden @ one.T)
