"""The run record: everything a page may say about one training run, as one JSON object.

A page of the book, the report and the command line read records and nothing else, so a number cannot drift from the
run that made it. `schema.json` beside this file is the contract; `validate` names the field that breaks it.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import jsonschema

from minideeptalk.errors import LearnerError

SCHEMA_VERSION = 1
NULL_WITHOUT_REASON = ("uncommitted_changes", "selection.normaliser", "versions.")


@dataclass(frozen=True)
class RunRecord:
    """One run. The meaning and unit of each field stand in `schema.json`; chapter 14 reads many of them side by side.

    Fractions are 0 to 1, `seconds` is wall clock, `peak_memory_mb` megabytes. `**environment()` fills `commit`, `date`,
    `versions`, `device` and `uncommitted_changes`. A value that was not measured is None, and `not_measured` says why
    under the dotted name of the field, for example `{"metrics.spoken_qa_speech": "no judge was trained"}`.
    """

    arm: str
    size: str
    seed: int
    config: dict
    data_hash: str
    commit: str | None
    date: str
    versions: dict
    device: dict
    seconds: float
    peak_memory_mb: float | None
    budget: dict
    metrics: dict
    curves: list = field(default_factory=list)
    loads: list = field(default_factory=list)
    selection: dict | None = None
    notes: list = field(default_factory=list)
    not_measured: dict = field(default_factory=dict)
    stage_seconds: dict = field(default_factory=dict)
    uncommitted_changes: bool | None = None
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict:
        """The record as plain JSON types, in reading order; a missing commit explains itself."""
        record = {"schema_version": self.schema_version, **asdict(self)}
        if self.commit is None:
            record["not_measured"].setdefault("commit", "the code did not run from a git checkout")
        return json.loads(json.dumps(record, default=_plain_number))

    def write(self, path: str | Path) -> Path:
        """Validate, then write in one move: a reader never meets half a file.

        Raises:
            LearnerError: where the record breaks its schema; nothing is written then.
        """
        path, record = Path(path), self.to_dict()
        validate(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(part, path)
        return path

    @classmethod
    def read(cls, path: str | Path) -> RunRecord:
        """Read and validate one record.

        Raises:
            LearnerError: if the file is missing, is not JSON, or breaks the schema.
        """
        return cls(**read_record(path))


def read_record(path: str | Path) -> dict:
    """The record in a file as a validated dict, which is what the figures take."""
    path = Path(path)
    if path.is_dir():
        path = path / "record.json"
    if not path.is_file():
        raise LearnerError("a run record", f"no file at {path}", next_step="give the folder of a run or its record.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LearnerError(f"JSON in {path.name}", str(error), "the file was cut off or edited by hand") from error
    validate(record)
    return record


@lru_cache(maxsize=1)
def schema() -> dict:
    """The JSON Schema (draft 2020-12) of a run record."""
    return json.loads(files("minideeptalk.records").joinpath("schema.json").read_text(encoding="utf-8"))


def validate(record: dict) -> None:
    """Check a record against its schema and against itself.

    Beyond the schema: numbers are finite, each null has its reason in `not_measured`, no reason stands for a value that
    was measured, and text accuracy names the same families before, after and under chance.

    Raises:
        LearnerError: naming the first field at fault.
    """
    if not isinstance(record, dict):
        raise LearnerError("a run record (a JSON object)", type(record).__name__)
    if record.get("schema_version") != SCHEMA_VERSION:
        raise LearnerError(f"schema_version {SCHEMA_VERSION}", repr(record.get("schema_version")),
                           "the file is no run record, or another version of minideeptalk wrote it")
    validator = jsonschema.Draft202012Validator(schema())
    faults = sorted(validator.iter_errors(record), key=lambda fault: [str(part) for part in fault.absolute_path])
    if faults:
        raise _explain(faults[0])
    _check_numbers_and_nulls(record)
    _check_families(record["metrics"])


def _plain_number(value):
    """numpy and torch scalars become Python numbers; tensors and arrays become lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise LearnerError("numbers, text, lists and dicts in a run record", type(value).__name__)


def _explain(fault: jsonschema.ValidationError) -> LearnerError:
    name = ".".join(str(part) for part in fault.absolute_path) or "the record"
    if fault.validator == "required":
        missing = [key for key in fault.validator_value if key not in fault.instance]
        return LearnerError(f"field `{'.'.join([*map(str, fault.absolute_path), missing[0]])}`", "no such field",
                            "a part of the run did not report", "write None and a reason in not_measured if it was not measured")
    if fault.validator == "additionalProperties":
        return LearnerError(f"only known fields in `{name}`", fault.message, "a misspelt field",
                            "metrics without a field of their own go into metrics.extra")
    rule = f"{fault.validator} {json.dumps(fault.validator_value)}"
    return LearnerError(f"`{name}` with {rule}", repr(fault.instance)[:80])


def walk(value, name: str = ""):
    """Every leaf of a record with its dotted name: `("metrics.asr_wer", 0.1)`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from walk(inner, f"{name}.{position}")
    else:
        yield name, value


def _check_numbers_and_nulls(record: dict) -> None:
    reasons, empty = record["not_measured"], set()
    for name, value in walk({key: record[key] for key in record if key != "config"}):
        if isinstance(value, float) and not math.isfinite(value):
            raise LearnerError(f"a finite number in `{name}`", str(value), "a loss or a mean over nothing",
                               "write None and a reason in not_measured")
        if value is None and not name.startswith(NULL_WITHOUT_REASON):
            empty.add(name)
            if not any(name == reason or name.startswith(reason + ".") for reason in reasons):
                raise LearnerError(f"a number in `{name}`", "null without a reason", "the value was not measured",
                                   f'add "{name}": "why" to not_measured')
    for reason in reasons:
        if not any(name == reason or name.startswith(reason + ".") for name in empty):
            raise LearnerError(f"null in `{reason}`, as not_measured says", "a value, or no such field",
                               next_step="drop the reason from not_measured")


def _check_families(metrics: dict) -> None:
    before, after = metrics["text_accuracy"]["before"], metrics["text_accuracy"]["after"]
    chance = metrics["chance"]["text_accuracy"]
    for name, other in (("text_accuracy.after", after), ("chance.text_accuracy", chance)):
        odd = sorted(set(before) ^ set(other))
        if odd:
            raise LearnerError(f"the same families in `metrics.text_accuracy.before` and `metrics.{name}`",
                               f"{', '.join(odd)} in one of them only")
