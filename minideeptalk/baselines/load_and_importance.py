"""Is load importance?  Asked of the shipped text model, and of text models trained here with other weights of the balance loss.

`python -m minideeptalk.baselines.load_and_importance OUT` writes `OUT/load-and-importance.json`.  Every model is a file of its own
until then, so an interrupted study goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from minideeptalk.baselines.intervals import Interval, t_interval
from minideeptalk.baselines.lanes import LEFT_OUT, PROFILED
from minideeptalk.config import WorldConfig, size_config
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.kept import mean_kept
from minideeptalk.evaluation.load_and_importance import CLOSED, closing_curve, correlation_by_chance, profile_of_text
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.model import DeepTalkConfig, DeepTalkModel
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.records.finding import finding, write_finding
from minideeptalk.tasks import Batch, ExampleBuilder, TaskSampler
from minideeptalk.training.loop import train_stage
from minideeptalk.training.stages import pretrain_stage
from minideeptalk.world import FAMILIES, Tokenizer


@dataclass(frozen=True)
class Study:
    """What is trained and how closely it is looked at.

    Args:
        size: of the dial. balance_weights, seeds: a text model is trained for each pair. updates: of each.
        batches, batch: training text of a profile; the number of batches is even, for importance is measured on two halves.
        items: of each skill, test split. draws: random sets of closed experts.
    """

    size: str = "nano"
    balance_weights: tuple[float, ...] = (0.0, 0.001, 0.01, 0.1)
    seeds: tuple[int, ...] = (0, 1)
    updates: int = 1200
    batches: int = 4
    batch: int = 128
    items: int = 100
    draws: int = 3
    closed: tuple[int, ...] = CLOSED

    @property
    def profiles(self) -> dict[str, tuple[str, ...]]:
        """Skills by the name of the profile: those that after-training covers, and the eight that the lanes' choice may read, too.

        What is kept of the two that the lanes leave out was never looked at by any rule.
        """
        return {"covered": size_config(self.size).world.covered, "eight": PROFILED}


def train_text_model(study: Study, balance_weight: float, seed: int) -> tuple[DeepTalkModel, float]:
    """Stage 0 with another weight of the balance loss and fewer updates, and the seconds it took."""
    size, tokenizer = size_config(study.size), Tokenizer()
    stage = replace(pretrain_stage(size), updates=study.updates)
    torch.manual_seed(seed)
    model = DeepTalkModel(DeepTalkConfig.from_size(size.model, len(tokenizer), size.ear.width, codebook_size=size.codec.codebook_size,
                                                   balance_weight=balance_weight))
    sampler = TaskSampler(ExampleBuilder(model.config, tokenizer), size.world)
    done = train_stage(model, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"{seed}-0-{step}"), seed=seed, show_progress=False)
    return model, done["seconds"]


def profile_batches(study: Study, model: DeepTalkModel, families: Sequence[str]) -> list[Batch]:
    """Training text of some skills, the same for every model."""
    sampler = TaskSampler(ExampleBuilder(model.config, Tokenizer()), WorldConfig(covered=tuple(families)))
    return [sampler.batch({"covered_text": 1.0}, study.batch, f"load-and-importance-{number}") for number in range(study.batches)]


def look_at(study: Study, model: DeepTalkModel) -> dict:
    """`text_accuracy` of a text model and, by profile, load, importance and what closing experts leaves."""
    builder, found = ExampleBuilder(model.config, Tokenizer()), {}
    for name, families in study.profiles.items():
        profile = profile_of_text(model, profile_batches(study, model, families))
        closing = closing_curve(model, builder, profile["load"], profile["rise"], study.items, study.draws, study.closed)
        found[name] = {key: _rounded(values) for key, values in profile.items()} | {"closing": closing}
    return {"text_accuracy": text_accuracy(model, builder, "test", study.items), "profiles": found}


def _rounded(values: np.ndarray) -> list:
    return np.round(values, 6).tolist()


def run_study(study: Study, folder: Path, shipped: Path | None) -> dict:
    """Everything that is not in `folder` yet, then the finding.

    Args:
        shipped: a folder with a text model of stage 0 that is looked at too, at its own length; None for none.
    """
    began, models = time.perf_counter(), []
    folder.mkdir(parents=True, exist_ok=True)
    if shipped is not None:
        models.append(_kept(folder / "shipped.json", partial(_shipped, study, shipped)))
    for seed in study.seeds:
        for weight in study.balance_weights:
            models.append(_kept(folder / f"balance-{weight:g}-s{seed}.json", partial(_trained, study, weight, seed)))
    experts = len(models[0]["profiles"]["covered"]["load"][0])
    result = {"by_chance": correlation_by_chance(experts), "held_out": list(LEFT_OUT), "models": models,
              "profiles": {name: list(families) for name, families in study.profiles.items()}}
    notes = [f"text models trained here: {study.updates} updates instead of {pretrain_stage(size_config(study.size)).updates}, one thread each"]
    return finding("load-and-importance", study.size, study.seeds, asdict(study) | {"split": "test"}, time.perf_counter() - began, result, notes)


def _kept(path: Path, work) -> dict:
    """What a file holds, or what `work()` finds, which then goes into it."""
    if not path.exists():
        path.write_text(json.dumps(work()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def _name(weight: float, seed: int) -> str:
    return f"balance {weight:g}, seed {seed}"


def _shipped(study: Study, folder: Path) -> dict:
    stage = pretrain_stage(size_config(study.size))
    model = load_stage(folder, stage.name)
    told = {"name": "shipped", "shipped": True, "seed": 0, "balance_weight": model.config.balance_weight, "updates": stage.updates, "train_seconds": None}
    return told | look_at(study, model)


def _trained(study: Study, weight: float, seed: int) -> dict:
    model, seconds = train_text_model(study, weight, seed)
    told = {"name": _name(weight, seed), "shipped": False, "seed": seed, "balance_weight": weight, "updates": study.updates,
            "train_seconds": round(seconds, 1)}
    return told | look_at(study, model)


def compare_rules(record: Mapping, first: str, second: str, closed: int, skills: str = "all", profile: str = "covered") -> Interval:
    """Text kept by one rule minus text kept by another with as many experts closed, paired by model; draws are averaged.

    Args:
        record: a finding of kind `load-and-importance`. first, second: of `evaluation.load_and_importance.RULES`. closed: experts of a layer.
        skills: `profiled`, `held out`, or `all`. profile: which text the rules have seen.

    Raises:
        LearnerError: for a number of closed experts that was not measured.
    """
    result = record["result"]
    families = {"profiled": result["profiles"][profile], "held out": result["held_out"], "all": list(FAMILIES)}[skills]

    def kept(model: Mapping, rule: str) -> float:
        rows = [row for row in model["profiles"][profile]["closing"] if (row["rule"], row["closed"]) == (rule, closed)]
        if not rows:
            raise LearnerError("a rule and a number of closed experts of the finding", f"{rule}, {closed}",
                               next_step=f"closed: {sorted({row['closed'] for row in model['profiles'][profile]['closing']})}")
        values = [mean_kept(row["kept"], families) for row in rows]
        return sum(values) / len(values)

    return t_interval([kept(model, first) - kept(model, second) for model in result["models"]])


def missing_models(record: Mapping) -> list[str]:
    """Names of the text models that the settings of a finding plan and that it does not hold: the study was ended before its end."""
    settings = record["settings"]
    planned = ["shipped", *(_name(weight, seed) for seed in settings["seeds"] for weight in settings["balance_weights"])]
    there = {model["name"] for model in record["result"]["models"]}
    return [name for name in planned if name not in there]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the study into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the study")
    parser.add_argument("--shipped", type=Path, metavar="DIR", help="folder of a run whose text model is looked at too")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    write_finding(run_study(Study(), args.out, args.shipped), args.out / "load-and-importance.json")


if __name__ == "__main__":
    main()
