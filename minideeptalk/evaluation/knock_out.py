"""What every ability loses when a group of experts falls silent at test time, beside as many experts drawn by lot (chapter 14).

Experts are closed in the routers of a finished model and nothing is trained: their tokens go to the next best open expert.
Axes: L layers with experts, E experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.spoken import Examiners, speaking_wer, spoken_questions
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.experts import Selection, forbid_experts
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import ExampleBuilder, SpokenQuestion, SpokenSet, collate

NOTHING, AUDIO, TEXT, LOT = "nothing", "audio experts", "text experts", "drawn by lot"


@dataclass(frozen=True)
class Exam:
    """The same held-out questions for a model with and without its experts.

    Args:
        builder: makes the prompts. examiners: codec and judges.
        spoken: questions and replies of the test split; voices that were never trained are left out.
        text_items: of each family. questions, answers: how many are asked aloud, and how many texts are said.
    """

    builder: ExampleBuilder
    examiners: Examiners
    spoken: SpokenSet
    text_items: int = 200
    questions: int = 100
    answers: int = 100

    @property
    def asked(self) -> list[SpokenQuestion]:
        """The spoken questions."""
        return [question for question in self.spoken.questions if question.voice != HELD_OUT_VOICE.name][:self.questions]

    def take(self, model) -> dict:
        """`text_accuracy` by family, `spoken_qa_text`, `spoken_qa_speech` and `tts_wer` on unseen texts, fractions all."""
        aloud = spoken_questions(model, self.builder, self.examiners, self.asked)
        texts = [(reply.words, reply.style) for reply in self.spoken.replies[:self.answers]]
        return {"text_accuracy": text_accuracy(model, self.builder, "test", self.text_items),
                "spoken_qa_text": aloud["spoken_qa_text"], "spoken_qa_speech": aloud["spoken_qa_speech"],
                "tts_wer": speaking_wer(model, self.builder, self.examiners, texts)}


def experts_by_lot(layers: int, experts: int, count: int, seed: int) -> list[list[int]]:
    """`count` different experts of every layer, drawn from all E."""
    rng = np.random.default_rng(seed)
    return [sorted(rng.choice(experts, count, replace=False).tolist()) for _ in range(layers)]


def knock_out(model, exam: Exam, selection: Selection | None, draws: int = 3, seed: int = 0) -> list[dict]:
    """Take the exam with all experts open, without the audio experts, without the text experts, and without as many by lot.

    Args:
        model: `DeepTalkModel` after its last stage. selection: its audio experts; None where none is set apart: then only the first exam is taken.
        draws: random sets of experts for each of the two numbers of closed experts.

    Returns:
        rows of `closed` (what), `count` (closed experts of a layer), `draw` (None where nothing was drawn), `experts` (closed ones, layer by
        layer) and what `Exam.take` found.

    Raises:
        LearnerError: for a model whose own routing sends tokens to closed experts.

    Source: what reviewers of the paper asked for (which abilities the experts hold).
    """
    trials = [(NOTHING, None, [[] for _ in model.mixtures()]), *(() if selection is None else _closings(selection, draws, seed))]
    rows = []
    for closed, draw, experts in trials:
        with forbid_experts(model, experts):
            _check_closed(model, exam, experts)
            rows.append({"closed": closed, "count": len(experts[0]), "draw": draw, "experts": experts, **exam.take(model)})
    return rows


def _closings(selection: Selection, draws: int, seed: int) -> list[tuple[str, int | None, list[list[int]]]]:
    """What is closed, the number of the draw, and the experts: each group of the selection, and as many by lot."""
    audio = [list(chosen) for chosen in selection.audio_experts]
    text = [list(selection.text_experts(layer)) for layer in range(selection.num_layers)]
    lots = [(LOT, draw, experts_by_lot(len(audio), selection.experts, count, seed + 1000 * count + draw))
            for count in (len(audio[0]), len(text[0])) for draw in range(draws)]
    return [(AUDIO, None, audio), (TEXT, None, text), *lots]


@torch.no_grad()
def _check_closed(model, exam: Exam, experts: Sequence[Sequence[int]]) -> None:
    """A router that closes experts of its own accord may have none left for a token, and then picks closed ones."""
    model.eval()
    question = exam.asked[0]
    batch = collate([exam.builder.heard_prompt(question.frames)], exam.builder.silence).to(model.device)
    for layer, (routing, closed) in enumerate(zip(model(**batch.model_inputs()).routing, experts)):
        reached = sorted(set(routing.indices.flatten().tolist()) & set(closed))
        if reached:
            raise LearnerError("no token at a closed expert", f"some at {reached} of layer {layer}",
                               "this model keeps tokens to the experts of their modality, and closing those leaves none",
                               "knock out experts of a model with open routing, such as deeptalk-aligned")

