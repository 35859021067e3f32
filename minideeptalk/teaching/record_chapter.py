"""Writes a chapter's record: its numbers over some seeds, with the machine they were measured on.

`python -m minideeptalk.teaching.record_chapter 04_mixture_of_experts` runs the chapter's twin five times. Readers' own runs are compared
with the band (`Chapter.measure`); the book's status page shows what the dearest of the runs cost. With `--cost` one run renews that alone.
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
from minideeptalk.teaching.chapter import COST_FILE, VALUES_FILE, load_record
from minideeptalk.teaching.machine import describe_machine
from minideeptalk.teaching.project import ROOT

MARGIN = 0.5  # the band reaches this share of the observed range beyond it, on either side
LEAST = 0.05  # and at least this share of the value


def run_once(name: str, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Run the twin of a chapter as a script; return what it measured and what it cost (`Chapter.footer`)."""
    with tempfile.TemporaryDirectory() as folder:
        files = {VALUES_FILE: Path(folder, "values.json"), COST_FILE: Path(folder, "cost.json")}
        environment = {**build_environment(), "MINIDEEPTALK_SEED": str(seed), "PLOTLY_RENDERER": "json",
                       **{variable: str(path) for variable, path in files.items()}}
        twin = ROOT / "notebooks" / f"{name}.py"
        subprocess.run([sys.executable, str(twin)], cwd=twin.parent, env=environment, check=True, stdout=subprocess.DEVNULL)
        values, cost = (json.loads(path.read_text(encoding="utf8")) for path in files.values())
        return values, cost


def band(values: list[float]) -> dict[str, float]:
    """Lowest and highest expected value, a little wider than what was seen."""
    reach = max(MARGIN * (max(values) - min(values)), LEAST * max(abs(value) for value in values))
    return {"low": min(values) - reach, "high": max(values) + reach, "mean": sum(values) / len(values)}


def dearest(costs: list[dict[str, float]]) -> dict:
    """The largest of every cost, what a reader should be ready for; and when and at which commit that was measured."""
    return {what: round(max(cost[what] for cost in costs), 4) for what in costs[0]} | {"date": str(datetime.date.today()), "commit": _commit()}


def full_record(name: str, seeds: int) -> dict:
    """Run the seeds; their band, their cost and where they ran."""
    started = time.monotonic()
    runs = [run_once(name, seed) for seed in range(seeds)]
    machine = describe_machine().to_dict()
    return {"chapter": name, "date": str(datetime.date.today()), "runs": len(runs), "mode": "quick",
            "torch": machine["torch"], "machine": machine, "commit": _commit(),
            "seconds": round((time.monotonic() - started) / len(runs), 1), "cost": dearest([cost for _, cost in runs]),
            "values": {what: band([values[what] for values, _ in runs]) for what in runs[0][0]}}


def main() -> None:
    """Run and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", help="the notebook's name without ending")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cost", action="store_true", help="renew the cost only, by one run")
    arguments = parser.parse_args()
    stored = load_record(arguments.name) if arguments.cost else None
    record = {**stored, "cost": dearest([run_once(arguments.name, 0)[1]])} if stored else full_record(arguments.name, arguments.seeds)
    path = ROOT / "minideeptalk" / "teaching" / "chapter_records" / f"{arguments.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + os.linesep, encoding="utf8")
    print(f"wrote {path.relative_to(ROOT)}")


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
