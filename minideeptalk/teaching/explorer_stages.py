"""The live explorer of chapter 09: say the same words, and ask the same question, after each stage of training. Jupyter and Colab only."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from minideeptalk.inference.decoding import speak
from minideeptalk.inference.talker import Talker
from minideeptalk.teaching.live import told_on
from minideeptalk.teaching.samples import shipped_talker
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

SPEAKING_STAGES = ("1-align", "2.1-audio-experts", "2.2-text-experts", "3-joint")


def said_after(talker: Talker, words: Sequence[str], style: str = "neutral"):
    """The words as a model says them: a waveform (N,) at 16 kHz, of silence where it said nothing.

    Raises:
        LearnerError: for a word outside the world.
    """
    import torch

    prompt = talker.builder.say_prompt(words, style)
    answer = speak(talker.model, talker.builder, [prompt], decoder=talker.decoder)[0]
    return talker.codec.decode(answer.codes) if len(answer.codes) else torch.zeros(1600)


class StageExplorer:
    """Widgets: a stage, words to say, a written question; call `show()` in the last line of a cell."""

    def __init__(self, words: str = "red cat", question: str = "what is forty two plus seven"):
        import ipywidgets as widgets

        self.talkers: dict[str, Talker] = {}
        self.stage = widgets.Dropdown(options=SPEAKING_STAGES, value=SPEAKING_STAGES[-1], description="Stage")
        self.words = widgets.Text(value=words, description="Say")
        self.question = widgets.Text(value=question, description="Question")
        self.button = widgets.Button(description="Say and answer", button_style="primary", tooltip="Load this stage, say the words, answer the question")
        self.page = widgets.HTML(value="Choose a stage, and press the button.")
        self.button.on_click(lambda _: self.run())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        return widgets.VBox([self.stage, self.words, self.question, self.button, self.page])

    def run(self) -> None:
        """Say and answer with the chosen stage; an error becomes its sentence."""
        stage = self.stage.value
        with told_on(self.page):
            talker = self.talkers[stage] = self.talkers.get(stage) or shipped_talker(stage)
            sound = said_after(talker, self.words.value.lower().split())
            written = talker.answer_text(self.question.value.lower())
            clip = AudioClip(f"After stage {stage.split('-')[0]}:", sound, self.words.value, "Are these the words?")
            self.page.value = f"{Sounds([clip])._repr_html_()}<p>Asked in writing, it answers <strong>{escape(written)}</strong>.</p>"
