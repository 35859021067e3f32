"""The table of a study: every arm with its seeds, intervals against the recipe itself, and the paper's figures beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from minideeptalk.baselines.budgets import REFERENCE
from minideeptalk.baselines.intervals import Interval, interval_of, paired_interval
from minideeptalk.baselines.paper import PAPER, SOURCE
from minideeptalk.errors import LearnerError
from minideeptalk.records import read_record
from minideeptalk.records.committed import records_folder


@dataclass(frozen=True)
class Column:
    """A metric of the table: its heading and where a record has it."""

    name: str
    read: Callable[[Mapping], float | None]


def value_of(record: Mapping, metric: str) -> float | None:
    """A metric of a record by its dotted name, such as `tts_wer.unseen`; None where it was not measured."""
    value = record["metrics"]
    for name in metric.split("."):
        value = value[name]
    return value


COLUMNS = tuple(Column(name, partial(value_of, metric=metric)) for name, metric in (
    ("text lost", "relative_text_drop.all"), ("covered", "relative_text_drop.covered"), ("uncovered", "relative_text_drop.uncovered"),
    ("QA text", "spoken_qa_text"), ("QA speech", "spoken_qa_speech"), ("TTS trained", "tts_wer.trained"), ("TTS WER", "tts_wer.unseen"),
    ("ASR WER", "asr_wer"), ("style", "style_accuracy.mirrored")))


def records_in(folder: Path) -> Path:
    """Where the records of a study lie: in its folder `records`, or right in a folder that has nothing else."""
    return folder / "records" if (folder / "records").is_dir() else folder


def read_records(folder: Path) -> list[dict]:
    """All records of a study's folder, or of a folder that holds records.

    Raises:
        LearnerError: where there are none.
    """
    records = [read_record(path) for path in sorted(records_in(folder).glob("*.json"))]
    if not records:
        raise LearnerError("a folder with run records", f"none in {folder}", "no run of the study has finished",
                           "minideeptalk study --size nano --tier A --out DIR")
    return records


def committed_records(folder: Path | None = None, size: str = "nano") -> list[dict]:
    """The records of the study that the book shows: `book/records/study-mini` at `mini` and so on, `book/records/study` at `nano`.

    They are not validated again; a test does that for all that is committed.

    Args:
        folder: where they are; None finds them. size: of the models; runs of two sizes do not belong into one mean.

    Raises:
        LearnerError: where there are none.
    """
    if folder is None:
        folder = records_folder() / ("study" if size == "nano" else f"study-{size}")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    records = [record for record in records if record["size"] == size]
    if not records:
        raise LearnerError(f"records of the study at {size}", f"none in {folder}", "an incomplete clone or installation", "install again")
    return records


def by_arm(records: Sequence[Mapping]) -> dict[str, dict[int, Mapping]]:
    """Records by arm and seed, the reference first, then by text kept."""
    arms: dict[str, dict[int, Mapping]] = {}
    for record in records:
        arms.setdefault(record["arm"], {})[record["seed"]] = record
    lost = COLUMNS[0]
    order = {arm: (arm != REFERENCE, mean_of(runs, lost).mean if mean_of(runs, lost) else 0.0) for arm, runs in arms.items()}
    return {arm: arms[arm] for arm in sorted(arms, key=order.get)}


def values_of(runs: Mapping[int, Mapping], column: Column) -> dict[int, float]:
    """A metric by seed, where it was measured."""
    return {seed: column.read(record) for seed, record in runs.items() if column.read(record) is not None}


def mean_of(runs: Mapping[int, Mapping], column: Column) -> Interval | None:
    """A metric's mean over seeds with its t interval."""
    return interval_of(values_of(runs, column).values())


def study_table(records: Sequence[Mapping]) -> str:
    """Means by arm in percent with the paper's rows, then differences from the reference, paired by seed; 95 % t intervals."""
    arms = by_arm(records)
    width = max(len(name) for name in (*arms, *(row.name for row in PAPER))) + 2
    head = f"{'arm':<{width}}{'seeds':>6}" + "".join(f"{column.name:>15}" for column in COLUMNS)
    lines = [head + f"{'trained':>10}{'active':>10}{'updates':>9}"]
    for arm, runs in arms.items():
        budget = next(iter(runs.values()))["budget"]
        cells = "".join(f"{shown(mean_of(runs, column)):>15}" for column in COLUMNS)
        mark = "*" if budget.get("declared") else " "
        sizes = f"{budget['trainable']:>10}{budget['active']:>10}{budget['updates']:>8}{mark}"
        lines.append(f"{arm:<{width}}{len(runs):>6}{cells}{sizes}")
    lines += [_paper_row(row, width) for row in PAPER]
    lines += ["", f"percent, mean +- half of the 95 % t interval over seeds; * differences of budget are declared; {SOURCE}"]
    return "\n".join([*lines, *_differences(arms, width)])


def _differences(arms: Mapping[str, Mapping[int, Mapping]], width: int) -> list[str]:
    if REFERENCE not in arms or len(arms) == 1:
        return []
    lines = ["", f"difference from {REFERENCE}, paired by seed, percentage points; ! the 95 % t interval leaves out zero",
             f"{'arm':<{width}}{'pairs':>6}" + "".join(f"{column.name:>15}" for column in COLUMNS)]
    for arm, runs in arms.items():
        if arm != REFERENCE:
            found = [paired_interval(values_of(runs, column), values_of(arms[REFERENCE], column)) for column in COLUMNS]
            pairs = len(set(runs) & set(arms[REFERENCE]))
            lines.append(f"{arm:<{width}}{pairs:>6}" + "".join(f"{shown(interval, signed=True):>15}" for interval in found))
    return lines


def _paper_row(row, width: int) -> str:
    cells = []
    for column in COLUMNS:
        mark = "~" if column.name in row.second_hand else ""
        cells.append(f"{mark}{100 * row.values[column.name]:.1f}" if column.name in row.values else "-")
    return f"{row.name:<{width}}{'':>6}" + "".join(f"{cell:>15}" for cell in cells)


def shown(interval: Interval | None, signed: bool = False) -> str:
    """`12.3 +- 1.5` in percent; a dash for nothing, no half-width for one seed, `!` where a difference is sure of its sign."""
    if interval is None:
        return "-"
    mean = f"{100 * interval.mean:{'+' if signed else ''}.1f}"
    half = "" if interval.half is None else f" +- {100 * interval.half:.1f}"
    return mean + half + ("!" if signed and interval.sure_of_sign else "")
