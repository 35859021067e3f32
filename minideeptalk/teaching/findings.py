"""The findings that the book cites, committed beside the run records."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.records.finding import read_finding
from minideeptalk.teaching.project import ROOT


def book_finding(name: str, kind: str | None = None) -> dict:
    """A committed finding: from `book/records/` of a checkout, or as the wheel carries it (chapter 14).

    Args:
        name: of its file, such as `nano-why`. kind: what it must be, see `records.finding.KINDS`; None admits each.

    Raises:
        LearnerError: when it is not there, or is of another kind.
    """
    path = ROOT / "book" / "records" / f"{name}.json"
    if not path.is_file():
        try:
            path = Path(str(files("minideeptalk.book_records"))) / f"{name}.json"
        except ModuleNotFoundError:
            raise LearnerError("the records of the book", "none", "the library runs without being installed",
                               "pip install -e . in the checkout") from None
    return read_finding(path, kind)
