"""Writes a chapter's record: its numbers over some seeds, with the machine they were measured on.

`python -m minideeptalk.teaching.record_chapter 04_mixture_of_experts` runs the chapter's twin five times. Readers' own runs are compared
with the band (`Chapter.measure`).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minideeptalk.teaching.build_book import build_environment
from minideeptalk.teaching.chapter import VALUES_FILE
from minideeptalk.teaching.machine import describe_machine
from minideeptalk.teaching.project import ROOT

MARGIN = 0.5  # the band reaches this share of the observed range beyond it, on either side
LEAST = 0.05  # and at least this share of the value


def run_once(name: str, seed: int) -> dict[str, float]:
    """Run the twin of a chapter as a script and return what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder, "values.json")
        environment = {**build_environment(), "MINIDEEPTALK_SEED": str(seed), VALUES_FILE: str(values), "PLOTLY_RENDERER": "json"}
        twin = ROOT / "notebooks" / f"{name}.py"
        subprocess.run([sys.executable, str(twin)], cwd=twin.parent, env=environment, check=True, stdout=subprocess.DEVNULL)
        return json.loads(values.read_text(encoding="utf8"))


def band(values: list[float]) -> dict[str, float]:
    """Lowest and highest expected value, a little wider than what was seen."""
    reach = max(MARGIN * (max(values) - min(values)), LEAST * max(abs(value) for value in values))
    return {"low": min(values) - reach, "high": max(values) + reach, "mean": sum(values) / len(values)}


def main() -> None:
    """Run the seeds and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", help="the notebook's name without ending")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    started = time.monotonic()
    runs = [run_once(arguments.name, seed) for seed in range(arguments.seeds)]
    machine = describe_machine().to_dict()
    record = {"chapter": arguments.name, "date": str(datetime.date.today()), "runs": len(runs), "mode": "quick",
              "torch": machine["torch"], "machine": machine, "commit": _commit(),
              "seconds": round((time.monotonic() - started) / len(runs), 1),
              "values": {what: band([run[what] for run in runs]) for what in runs[0]}}
    path = ROOT / "minideeptalk" / "teaching" / "chapter_records" / f"{arguments.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + os.linesep, encoding="utf8")
    print(f"wrote {path.relative_to(ROOT)}")


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
