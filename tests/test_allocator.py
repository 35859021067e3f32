"""Freed memory is kept where glibc allows it, only when asked, and for processes started later too."""

import os
import subprocess
import sys

import pytest

from minideeptalk import allocator

FAULTS = """
import resource, sys, torch
from minideeptalk.allocator import keep_memory
if "kept" in sys.argv:
    keep_memory()
def work():
    for _ in range(50):
        torch.ones(1 << 20)  # 4 MB, made and freed
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")


def page_faults(*words, **environment):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", FAULTS, *words], capture_output=True, text=True, check=True, env={**plain, **environment})
    return int(done.stdout)


@GLIBC
def test_a_kept_buffer_costs_no_page_faults():
    assert page_faults("kept") < 100


@GLIBC
def test_processes_started_later_keep_their_memory_too(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: type("Library", (), {"mallopt": staticmethod(lambda *_: 1)}))
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    assert allocator.keep_memory()[0]
    handed_on = {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}
    assert len(handed_on) == 3 and page_faults(**handed_on) < 100


@pytest.mark.parametrize("system, library", [("Darwin", ("", "")), ("Linux", ("", "")), ("Linux", ("musl", "1.2")), ("Windows", ("", ""))])
def test_elsewhere_nothing_is_touched(monkeypatch, system, library):
    monkeypatch.setattr(allocator.platform, "system", lambda: system)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: library)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: pytest.fail("no library may be called"))
    before = dict(os.environ)
    done, reason = allocator.keep_memory()
    assert not done and reason and dict(os.environ) == before


def test_a_refusal_is_told(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: type("Library", (), {"mallopt": staticmethod(lambda *_: 0)}))
    monkeypatch.setattr(allocator.platform, "system", lambda: "Linux")
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    assert allocator.keep_memory() == (False, "glibc refused the settings")


def test_importing_the_library_changes_no_allocator():
    probe = "import os, minideeptalk, minideeptalk.cli, minideeptalk.allocator; print(any(n.startswith('MALLOC_') for n in os.environ))"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=plain).stdout == "False\n"
