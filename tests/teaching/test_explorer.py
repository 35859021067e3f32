"""The live explorer answers typed questions and recordings, and says what is wrong instead of failing."""

import io

import numpy as np
import pytest
import soundfile
import torch

from minideeptalk.inference.talker import NOT_UNDERSTOOD, Reply
from minideeptalk.model import AudioToken
from minideeptalk.teaching.explorer import VOICES, TalkExplorer

TONE = np.sin(np.arange(8000) / 9).astype(np.float32) / 3


class FakeTalker:
    def __init__(self, understood=True):
        self.understood, self.asked = understood, []

    def answer(self, waveform, trigger):
        self.asked.append(waveform)
        self.trigger = trigger
        if not self.understood:
            return Reply(False, NOT_UNDERSTOOD, "", "neutral", 0.1)
        return Reply(True, "forty nine", "what is forty two plus seven", "happy", 0.9, torch.from_numpy(TONE), {"encode": 30.0, "codec": 12.0})


def wav(samples, rate=8000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize("uploaded", [lambda data: ({"name": "q.wav", "content": memoryview(data)},), lambda data: {"q.wav": {"content": data}}],
                         ids=["ipywidgets 8", "ipywidgets 7"])
def test_a_recording_is_resampled_answered_and_shown_with_its_words(uploaded):
    explorer = TalkExplorer(FakeTalker())
    explorer.ask_file(uploaded(wav(TONE)))
    assert len(explorer.talker.asked[0]) == 2 * len(TONE)
    assert "“forty nine”" in explorer.page.value and "42 ms" in explorer.page.value


def test_what_is_not_understood_is_said_and_not_guessed():
    explorer = TalkExplorer(FakeTalker(understood=False))
    explorer.ask_file(({"content": wav(TONE)},))
    assert NOT_UNDERSTOOD in explorer.page.value and "Answer:" not in explorer.page.value


@pytest.mark.parametrize("content", [b"no sound at all", wav(np.zeros(8000, dtype=np.float32))])
def test_a_bad_file_gets_a_sentence(content):
    explorer = TalkExplorer(FakeTalker())
    explorer.ask_file(({"content": content},))
    assert "xpected" in explorer.page.value and explorer.talker.asked == []


def test_a_typed_question_is_spoken_in_the_chosen_voice():
    pytest.importorskip("espeakng_loader")
    explorer = TalkExplorer(FakeTalker(), "Say red cat")
    explorer.voice.value, explorer.style.value, explorer.manner.value = VOICES[-1], "sad", "in my style"
    explorer.ask()
    assert f"{VOICES[-1]}, sad" in explorer.page.value and len(explorer.talker.asked[0]) > 4000
    assert explorer.talker.trigger == AudioToken.MIRROR
    assert len(explorer.show().children) == 5


def test_no_question_gets_a_sentence():
    pytest.importorskip("espeakng_loader")
    explorer = TalkExplorer(FakeTalker(), "")
    explorer.ask()
    assert "at least one word" in explorer.page.value
