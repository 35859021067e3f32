"""A published record run again on the reader's machine, and each of its numbers held against a band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from minideeptalk.baselines.arms import find_arm
from minideeptalk.baselines.bands import ITEMS_OF, bands_of
from minideeptalk.baselines.study import Plan, run_study
from minideeptalk.baselines.summary import value_of
from minideeptalk.baselines.trials import at_rate, factor_of
from minideeptalk.errors import LearnerError
from minideeptalk.records import Comparison, compare, different_settings, read_record
from minideeptalk.training.folders import begin_run
from minideeptalk.training.run import run_recipe

WHERE = ("config.study.shared",)
"""Settings that say where a run's parts lay and not what it did."""


def rerun(record: Mapping, folder: Path, shipped: Path | None = None, say: Callable[[str], None] = print) -> dict:
    """Run what a record describes once more, in a folder of its own, and return the new record.

    Args:
        shipped: ready tools and text model; used where the record's run used them.

    Raises:
        LearnerError: for a folder in which another run lies, and for a record of stage 4.
    """
    arm, seed = find_arm(record["arm"]), record["seed"]
    study = record["config"].get("study")
    if "preference" in record["config"]:
        raise LearnerError("a record of a whole recipe", f"one of stage 4, {record['arm']} with seed {record['seed']}",
                           "stage 4 goes on from a finished run, which a record does not hold",
                           f"minideeptalk train --size {record['size']} --out DIR, then minideeptalk dpo DIR")
    if study is None:
        began_with = shipped if any("shipped" in note for note in record["notes"]) else None
        begin_run(folder, resume=True, size=record["size"], seed=seed, arm=arm.name, scratch=began_with is None)
        return run_recipe(record["size"], folder, seed, arm, began_with)
    arm = at_rate(arm, factor_of(record["budget"].get("learning_rate_trials", ())))  # the rate that its trials chose, without the trials
    plan = Plan(record["size"], folder, (arm,), (seed,), study["scale"], shipped if record["size"] == "nano" else None)
    run_study(plan, workers=1, say=say)
    return read_record(folder / "records" / f"{arm.name}-s{seed}.json")


def outside(record: Mapping, again: Mapping) -> list[Comparison]:
    """The metrics of a second run that lie outside their band."""
    return [row for row in compare(record, again, bands_of(record)) if row.inside is False]


def comparison_table(record: Mapping, again: Mapping) -> str:
    """Metric by metric: published, here, the band, inside or outside; then what no verdict is possible on, and the settings that differed, if any."""
    rows = compare(record, again, bands_of(record))
    inside = sum(row.inside is True for row in rows)
    lines = [f"{'metric':<28}{'record':>10}{'here':>10}{'band':>10}  verdict"]
    for row in rows:
        here = "-" if row.second is None else f"{row.second:.3f}"
        lines.append(f"{row.metric:<28}{row.first:>10.3f}{here:>10}{row.band:>10.3f}  {verdict(row)}")
    lines.append(f"{inside} of {len(rows)} inside the band")
    lines += [f"no verdict, its band would reach from guessing to perfect: {metric}" for metric in ITEMS_OF
              if metric not in {row.metric for row in rows} and value_of(record, metric) is not None]
    lines += [f"setting differs: {name}" for name in different_settings(record, again) if name not in WHERE]
    return "\n".join(lines)


def verdict(row: Comparison) -> str:
    """`inside`, `outside`, or `not measured`."""
    return "not measured" if row.inside is None else "inside" if row.inside else "outside"
