"""Keep freed memory in the process instead of giving it back to the system after every operation.

glibc takes each large buffer from the kernel and returns it when it is freed; the next operation gets fresh pages, and the
kernel zeroes each of them again.  A training step on a CPU makes and frees hundreds of such buffers, and spends a
measurable share of its time there (`minideeptalk bench experts` prints it).  Called by the command line and by notebooks,
never at import: a library does not change its host's allocator unasked.
"""

from __future__ import annotations

import ctypes
import os
import platform

# Parameters of mallopt in glibc's <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_THRESHOLDS = (1 << 30, 32 << 20)  # bytes; older releases of glibc take no more than 32 MiB
NEVER_TRIM, GROW_BY = (1 << 31) - 1, 64 << 20  # bytes


def keep_memory() -> tuple[bool, str]:
    """Let glibc reuse freed memory, here and in processes started from here; call it once, before the work.

    Memory that was used once stays with the process until it ends, so its resident size is its peak.

    Returns:
        whether it was done, and the reason.  Other systems and C libraries keep their own habits; nothing is changed there.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False, f"{platform.system()} without glibc: its allocator is left as it is"
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError) as error:
        return False, f"this C library offers no mallopt: {error}"
    threshold = next((size for size in LARGEST_THRESHOLDS if mallopt(M_MMAP_THRESHOLD, size)), None)
    trimmed = mallopt(M_TRIM_THRESHOLD, NEVER_TRIM) and mallopt(M_TOP_PAD, GROW_BY)
    if threshold is None or not trimmed:
        return False, "glibc refused the settings"
    for name, value in (("MMAP_THRESHOLD", threshold), ("TRIM_THRESHOLD", NEVER_TRIM), ("TOP_PAD", GROW_BY)):
        os.environ.setdefault(f"MALLOC_{name}_", str(value))  # glibc reads these when a process starts
    return True, f"glibc keeps freed buffers up to {threshold >> 20} MiB for the next operation"
