"""What a benchmark leaves behind: rows, bars and where it ran, as one JSON file with a schema of its own.

`minideeptalk/records/benchmark_schema.json` says what each field means; a page reads such a file and nothing else.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import jsonschema

from minideeptalk.errors import LearnerError
from minideeptalk.records.environment import environment

SCHEMA_VERSION = 1


def row(name: str, shape: str, tokens: int, seconds: float, dense_seconds: float | None, peak_memory_mb: float | None,
        **more: float | None) -> dict:
    """One candidate at one shape.

    Args:
        tokens: processed in `seconds`. dense_seconds: of the dense limit in the same run, None where there is none.
        more: further numbers of this benchmark, by the names in the schema.
    """
    ratio = None if dense_seconds is None else seconds / dense_seconds
    return {"name": name, "shape": shape, "tokens_per_s": round(tokens / seconds, 1), "milliseconds": round(1e3 * seconds, 4),
            "ratio_to_dense": _rounded(ratio), "share_of_limit": _rounded(None if ratio is None else 1 / ratio),
            "peak_memory_mb": peak_memory_mb, **{key: _rounded(value) for key, value in more.items()}}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def bar(claim: str, measured: float, at_most: float | None = None, at_least: float | None = None) -> dict:
    """One claim of speed with its measured value and whether it holds."""
    met = (at_most is None or measured <= at_most) and (at_least is None or measured >= at_least)
    return {"claim": claim, "measured": _rounded(measured), "at_most": at_most, "at_least": at_least, "met": met}


def benchmark_record(benchmark: str, size: str, threads: int, device: str, clock: str, allocator: str, rounds: int, result: dict) -> dict:
    """The whole record, validated.

    Args:
        benchmark: `experts`, `train`, `talk` or `codec`. clock, allocator: what was chosen, and why.
        result: `rows`, `bars`, `notes`, and whatever else of the schema this run can tell: `latency_ms`, `precision`, `load_average`.
    """
    record = {"schema_version": SCHEMA_VERSION, "benchmark": benchmark, "size": size, "threads": threads, **environment(device),
              "clock": clock, "allocator": allocator, "rounds": rounds, **result}
    validate(record)
    return record


@lru_cache(maxsize=1)
def schema() -> dict:
    """The JSON Schema of a benchmark's record."""
    return json.loads(files("minideeptalk.records").joinpath("benchmark_schema.json").read_text(encoding="utf-8"))


def validate(record: dict) -> None:
    """Raise `LearnerError`, naming the first field at fault, where the record breaks its schema."""
    faults = sorted(jsonschema.Draft202012Validator(schema()).iter_errors(record), key=lambda fault: list(map(str, fault.absolute_path)))
    if faults:
        place = ".".join(map(str, faults[0].absolute_path)) or "the record"
        raise LearnerError(f"a benchmark's record; `{place}` breaks its schema", faults[0].message[:200],
                           "edited by hand, or written by another version", "run the benchmark again")


def write(record: dict, path: Path | str) -> Path:
    """Write a validated record."""
    validate(record)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def told(entry: dict, name: str, form: str) -> str:
    """A number of a row; a dash where it was not measured, or is older than this number."""
    return "-" if entry.get(name) is None else format(entry[name], form)


def table(record: dict) -> str:
    """The record's rows and bars as plain text."""
    lines = [f"{record['benchmark']} at {record['size']}, {record['threads']} thread(s), {record['device']['name']}", ""]
    lines.append(f"{'shape':<44}{'name':<34}{'tokens/s':>12}{'x dense':>9}{'roofline':>10}{'MB':>9}")
    for entry in record["rows"]:
        cells = (told(entry, "ratio_to_dense", ".2f"), told(entry, "share_of_roofline", ".0%"), told(entry, "peak_memory_mb", ".0f"))
        lines.append(f"{entry['shape']:<44}{entry['name']:<34}{entry['tokens_per_s']:>12,.0f}{cells[0]:>9}{cells[1]:>10}{cells[2]:>9}")
    for part, values in record.get("latency_ms", {}).items():
        lines.append(f"{part:<44}p50 {values['p50']:.1f} ms, p90 {values['p90']:.1f} ms")
    for entry in record["bars"]:
        wanted = f"<= {entry['at_most']}" if entry["at_most"] is not None else f">= {entry['at_least']}"
        lines.append(f"{'met' if entry['met'] else 'MISSED':<8}{entry['claim']}: {entry['measured']} ({wanted})")
    return "\n".join([*lines, *(f"note: {note}" for note in record["notes"])])
