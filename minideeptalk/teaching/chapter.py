"""What every chapter shares while it runs: seed, mode, budget, the band of the recorded numbers, and the footer."""

from __future__ import annotations

import datetime
import json
import os
import random
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.records.environment import peak_memory_mb
from minideeptalk.teaching.diagram import SystemDiagram
from minideeptalk.teaching.machine import calibration_seconds

MODES = ("quick", "full")
VALUES_FILE = "MINIDEEPTALK_VALUES"  # environment variable: where the footer writes what the chapter measured
COST_FILE = "MINIDEEPTALK_COST"  # and where it writes what the chapter cost
TOLERANCE = 1.2  # a chapter may exceed its budget by this factor before the build fails


@dataclass(frozen=True)
class Budget:
    """What a chapter may cost at `quick`: calibration units of CPU time and MB of memory, and minutes on a T4 (estimated)."""

    title: str
    units: float
    peak_mb: float
    t4_minutes: float
    lit: tuple[str, ...]


def budgets() -> dict[str, Budget]:
    """All chapters that exist, by notebook name, from `chapters.json`."""
    table = json.loads((files("minideeptalk.teaching") / "chapters.json").read_text(encoding="utf8"))
    return {name: Budget(**{**row, "lit": tuple(row["lit"])}) for name, row in table.items()}


@dataclass
class Chapter:
    """A running chapter. Made by `open_chapter`."""

    name: str
    budget: Budget
    mode: str
    seed: int
    record: dict | None
    unit_seconds: float
    started_cpu: float
    started_wall: float
    values: dict[str, float] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Whether this is the short run that the book shows."""
        return self.mode == "quick"

    def diagram(self) -> SystemDiagram:
        """The system, with this chapter's part lit."""
        return SystemDiagram(self.budget.lit)

    def measure(self, what: str, value: float, grain: float = 0.0) -> float:
        """Print a measured value beside the band of the committed record, and return it.

        Args:
            what: its name. value: what came out.
            grain: the step of a counted share, such as 1 / 40: another processor rounds sums otherwise and may turn one answer, or two.
                Where the record has a share between 0 and 1, its band ends there too.
        """
        self.values[what] = float(value)
        band = (self.record or {}).get("values", {}).get(what)
        if band is None or not self.quick:
            print(f"{what}: {value:.4g} (no record to compare with)")
            return value
        low, high = band["low"] - 2 * grain, band["high"] + 2 * grain
        if grain and 0 <= band.get("mean", value) <= 1 and value >= 0:
            low, high = max(low, 0.0), min(high, 1.0)
        verdict = "inside" if low <= value <= high else "OUTSIDE"
        print(f"{what}: {value:.4g}, {verdict} the recorded band {low:.4g} to {high:.4g} "
              f"({_count(self.record['runs'], 'run')}, torch {self.record['torch']}, {self.record['date']})")
        return value

    def footer(self) -> None:
        """Print what this run was verified on and what it cost; the last cell of every chapter.

        Raises:
            LearnerError: over budget, and only while the book is built (`MINIDEEPTALK_ENFORCE_BUDGET=1`).
        """
        import torch

        unit = max(self.unit_seconds, calibration_seconds())  # a machine that slowed down meanwhile is no fault
        used = (time.process_time() - self.started_cpu) / unit
        peak = peak_memory_mb()
        where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        print(f"Verified on {datetime.date.today()} with torch {torch.__version__} on {where}, mode {self.mode}, seed {self.seed}.")
        print(f"{time.monotonic() - self.started_wall:.0f} s, {used:.0f} of {self.budget.units:.0f} budgeted units of CPU time "
              f"(a unit is {unit:.3f} s here), peak {peak:.0f} of {self.budget.peak_mb:.0f} MB.")
        cost = {"units": used, "peak_mb": peak, "seconds": time.monotonic() - self.started_wall, "unit_seconds": unit}
        for variable, facts in ((VALUES_FILE, self.values), (COST_FILE, cost)):
            if os.environ.get(variable):
                Path(os.environ[variable]).write_text(json.dumps(facts), encoding="utf8")
        over = used > TOLERANCE * self.budget.units or peak > TOLERANCE * self.budget.peak_mb
        if over and self.quick and os.environ.get("MINIDEEPTALK_ENFORCE_BUDGET") == "1":
            raise LearnerError(f"{self.name} within its budget", f"{used:.0f} units and {peak:.0f} MB",
                               next_step="make the chapter cheaper, or change minideeptalk/teaching/chapters.json")


def open_chapter(name: str, mode: str | None = None, seed: int | None = None, threads: int = 1) -> Chapter:
    """Fix the seeds, print the budget, and return the running chapter.

    Args:
        name: of the notebook, without ending.
        mode: `quick` (the book's run, minutes) or `full`; default `quick`, or what MINIDEEPTALK_MODE says.
        seed: default 0, or what MINIDEEPTALK_SEED says.
        threads: for torch; layers this small are no faster with more, and far slower where cores are shared.

    Raises:
        LearnerError: for a name or mode that does not exist.
    """
    import torch

    known = budgets()
    if name not in known:
        raise LearnerError(f"a chapter out of {', '.join(known)}", repr(name))
    mode = mode or os.environ.get("MINIDEEPTALK_MODE", "quick")
    if mode not in MODES:
        raise LearnerError("mode quick or full", repr(mode))
    seed = int(os.environ.get("MINIDEEPTALK_SEED", "0")) if seed is None else seed
    random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    budget, unit = known[name], calibration_seconds()
    print(f"{budget.title}: about {_count(max(1, round(budget.units * unit / 60)), 'CPU minute')} on this machine, "
          f"{budget.t4_minutes:g} on a T4 (estimated), at most {budget.peak_mb:.0f} MB. Mode {mode}, seed {seed}.")
    return Chapter(name, budget, mode, seed, load_record(name), unit, time.process_time(), time.monotonic())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def load_record(name: str) -> dict | None:
    """The committed record of a chapter's numbers, or None before it has been made."""
    path = files("minideeptalk.teaching") / "chapter_records" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else None
