"""Freed memory is kept where glibc allows it and large tensors lie on huge pages, only when asked, and in processes started later too."""

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
HUGE = """
import sys, torch
from minideeptalk.allocator import keep_memory_and_tell
if "late" in sys.argv:
    torch.ones(1)
told = keep_memory_and_tell() if "kept" in sys.argv else "not asked"
held = torch.ones(16 << 20)  # 64 MB
with open("/proc/self/smaps_rollup") as file:
    print(next(line for line in file if line.startswith("AnonHugePages")).split()[1], told)
"""
SETTINGS = ("MALLOC_", allocator.HUGE_PAGES)
GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")


ON_REQUEST = pytest.mark.skipif(
    not allocator.KERNEL_OFFERS.is_file() or "[madvise]" not in allocator.KERNEL_OFFERS.read_text(encoding="ascii"),
    reason="this kernel gives huge pages always or never, whatever is asked")


def run_plain(program, *words, **environment):
    """What a program prints where nobody has asked for anything, but for what `environment` hands on."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, env={**plain, **environment})
    return done.stdout


def page_faults(*words, **environment):
    return int(run_plain(FAULTS, *words, **environment))


@ON_REQUEST
@pytest.mark.parametrize("words, huge, told", [
    ((), False, "not asked"), (("kept",), True, "large tensors lie on huge pages"),
    (("late", "kept"), False, "no huge pages: this process had made tensors before")])
def test_large_tensors_lie_on_huge_pages_where_that_is_said(words, huge, told):
    kilobytes, said = run_plain(HUGE, *words).strip().split(" ", 1)
    assert (int(kilobytes) > 32 << 10) == huge and said.endswith(told)


@GLIBC
def test_a_kept_buffer_costs_no_page_faults():
    assert page_faults("kept") < 100


@GLIBC
def test_processes_started_later_keep_their_memory_too(monkeypatch):
    for name in [name for name in os.environ if name.startswith(SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(allocator, "CDLL", lambda _: type("Library", (), {"mallopt": staticmethod(lambda *_: 1)}))
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    assert allocator.keep_memory()[0]
    handed_on = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    assert set(handed_on) == set(allocator.HANDED_ON) and page_faults(**handed_on) < 100


def test_a_process_can_be_started_as_if_nobody_had_asked(monkeypatch):
    for name in allocator.HANDED_ON:
        monkeypatch.setenv(name, "7")
    with allocator.as_found():
        assert not [name for name in os.environ if name.startswith(SETTINGS)]
    assert {os.environ[name] for name in allocator.HANDED_ON} == {"7"}


@pytest.mark.parametrize("system, library", [("Darwin", ("", "")), ("Linux", ("", "")), ("Linux", ("musl", "1.2")), ("Windows", ("", ""))])
def test_elsewhere_nothing_is_touched(monkeypatch, system, library):
    monkeypatch.setattr(allocator.platform, "system", lambda: system)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: library)
    monkeypatch.setattr(allocator, "CDLL", lambda _: pytest.fail("no library may be called"))
    before = dict(os.environ)
    done, reason = allocator.keep_memory()
    assert not done and reason and dict(os.environ) == before


def test_a_refusal_is_told(monkeypatch):
    monkeypatch.setattr(allocator, "CDLL", lambda _: type("Library", (), {"mallopt": staticmethod(lambda *_: 0)}))
    monkeypatch.setattr(allocator.platform, "system", lambda: "Linux")
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("glibc", "2.36"))
    assert allocator.keep_memory() == (False, "glibc refused the settings")


@GLIBC
def test_asking_without_being_told_imports_no_torch():
    assert run_plain("import sys; from minideeptalk.allocator import keep_memory; print(keep_memory()[0], 'torch' in sys.modules)") == "True False\n"


def test_importing_the_library_changes_no_allocator():
    probe = f"import os, minideeptalk, minideeptalk.cli, minideeptalk.allocator; print(any(n.startswith({SETTINGS}) for n in os.environ))"
    assert run_plain(probe) == "False\n"
