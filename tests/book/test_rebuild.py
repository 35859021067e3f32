"""A book that is built already is built again in less than a minute: no chapter runs twice."""

import subprocess
import sys
import time

import pytest

from minideeptalk.teaching.build_book import BUILD, library_fingerprint
from minideeptalk.teaching.project import ROOT

LONGEST_SECONDS = 60


@pytest.mark.slow
def test_a_cached_rebuild_takes_less_than_a_minute():
    stamp = ROOT / BUILD / "library.sha256"
    if not stamp.is_file() or stamp.read_text() != library_fingerprint(ROOT):
        pytest.skip("the book is not built, or the library has changed since: make book")
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "minideeptalk.teaching.build_book"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert time.monotonic() - started < LONGEST_SECONDS
