"""Claims about the synthetic speakers: exact times, one loudness, styles that differ in pitch and speed."""

import sys
from subprocess import run

import numpy as np
import pytest

from minideeptalk.config import SAMPLE_RATE, STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import decibels, pitch
from minideeptalk.speech.synthesis import Synthesizer, is_available
from minideeptalk.speech.voices import ASSISTANT_VOICE, HELD_OUT_VOICE, USER_VOICES, VOICES
from minideeptalk.speech.voices import STYLES as STYLE_SETTINGS

needs_espeak = pytest.mark.skipif(not is_available(), reason="espeakng-loader is not installed")


def test_there_are_six_user_voices_of_both_sexes_and_none_of_them_is_the_assistant_or_the_held_out_one():
    assert len(USER_VOICES) >= 6
    assert {voice.sex for voice in USER_VOICES} == {"female", "male"}
    assert len({voice.accent for voice in USER_VOICES}) >= 4
    assert not {ASSISTANT_VOICE.espeak, HELD_OUT_VOICE.espeak} & {voice.espeak for voice in USER_VOICES}


def test_styles_stand_in_the_order_of_their_tokens():
    assert tuple(STYLE_SETTINGS) == STYLES


def test_building_a_corpus_does_not_wait_for_torch():
    program = "import sys, minideeptalk.speech.build_shard as b; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", program], check=False).returncode == 0


@needs_espeak
def test_each_word_comes_with_its_time_and_words_follow_each_other():
    utterance = Synthesizer().speak("where is the park of leo")
    assert [word.symbol for word in utterance.words] == ["where", "is", "the", "park", "of", "leo"]
    assert all(word.start < word.end for word in utterance.words)
    assert all(first.end <= second.start + 1e-9 for first, second in zip(utterance.words, utterance.words[1:]))
    assert 0.9 < utterance.seconds < 1.5
    assert utterance.words[-1].end <= utterance.seconds
    assert len(utterance.phonemes) > 12


@needs_espeak
def test_between_words_with_a_gap_there_is_less_sound_than_in_them():
    utterance = Synthesizer().speak("red cat box", word_gap=2)
    for word in utterance.words[1:]:
        start = round(word.start * SAMPLE_RATE)
        pause, inside = utterance.waveform[start - 80 : start], utterance.waveform[start : start + 2400]
        assert decibels(pause) < decibels(inside) - 15


@needs_espeak
@pytest.mark.parametrize("style", STYLES)
def test_every_style_and_voice_is_equally_loud_and_free_of_clipping(style):
    for voice in VOICES.values():
        utterance = Synthesizer().speak("say red cat box", voice, style)
        assert decibels(utterance.waveform) == pytest.approx(-23, abs=0.5)
        assert np.abs(utterance.waveform).max() < 0.99


@needs_espeak
def test_leading_silence_is_at_most_a_few_milliseconds():
    for text in ("forty two", "six", "cat"):
        waveform = Synthesizer().speak(text).waveform
        assert np.flatnonzero(np.abs(waveform) > 0.01)[0] < 0.05 * SAMPLE_RATE


@needs_espeak
def test_happy_is_high_and_lively_sad_is_low_flat_and_slow_angry_moves_more_than_neutral():
    texts = ("where is the park of leo", "what is forty two plus seven", "say red cat box backwards")
    mean, spread, seconds = {}, {}, {}
    for style in STYLES:
        said = [Synthesizer().speak(text, ASSISTANT_VOICE, style) for text in texts]
        heard = [pitch(utterance.waveform) for utterance in said]
        mean[style] = np.mean([value.mean for value in heard])
        spread[style] = np.mean([value.spread for value in heard])
        seconds[style] = np.mean([utterance.seconds for utterance in said])
    assert mean["sad"] < 0.9 * mean["neutral"] < 0.9 * 0.9 * mean["happy"]
    assert spread["sad"] < 0.5 * spread["neutral"]
    assert min(spread["happy"], spread["angry"]) > 1.2 * spread["neutral"]
    assert seconds["happy"] < seconds["angry"] < seconds["neutral"] < seconds["sad"]


@needs_espeak
def test_a_mans_voice_is_lower_than_a_womans():
    height = {voice.name: pitch(Synthesizer().speak("where is the park", voice).waveform).mean for voice in USER_VOICES}
    low = max(height[voice.name] for voice in USER_VOICES if voice.sex == "male")
    high = min(height[voice.name] for voice in USER_VOICES if voice.sex == "female")
    assert low < 140 and high > 150  # Hz


@needs_espeak
@pytest.mark.parametrize(("arguments", "expected"), [
    (((),), "at least one word"),
    ((("hat",), "nobody"), "a voice out of amy"),
    ((("hat",), "amy", "bored"), "a style out of neutral, happy, sad, angry"),
    ((("hat",), VOICES["amy"].__class__("x", "no-such-language", "male", "none")), "an espeak-ng voice"),
    (("...",), "words that can be pronounced"),
])
def test_a_request_that_cannot_be_said_is_explained(arguments, expected):
    with pytest.raises(LearnerError, match=expected):
        Synthesizer().speak(*arguments)


def test_without_espeak_the_error_names_the_command_that_installs_it(monkeypatch):
    from minideeptalk.speech import synthesis

    synthesis._load_library.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(LearnerError, match=r"pip install minideeptalk\[speech\]"):
        Synthesizer()
