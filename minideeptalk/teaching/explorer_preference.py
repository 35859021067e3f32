"""The live explorer of chapter 11: several takes of your words, and the pair that a judge makes of them. Jupyter and Colab only."""

from __future__ import annotations

from minideeptalk.config import STYLES
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.metrics import edit_distance
from minideeptalk.inference.decoding import speak
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.teaching.live import told_on
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip


class TakesExplorer:
    """Widgets around a `Talker`; call `show()` in the last line of a cell.

    Args:
        talker: the finished miniature. judge: writes down what it hears. words: what stands in the field at first.
    """

    def __init__(self, talker: Talker, judge: Judge, words: str = "blue horse"):
        import ipywidgets as widgets

        self.talker, self.examiners = talker, Examiners(talker.codec, judge, None)
        self.words = widgets.Text(value=words, description="Say", continuous_update=False)
        self.style = widgets.Dropdown(options=STYLES, value=STYLES[0], description="Style")
        self.count = widgets.IntSlider(value=4, min=2, max=8, description="Takes")
        self.temperature = widgets.FloatSlider(value=0.8, min=0.1, max=1.5, step=0.1, description="Temperature")
        self.button = widgets.Button(description="Speak and rank", button_style="primary", tooltip="Say the words several times and rank the takes")
        self.page = widgets.HTML(value="Press the button.")
        self.button.on_click(lambda _: self.run())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        return widgets.VBox([self.words, widgets.HBox([self.style, self.button]), widgets.HBox([self.count, self.temperature]), self.page])

    def run(self) -> None:
        """Say the words, and show the takes in the judge's order; or say what is wrong with the words."""
        with told_on(self.page):
            self.page.value = self._ranked()

    def _ranked(self) -> str:
        words = self.words.value.lower().split()
        prompts = [self.talker.builder.say_prompt(words, self.style.value)] * self.count.value  # each row draws for itself
        sampling = Sampling(self.temperature.value, text=Sampling())
        answers = speak(self.talker.model, self.talker.builder, prompts, sampling, decoder=ParallelDecoder)
        sounds = self.examiners.sounds(answers)
        heard = self.examiners.judge.transcribe(sounds)
        errors = [edit_distance(words, text.split()) for text in heard]
        order = sorted(range(len(errors)), key=lambda number: errors[number])
        clips = [AudioClip(f"{self._role(place, errors, order)} {errors[number]} word errors, asked for:", sounds[number], " ".join(words),
                           heard=heard[number] or "(nothing)") for place, number in enumerate(order)]
        verdict = "All takes are equally good: no pair." if min(errors) == max(errors) else "First and last make the pair."
        return f"<p>{verdict}</p>" + Sounds(clips)._repr_html_()

    @staticmethod
    def _role(place: int, errors: list[int], order: list[int]) -> str:
        if min(errors) == max(errors) or 0 < place < len(order) - 1:
            return f"Place {place + 1}:"
        return "Chosen:" if place == 0 else "Rejected:"
