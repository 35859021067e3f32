"""Two records side by side: is my run inside the band of the published one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minideeptalk.errors import LearnerError
from minideeptalk.records.record import walk

SETTINGS = ("arm", "size", "data_hash", "config")


@dataclass(frozen=True)
class Comparison:
    """One metric of two runs.

    `difference` is second minus first; `inside` is None where one of the runs did not measure it.
    """

    metric: str
    first: float | None
    second: float | None
    band: float
    difference: float | None
    inside: bool | None


def compare(record_a: Mapping, record_b: Mapping, bands: Mapping[str, float]) -> list[Comparison]:
    """Compare two runs metric by metric.

    Args:
        record_a, record_b: run records (dicts, as `read_record` gives them).
        bands: largest allowed absolute difference by dotted name under `metrics`, e.g. `{"tts_wer.unseen": 0.1}`.

    Raises:
        LearnerError: if a band names a metric that the first record does not have.
    """
    first, second = dict(walk(record_a["metrics"])), dict(walk(record_b["metrics"]))
    rows = []
    for metric, band in bands.items():
        if metric not in first:
            raise LearnerError("a metric of the record", repr(metric), next_step=f"known: {', '.join(first)}")
        a, b = first[metric], second.get(metric)
        difference = None if a is None or b is None else b - a
        rows.append(Comparison(metric, a, b, band, difference, None if difference is None else abs(difference) <= band))
    return rows


def different_settings(record_a: Mapping, record_b: Mapping) -> list[str]:
    """Fields that make two runs incomparable: the arm, the size, the data, or any field of the config."""
    found = []
    for name in SETTINGS:
        a, b = record_a[name], record_b[name]
        if a != b and name == "config":
            left, right = dict(walk(a)), dict(walk(b))
            found += [f"config.{key}" for key in {**left, **right} if left.get(key) != right.get(key)]
        elif a != b:
            found.append(name)
    return found
