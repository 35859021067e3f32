"""What a run has measured so far, in a file of its own, so that a resumed run forgets nothing and counts nothing twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minideeptalk.training.folders import read_json


@dataclass
class Parts:
    """Seconds by part, rows of curves and loads, and the budget of each stage; kept in `parts.json`."""

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)
    curves: list = field(default_factory=list)
    loads: list = field(default_factory=list)
    budget: dict[str, dict] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Parts:
        """The parts of a run, empty for a new one."""
        path = folder / "parts.json"
        return cls(path, **read_json(path)) if path.exists() else cls(path)

    def save(self) -> None:
        """Write all but the path."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values = {"seconds": self.seconds, "curves": self.curves, "loads": self.loads, "budget": self.budget}
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(values))
        os.replace(fresh, self.path)  # a full disk leaves the old one

    def forget(self, stage: str) -> None:
        """Drop the rows of a stage that begins again: it was interrupted between its measurements and its checkpoint."""
        self.curves = [row for row in self.curves if row["stage"] != stage]
        self.loads = [row for row in self.loads if row["stage"] != stage]

    def absorb(self, other: Parts) -> None:
        """Take over what another process measured; its seconds ran beside ours and are in ours already."""
        self.curves += other.curves
        self.loads += other.loads
        self.budget |= other.budget
        self.save()

    def timed(self, name: str, work: Callable):
        """Do `work()` and add its wall-clock seconds under `name`."""
        began = time.perf_counter()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.save()
        return result
