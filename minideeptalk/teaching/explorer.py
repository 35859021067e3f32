"""The live explorer of chapter 00: type a question or load a recording, and hear the miniature answer. Jupyter and Colab only."""

from __future__ import annotations

from html import escape

import numpy as np
import torch

from minideeptalk.config import STYLES
from minideeptalk.inference.talker import Reply, Talker
from minideeptalk.model import AudioToken
from minideeptalk.speech.voices import HELD_OUT_VOICE, USER_VOICES
from minideeptalk.teaching.live import told_on, uploaded_sound
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

VOICES = tuple(voice.name for voice in (*USER_VOICES, HELD_OUT_VOICE))
MANNERS = {"neutral": AudioToken.ANSWER, "in my style": AudioToken.MIRROR}


class TalkExplorer:
    """Widgets around a `Talker`; call `show()` in the last line of a cell.

    Args:
        talker: the finished miniature.
        question: what stands in the field at first.
    """

    def __init__(self, talker: Talker, question: str = "cup red mia horse which color"):
        import ipywidgets as widgets

        self.talker = talker
        self.question = widgets.Text(value=question, description="Question", continuous_update=False)
        self.voice = widgets.Dropdown(options=VOICES, value=VOICES[0], description="Voice")
        self.style = widgets.Dropdown(options=STYLES, value=STYLES[0], description="Style")
        self.manner = widgets.Dropdown(options=tuple(MANNERS), value="neutral", description="Answer")
        self.button = widgets.Button(description="Ask", button_style="primary", tooltip="Speak the question and answer it")
        self.upload = widgets.FileUpload(accept=".wav,.flac", multiple=False, description="Load a WAV")
        self.page = widgets.HTML(value="Ask something.")
        self.button.on_click(lambda _: self.ask())
        self.upload.observe(lambda change: self.ask_file(change["new"]), names="value")

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        rows = [widgets.HBox([self.voice, self.style]), widgets.HBox([self.manner, self.button]), self.upload, self.page]
        return widgets.VBox([self.question, *rows])

    def ask(self) -> None:
        """Say the typed question in the chosen voice and style, and answer it."""
        self._explained(lambda: self._answer(self._say(), f"{self.voice.value}, {self.style.value}", self.question.value))

    def ask_file(self, uploaded) -> None:
        """Answer an uploaded recording."""
        if uploaded:
            self._explained(lambda: self._answer(uploaded_sound(uploaded), "your recording", ""))

    def _say(self) -> np.ndarray:
        from minideeptalk.speech.synthesis import Synthesizer

        return Synthesizer().speak(self.question.value.lower(), voice=self.voice.value, style=self.style.value).waveform

    def _answer(self, waveform: np.ndarray, who: str, words: str) -> str:
        return reply_html(self.talker.answer(torch.as_tensor(waveform), self.trigger), waveform, who, words)

    @property
    def trigger(self) -> AudioToken:
        """What the chosen manner asks the miniature for."""
        return MANNERS[self.manner.value]

    def _explained(self, work) -> None:
        """Show what `work` gives, or the sentence of its error."""
        with told_on(self.page):
            self.page.value = work()


def reply_html(reply: Reply, waveform: np.ndarray, who: str, words: str) -> str:
    """Question and answer as players, with what the ear heard and how long the first sound took."""
    clips = [AudioClip(f"Question ({who}):", waveform, words, f"The ear heard: {reply.heard or 'nothing'}, confidence {reply.confidence:.2f}.")]
    if not reply.understood:
        return Sounds(clips)._repr_html_() + f"<p><strong>{escape(reply.text)}.</strong></p>"
    wait = sum(reply.latency_ms.values())
    clips.append(AudioClip("Answer:", reply.waveform, reply.text, f"The ear took your style for {reply.style}; first sound after {wait:.0f} ms."))
    return Sounds(clips)._repr_html_()
