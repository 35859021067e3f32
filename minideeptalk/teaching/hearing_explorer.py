"""The live explorer of chapter 03: words or a recording, with noise, and what ear and judge make of it. Jupyter and Colab only."""

from __future__ import annotations

import torch

from minideeptalk.config import STYLES
from minideeptalk.hearing import Ear, Judge
from minideeptalk.speech.features import log_mel
from minideeptalk.speech.voices import HELD_OUT_VOICE, USER_VOICES
from minideeptalk.teaching.live import told_on, uploaded_sound
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

VOICES = tuple(voice.name for voice in (*USER_VOICES, HELD_OUT_VOICE))
NOISE = {"none": None, "faint": 30.0, "some": 20.0, "much": 10.0, "as loud as the voice": 0.0}  # speech above noise, in dB


class HearingExplorer:
    """Widgets around an ear and a judge; call `show()` in the last line of a cell.

    Args:
        ear: the model's ear. judge: the examiner.
        words: what stands in the field at first.
    """

    def __init__(self, ear: Ear, judge: Judge, words: str = "say red cat forty two"):
        import ipywidgets as widgets

        self.ear, self.judge = ear, judge
        self.words = widgets.Text(value=words, description="Words", continuous_update=False)
        self.voice = widgets.Dropdown(options=VOICES, value=VOICES[0], description="Voice")
        self.style = widgets.Dropdown(options=STYLES, value=STYLES[0], description="Style")
        self.noise = widgets.Dropdown(options=tuple(NOISE), value="none", description="Noise")
        self.button = widgets.Button(description="Listen", button_style="primary", tooltip="Say the words to ear and judge")
        self.upload = widgets.FileUpload(accept=".wav,.flac", multiple=False, description="Load a WAV")
        self.page = widgets.HTML(value="Press Listen.")
        self.button.on_click(lambda _: self.listen())
        self.upload.observe(lambda change: self.listen_to_file(change["new"]), names="value")

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        rows = [widgets.HBox([self.voice, self.style]), widgets.HBox([self.noise, self.button]), self.upload, self.page]
        return widgets.VBox([self.words, *rows])

    def listen(self) -> None:
        """Say the words that were typed."""
        self._explained(lambda: self._show(self._say(), self.words.value.lower()))

    def listen_to_file(self, uploaded) -> None:
        """Hear a recording."""
        if uploaded:
            self._explained(lambda: self._show(torch.as_tensor(uploaded_sound(uploaded)), ""))

    def _say(self) -> torch.Tensor:
        from minideeptalk.speech.synthesis import Synthesizer

        words = self.words.value.lower()
        return torch.as_tensor(Synthesizer().speak(words, voice=self.voice.value, style=self.style.value).waveform)

    def _show(self, sound: torch.Tensor, words: str) -> str:
        return heard_html(self.ear, self.judge, with_noise(sound, NOISE[self.noise.value]), words)

    def _explained(self, work) -> None:
        """Show what `work` gives, or the sentence of its error."""
        with told_on(self.page):
            self.page.value = work()


def with_noise(sound: torch.Tensor, decibels: float | None, seed: int = 0) -> torch.Tensor:
    """A sound (N,) with white noise so many dB below it; None adds nothing."""
    if decibels is None:
        return sound
    noise = torch.randn(len(sound), generator=torch.Generator().manual_seed(seed))
    return sound + noise * sound.std() * 10 ** (-decibels / 20)


def heard_html(ear: Ear, judge: Judge, sound: torch.Tensor, words: str) -> str:
    """The player, and what ear and judge made of the sound (N,)."""
    heard = ear.listen([log_mel(sound)])[0]
    belief = "so it believes it" if ear.understands(heard) else "so it says that it did not understand"
    about = (f"The ear heard: {' '.join(heard.words) or 'nothing'} ({heard.style}). Confidence {heard.confidence:.2f}, threshold "
             f"{float(ear.threshold):.2f}, {belief}. For the language model: {len(heard.frames)} vectors.")
    return Sounds([AudioClip("The sound:", sound, words, about, heard=judge.transcribe([sound])[0])])._repr_html_()
