"""Claims about words on the 80 ms grid of the language model."""

import numpy as np
import pytest

from minideeptalk.config import SAMPLE_RATE, STEP_SAMPLES, STEP_SECONDS, STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.speech.grid import place_on_grid
from minideeptalk.speech.synthesis import Synthesizer, is_available
from minideeptalk.speech.utterance import Span, Utterance

needs_espeak = pytest.mark.skipif(not is_available(), reason="espeakng-loader is not installed")


def tones(*spans, length):
    """Silence of `length` seconds with a tone in each span: words whose times are known by construction."""
    waveform = np.zeros(round(length * SAMPLE_RATE), dtype=np.float32)
    for start, end in spans:
        time = np.arange(round((end - start) * SAMPLE_RATE))
        waveform[round(start * SAMPLE_RATE) :][: len(time)] = 0.1 * np.sin(0.3 * time)
    return Utterance(waveform, tuple(Span(f"w{i}", *span) for i, span in enumerate(spans)), ())


def test_a_word_of_100_ms_and_one_of_90_ms_take_two_steps_each():
    gridded = place_on_grid(tones((0.0, 0.1), (0.13, 0.22), length=0.3))
    assert gridded.seconds == pytest.approx(0.32)
    assert [word.start for word in gridded.words] == pytest.approx([0.0, 0.16])
    assert gridded.words[0].end == pytest.approx(0.1, abs=0.011)


def test_the_time_after_a_word_is_silence():
    gridded = place_on_grid(tones((0.0, 0.1), (0.13, 0.22), length=0.3))
    assert not gridded.waveform[round(0.12 * SAMPLE_RATE) : 2 * STEP_SAMPLES].any()


def test_a_cut_makes_no_click():
    gridded = place_on_grid(tones((0.0, 0.1), (0.1, 0.2), length=0.2))
    assert np.abs(np.diff(gridded.waveform)).max() < 0.04  # the tone itself moves by 0.03 a sample


def test_words_need_times():
    with pytest.raises(LearnerError, match="word times"):
        place_on_grid(Utterance(np.zeros(1600, dtype=np.float32), (), ()))


@needs_espeak
@pytest.mark.parametrize("style", STYLES)
def test_every_word_sounds_within_10_ms_of_a_step(style):
    speaker = Synthesizer()
    for text in ("forty two", "red cat box", "six", "nine cup ball leo", "hat key"):
        gridded = place_on_grid(speaker.speak(text, style=style, word_gap=2))
        assert len(gridded.waveform) % STEP_SAMPLES == 0
        for word in gridded.words:
            assert word.start / STEP_SECONDS == pytest.approx(round(word.start / STEP_SECONDS), abs=1e-6)
            begin = round(word.start * SAMPLE_RATE)
            after = gridded.waveform[begin : begin + 160]
            assert np.sqrt((after[-80:] ** 2).mean()) > 0.003, (text, word)


@needs_espeak
def test_a_short_answer_of_two_words_lasts_less_than_two_seconds():
    gridded = place_on_grid(Synthesizer().speak("forty two", style="neutral", word_gap=2))
    assert gridded.seconds == pytest.approx(9 * STEP_SECONDS, abs=STEP_SECONDS + 1e-6)


@needs_espeak
def test_the_grid_keeps_the_phonemes_inside_their_words():
    gridded = place_on_grid(Synthesizer().speak("red cat box", word_gap=2))
    assert "".join(phoneme.symbol for phoneme in gridded.phonemes).replace("ˈ", "").replace("ː", "") == "ɹɛdkætbɑks"
    assert all(phoneme.start >= 0 for phoneme in gridded.phonemes)
    k = next(phoneme for phoneme in gridded.phonemes if phoneme.symbol == "k")
    assert k.start == pytest.approx(gridded.words[1].start, abs=0.02)
