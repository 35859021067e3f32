"""`minideeptalk doctor`: is everything here that training, talking and the book need, and what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.machine import FLOORS
from minideeptalk.teaching.samples import SHIPPED_PARTS, samples_folder

NEEDED_PACKAGES = ("accelerate", "peft", "safetensors", "soundfile", "plotly", "tqdm", "jsonschema")
FREE_DISK_GB, FREE_MEMORY_GB = 1.0, 3.0  # what one nano run needs


@dataclass(frozen=True)
class Check:
    """One question to this machine.

    Args:
        name: what was looked at. found: what there is. advice: what to do, empty where all is well.
        fails: whether the commands cannot work like this; otherwise the advice is only a hint.
    """

    name: str
    found: str
    advice: str = ""
    fails: bool = False

    def __str__(self) -> str:
        mark = "FAIL" if self.fails else "note" if self.advice else "ok"
        return f"{mark:<5}{self.name:<13}{self.found}" + (f"\n{'':<18}-> {self.advice}" if self.advice else "")


def examine(folder: Path | None = None) -> list[Check]:
    """Look at Python, packages, torch's pair, speech synthesis, disk, memory, threads, device and shipped data.

    Args:
        folder: where runs would be written; the working folder by default.
    """
    looks = (_python, _packages, _torch_pair, _device, _threads, _memory, lambda: _disk(folder or Path.cwd()), _sound, _shipped)
    return [_look(look) for look in looks]


def report(checks: list[Check]) -> str:
    """The checks as text, with one sentence at the end."""
    failed = [check.name for check in checks if check.fails]
    verdict = f"Not ready: see {', '.join(failed)}." if failed else "Ready. Next: minideeptalk demo --out runs/demo"
    return "\n".join([*map(str, checks), "", verdict])


def to_dict(checks: list[Check]) -> dict:
    """The same as plain JSON types."""
    return {"ready": not any(check.fails for check in checks), "checks": [asdict(check) for check in checks]}


def _look(look: Callable[[], Check]) -> Check:
    """A check that breaks is a finding, not a crash."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - whatever a broken installation throws
        name = getattr(look, "__name__", "check").lstrip("_").replace("_", " ")
        return Check(name, f"{type(error).__name__}: {error}", "install again: pip install --force-reinstall minideeptalk[speech]", True)


def _python() -> Check:
    old = sys.version_info < (3, 10)
    return Check("python", f"{platform.python_version()} at {sys.executable}", "install Python 3.10 or newer" if old else "", old)


def _packages() -> Check:
    missing, old, found = [], [], []
    for name in (*FLOORS, *NEEDED_PACKAGES):
        try:
            number = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        found.append(f"{name} {number}")
        if name in FLOORS and _numbers(number) < FLOORS[name]:
            old.append(f"{name}>={'.'.join(map(str, FLOORS[name]))}")
    advice = f"pip install -U {' '.join([*missing, *old])}" if missing or old else ""
    return Check("packages", ", ".join(found), advice, bool(advice))


def _numbers(text: str) -> tuple[int, ...]:
    """`2.11.0+cpu` -> (2, 11)."""
    return tuple(int(part) for part in text.split("+")[0].split(".")[:2])


def _torch_pair() -> Check:
    """torchaudio must not be newer than torch; one made for another torch breaks when it is imported."""
    found, pair = {name: version(name) for name in ("torch", "torchaudio")}, "torch {torch} with torchaudio {torchaudio}"
    try:
        fits = _numbers(found["torch"]) >= _numbers(found["torchaudio"])
        import torchaudio  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        fits = False
    release = ".".join(map(str, _numbers(found["torchaudio"])))
    advice = "" if fits else f'they do not fit together: pip install "torch=={release}.*" "torchaudio=={release}.*"'
    return Check("torch pair", pair.format(**found), advice, not fits)


def _device() -> Check:
    import torch

    from minideeptalk.training.loop import choose_precision

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return Check("device", f"{name} ({choose_precision()[1]})")


def _threads() -> Check:
    import torch

    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    advice = "nano is timed on 2 cores; expect about twice the time" if min(threads, cores) < 2 else ""
    return Check("threads", f"{threads} of torch on {cores} cores", advice)


def _memory() -> Check:
    total = memory_gb()
    if total is None:
        return Check("memory", "this system does not tell")
    return Check("memory", f"{total:.1f} GB", f"nano needs about {FREE_MEMORY_GB:g} GB; close other programs" if total < FREE_MEMORY_GB else "")


def memory_gb() -> float | None:
    """Memory that this process may use, in 10^9 bytes: the machine's, or a container's limit if that is lower."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # Windows
        return None
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total / 1e9


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    short = free < FREE_DISK_GB
    return Check("disk", f"{free:.1f} GB free in {folder}", f"a nano run takes up to {FREE_DISK_GB:g} GB; give --out on another disk"
                 if short else "", short)


def _sound() -> Check:
    try:
        from minideeptalk.speech.synthesis import Synthesizer

        seconds = Synthesizer().speak("forty two").seconds
    except (LearnerError, OSError) as error:
        return Check("speech", str(error), "pip install espeakng-loader (GPL-3.0-or-later; it makes the training speech)", True)
    return Check("speech", f"espeak-ng {version('espeakng-loader')} said \"forty two\" in {seconds:.1f} s")


def _shipped() -> Check:
    folder = samples_folder()
    missing = [name for name in SHIPPED_PARTS if not (folder / name).is_file()]
    if missing:
        return Check("shipped data", f"{len(missing)} of {len(SHIPPED_PARTS)} parts are missing in {folder}: {missing[0]}",
                     "install or clone again; until then: minideeptalk demo --scratch", True)
    return Check("shipped data", f"complete, in {folder}")
