"""Trials of the learning rate: the same few for every arm, judged on the validation split and on covered text alone.

Whoever adapts a published model has no text of the uncovered families, so no trial may look at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from minideeptalk.baselines.summary import records_in
from minideeptalk.baselines.talking import partner
from minideeptalk.config import SizeConfig
from minideeptalk.evaluation.spoken import Examiners, speaking_wer
from minideeptalk.evaluation.text_skills import answers_right, family_accuracy
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import ExampleBuilder, SpokenSet
from minideeptalk.training.arm import Arm
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage
from minideeptalk.world import FAMILIES

FACTORS = (0.3, 1.0, 3.0)
"""What the rates of an arm's own stages are multiplied by."""
TRIAL_SEEDS = 3
"""One seed told noise: of two arms that differ in the choice of experts alone, each found another rate the best."""
SAID = 100
"""Texts that a trial has to say."""


@dataclass(frozen=True)
class AtRate:
    """Stages whose learning rates are multiplied, but for the shared stage 1."""

    stages: Callable[[SizeConfig], list[Stage]]
    factor: float

    def __call__(self, size: SizeConfig) -> list[Stage]:
        return [stage if stage.code == "1" else replace(stage, learning_rate=stage.learning_rate * self.factor)
                for stage in self.stages(size)]


def at_rate(arm: Arm, factor: float) -> Arm:
    """The arm with the rates of its own stages multiplied."""
    return arm if factor == 1 else replace(arm, stages=AtRate(arm.stages, factor))


def validate_trial(recipe: Recipe, model: DeepTalkModel, tools: Tools, spoken: SpokenSet) -> dict[str, float]:
    """How good a trial was on the validation split: the mean of what it understood, said clearly and kept.

    Returns:
        `spoken_qa_text`: spoken questions answered in text. `said`: 1 less the judge's word error rate of unseen texts, at least 0.
        `covered_text`: accuracy on the covered families. `score`: their mean.
    """
    talker = partner(recipe.arm, model, tools.ear, tools.codec)
    model, builder, world = talker.model, talker.builder, recipe.size.world
    asked = answers_right(model, builder, [builder.answer_in_text(q.frames, q.item.answer) for q in spoken.questions])
    texts = [(reply.words, reply.style) for reply in spoken.replies[:SAID]]
    errors = speaking_wer(model, builder, Examiners(tools.codec, tools.judge, tools.style_judge), texts, talker.decoder)
    written = ExampleBuilder(model.config, recipe.tokenizer)
    covered = [family_accuracy(model, written, FAMILIES[name].items("validation", world.validation_items, 0)) for name in world.covered]
    parts = {"spoken_qa_text": sum(asked) / len(asked), "said": max(0.0, 1 - errors), "covered_text": sum(covered) / len(covered)}
    return parts | {"score": sum(parts.values()) / len(parts)}


def trials_of(folder: Path, arm: Arm) -> list[dict]:
    """The trials that decide an arm's rates (`Arm.rates_of`), in a folder of a study or of its records: as these have them, else the finished ones."""
    name = arm.rates_of or arm.name
    for path in sorted(records_in(folder).glob(f"{name}-s[0-9]*.json"))[:1]:
        if told := json.loads(path.read_text(encoding="utf-8"))["budget"].get("learning_rate_trials"):
            return told
    paths = [path for factor in FACTORS for path in sorted((folder / "trials").glob(f"{name}-x{factor:g}-s*/score.json"))]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def best_factor(folder: Path, arm: Arm) -> float:
    """The factor that an arm's trials in a study's folder speak for."""
    return factor_of(trials_of(folder, arm))


def factor_of(trials: Iterable[Mapping]) -> float:
    """The factor with the best mean score, of equal ones that nearest to 1 (no rate changes what a cascade writes); 1 where nothing was tried."""
    scores: dict[float, list[float]] = {}
    for trial in trials:
        scores.setdefault(trial["factor"], []).append(trial["score"])
    return max(scores, key=lambda factor: (sum(scores[factor]) / len(scores[factor]), -abs(factor - 1)), default=1.0)
