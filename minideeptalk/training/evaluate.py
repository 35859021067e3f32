"""Measure a finished run again: the same questions to the same checkpoint must give the same numbers (all but the times)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import torch

from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.inference.talk import damage_explained
from minideeptalk.records import read_record, validate
from minideeptalk.tasks import SpokenSet
from minideeptalk.training.arm import Arm
from minideeptalk.training.preparation import SPLITS, Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import measure


def open_finished(folder: Path | str, find_arm: Callable[[str], Arm], progress: bool = False) -> tuple[dict, Recipe]:
    """The record of a finished run, and the recipe with which it can be looked into.

    Raises:
        LearnerError: for a folder without a record.
    """
    folder = Path(folder)
    if not (folder / "record.json").is_file():
        raise LearnerError("a finished run, with record.json in it", str(folder), "a mistyped path, or training was interrupted",
                           f"minideeptalk train --resume --out {folder}")
    record = read_record(folder)
    return record, Recipe(size_config(record["size"]), folder, record["seed"], find_arm(record["arm"]), None, progress)


def tools_and_speech(recipe: Recipe) -> tuple[Tools, dict[str, SpokenSet]]:
    """Codec, ear, judges and all speech of a finished run, read and not made.

    Raises:
        LearnerError: where they do not lie in the run's folder, or are damaged.
    """
    for part in ("ear/ear.safetensors", "judge/judge.safetensors", *(f"spoken/{split}/spoken.json" for split in SPLITS)):
        if not (recipe.folder / part).is_file():
            raise LearnerError(f"{part} in {recipe.folder}", "no such file", "runs of a study share their speech, and the shipped run comes without",
                               "look into a run that `minideeptalk train` or `minideeptalk demo` made")
    with damage_explained(recipe.folder):
        tools = recipe.tools()
        return tools, recipe.spoken(tools)


def evaluate_run(folder: Path | str, find_arm: Callable[[str], Arm], seed: int = 0, progress: bool = True) -> dict:
    """Repeat every measurement of a run on its last checkpoint.

    Args:
        folder: a finished run. find_arm: the arm of a name, as `baselines.find_arm`. seed: of torch's random numbers; greedy decoding uses none, so it should change nothing.

    Returns:
        The run's record with fresh `metrics` and a note that says so.  Nothing is written.

    Raises:
        LearnerError: for a folder without a finished run or without its speech, or a damaged checkpoint.
    """
    record, recipe = open_finished(folder, find_arm, progress)
    model = recipe.finished_model()  # first, so that a folder with nothing but a record is told at once
    torch.manual_seed(seed)
    tools, spoken = tools_and_speech(recipe)
    record["metrics"] = (recipe.arm.measure or measure)(recipe, model, tools, spoken)
    record["notes"].append(f"measured again at {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")
    validate(record)
    return record
