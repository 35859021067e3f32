"""The live explorer of chapter 05: type a question and see, word by word, what the text model would say. Jupyter and Colab only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import torch

from minideeptalk.inference.talker import Talker
from minideeptalk.teaching.live import told_on
from minideeptalk.teaching.tables import Table

LONGEST_ANSWER = 16


@dataclass(frozen=True)
class Guess:
    """One step of a written answer: the word that is taken, and the likeliest words with their probabilities, best first."""

    word: str
    likely: tuple[tuple[str, float], ...]


@torch.no_grad()
def word_by_word(talker: Talker, question: str, top: int = 3) -> list[Guess]:
    """Answer a typed question greedily and keep what else was likely; the last step is the end of the answer.

    Args:
        talker: a model with its tokenizer. question: words of the world. top: how many likely words to keep.

    Raises:
        LearnerError: for a word outside the world.
    """
    builder = talker.builder
    words, guesses = list(builder.text_prompt(question.split()).text), []
    while len(guesses) < LONGEST_ANSWER:
        hidden = talker.model(torch.tensor([words])).hidden[0, -1]  # (D,)
        best = talker.model.text_logits(hidden).softmax(dim=0).topk(top)
        names = builder.tokenizer.decode(best.indices.tolist())
        guesses.append(Guess(names[0], tuple(zip(names, best.values.tolist(), strict=True))))
        if best.indices[0] == builder.end:
            break
        words.append(int(best.indices[0]))
    return guesses


class TextExplorer:
    """Widgets around one or more text models; call `show()` in the last line of a cell.

    Args:
        talkers: models by the name that the reader chooses from, for instance before and after learning to speak.
        question: what stands in the field at first.
    """

    def __init__(self, talkers: Mapping[str, Talker], question: str = "say cup red box backwards"):
        import ipywidgets as widgets

        self.talkers = dict(talkers)
        self.question = widgets.Text(value=question, description="Question", continuous_update=False)
        self.model = widgets.Dropdown(options=tuple(self.talkers), value=next(iter(self.talkers)), description="Model")
        self.button = widgets.Button(description="Ask", button_style="primary", tooltip="Answer the question word by word")
        self.page = widgets.HTML(value="Ask something.")
        self.button.on_click(lambda _: self.ask())

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        return widgets.VBox([self.question, widgets.HBox([self.model, self.button]), self.page])

    def ask(self) -> None:
        """Answer the typed question with the chosen model, or say what is wrong with it."""
        with told_on(self.page):
            guesses = word_by_word(self.talkers[self.model.value], self.question.value.lower())
            self.page.value = guesses_html(guesses, f"{self.question.value}, {self.model.value}")


def guesses_html(guesses: list[Guess], caption: str) -> str:
    """A table with a row a step: the word that was said, and what else was likely."""
    places = range(1, len(guesses[0].likely) + 1)
    rows = [(escape(guess.word), *(f"{escape(word)} {share:.0%}" for word, share in guess.likely)) for guess in guesses]
    return Table(("it says", *(f"likeliest {place}" for place in places)), rows, escape(caption))._repr_html_()
