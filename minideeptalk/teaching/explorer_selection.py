"""The live explorer of chapter 08: give some experts away, close them, and ask the model what it still knows. Jupyter and Colab only."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from minideeptalk.experts import FORMULAS, NORMALISERS, ExpertLoads, Selection, forbid_experts, select_audio_experts
from minideeptalk.inference.decoding import answer_in_text
from minideeptalk.tasks import ExampleBuilder
from minideeptalk.teaching.live import told_on


class SelectionTrial:
    """Widgets: formula, normaliser, number, a written question. `show()` goes in the last line of a cell.

    Args:
        model: `DeepTalkModel`. builder: of its examples. loads: what the choice is made from.
        losses: gives the loss of each skill for a model, as a dict; it is called with the chosen experts closed.
    """

    def __init__(self, model, builder: ExampleBuilder, loads: ExpertLoads, losses: Callable, count: int = 4):
        import ipywidgets as widgets

        self.model, self.builder, self.loads, self.losses = model, builder, loads, losses
        most = loads.num_experts - model.config.experts_per_token  # closing more would leave a token too few
        self.formula = widgets.Dropdown(options=FORMULAS, value="product", description="Formula")
        self.normaliser = widgets.Dropdown(options=NORMALISERS, value="max", description="Normaliser")
        self.count = widgets.IntSlider(value=min(count, most), min=1, max=most, description="Number")
        self.question = widgets.Text(value="what is forty two plus seven", description="Question")
        self.button = widgets.Button(description="Close and ask", button_style="primary", tooltip="Close the chosen experts and ask")
        self.page = widgets.HTML(value="Choose, and press the button.")
        self.button.on_click(lambda _: self.run())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        return widgets.VBox([widgets.HBox([self.formula, self.normaliser]), self.count, self.question, self.button, self.page])

    @property
    def selection(self) -> Selection:
        """The experts that the widgets choose now."""
        return select_audio_experts(self.loads, self.count.value, self.formula.value, self.normaliser.value)

    def run(self) -> None:
        """Measure and ask twice, with everybody there and with the chosen experts closed."""
        with told_on(self.page):
            before, answered = self.losses(self.model), self._answer()
            with forbid_experts(self.model, self.selection.audio_experts):
                after, then = self.losses(self.model), self._answer()
            chosen = "".join(f"<li>layer {layer}: {', '.join(map(str, experts))}</li>" for layer, experts in enumerate(self.selection.audio_experts, start=1))
            rises = "".join(f"<tr><th scope='row'>{escape(skill)}</th><td>{before[skill]:.3f}</td><td>{after[skill]:.3f}</td></tr>" for skill in before)
            self.page.value = (f"<p>Given away:</p><ul>{chosen}</ul><p>It answers <strong>{escape(answered)}</strong>; without them <strong>{escape(then)}</strong>.</p>"
                               f"<table><caption>Loss by skill</caption><tr><th>skill</th><th>all open</th><th>closed</th></tr>{rises}</table>")

    def _answer(self) -> str:
        prompt = self.builder.text_prompt(self.question.value.lower().split())
        return " ".join(answer_in_text(self.model, self.builder, [prompt])[0].words)
