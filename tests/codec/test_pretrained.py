"""Other people's codecs behind our interface: tiny networks of each kind, with random weights and no network."""

import doctest
import math

import pytest
import torch
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, MimiConfig, MimiModel

from minideeptalk.codec import Codec, pretrained
from minideeptalk.codec.pretrained import PretrainedCodec, pyramid_to_table, table_to_pyramid
from minideeptalk.errors import LearnerError


@torch.no_grad()
def alive(network, size):
    """Without training, Mimi's and EnCodec's codebooks hold zeros, and biases drown the sound: every sound gets the same codes."""
    generator = torch.Generator().manual_seed(1)
    for name, entries in network.named_buffers():
        if name.endswith(("codebook.embed", "codebook.embed_sum")):
            entries.normal_(generator=generator, std=size)
    for name, bias in network.encoder.named_parameters():
        if "bias" in name:
            bias.zero_()
    return network


def mimi(**choices):
    return alive(MimiModel(MimiConfig(**{
        "num_filters": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16,
        "codebook_size": 16, "codebook_dim": 8, "vector_quantization_hidden_dimension": 8, "upsample_groups": 16, "num_quantizers": 10, **choices})), 0.01)


def dac():
    return DacModel(DacConfig(encoder_hidden_size=4, decoder_hidden_size=32, n_codebooks=5, codebook_size=16, codebook_dim=4,
                              downsampling_ratios=[2, 4, 5, 8]))


def encodec(**choices):
    return alive(EncodecModel(EncodecConfig(num_filters=4, hidden_size=8, codebook_size=16, num_lstm_layers=1, **choices)), 0.003)


class Snac(torch.nn.Module):
    """The package snac in five lines: the mean of every stretch of its own samples is a code, finest first in time."""

    sampling_rate, hop_length, vq_strides, codebook_size, n_codebooks = 24_000, 512, [4, 2, 1], 16, 3

    def encode(self, sound):
        whole = torch.nn.functional.pad(sound, (0, -sound.shape[-1] % 2048))[:, 0]
        return [(8 + 8 * whole.unfold(1, 512 * stride, 512 * stride).mean(-1)).long().clamp(0, 15) for stride in self.vq_strides]

    def decode(self, codes):
        return sum((level.float() / 8 - 1).repeat_interleave(512 * stride, 1) for level, stride in zip(codes, self.vq_strides))[:, None] / 3


MAKERS = {"mimi": (mimi, {"num_codebooks": 8}, 8, 12.5), "dac": (dac, {}, 5, 50), "encodec": (encodec, {"num_codebooks": 4, "sample_rate": 24_000}, 4, 75),
          "snac": (Snac, {"sample_rate": 24_000}, 7, 24_000 / 2048)}


@pytest.fixture(params=MAKERS)
def made(request):
    torch.manual_seed(0)
    make, choices, columns, rate = MAKERS[request.param]
    return PretrainedCodec(make(), **choices), columns, rate


def sound(codec, seconds, seed=0):
    return 0.3 * torch.randn(round(seconds * codec.sample_rate), generator=torch.Generator().manual_seed(seed))


def test_it_keeps_the_interface_of_every_codec(made):
    codec, columns, rate = made
    assert isinstance(codec, Codec)
    assert (codec.num_codebooks, codec.codebook_size) == (columns, 16)
    assert codec.sample_rate / codec.step_samples == pytest.approx(rate)


@pytest.mark.parametrize("seconds", [0.05, 0.4, 1.003])
def test_seconds_go_through_it_unchanged(made, seconds):
    codec, columns, rate = made
    codes = codec.encode(sound(codec, seconds))
    assert codes.shape == (math.ceil(round(seconds * codec.sample_rate) / codec.step_samples), columns)
    assert codes.dtype == torch.int64 and 0 <= int(codes.min()) and int(codes.max()) < 16
    heard = codec.decode(codes)
    assert heard.shape == (len(codes) * codec.step_samples,) and torch.isfinite(heard).all()
    assert abs(len(heard) / codec.sample_rate - seconds) <= 1 / rate + 1e-6


def test_codes_follow_the_sound_and_the_sound_the_codes(made):
    codec, *_ = made
    one, other = (codec.encode(sound(codec, 0.8, seed)) for seed in (1, 2))
    assert not torch.equal(one, other) and torch.equal(one, codec.encode(sound(codec, 0.8, 1)))
    assert not torch.allclose(codec.decode(one), codec.decode(other))


def test_it_is_frozen_and_leaves_no_graph(made):
    codec, *_ = made
    heard = codec.decode(codec.encode(sound(codec, 0.3)))
    assert not heard.requires_grad and not any(parameter.requires_grad for parameter in codec.model.parameters())
    assert not codec.model.training


def test_resampling_happens_inside():
    """At 24 kHz and at 16 kHz Mimi sees the same seconds, so it gives as many steps, and nearly the same sound of a low tone."""
    network = mimi()
    outside, inside = PretrainedCodec(network, 8, 16_000), PretrainedCodec(network, 8, 24_000)
    assert (outside.step_samples, inside.step_samples) == (1280, 1920)
    assert outside.encode(sound(outside, 0.8)).shape == inside.encode(sound(inside, 0.8)).shape == (10, 8)
    codes = torch.zeros(5, 8, dtype=torch.long)
    assert len(outside.decode(codes)) == 5 * 1280 and len(inside.decode(codes)) == 5 * 1920


def test_fewer_codebooks_are_the_first_ones():
    network = mimi()
    wave = sound(PretrainedCodec(network), 0.5)
    assert torch.equal(PretrainedCodec(network, 3).encode(wave), PretrainedCodec(network).encode(wave)[:, :3])


def test_the_network_gives_what_it_gives_without_us():
    network = mimi().eval()
    codec = PretrainedCodec(network, 8, 24_000)
    wave = sound(codec, 0.8)
    with torch.no_grad():
        theirs = network.encode(wave[None, None], num_quantizers=8).audio_codes[0]  # (Q, T)
        assert torch.equal(codec.encode(wave), theirs.T)
        torch.testing.assert_close(codec.decode(theirs.T), network.decode(theirs[None]).audio_values.flatten())


# ---- SNAC's pyramid ----------------------------------------------------------------------------------------------------


def test_the_pyramid_becomes_a_table_and_back():
    levels = [torch.tensor([1, 2]), torch.tensor([10, 11, 20, 21]), torch.tensor([100, 101, 102, 103, 200, 201, 202, 203])]
    table = pyramid_to_table(levels)
    assert table.tolist() == [[1, 10, 11, 100, 101, 102, 103], [2, 20, 21, 200, 201, 202, 203]]
    assert all(torch.equal(mine, level) for mine, level in zip(table_to_pyramid(table), levels, strict=True))


@pytest.mark.parametrize("lengths", [(2, 3, 8), (0, 0, 0), (8, 4, 2)])
def test_levels_that_are_no_pyramid_are_refused(lengths):
    with pytest.raises(LearnerError, match="times as long as the first"):
        pyramid_to_table([torch.zeros(length) for length in lengths])


# ---- errors ------------------------------------------------------------------------------------------------------------


def test_a_rate_at_which_a_step_is_no_whole_number_of_samples_is_refused():
    with pytest.raises(LearnerError, match="213.33 samples at 16000 Hz.*75 steps a second.*sample_rate=24000"):
        PretrainedCodec(encodec())


def test_what_is_no_codec_is_refused():
    with pytest.raises(LearnerError, match="a codec out of mimi, encodec, dac, snac, got Linear"):
        PretrainedCodec(torch.nn.Linear(2, 2))
    with pytest.raises(LearnerError, match="takes an utterance whole"):
        PretrainedCodec(encodec(chunk_length_s=1.0, overlap=0.01))
    with pytest.raises(LearnerError, match="all 7 columns of SNAC"):
        PretrainedCodec(Snac(), num_codebooks=3, sample_rate=24_000)


def test_codes_of_another_shape_are_refused(made):
    codec, columns, _ = made
    with pytest.raises(LearnerError, match=f"shape \\(steps, {columns}\\)"):
        codec.decode(torch.zeros(columns, 3 * columns, dtype=torch.long))


def test_the_example_runs():
    failed, tried = doctest.testmod(pretrained)
    assert failed == 0 and tried > 0
