"""The codec: what each level adds, how much of it is used, and that streaming changes neither length nor level."""

import math

import pytest
import torch

from minideeptalk.codec import Codec, PyramidCodec, StreamingDecoder, usage_perplexity
from minideeptalk.codec.kmeans import fit_codebook, nearest
from minideeptalk.config import CodecConfig
from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import LogMel


def sliding_tone(seed: int, seconds: float = 1.6) -> torch.Tensor:
    """A voice-like sound without a synthesiser: harmonics of a gliding pitch, (N,) at 16 kHz."""
    generator = torch.Generator().manual_seed(seed)
    start, end = (100 + 150 * torch.rand(2, generator=generator)).tolist()
    samples = int(seconds * 16000)
    phase = 2 * math.pi * torch.linspace(start, end, samples).cumsum(0) / 16000
    loudness = torch.rand(int(seconds * 10) + 1, generator=generator).repeat_interleave(1600)[:samples]
    sound = sum(torch.sin(k * phase) / k for k in range(1, 12)) * loudness
    return 0.1 * sound + 0.001 * torch.randn(samples, generator=generator)


@pytest.fixture(scope="module")
def mels():
    return [LogMel()(sliding_tone(seed)) for seed in range(12)]


@pytest.fixture(scope="module")
def codec(mels):
    return PyramidCodec.fit(mels[:10], CodecConfig(codebook_size=32, iterations=5, griffin_lim_iterations=8), seed=3)


def test_the_codec_has_the_shared_interface(codec):
    assert isinstance(codec, Codec)
    assert (codec.sample_rate, codec.step_samples, codec.num_codebooks, codec.codebook_size) == (16000, 1280, 7, 32)


def test_a_second_of_sound_is_twelve_and_a_half_rows_of_seven_codes(codec):
    codes = codec.encode(torch.zeros(16000))
    assert codes.shape == (13, 7) and codes.dtype == torch.int64  # the last step is filled up with silence
    assert codec.decode(codes).shape == (13 * 1280,)


def test_each_level_brings_the_copy_nearer_to_unseen_sound(codec, mels):
    unseen = torch.cat(mels[10:])
    codes = codec.encode_mel(unseen)
    errors = [float((codec.decode_mel(codes, depth) - unseen).square().mean()) for depth in range(1, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]


def test_codes_survive_a_round_trip_through_their_own_copy(codec, mels):
    codes = codec.encode_mel(mels[0])
    copy = codec.decode_mel(codes)
    assert (codec.decode_mel(codec.encode_mel(copy)) - copy).abs().mean() < (mels[0] - copy).abs().mean()


def test_fitting_again_with_the_same_seed_gives_the_same_codebooks(codec, mels):
    again = PyramidCodec.fit(mels[:10], CodecConfig(codebook_size=32, iterations=5), seed=3)
    assert all(torch.equal(a, b) for a, b in zip(codec.codebooks, again.codebooks, strict=True))


def test_no_codebook_collapses(codec, mels):
    codes = torch.cat([codec.encode_mel(mel) for mel in mels])
    assert min(codec.usage(codes)) > 8


def test_perplexity_of_usage_counts_the_entries_in_use():
    one, four = torch.zeros(100, 1, dtype=torch.int64), torch.arange(100)[:, None] % 4
    assert usage_perplexity(torch.cat([one, four], dim=1), 256) == pytest.approx([1.0, 4.0])


def test_a_dead_entry_starts_anew():
    vectors = torch.cat([torch.zeros(500, 2), torch.tensor([[5.0, 5.0], [9.0, 9.0], [-9.0, 4.0]])])
    codebook = fit_codebook(vectors, 4, 6, torch.Generator().manual_seed(0))
    assert torch.allclose(codebook[nearest(vectors, codebook)], vectors)


def test_too_little_speech_is_explained():
    with pytest.raises(LearnerError, match="too little speech"):
        PyramidCodec.fit([torch.zeros(40, 80)], CodecConfig())


def test_streaming_equals_the_whole_decode_in_length_and_level(codec, mels):
    codes = torch.cat([codec.encode_mel(mel) for mel in mels[:2]])  # (T, 7)
    whole = codec.decode(codes)
    stream = StreamingDecoder(codec)
    sizes = [1, 2, 4, 4, 3]
    pieces = [stream.push(part) for part in codes[: sum(sizes)].split(sizes)]
    pieces += [stream.push(codes[sum(sizes):]), stream.flush()]
    streamed = torch.cat(pieces)
    assert streamed.shape == whole.shape
    ratio = 20 * torch.log10(streamed.square().mean().sqrt() / whole.square().mean().sqrt())
    assert abs(float(ratio)) < 1.5  # decibels


def test_streaming_has_no_click_at_the_seams(codec, mels):
    codes = codec.encode_mel(mels[0])
    stream = StreamingDecoder(codec)
    streamed = torch.cat([stream.push(part) for part in codes.split(2)] + [stream.flush()])
    jump = lambda sound: float(sound.diff().abs().max())
    assert jump(streamed) < 1.5 * jump(codec.decode(codes))


def test_without_context_and_fade_chunks_are_decoded_apart(codec, mels):
    codes = codec.encode_mel(mels[0])[:6]
    stream = StreamingDecoder(codec, context_steps=0, held_frames=0)
    pieces = [stream.push(part) for part in codes.split(2)]
    assert all(torch.equal(piece, codec.decode(part)) for piece, part in zip(pieces, codes.split(2)))
    assert len(stream.flush()) == 0


def test_with_context_alone_each_chunk_is_the_end_of_a_longer_decode(codec, mels):
    codes = codec.encode_mel(mels[0])[:7]
    stream = StreamingDecoder(codec, context_steps=1, held_frames=0)
    pieces = [stream.push(codes[:2]), stream.push(codes[2:5]), stream.push(codes[5:])]
    assert torch.equal(pieces[1], codec.decode(codes[1:5])[1280:]) and torch.equal(pieces[2], codec.decode(codes[4:])[1280:])


def test_a_flushed_stream_is_empty_and_starts_afresh(codec, mels):
    stream, codes = StreamingDecoder(codec), codec.encode_mel(mels[0])[:4]
    first = torch.cat([stream.push(codes), stream.flush()])
    assert stream.flush().numel() == 0
    assert torch.equal(first, torch.cat([stream.push(codes), stream.flush()]))


def test_more_held_back_than_a_chunk_may_bring_is_refused(codec):
    with pytest.raises(LearnerError, match="held_frames from 0 to 4"):
        StreamingDecoder(codec, held_frames=6)


def test_no_codes_are_no_sound(codec):
    assert codec.decode(torch.zeros(0, 7, dtype=torch.int64)).shape == (0,)
    with pytest.raises(LearnerError):
        codec.decode(torch.zeros(0, 3, dtype=torch.int64))


def test_a_saved_codec_comes_back_equal(codec, mels, tmp_path):
    codec.save(tmp_path)
    loaded = PyramidCodec.load(tmp_path)
    assert torch.equal(loaded.encode_mel(mels[11]), codec.encode_mel(mels[11]))
    assert loaded.griffin_lim_iterations == 8


def test_wrong_codes_are_explained(codec, tmp_path):
    with pytest.raises(LearnerError, match="special tokens"):
        codec.decode_mel(torch.full((3, 7), 32))
    with pytest.raises(LearnerError, match="delay was not undone"):
        codec.decode_mel(torch.zeros(7, 3, dtype=torch.int64))
    with pytest.raises(LearnerError, match="not saved there"):
        PyramidCodec.load(tmp_path / "nothing")
