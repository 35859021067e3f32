"""The live explorer of chapter 07: ask aloud, hear the answer, and watch the experts light up token by token. Jupyter and Colab only."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from minideeptalk.inference.talker import NOT_UNDERSTOOD, Talker
from minideeptalk.teaching.explorer import TalkExplorer, reply_html
from minideeptalk.teaching.routing_trace import RoutingTrace, trace_answer
from minideeptalk.viz.steps import grid_svg


class RoutingExplorer(TalkExplorer):
    """The explorer of chapter 00 with a row of lights: call `show()` in the last line of a cell.

    Args:
        talker: the miniature after any stage. audio_experts: for each layer with experts, the experts to ring.
    """

    def __init__(self, talker: Talker, audio_experts: Sequence[Sequence[int]] = (), question: str = "say red cat"):
        import ipywidgets as widgets

        super().__init__(talker, question)
        self.audio_experts = audio_experts
        self.trace: RoutingTrace | None = None
        self.step = widgets.IntSlider(value=0, min=0, max=0, description="Step", continuous_update=True)
        self.play = widgets.Play(value=0, min=0, max=0, interval=350)
        self.grid = widgets.HTML(value="The experts of each step appear here.")
        widgets.jslink((self.play, "value"), (self.step, "value"))
        self.step.observe(lambda _: self._draw(), names="value")

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        return widgets.VBox([super().show(), widgets.HBox([self.play, self.step]), self.grid])

    def _answer(self, waveform, who: str, words: str) -> str:
        sound = torch.as_tensor(waveform)
        heard = self.talker.listen(sound)
        if not self.talker.is_understood(heard):
            self.trace, self.grid.value = None, NOT_UNDERSTOOD
            return reply_html(self.talker.answer(sound), waveform, who, words)
        self.trace = trace_answer(self.talker, heard, self.trigger)
        for control in (self.step, self.play):
            control.value, control.max = 0, len(self.trace.labels) - 1
        self._draw()
        return super()._answer(waveform, who, words)

    def _draw(self) -> None:
        if self.trace is not None:
            place = min(self.step.value, len(self.trace.labels) - 1)
            self.grid.value = grid_svg(self.trace.labels[place], self.trace.weights[place], self.audio_experts)
