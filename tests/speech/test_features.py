"""Claims about log-mel frames, the way back to sound, pitch, loudness and resampling. One sentence needs espeak-ng."""

import numpy as np
import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import SILENCE, LogMel, decibels, griffin_lim, log_mel, mel_inverse, normalise_loudness, pitch, resample
from minideeptalk.speech.resampling import resample_numpy
from minideeptalk.speech.synthesis import Synthesizer, is_available


def voice(hz, seconds=1.0, harmonics=12):
    """A buzz with the harmonics of a voice; `hz` is a number or an array with a value for each sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, round(seconds * 16_000)) / 16_000)
    return sum(np.sin(k * phase) / k for k in range(1, harmonics)).astype(np.float32) * 0.1


@pytest.mark.parametrize("samples", [320, 1279, 1280, 16_000, 16_319])
def test_n_samples_give_n_over_320_frames(samples):
    assert log_mel(torch.zeros(samples)).shape == (samples // 320, 80)


def test_one_step_of_80_ms_is_four_frames():
    assert log_mel(torch.zeros(1280)).shape == (4, 80)


def test_a_batch_gives_the_same_as_its_rows():
    waves = torch.randn(3, 3200) * 0.1
    assert torch.allclose(LogMel()(waves), torch.stack([log_mel(row) for row in waves]), atol=1e-5)  # (3, 10, 80)


def test_silence_is_the_floor_in_every_band():
    assert torch.allclose(log_mel(torch.zeros(1600)), torch.tensor(SILENCE))


def test_a_click_in_a_step_is_seen_by_the_frames_of_that_step():
    waveform = torch.zeros(4 * 1280)
    waveform[2 * 1280 + 160] = 1.0
    assert log_mel(waveform).sum(dim=1).argmax() == 8


def test_no_mel_band_is_deaf():
    assert (log_mel(torch.randn(16_000)).amax(dim=0) > SILENCE + 3).all()


def test_log_mel_has_nothing_to_learn_and_nothing_to_save():
    assert not list(LogMel().parameters()) and not LogMel().state_dict()


def test_19_ms_are_too_short():
    with pytest.raises(LearnerError, match="20 ms"):
        log_mel(torch.zeros(319))


def test_griffin_lim_keeps_length_and_pitch():
    wave = voice(np.linspace(180, 240, 16_000))
    back = griffin_lim(log_mel(wave))
    assert back.shape == (16_000,)
    assert pitch(back).mean == pytest.approx(pitch(wave).mean, rel=0.03)
    assert pitch(back).spread == pytest.approx(pitch(wave).spread, rel=0.25)


@pytest.mark.skipif(not is_available(), reason="espeakng-loader is not installed")
def test_griffin_lim_says_a_sentence_again_with_its_mel_and_its_melody():
    wave = Synthesizer().speak("where is the park of leo", style="happy").waveform
    mel = log_mel(wave)
    again = griffin_lim(mel)
    assert 8.686 * (log_mel(again) - mel).abs().mean() < 2  # dB
    before, after = pitch(wave[: len(again)]).track, pitch(again).track
    voiced = ~np.isnan(before) & ~np.isnan(after)
    assert voiced.sum() > 0.7 * (~np.isnan(before)).sum()
    assert np.corrcoef(before[voiced], after[voiced])[0, 1] > 0.9


def test_griffin_lim_repeats_and_leaves_the_random_state_alone():
    mel = log_mel(voice(200.0, 0.2))
    state = torch.get_rng_state()
    assert torch.equal(griffin_lim(mel), griffin_lim(mel))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(griffin_lim(mel, seed=1), griffin_lim(mel))


def test_griffin_lim_takes_a_batch():
    assert griffin_lim(torch.full((2, 8, 80), SILENCE)).shape == (2, 2560)


def test_refining_the_inverse_brings_the_mel_nearer():
    mel = log_mel(voice(150.0))
    again = [(mel_inverse(mel, steps) @ LogMel().filters).clamp_min(1e-2).log() for steps in (0, 8)]
    first, later = ((value - mel).abs().mean() for value in again)
    assert later < first


@pytest.mark.parametrize("hz", [80.0, 120.0, 200.0, 320.0])
def test_pitch_of_a_steady_voice_is_its_frequency(hz):
    heard = pitch(voice(hz))
    assert heard.mean == pytest.approx(hz, rel=0.01)
    assert heard.spread < 0.02 * hz


def test_pitch_follows_a_glide():
    heard = pitch(voice(np.linspace(100, 200, 16_000)))
    assert heard.mean == pytest.approx(150, rel=0.03)
    assert heard.spread == pytest.approx(100 / np.sqrt(12), rel=0.1)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(size=16_000).astype(np.float32) * 0.1
    assert np.isnan(pitch(noise).track).mean() > 0.95
    assert np.isnan(pitch(np.zeros(16_000, dtype=np.float32)).mean)


def test_loudness_does_not_depend_on_pauses():
    wave = voice(200.0)
    padded = np.concatenate([wave, np.zeros(32_000, dtype=np.float32)])
    assert decibels(padded) == pytest.approx(decibels(wave), abs=0.1)


def test_normalising_brings_any_level_to_minus_23_and_never_clips():
    for gain in (0.001, 1.0, 5.0):
        assert decibels(normalise_loudness(gain * voice(200.0))) == pytest.approx(-23, abs=0.1)
    assert np.abs(normalise_loudness(voice(200.0), target_dbfs=0)).max() <= 0.9901
    assert not normalise_loudness(np.zeros(400)).any()


def test_resampling_keeps_seconds_and_pitch():
    at_44100 = np.sin(2 * np.pi * 300 * np.arange(44_100) / 44_100).astype(np.float32)
    at_16000 = resample(at_44100, 44_100)
    assert at_16000.shape == (16_000,)
    assert pitch(at_16000).mean == pytest.approx(300, rel=0.01)


def test_the_small_resampler_agrees_with_torchaudio():
    seconds = np.arange(22_050) / 22_050
    chirp = np.sin(2 * np.pi * (100 + 2900 * seconds) * seconds).astype(np.float32)  # 100 to 5,900 Hz
    small, large = resample_numpy(chirp, 22_050, 16_000), resample(chirp, 22_050).numpy()
    assert len(small) == len(large) == 16_000
    assert np.abs(small - large)[200:-200].max() < 0.02


def test_the_small_resampler_removes_what_16_khz_cannot_carry():
    above = np.sin(2 * np.pi * 9_000 * np.arange(22_050) / 22_050).astype(np.float32)
    assert np.abs(resample_numpy(above, 22_050, 16_000)[200:-200]).max() < 1e-3
