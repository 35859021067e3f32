"""Do the committed records of the study come out again?  Some of them, drawn by lot, are run once more on this machine (chapter 14).

`python -m minideeptalk.teaching.second_runs DIR OUT.json` trains in DIR, and goes on there when it is called again.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from minideeptalk.baselines.bands import ITEMS_OF, LEAST, WIDTH
from minideeptalk.baselines.rerun import outside, rerun
from minideeptalk.baselines.summary import committed_records, value_of
from minideeptalk.errors import LearnerError
from minideeptalk.records.finding import finding, write_finding
from minideeptalk.teaching.samples import shipped_run

RUNS = 10


def drawn(count: int, lot: int) -> list[dict]:
    """So many committed records of the study at `nano`, by lot.

    Raises:
        LearnerError: for none, or more than there are.
    """
    records = committed_records()
    if not 0 < count <= len(records):
        raise LearnerError(f"1 to {len(records)} after --runs", str(count), "the study has no more records")
    return random.Random(lot).sample(records, count)


def second_runs(chosen: Sequence[Mapping], folder: Path) -> list[dict]:
    """Run each again in `folder`, or read what lies there already.

    Returns:
        a row a run: `arm`, `seed`, and `shared`, the name of the alignment that it went on from; `devices` and `commits`, the record's first; `seconds` of the second run; `record` and `here`, values by
        metric; `outside`, the metrics that left their band.
    """
    rows = []
    for number, record in enumerate(chosen, start=1):
        print(f"{number} of {len(chosen)}: {record['arm']}, seed {record['seed']}", flush=True)
        again = rerun(record, folder, shipped_run())
        rows.append({
            "arm": record["arm"], "seed": record["seed"], "shared": record["config"]["study"]["shared"], "seconds": again["seconds"],
            "devices": [run["device"]["name"] for run in (record, again)], "commits": [run["commit"] for run in (record, again)],
            **{name: {metric: value_of(run, metric) for metric in ITEMS_OF} for name, run in (("record", record), ("here", again))},
            "outside": [row.metric for row in outside(record, again)]})
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, run and write one finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the runs go; called again, it goes on")
    parser.add_argument("out", type=Path, metavar="OUT.json", help="where the finding goes")
    parser.add_argument("--runs", type=int, default=RUNS, help="how many records are drawn")
    parser.add_argument("--lot", type=int, default=0, help="number that the draw begins with")
    args = parser.parse_args(argv)
    rows = second_runs(drawn(args.runs, args.lot), args.folder)
    seeds = sorted({row["seed"] for row in rows})
    settings = {"runs": args.runs, "lot": args.lot, "drawn_from": len(committed_records()), "width": WIDTH, "least": LEAST}
    alignments = {row["shared"] for row in rows}
    notes = (f"{len(rows)} runs on {len(alignments)} alignments: runs that share one do not vary independently",
             "the text model of seed 0 is the shipped one and is not trained again; so are codec, ear and judge",
             "seconds: summed over the runs; what several share counts for each")
    write_finding(finding("second-runs", "nano", seeds, settings, sum(row["seconds"] for row in rows), {"runs": rows}, notes), args.out)


if __name__ == "__main__":
    main()
