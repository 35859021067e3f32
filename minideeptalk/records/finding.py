"""A finding: something measured on finished models, beside their run records, as one JSON file with a schema of its own.

`finding_schema.json` says what each field means.  A file with records tells its kind by itself: a finding has `kind`, a benchmark has
`benchmark`, and what has neither is the record of a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import jsonschema

from minideeptalk.errors import LearnerError
from minideeptalk.records.environment import environment

SCHEMA_VERSION = 1
KINDS = ("why", "load-and-importance", "style", "rates", "second-runs")


def kind_of(content: Mapping) -> str:
    """`run`, `benchmark`, or the kind of a finding."""
    return content.get("kind") or ("benchmark" if "benchmark" in content else "run")


def finding(kind: str, size: str, seeds: Sequence[int], settings: Mapping, seconds: float, result: Mapping,
            notes: Sequence[str] = (), device: str = "cpu") -> dict:
    """The whole record, as plain JSON types, validated.

    Args:
        kind: one of `KINDS`; decides what `result` holds. size: of the dial. seeds: of the models that were looked at.
        settings: everything that decided the numbers. seconds: wall clock. notes: sentences for people.
    """
    record = {"schema_version": SCHEMA_VERSION, "kind": kind, "size": size, "seeds": list(seeds), "settings": settings,
              "seconds": seconds, **environment(device), "notes": list(notes), "result": result}
    plain = json.loads(json.dumps(record, default=lambda value: value.tolist()))
    validate_finding(plain)
    return plain


@lru_cache(maxsize=1)
def finding_schema() -> dict:
    """The JSON Schema of a finding."""
    return json.loads(files("minideeptalk.records").joinpath("finding_schema.json").read_text(encoding="utf-8"))


def validate_finding(record: Mapping) -> None:
    """Raise `LearnerError`, naming the first field at fault, where a finding breaks its schema."""
    faults = sorted(jsonschema.Draft202012Validator(finding_schema()).iter_errors(record), key=lambda fault: list(map(str, fault.absolute_path)))
    if faults:
        place = ".".join(map(str, faults[0].absolute_path)) or "the record"
        raise LearnerError(f"a finding; `{place}` breaks its schema", faults[0].message[:200], "edited by hand, or written by another version",
                           "measure it again")


def write_finding(record: Mapping, path: str | Path) -> Path:
    """Write a validated finding in one move: a reader never meets half a file."""
    validate_finding(record)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def read_finding(path: str | Path, kind: str | None = None) -> dict:
    """The finding in a file.

    Args:
        kind: what it must be; None admits each.

    Raises:
        LearnerError: for a missing or damaged file, or another kind of record.
    """
    path = Path(path)
    if not path.is_file():
        raise LearnerError("a finding", f"no file at {path}", next_step="give the path of its JSON file")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LearnerError(f"JSON in {path.name}", str(error), "the file was cut off or edited by hand") from error
    if kind is not None and kind_of(record) != kind:
        raise LearnerError(f"a finding of kind {kind}", f"one of kind {kind_of(record)}", "another file was given")
    validate_finding(record)
    return record
