"""Keep freed memory in the process, and large tensors on huge pages.

glibc takes each large buffer from the kernel and returns it when it is freed; the next operation gets fresh pages, and the
kernel zeroes each of them again.  A training step on a CPU makes and frees hundreds of such buffers; what that costs depends
on the machine and on the step (`minideeptalk bench train` measures both ways).  And a buffer of 8 MB on pages of 4 KiB is
2048 addresses that the processor must look up; on huge pages of 2 MiB it is four.  Called by the command line and by
notebooks, never at import: a library does not change its host's allocator unasked.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL
from pathlib import Path

# Parameters of mallopt in glibc's <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_THRESHOLDS = (1 << 30, 32 << 20)  # bytes; older releases of glibc take no more than 32 MiB
NEVER_TRIM, GROW_BY = (1 << 31) - 1, 64 << 20  # bytes
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch reads it once, at its first tensor, and then asks the kernel for buffers of 2 MiB and more
HANDED_ON = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", HUGE_PAGES)  # to processes started from here
KERNEL_OFFERS = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def keep_memory() -> tuple[bool, str]:
    """Let glibc reuse freed memory and torch use huge pages, here and in processes started from here.

    Call it once, before the first tensor: later, huge pages come only to the processes started from here.  Memory that was
    used once stays with the process until it ends, so its resident size is its peak.

    Returns:
        whether it was done, and the reason.  Other systems and C libraries keep their own habits;
        nothing is changed there.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False, f"{platform.system()} without glibc: its allocator is left as it is"
    try:
        mallopt = CDLL(None).mallopt
    except (OSError, AttributeError) as error:
        return False, f"this C library offers no mallopt: {error}"
    threshold = next((size for size in LARGEST_THRESHOLDS if mallopt(M_MMAP_THRESHOLD, size)), None)
    trimmed = mallopt(M_TRIM_THRESHOLD, NEVER_TRIM) and mallopt(M_TOP_PAD, GROW_BY)
    if threshold is None or not trimmed:
        return False, "glibc refused the settings"
    for name, value in zip(HANDED_ON, (threshold, NEVER_TRIM, GROW_BY, 1), strict=True):
        os.environ.setdefault(name, str(value))
    return True, f"glibc keeps freed buffers up to {threshold >> 20} MiB for the next operation"


def keep_memory_and_tell() -> str:
    """`keep_memory`, and what came of it in words, huge pages included; asking torch for these takes its import."""
    kept, reason = keep_memory()
    return f"{reason}; {_huge_pages()}" if kept else reason


@contextmanager
def as_found() -> Iterator[None]:
    """Processes started inside have the allocator of the system, whatever was asked for here."""
    taken = {name: os.environ.pop(name) for name in HANDED_ON if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _huge_pages() -> str:
    """Whether large tensors of this process get huge pages: what the kernel has noted for a new one, in words."""
    import torch

    probe = torch.empty(4 << 20, dtype=torch.uint8)  # bytes; never written, so no memory is taken
    inside = False
    try:
        if "[never]" in KERNEL_OFFERS.read_text(encoding="ascii"):
            return "no huge pages: this kernel gives none"
        for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if not words[0].endswith(":"):  # the first line of a region: its addresses
                start, end = (int(address, 16) for address in words[0].split("-"))
                inside = start <= probe.data_ptr() < end
            elif inside and words[0] == "VmFlags:":
                return "large tensors lie on huge pages" if "hg" in words else "no huge pages: this process had made tensors before"
    except OSError:
        pass
    return "no huge pages: this system does not tell of any"
