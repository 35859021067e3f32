"""Do the committed records of the study come out again?  Some of them, drawn by lot, are run once more on this machine (chapter 14).

`python -m minideeptalk.teaching.second_runs DIR OUT.json` trains in DIR and goes on there when it is called again: 16 runs take about an hour on two cores.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from minideeptalk.baselines.bands import COUNTED, LEAST, SURE, value_of
from minideeptalk.baselines.rerun import outside, rerun
from minideeptalk.baselines.summary import committed_records
from minideeptalk.records.finding import finding, write_finding
from minideeptalk.teaching.samples import shipped_run

RUNS = 16


def drawn(count: int, seed: int) -> list[dict]:
    """So many committed records of the study at `nano`, by lot.

    Raises:
        ValueError: for more than there are.
    """
    return random.Random(seed).sample(committed_records(), count)


def second_runs(chosen: Sequence[Mapping], folder: Path) -> list[dict]:
    """Run each again in `folder`, or read what lies there already.

    Returns:
        a row a run: `arm`, `seed`, `seconds`, `devices` and `commits` of both, `record` and `here` (values by metric), and `outside`, the metrics out of band.
    """
    rows = []
    for number, record in enumerate(chosen, start=1):
        print(f"{number} of {len(chosen)}: {record['arm']}, seed {record['seed']}", flush=True)
        again = rerun(record, folder, shipped_run())
        rows.append({
            "arm": record["arm"], "seed": record["seed"], "seconds": again["seconds"],
            "devices": [run["device"]["name"] for run in (record, again)], "commits": [run["commit"] for run in (record, again)],
            **{name: {metric: value_of(run, metric) for metric in COUNTED} for name, run in (("record", record), ("here", again))},
            "outside": [row.metric for row in outside(record, again)]})
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, run and write one finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the runs go; called again, it goes on")
    parser.add_argument("out", type=Path, metavar="OUT.json", help="where the finding goes")
    parser.add_argument("--runs", type=int, default=RUNS, help="how many records are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the lot")
    args = parser.parse_args(argv)
    rows = second_runs(drawn(args.runs, args.seed), args.folder)
    settings = {"runs": args.runs, "lot": args.seed, "drawn_from": len(committed_records()), "sure": SURE, "least": LEAST}
    write_finding(finding("second-runs", "nano", sorted({row["seed"] for row in rows}), settings, sum(row["seconds"] for row in rows), {"runs": rows}),
                  args.out)


if __name__ == "__main__":
    main()
