"""What chapters share: seeds and budget at the start, the band beside each number, a clear sentence where they cannot run."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.records.environment import peak_memory_mb
from minideeptalk.teaching import open_chapter
from minideeptalk.teaching.chapter import Budget, Chapter, budgets
from minideeptalk.teaching.machine import NotReady, calibration_seconds, check_floors
from minideeptalk.teaching.record_chapter import band

NAME = next(iter(budgets()))
GOOD = {"torch": "2.11.0+cu130", "transformers": "5.15.0", "numpy": "2.0.2"}


def running(record, units=1e9, mode="quick"):
    return Chapter("x", Budget("x", units, 1e9, 1, ()), mode, 0, record, calibration_seconds(1), 0.0, 0.0)


def test_opening_a_chapter_fixes_the_seed_and_prints_the_budget(capsys):
    open_chapter(NAME)
    first = torch.rand(1)
    open_chapter(NAME)
    assert torch.equal(first, torch.rand(1))
    assert "CPU minute" in capsys.readouterr().out


def test_an_unknown_chapter_or_mode_is_explained():
    with pytest.raises(LearnerError, match=NAME):
        open_chapter("99_nothing")
    with pytest.raises(LearnerError, match="quick or full"):
        open_chapter(NAME, mode="slow")


def test_a_number_is_compared_with_its_band(capsys):
    chapter = running({"values": {"error": {"low": 1, "high": 2}}, "runs": 5, "torch": "2.11", "date": "today"})
    chapter.measure("error", 1.5)
    chapter.measure("error", 2.5)
    chapter.measure("other", 3)
    lines = capsys.readouterr().out.splitlines()
    assert "inside the recorded band" in lines[0] and "OUTSIDE" in lines[1] and "no record" in lines[2]


def test_a_share_of_few_questions_may_differ_by_one_or_two_of_them(capsys):
    chapter = running({"values": {"right": {"low": 0.5, "high": 0.5}}, "runs": 5, "torch": "2.11", "date": "today"})
    chapter.measure("right", 0.55, grain=1 / 40)
    chapter.measure("right", 0.6, grain=1 / 40)
    lines = capsys.readouterr().out.splitlines()
    assert "inside the recorded band 0.45 to 0.55" in lines[0] and "OUTSIDE" in lines[1]


def test_the_band_of_a_share_ends_where_shares_end(capsys):
    chapter = running({"values": {"share": {"low": -0.02, "high": 0.1, "mean": 0.04}, "all": {"low": 0.9, "high": 1.05, "mean": 0.98},
                                  "change": {"low": -0.02, "high": 0.1, "mean": 0.04}}, "runs": 3, "torch": "2.11", "date": "today"})
    chapter.measure("share", 0.0, grain=0.01)
    chapter.measure("all", 1.0, grain=0.01)
    chapter.measure("change", -0.03)
    lines = capsys.readouterr().out.splitlines()
    assert "inside the recorded band 0 to 0.12" in lines[0] and "inside the recorded band 0.88 to 1" in lines[1] and "OUTSIDE" in lines[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux counts a process apart from its parent")
def test_peak_memory_is_that_of_the_process_and_not_of_its_parent():
    large = b"1" * 600_000_000
    words = "from minideeptalk.records.environment import peak_memory_mb; print(peak_memory_mb())"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert 0 < float(found.stdout) < len(large) / 1e6 < peak_memory_mb()


def test_the_footer_fails_the_build_over_budget_and_only_there(monkeypatch, capsys):
    running(None, units=0).footer()
    monkeypatch.setenv("MINIDEEPTALK_ENFORCE_BUDGET", "1")
    with pytest.raises(LearnerError, match="within its budget"):
        running(None, units=0).footer()
    running(None).footer()
    assert "Verified on" in capsys.readouterr().out


def test_an_old_environment_gets_one_sentence():
    check_floors(GOOD, (3, 10))
    with pytest.raises(NotReady, match="pip install -U torch"):
        check_floors({**GOOD, "torch": "2.9.1"}, (3, 11))
    with pytest.raises(NotReady, match="Python 3.10"):
        check_floors(GOOD, (3, 9))
    assert len(NotReady("a", "b")._render_traceback_()) == 1


def test_a_band_is_wider_than_what_was_seen():
    assert band([1.0, 2.0]) == {"low": 0.5, "high": 2.5, "mean": 1.5}
    assert band([1.0, 1.0])["low"] < 1 < band([1.0, 1.0])["high"]
