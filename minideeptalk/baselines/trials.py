"""Trials of the learning rate: the same few for every arm, judged on the validation split and on covered text alone.

Whoever adapts a published model has no text of the families that after-training never mentions, so no trial may look at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from minideeptalk.config import SizeConfig
from minideeptalk.evaluation.text_skills import answers_right, family_accuracy
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import ExampleBuilder, SpokenSet
from minideeptalk.training.arm import Arm
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage
from minideeptalk.world import FAMILIES

FACTORS = (0.3, 1.0, 3.0)
"""What the rates of an arm's own stages are multiplied by."""


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


def validate_trial(recipe: Recipe, model: DeepTalkModel, spoken: SpokenSet) -> dict[str, float]:
    """How good a trial was: spoken questions answered in text, and covered text, both of the validation split, and their mean."""
    builder = ExampleBuilder(model.config, recipe.tokenizer)
    asked = answers_right(model, builder, [builder.answer_in_text(q.frames, q.item.answer) for q in spoken.questions])
    world = recipe.size.world
    covered = [family_accuracy(model, builder, FAMILIES[name].items("validation", world.validation_items, 0)) for name in world.covered]
    answered, kept = sum(asked) / len(asked), sum(covered) / len(covered)
    return {"spoken_qa_text": answered, "covered_text": kept, "score": (answered + kept) / 2}


def trials_of(folder: Path, arm: Arm) -> list[dict]:
    """The finished trials that decide an arm's rates (`Arm.rates_of`), in a study's folder, as they stand in its records."""
    scores = [folder / "trials" / f"{arm.rates_of or arm.name}-x{factor:g}" / "score.json" for factor in FACTORS]
    return [json.loads(path.read_text(encoding="utf-8")) for path in scores if path.exists()]


def best_factor(folder: Path, arm: Arm) -> float:
    """The factor of the best trial, of equal ones that nearest to 1 (no rate changes what a cascade writes); 1 where nothing was tried."""
    trials = trials_of(folder, arm)
    return max(trials, key=lambda trial: (trial["score"], -abs(trial["factor"] - 1)))["factor"] if trials else 1.0
