"""Where a run happened: versions, device, commit and memory. A number without these cannot be repeated."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import minideeptalk

PACKAGES = ("torch", "torchaudio", "transformers", "peft", "accelerate", "numpy")


def environment(device: str = "cpu") -> dict:
    """What `RunRecord` wants to know about the machine: `RunRecord(..., **environment())`.

    Args:
        device: where the model ran: `cpu`, `cuda`, `cuda:1`, `mps`, or a torch.device.

    Returns:
        dict with `versions`, `device`, `commit` (None outside a git checkout), `uncommitted_changes`, `date` (UTC).
    """
    commit, changed = git_commit()
    return {
        "versions": versions(),
        "device": describe_device(str(device)),
        "commit": commit,
        "uncommitted_changes": changed,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def versions() -> dict:
    """Version of Python, of each package the result depends on (None where it is not installed) and of minideeptalk."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["minideeptalk"] = minideeptalk.__version__
    return found


def describe_device(device: str = "cpu") -> dict:
    """Kind and name of the device, the CPU's model, the threads torch uses, and system and architecture."""
    import torch

    kind = device.split(":")[0]
    cpu = cpu_model()
    name = torch.cuda.get_device_name(device) if kind == "cuda" else cpu
    return {"kind": kind, "name": name, "cpu": cpu, "threads": torch.get_num_threads(), "platform": f"{platform.system()} {platform.machine()}"}


def cpu_model() -> str:
    """The CPU's own name; Linux keeps it in /proc/cpuinfo, which platform.processor() does not read."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown CPU"


def git_commit(folder: Path | None = None) -> tuple[str | None, bool | None]:
    """Commit of the checkout that holds `folder` (this package by default), and whether files differ from it.

    An installed wheel inside somebody else's repository must not borrow that repository's commit, so the checkout
    counts only if the package lies at its top. Returns (None, None) where there is none.
    """
    folder = folder or Path(minideeptalk.__file__).resolve().parent
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.parent:
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def peak_memory_mb(device: str = "cpu") -> float:
    """Peak memory so far in megabytes (10^6 bytes).

    On CUDA: what torch's allocator held at most on that device. Elsewhere: the largest resident size of this process or
    of the largest of its finished children (speech is synthesised in children).
    """
    if str(device).startswith("cuda"):
        import torch

        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return round(psutil.Process().memory_info().peak_wset / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = _linux_peak_bytes() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return round(max(own, children) / 1e6, 1)


def _linux_peak_bytes() -> int | None:
    """VmHWM; Linux's ru_maxrss would start from the peak of the process that started this one."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
