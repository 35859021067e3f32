"""Recordings of people come in at 16 kHz with their words, whatever rate and layout they were kept in; nothing is fetched unasked."""

import doctest
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from minideeptalk.errors import LearnerError
from minideeptalk.speech import corpora
from minideeptalk.speech.corpora import (
    Recording,
    folder_of_recordings,
    librispeech,
    ljspeech,
    plain_words,
    same_seconds,
    speech_commands,
    words_in_name,
)

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = Path(os.environ.get("MINIDEEPTALK_FSDD", ROOT.parent / "shared" / "data" / "fsdd"))


def tone(path, rate=16_000, seconds=0.5, channels=1):
    """A tone of 200 Hz, so that a wrong rate is heard as a wrong pitch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(rate * seconds)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


def pitch_of(waveform, rate=16_000):
    return np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("something was downloaded")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


# ---- one recording -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_every_rate_becomes_16_khz_with_the_same_seconds_and_pitch(tmp_path, rate):
    clip = Recording(tone(tmp_path / "a.wav", rate, channels=2), "a")
    waveform = clip.waveform()
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert len(waveform) / 16_000 == pytest.approx(0.5, abs=0.01) == clip.seconds
    assert pitch_of(waveform) == pytest.approx(200, abs=3)


def test_what_is_no_sound_has_no_seconds_and_says_so(tmp_path):
    (tmp_path / "7.wav").write_text("404: not found")
    with pytest.raises(LearnerError, match="fetch the corpus again"):
        print(Recording(tmp_path / "7.wav", "seven").seconds)


def test_samples_at_8_khz_taken_for_16_khz_are_noticed_by_their_seconds():
    with pytest.raises(LearnerError, match=r"expected 0.50 s of sound in 7.wav, got 0.25 s.*0.5 times as long"):
        same_seconds(4_000 / 16_000, 4_000 / 8_000, "7.wav")


def test_a_file_at_another_rate_than_its_corpus_says_is_refused(tmp_path):
    with pytest.raises(LearnerError, match="16000 Hz, as its corpus says, got 8000 Hz"):
        Recording(tone(tmp_path / "a.wav", 8_000), "a", sample_rate=16_000).waveform()


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(LearnerError, match="an audio file"):
        Recording(tmp_path / "none.wav", "a").waveform()


def test_a_file_that_is_no_sound_is_explained(tmp_path):
    for content in (b"", b"these are words, not sound"):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(LearnerError, match="a.wav"):
            Recording(tmp_path / "a.wav", "a").waveform()


# ---- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, fields", [
    ("7_jackson_32", {"words": "seven", "speaker": "jackson", "take": "32"}),
    ("red-cat_amy_0", {"words": "red cat", "speaker": "amy", "take": "0"}),
    ("42_x_1_2", {"words": "forty two", "speaker": "x", "take": "1_2"}),
])
def test_a_name_gives_words_and_speaker(name, fields):
    assert words_in_name(name, "{words}_{speaker}_{take}") == fields


def test_other_patterns_and_names_that_do_not_fit():
    assert words_in_name("p1.say red", "{speaker}.{words}") == {"speaker": "p1", "words": "say red"}
    with pytest.raises(LearnerError, match="a file name like"):
        words_in_name("noise", "{words}_{speaker}_{take}")
    with pytest.raises(LearnerError, match=r"a pattern with \{words\}"):
        words_in_name("noise", "{speaker}")


def test_words_are_plain():
    assert plain_words("Say  42, RED_cat: don't!") == "say forty two red cat don't"
    assert plain_words("in 1984") == "in 1984"  # the world has no word for hundred


# ---- folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_of_named_files(tmp_path):
    for name in ("7_jackson_0", "0_lucas_1"):
        tone(tmp_path / f"{name}.wav", 8_000)
    (tmp_path / "README.md").write_text("not a sound")
    clips = folder_of_recordings(tmp_path)
    assert [(clip.words, clip.speaker) for clip in clips] == [("zero", "lucas"), ("seven", "jackson")]


@pytest.mark.parametrize("card", [{"a.wav": "Red Cat"}, [{"file": "a.wav", "words": "red cat", "voice": "amy"}]])
def test_a_folder_with_transcripts(tmp_path, card):
    tone(tmp_path / "a.wav")
    tone(tmp_path / "unlisted.wav")
    (tmp_path / "transcripts.json").write_text(json.dumps(card))
    (clip,) = folder_of_recordings(tmp_path)
    assert (clip.path.name, clip.words) == ("a.wav", "red cat") and clip.speaker == ("amy" if isinstance(card, list) else "")


@pytest.mark.parametrize("text, explanation", [
    ('{"a.wav": "red",}', r"JSON in .*transcripts\.json.*line 1 column 17.*a comma after the last entry"),
    ('[{"file": "a.wav", "words": "red"}, {"file": "a.wav"}]', r'`words`.*transcripts\.json, got \{"file": "a.wav"\} as entry 2'),
    ('[{"words": "red"}]', r'`file`.*got \{"words": "red"\} as entry 1'),
    ('{"a.wav": 7}', r'text as .*got \{"file": "a.wav", "words": 7\} as entry 1.*a number without quotes'),
    ('["a.wav"]', r'got "a.wav" as entry 1'),
    ("7", r"an object or a list in .*transcripts\.json, got 7"),
])
def test_transcripts_with_a_mistake_are_explained(tmp_path, text, explanation):
    tone(tmp_path / "a.wav")
    (tmp_path / "transcripts.json").write_text(text)
    with pytest.raises(LearnerError, match=explanation):
        folder_of_recordings(tmp_path)


def test_transcripts_in_another_encoding_are_explained(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "transcripts.json").write_bytes('{"a.wav": "caf\u00e9"}'.encode("latin-1"))
    with pytest.raises(LearnerError, match="letters that are not UTF-8"):
        folder_of_recordings(tmp_path)


def test_the_shipped_clips_are_such_a_folder():
    clips = folder_of_recordings(ROOT / "data_samples" / "clips", ROOT / "data_samples" / "clips.json")
    assert len(clips) > 40 and all(clip.words and clip.speaker for clip in clips)
    assert len(clips[0].waveform()) / 16_000 == pytest.approx(clips[0].seconds, abs=0.01)


def test_a_folder_that_is_no_corpus_is_explained(tmp_path):
    with pytest.raises(LearnerError, match="a folder with WAV or FLAC files"):
        folder_of_recordings(tmp_path / "nowhere")
    tone(tmp_path / "a.wav")
    with pytest.raises(LearnerError, match="no file .*other.json"):
        folder_of_recordings(tmp_path, tmp_path / "other.json")
    (tmp_path / "transcripts.json").write_text(json.dumps({"b.wav": "b"}))
    with pytest.raises(LearnerError, match="none for b.wav"):
        folder_of_recordings(tmp_path)


# ---- torchaudio's corpora, in their layout with other sounds -----------------------------------------------------------------


def test_librispeech(tmp_path):
    folder = tmp_path / "LibriSpeech" / "dev-clean" / "84" / "121123"
    tone(folder / "84-121123-0000.flac")
    (folder / "84-121123.trans.txt").write_text("84-121123-0000 GO DO YOU HEAR\n")
    (clip,) = librispeech(tmp_path)
    assert (clip.words, clip.speaker, len(clip.waveform())) == ("go do you hear", "84", 8_000)


def test_speech_commands(tmp_path):
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    for word in ("seven", "yes"):
        tone(folder / word / "0a2b400e_nohash_0.wav", seconds=1.0)
    (folder / "testing_list.txt").write_text("seven/0a2b400e_nohash_0.wav\n")
    (folder / "validation_list.txt").write_text("")
    (clip,) = speech_commands(tmp_path)
    assert (clip.words, clip.speaker, len(clip.waveform())) == ("seven", "0a2b400e", 16_000)
    assert len(speech_commands(tmp_path, subset=None)) == 2


def test_ljspeech_at_its_own_rate(tmp_path):
    folder = tmp_path / "LJSpeech-1.1"
    tone(folder / "wavs" / "LJ001-0001.wav", 22_050, seconds=1.0)
    (folder / "metadata.csv").write_text('LJ001-0001|Printing, in 2 "senses"|Printing, in two "senses"\n')
    (clip,) = ljspeech(tmp_path)
    assert clip.words == "printing in two senses" and len(clip.waveform()) == 16_000


@pytest.mark.parametrize("loader, name", [(librispeech, "LIBRISPEECH"), (speech_commands, "SPEECHCOMMANDS"), (ljspeech, "LJSPEECH")])
def test_a_corpus_that_is_not_there_is_not_fetched(tmp_path, loader, name):
    with pytest.raises(LearnerError, match=f"{name} in .*download=True"):
        loader(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not DIGITS.is_dir(), reason="no human recordings here; MINIDEEPTALK_FSDD names their folder")
def test_human_digits():
    clips = folder_of_recordings(DIGITS)
    assert {clip.words for clip in clips} == set(WORDS)
    for clip in clips[::80]:
        assert soundfile.info(clip.path).samplerate == 8_000
        assert len(clip.waveform()) / 16_000 == pytest.approx(clip.seconds, abs=0.01) and 0.1 < clip.seconds < 2.5


def test_the_example_runs():
    failed, tried = doctest.testmod(corpora)
    assert failed == 0 and tried > 0
