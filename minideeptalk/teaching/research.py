"""The study and the comparison of records, started from what ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minideeptalk.baselines import TIERS, find_arm
from minideeptalk.baselines.rerun import comparison_table, outside, rerun
from minideeptalk.baselines.study import Plan, run_study
from minideeptalk.baselines.summary import read_records, study_table
from minideeptalk.baselines.trials import trials_of
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.records import read_record
from minideeptalk.teaching.samples import shipped_run
from minideeptalk.training.arm import Arm


def study(folder: Path | str, size: str = "nano", tier: str = "A", arms: str | None = None, first_seed: int = 0,
          seeds: int | None = None, scale: float = 1.0, workers: int = 2, trials: bool = False, rates: Path | str | None = None) -> None:
    """Run what is missing of a study; see `baselines.study`.

    Args:
        tier: `A`, `B` or `C`. arms: names with commas between, instead of a tier. seeds: how many; None takes the tier's number.
        rates: another study, or its records, whose trials decide the learning rates.

    Raises:
        LearnerError: for an unknown size or arm, numbers that make no sense, or an arm that `rates` has no trials of.
    """
    size_config(size)
    for name, value in (("--seeds", seeds), ("--scale", scale), ("--workers", workers)):
        if value is not None and value <= 0:
            raise LearnerError(f"a larger number after {name}", str(value))
    if first_seed < 0:
        raise LearnerError("0 or a larger number after --seed", str(first_seed))
    chosen, usual = TIERS[tier]
    if arms:
        chosen = tuple(find_arm(name) for name in arms.split(","))
    numbers = tuple(range(first_seed, first_seed + (seeds or usual)))
    rates = None if rates is None else Path(rates)
    if rates is not None:
        _all_tried_in(rates, chosen, trials)
    plan = Plan(size, Path(folder), chosen, numbers, scale, shipped_run() if size == "nano" else None, rates)
    run_study(plan, workers, trials=trials)


def _all_tried_in(rates: Path, arms: Sequence[Arm], trials: bool) -> None:
    if trials:
        raise LearnerError("--trials or --rates", "both", "--rates takes over what another study tried", "leave one of them away")
    read_records(rates)
    if missing := [arm.name for arm in arms if not trials_of(rates, arm)]:
        raise LearnerError(f"trials of every arm in {rates}", f"none of {', '.join(missing)}", "that study did not try their rates",
                           "leave --rates away, or those arms")


def table_of(folder: Path | str) -> str:
    """The table of all that has run in a study's folder."""
    return study_table(read_records(Path(folder)))


def compare(record: Path | str, folder: Path | str) -> tuple[str, bool]:
    """Run a record again in `folder`; the comparison as text, and whether every metric is inside its band."""
    published = read_record(record)
    again = rerun(published, Path(folder), shipped_run() if published["size"] == "nano" else None)
    return comparison_table(published, again), not outside(published, again)
