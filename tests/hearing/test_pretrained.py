"""Whisper's encoder as an ear: a tiny one with random weights, no network."""

import doctest

import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperModel

from minideeptalk.errors import LearnerError
from minideeptalk.hearing import pretrained
from minideeptalk.hearing.pretrained import WhisperEar, average_frames

CONFIG = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_layers": 1, "decoder_attention_heads": 2,
              "decoder_ffn_dim": 16, "vocab_size": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return WhisperModel(WhisperConfig(**CONFIG, max_source_positions=100))  # hears 2 s


@pytest.fixture
def ear(network):
    return WhisperEar(network)


def sound(seconds, seed=0, level=0.1):
    return level * torch.randn(round(16_000 * seconds), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seconds, frames", [(0.08, 1), (0.4, 5), (1.0, 13), (2.0, 25)])
def test_it_gives_12_5_frames_a_second_of_its_width(ear, seconds, frames):
    (heard,) = ear.listen([ear.features(sound(seconds))])
    assert heard.frames.shape == (frames, ear.width) == (frames, 16) and torch.isfinite(heard.frames).all()


def test_frames_are_those_of_whisper_on_its_own_features(network):
    """At the published window of 30 s, with Whisper's own extractor and nothing of ours."""
    whole = WhisperModel(WhisperConfig(**CONFIG)).eval()
    wave = sound(1.3)
    theirs = WhisperFeatureExtractor()(wave.numpy(), sampling_rate=16_000, return_tensors="pt").input_features  # (1, 80, 3000)
    with torch.no_grad():
        states = whole.encoder(theirs).last_hidden_state[0, :65]  # 1.3 s at 50 Hz
    ear = WhisperEar(whole, pool=1)
    assert ear.longest_seconds == 30.0
    torch.testing.assert_close(ear.features(wave), theirs[0, :, :132].T)
    torch.testing.assert_close(ear.listen([ear.features(wave)])[0].frames, states)


@pytest.mark.parametrize("level", [0.1, 1e-6])
def test_what_follows_the_sound_is_padded_as_whisper_pads_it(ear, level):
    wave = sound(0.5, level=level)
    silence = torch.cat([wave, torch.zeros(24_000)])
    (short,), (long,) = ear.listen([ear.features(wave)]), ear.listen([ear.features(silence)])
    torch.testing.assert_close(short.frames[:6], long.frames[:6], atol=1e-4, rtol=1e-4)


def test_a_batch_is_heard_as_each_alone(ear):
    features = [ear.features(sound(seconds, seed)) for seed, seconds in enumerate((0.3, 1.1))]
    together = ear.listen(features)
    assert all(torch.equal(one.frames, ear.listen([each])[0].frames) for one, each in zip(together, features))


def test_neighbours_are_averaged_and_the_last_group_may_be_small():
    frames = torch.arange(10.0).reshape(5, 2)
    assert average_frames(frames, 2).tolist() == [[1, 2], [5, 6], [8, 9]]
    assert torch.equal(average_frames(frames, 1), frames)


def test_a_whole_whisper_gives_its_encoder_and_is_frozen():
    model = WhisperForConditionalGeneration(WhisperConfig(**CONFIG, max_source_positions=100))
    ear = WhisperEar(model)
    assert not any(parameter.requires_grad for parameter in ear.encoder.parameters()) and not ear.encoder.training
    assert not ear.listen([ear.features(sound(0.2))])[0].frames.requires_grad


def test_it_understands_nothing_until_it_remembers_and_then_what_is_alike(ear):
    known = [ear.features(sound(1.5, seed)) for seed in range(6)]
    assert not any(map(ear.understands, ear.listen(known)))
    ear.remember(known)
    fresh = ear.listen([ear.features(sound(1.5, 99))])[0]
    strange = ear.listen([ear.features(torch.sin(torch.arange(24_000) * 0.3))])[0]
    assert fresh.confidence > strange.confidence + 0.05  # random weights tell sounds apart, a little
    ear.threshold = (fresh.confidence + strange.confidence) / 2
    assert ear.understands(fresh) and not ear.understands(strange)
    with pytest.raises(LearnerError, match="more than 16 frames, got 5"):
        ear.remember([ear.features(sound(0.4))])


def test_its_frames_go_through_the_adapter_of_the_miniature(ear, tiny):
    """A question in, logits out: nothing else of the model knows which ear it was."""
    model = tiny.model(ear_width=ear.width)
    frames = ear.listen([ear.features(sound(0.6))])[0].frames
    from minideeptalk.tasks import collate

    builder = tiny.builder(ear_width=ear.width)
    batch = collate([builder.recognise(frames, ("say", "red", "cat"))], builder.silence)
    hidden = model(**batch.model_inputs()).hidden
    assert torch.isfinite(model.text_logits(hidden)).all() and int(batch.frame_mask.sum()) == len(frames) == 8


def test_sound_beyond_the_window_and_other_networks_are_refused(ear):
    with pytest.raises(LearnerError, match=r"at most 2 s, got 2.1 s"):
        ear.features(sound(2.1))
    with pytest.raises(LearnerError, match="at most 2 s, got 0.0 s"):
        ear.features(torch.zeros(0))
    from transformers import BertConfig, BertModel

    other = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=4))
    with pytest.raises(LearnerError, match="a Whisper model"):
        WhisperEar(other)


def test_the_example_runs():
    failed, tried = doctest.testmod(pretrained)
    assert failed == 0 and tried > 0
