"""Fair times on a machine that is never quite quiet: candidates in turns, many short rounds, the best of each."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import torch


def choose_clock(threads: int, device: str) -> tuple[Callable[[], float], str]:
    """The clock that other programs disturb least, and why."""
    if device == "cpu" and threads == 1:
        return time.process_time, "CPU time of the process: one thread, so what others do between is not counted"
    if device == "cpu":
        return time.perf_counter, "Wall clock: with several threads, waiting for each other is part of the cost"
    return time.perf_counter, "Wall clock with the GPU waited for before and after"


def in_turns(candidates: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each candidate in each round.

    Every round runs each candidate once, beginning with another one each time; two rounds before the first are not counted.
    """
    seconds = {name: [] for name in candidates}
    names = list(candidates)
    for number in range(rounds + 2):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            _wait()
            began = clock()
            candidates[name]()
            _wait()
            if number >= 2:
                seconds[name].append(clock() - began)
    return seconds


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory_mb(run: Callable[[], object]) -> float:
    """Megabytes (10^6 bytes) of tensors that `run` makes and holds at once, above what there was before.

    On a GPU torch's allocator tells; on a CPU the profiler's list of allocations is summed.
    """
    gc.collect()
    if torch.cuda.is_available():
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
