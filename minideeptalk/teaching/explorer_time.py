"""The live explorer of chapter 12: choose how an answer is chosen, cut and joined, hear it, and see when each chunk was ready. Jupyter and Colab only."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from minideeptalk.codec import StreamingDecoder
from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.inference.decoding import SpokenDecoder, speak_in_steps
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.tasks import Example
from minideeptalk.teaching.live import told_on
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.audio import AudioClip

ROWS = {"two rows": ParallelDecoder, "one row": SpokenDecoder}
JOINTS = {"cross-faded": (2, 2), "overlapping, cut": (2, 0), "apart": (0, 0)}  # steps of context, frames faded


@dataclass
class Piece:
    """One chunk of an answer: its samples (n,), and how many seconds after the question it was ready."""

    samples: torch.Tensor
    ready: float


def pieces_of_answer(talker: Talker, prompt: Example, sampling: Sampling = Sampling(), decoder: type[SpokenDecoder] = ParallelDecoder,
                     first_frames: int = 2, chunk_frames: int = 4, joint: str = "cross-faded") -> tuple[list[str], list[Piece]]:
    """Decode one answer and give its words and its sound as chunks, each with the moment at which it was ready.

    Args:
        prompt: of `ExampleBuilder`, with a trigger that asks for speech.
        first_frames, chunk_frames: codec frames of the first chunk and of every later one. joint: one of `JOINTS`.
    """
    context, held = JOINTS[joint]
    vocoder, began, pieces, given = StreamingDecoder(talker.codec, context, held), time.perf_counter(), [], 0

    def sound(samples):
        pieces.append(Piece(samples, time.perf_counter() - began))

    for speaking, ready in speak_in_steps(talker.model, talker.builder, prompt, sampling, decoder=decoder):
        if ready - given >= (chunk_frames if given else first_frames):
            sound(vocoder.push(speaking.frames(0, given, ready)))
            given = ready
    answer = speaking.answer(0)
    if len(answer.codes) > given:
        sound(vocoder.push(answer.codes[given:]))
    sound(vocoder.flush())
    return answer.words, [piece for piece in pieces if len(piece.samples)]


class TimeExplorer:
    """Widgets around a `Talker`; call `show()` in the last line of a cell.

    Args:
        talker: the finished miniature. words: what stands in the field at first.
    """

    def __init__(self, talker: Talker, words: str = "leo hat red"):
        import ipywidgets as widgets

        self.talker = talker
        self.words = widgets.Text(value=words, description="Say", continuous_update=False)
        self.rows = widgets.Dropdown(options=tuple(ROWS), value="two rows", description="Rows")
        self.joint = widgets.Dropdown(options=tuple(JOINTS), value="cross-faded", description="Chunks")
        self.first = widgets.IntSlider(value=2, min=1, max=8, description="First chunk")
        self.later = widgets.IntSlider(value=4, min=1, max=8, description="Later ones")
        self.temperature = widgets.FloatSlider(value=0.0, min=0.0, max=2.0, step=0.1, description="Temperature")
        self.top_k = widgets.IntSlider(value=0, min=0, max=64, description="Top k, 0: all")
        self.penalty = widgets.FloatSlider(value=1.0, min=1.0, max=2.0, step=0.1, description="Repetition")
        self.button = widgets.Button(description="Speak", button_style="primary", tooltip="Let the model say the words")
        self.page = widgets.HTML(value="Let it speak.")
        self.button.on_click(lambda _: self.speak())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        rows = [(self.rows, self.joint), (self.first, self.later), (self.temperature, self.top_k), (self.penalty, self.button)]
        return widgets.VBox([self.words, *(widgets.HBox(row) for row in rows), self.page])

    def speak(self) -> None:
        """Say the words as the knobs are set, and show sound and times; or say what is wrong."""
        with told_on(self.page):
            self.page.value = self._spoken()

    def _spoken(self) -> str:
        prompt = self.talker.builder.say_prompt(self.words.value.lower().split(), "neutral")
        sampling = Sampling(self.temperature.value, self.top_k.value, repetition_penalty=self.penalty.value, text=Sampling())
        said, pieces = pieces_of_answer(self.talker, prompt, sampling, ROWS[self.rows.value], self.first.value, self.later.value, self.joint.value)
        if not pieces:
            raise LearnerError("at least one frame of sound", "none", "the model ended at once", "ask for two or three short words")
        clip = AudioClip(f"{self.rows.value}, chunks {self.joint.value}:", torch.cat([piece.samples for piece in pieces]), " ".join(said))
        return Sounds([clip])._repr_html_() + times_table(pieces)


def times_table(pieces: list[Piece]) -> str:
    """One row a chunk: when it was ready, when it sounds, and the silence before it, in milliseconds."""
    rows, over = [], None
    for number, piece in enumerate(pieces, start=1):
        start = piece.ready if over is None else max(piece.ready, over)
        gap = 0.0 if over is None else start - over
        over = start + len(piece.samples) / SAMPLE_RATE
        rows.append((f"{number}", *(f"{1e3 * value:.0f}" for value in (piece.ready, start, over - start, gap))))
    return Table(("chunk", "ready", "sounds at", "for", "silence before"), rows, "Milliseconds after the question")._repr_html_()
