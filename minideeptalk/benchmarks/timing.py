"""Fair times on a machine that is never quite quiet: candidates in turns, many short rounds, the best of each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar

import torch

from minideeptalk.training.loop import choose_precision

Name = TypeVar("Name", bound=Hashable)
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of `choose_precision`


def choose_clock(threads: int, device: str) -> tuple[Callable[[], float], str]:
    """The clock that other programs disturb least, and why."""
    if device == "cpu" and threads == 1:
        return time.process_time, "CPU time of the process: one thread, so what others do between is not counted"
    if device == "cpu":
        return time.perf_counter, "Wall clock: with several threads, waiting for each other is part of the cost"
    return time.perf_counter, "Wall clock with the GPU waited for before and after"


def choose_dtype(device: str) -> tuple[torch.dtype, str]:
    """In what the products of training are computed on this device, by autocast unless it is fp32; and why."""
    if device == "cpu":
        return torch.float32, "fp32, as training computes on a CPU"
    name, reason = choose_precision()
    return HALF.get(name, torch.float32), f"{name} by autocast, as in training: {reason}"


def autocast(device: str, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision in `dtype`; nothing for fp32."""
    return torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32)


def in_turns(candidates: dict[Name, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> dict[Name, list[float]]:
    """Seconds of each candidate in each round, all in this process."""
    return take_turns({name: partial(seconds_of, run, clock) for name, run in candidates.items()}, rounds)


def take_turns(measures: dict[Name, Callable[[], float]], rounds: int) -> dict[Name, list[float]]:
    """What each measure, a run that returns its seconds, says in each round.

    Every round asks each once, beginning with another one each time; two rounds before the first are not counted.
    """
    seconds = {name: [] for name in measures}
    names = list(measures)
    for number in range(rounds + 2):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            taken = measures[name]()
            seconds[name] += [taken] if number >= 2 else []
    return seconds


def seconds_of(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Seconds of one run."""
    _wait()
    began = clock()
    run()
    _wait()
    return clock() - began


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_memory_mb(run: Callable[[], object], device: str) -> float:
    """Megabytes (10^6 bytes) of tensors that `run` makes on `device` and holds at once, above what there was before.

    On a GPU torch's allocator tells; on a CPU the profiler's list of allocations is summed.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profile:
        run()
    held = highest = 0
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return round(highest / 1e6, 1)
