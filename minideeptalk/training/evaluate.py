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
from minideeptalk.training.arm import Arm
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import measure


def evaluate_run(folder: Path | str, find_arm: Callable[[str], Arm], seed: int = 0, progress: bool = True) -> dict:
    """Repeat every measurement of a run on its last checkpoint.

    Args:
        folder: a finished run. find_arm: the arm of a name, as `baselines.find_arm`. seed: of torch's random numbers; greedy decoding uses none, so it should change nothing.

    Returns:
        The run's record with fresh `metrics` and a note that says so.  Nothing is written.

    Raises:
        LearnerError: for a folder without a finished run, or a damaged checkpoint.
    """
    folder = Path(folder)
    if not (folder / "record.json").is_file():
        raise LearnerError("a finished run, with record.json in it", str(folder), "a mistyped path, or training was interrupted",
                           f"minideeptalk train --resume --out {folder}")
    record = read_record(folder)
    recipe = Recipe(size_config(record["size"]), folder, record["seed"], find_arm(record["arm"]), None, progress)
    model = recipe.finished_model()  # first, so that a folder with nothing but a record is told at once
    torch.manual_seed(seed)
    with damage_explained(folder):
        tools = recipe.tools()
        spoken = recipe.spoken(tools)
    record["metrics"] = (recipe.arm.measure or measure)(recipe, model, tools, spoken)
    record["notes"].append(f"measured again at {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")
    validate(record)
    return record
