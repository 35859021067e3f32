"""The live explorer of chapter 06: let the model say some words, delay the codes, undo the delay well or badly, and hear it. Jupyter and Colab only."""

from __future__ import annotations

from html import escape

import torch

from minideeptalk.config import STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.inference.decoding import Answer, speak
from minideeptalk.inference.talker import Talker
from minideeptalk.model import delay, delays, undelay
from minideeptalk.teaching.live import told_on
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.audio import AudioClip

PATTERNS = ("none", "level", "stream")
UNDOINGS = ("rightly", "not at all", "one step too early", "in the wrong order")


def undo(shifted: torch.Tensor, lags: list[int], how: str) -> torch.Tensor:
    """Codes (F + longest lag, Q) back to frames, as well as `how` says.

    Args:
        shifted: what `model.delay` made. lags: of each stream. how: one of `UNDOINGS`.

    Returns:
        (F, Q), or (F + longest lag, Q) where the delay is not undone at all.
    """
    if how == "not at all":
        return shifted
    if how == "one step too early":
        return undelay(shifted, [max(0, lag - 1) for lag in lags])[:len(shifted) - max(lags)]
    return undelay(shifted, lags[::-1] if how == "in the wrong order" else lags)


class StreamExplorer:
    """Widgets around a `Talker`; call `show()` in the last line of a cell.

    Args:
        talker: the finished miniature. words: what stands in the field at first.
    """

    def __init__(self, talker: Talker, words: str = "leo hat"):
        import ipywidgets as widgets

        self.talker = talker
        self.words = widgets.Text(value=words, description="Say", continuous_update=False)
        self.style = widgets.Dropdown(options=STYLES, value=STYLES[0], description="Style")
        self.pattern = widgets.Dropdown(options=PATTERNS, value="stream", description="Delay")
        self.undoing = widgets.Dropdown(options=UNDOINGS, value=UNDOINGS[0], description="Undone")
        self.button = widgets.Button(description="Speak", button_style="primary", tooltip="Let the model say the words")
        self.page = widgets.HTML(value="Let it speak.")
        self.button.on_click(lambda _: self.speak())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        rows = [widgets.HBox([self.style, self.button]), widgets.HBox([self.pattern, self.undoing]), self.page]
        return widgets.VBox([self.words, *rows])

    def speak(self) -> None:
        """Say the words, delay and undo, and show sound and steps; or say what is wrong with the words."""
        with told_on(self.page):
            self.page.value = self._spoken()

    def _spoken(self) -> str:
        builder, words = self.talker.builder, self.words.value.lower().split()
        prompt = builder.say_prompt(words, self.style.value)
        answer = speak(self.talker.model, builder, [prompt], decoder=self.talker.decoder)[0]
        if not len(answer.codes):
            raise LearnerError("at least one frame of sound", "none", "the model ended at once", "ask for two or three short words")
        lags = delays(self.pattern.value, builder.config.num_codebooks)
        codes = undo(delay(answer.codes, lags, 0), lags, self.undoing.value)
        clip = AudioClip(f"Delay {self.pattern.value}, undone {self.undoing.value}:", self.talker.codec.decode(codes), " ".join(answer.words))
        return Sounds([clip])._repr_html_() + steps_table(answer, codes)


def steps_table(answer: Answer, codes: torch.Tensor) -> str:
    """One row a step: the word that begins there, if one does, and the seven codes that are decoded."""
    begins = dict(zip(answer.starts, answer.words, strict=True))
    rows = [(str(step), escape(begins.get(step, "·")), " ".join(map(str, row))) for step, row in enumerate(codes.tolist())]
    return Table(("step", "word begins", "codes"), rows, "What is decoded, step by step")._repr_html_()
