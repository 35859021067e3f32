"""Did the learning rate decide who forgets?  Every trial of a study with the text that it kept, and arms compared at equal speech (chapter 14).

`python -m minideeptalk.baselines.rates STUDY OUT.json` collects what the trials of a study left behind; nothing is trained again.
Text kept was measured on the test split while a trial was trained, but no choice of a rate has looked at it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from minideeptalk.baselines.evidence import accuracy_by_stage
from minideeptalk.baselines.trials import FACTORS, factor_of
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.records import relative_text_drop
from minideeptalk.records.finding import finding, write_finding
from minideeptalk.world import CHANCE

SPEECH = ("spoken_qa_text", "said")
"""What a trial measured of speech, on the validation split."""


def collect_trials(folder: Path, covered: Iterable[str]) -> list[dict]:
    """All finished trials in a study's folder: arm, factor, seed, what `trials.validate_trial` found, and the text kept at the end.

    Args:
        folder: of the study. covered: families that the text of after-training holds.

    Returns:
        a row a trial; `kept` holds `all`, `covered` and `uncovered`: 1 less the relative text drop.

    Raises:
        LearnerError: where no trial has finished.
    """
    rows = []
    for path in sorted((folder / "trials").glob("*-x*-s*/score.json")):
        parts = json.loads(path.with_name("parts.json").read_text(encoding="utf-8"))
        before, *_, after = accuracy_by_stage(parts["curves"]).values()  # in the order of the stages
        drop = relative_text_drop(before, after, CHANCE, covered)
        rows.append({"arm": path.parent.name.rpartition("-x")[0], **json.loads(path.read_text(encoding="utf-8")),
                     "kept": {group: 1 - drop[group] for group in ("all", "covered", "uncovered")}})
    if not rows:
        raise LearnerError("a study's folder with finished trials", f"none in {folder / 'trials'}", "the study was run without --trials",
                           "minideeptalk study --trials --out DIR")
    return rows


def rate_path(trials: Iterable[Mapping], arm: str, seed: int) -> list[tuple[float, float]]:
    """(speech, text kept) of one arm and seed, from the lowest rate to the highest; speech is the mean of `SPEECH`."""
    rows = sorted((row for row in trials if (row["arm"], row["seed"]) == (arm, seed)), key=lambda row: row["factor"])
    return [(sum(row[name] for name in SPEECH) / len(SPEECH), row["kept"]["all"]) for row in rows]


def most_kept(path: Sequence[tuple[float, float]], level: float) -> float | None:
    """The most text that a path keeps where it speaks at least so well; None where it never does.

    Between two rates that were tried the path is taken as straight.

    >>> most_kept([(0.2, 1.0), (0.6, 0.8)], 0.4)
    0.9
    """
    reached = [kept for speech, kept in path if speech >= level]
    for (speech, kept), (further, left) in pairwise(path):
        if min(speech, further) < level <= max(speech, further):
            reached.append(kept + (left - kept) * (level - speech) / (further - speech))
    return max(reached, default=None)


def kept_at_equal_speech(trials: Sequence[Mapping], arm: str, reference: str) -> dict[int, float]:
    """By seed, the text that an arm keeps, at whichever rate, where it speaks as well as the reference at the rate that was taken for it.

    Seeds in which the arm never speaks so well are left out.
    """
    taken = factor_of(row for row in trials if row["arm"] == reference)
    found = {}
    for seed in sorted({row["seed"] for row in trials if row["arm"] == arm}):
        level = rate_path([row for row in trials if row["factor"] == taken], reference, seed)[0][0]
        kept = most_kept(rate_path(trials, arm, seed), level)
        if kept is not None:
            found[seed] = kept
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Collect the trials of a study into one finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of a study that was run with --trials")
    parser.add_argument("out", type=Path, metavar="OUT.json", help="where the finding goes")
    args = parser.parse_args(argv)
    began = time.perf_counter()
    begun = json.loads((args.study / "study.json").read_text(encoding="utf-8"))
    trials = collect_trials(args.study, size_config(begun["size"]).world.covered)
    settings = {"scale": begun["scale"], "factors": FACTORS, "split": "speech and score: validation; text kept: test"}
    write_finding(finding("rates", begun["size"], sorted({row["seed"] for row in trials}), settings, time.perf_counter() - began, {"trials": trials}),
                  args.out)


if __name__ == "__main__":
    main()
