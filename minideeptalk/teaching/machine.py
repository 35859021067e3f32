"""What this machine is and whether a chapter can run on it."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version

from minideeptalk.allocator import keep_memory_and_tell
from minideeptalk.errors import LearnerError

FLOORS = {"torch": (2, 11), "transformers": (5, 15), "numpy": (2, 0)}


class NotReady(LearnerError):
    """The notebook cannot run here; Jupyter shows the one sentence and no traceback."""

    def _render_traceback_(self):
        return [f"This chapter cannot run here: {self}"]


@dataclass(frozen=True)
class Machine:
    """The facts that stand beside every measured number."""

    minideeptalk: str
    python: str
    torch: str
    device: str
    cores: int
    memory_gb: float
    colab: bool

    def __str__(self) -> str:
        where = "on Colab" if self.colab else "not on Colab"
        return (f"minideeptalk {self.minideeptalk}, torch {self.torch}, Python {self.python}\n"
                f"{self.device}, {self.cores} CPU cores, {self.memory_gb:.0f} GB of memory, {where}")

    def to_dict(self) -> dict:
        return asdict(self)


def describe_machine() -> Machine:
    """Print and return what this notebook runs on, and let the process keep its memory (`allocator.keep_memory`).

    Raises:
        NotReady: if Python or a package is older than the library's floor.
    """
    check_floors({name: version(name) for name in FLOORS}, sys.version_info[:2])
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    machine = Machine(version("minideeptalk"), platform.python_version(), torch.__version__, device,
                      os.cpu_count() or 1, _memory_gb(), importlib.util.find_spec("google.colab") is not None
                      if importlib.util.find_spec("google") else False)
    print(machine)
    print(keep_memory_and_tell())
    return machine


def check_floors(installed: dict[str, str], python: tuple[int, int]) -> None:
    """Raise `NotReady` for the first requirement that is not met."""
    if python < (3, 10):
        raise NotReady("Python 3.10 or newer", f"{python[0]}.{python[1]}", next_step="start a newer kernel")
    for name, floor in FLOORS.items():
        found = tuple(int(part) for part in installed[name].split("+")[0].split(".")[:2])
        if found < floor:
            raise NotReady(f"{name} {floor[0]}.{floor[1]} or newer", installed[name], "an old environment",
                           f"pip install -U {name}, then restart the kernel")


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return float("nan")


def calibration_seconds(rounds: int = 3) -> float:
    """CPU seconds of a fixed piece of work, the best of some rounds: the unit in which chapters are budgeted.

    A budget in these units means nearly the same on a fast and on a slow machine, and on a busy one, since it counts CPU time. The
    work is of the kind that chapters do, many small steps forwards and backwards: a processor that multiplies large matrices twice as
    fast as another may be no faster at these.
    """
    import torch

    weights = [torch.linspace(-scale, scale, 64 * 64).view(64, 64).requires_grad_() for scale in (0.1, 0.2, 0.3, 0.4)]
    hidden = torch.linspace(-1, 1, 300 * 64).view(300, 64)
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(40):
            value = hidden
            for weight in weights:
                value = torch.nn.functional.rms_norm(value + torch.nn.functional.silu(value @ weight), (64,))
            value.square().mean().backward()
        best = min(best, time.process_time() - start)
    return best
