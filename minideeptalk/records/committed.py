"""Where the records lie that the book cites: in the checkout, or as the wheel carries them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from minideeptalk.errors import LearnerError


def records_folder() -> Path:
    """`book/records/` of a checkout, or the package `minideeptalk.book_records` of an installation, which is the same.

    Raises:
        LearnerError: when there is neither.
    """
    checkout = Path(__file__).resolve().parents[2] / "book" / "records"
    if checkout.is_dir():
        return checkout
    try:
        return Path(str(files("minideeptalk.book_records")))
    except ModuleNotFoundError:
        raise LearnerError("the records of the book", "none", "the library runs without being installed", "pip install -e . in the checkout") from None
