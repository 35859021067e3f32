"""The findings that the book cites, committed beside the run records."""

from __future__ import annotations

from minideeptalk.records.committed import records_folder
from minideeptalk.records.finding import read_finding


def book_finding(name: str, kind: str | None = None) -> dict:
    """A committed finding: from `book/records/` of a checkout, or as the wheel carries it (chapter 14).

    Args:
        name: of its file, such as `nano-why`. kind: what it must be, see `records.finding.KINDS`; None admits each.

    Raises:
        LearnerError: when it is not there, or is of another kind.
    """
    return read_finding(records_folder() / f"{name}.json", kind)
