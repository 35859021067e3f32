"""How many threads a small training step should use: measured again and again, because a machine may get busy.

On an idle machine two threads save time; on a busy one they wait for each other and can cost a multiple of it.
"""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager

import torch


def quickest_threads(cores: int) -> QuickestThreads | None:
    """The choice among 1, 2 and all cores; None with one core, and on a GPU, which still works when a step's clock is stopped."""
    if cores == 1 or torch.cuda.is_available():
        return None
    return QuickestThreads(tuple(sorted({1, 2, cores})))


class QuickestThreads:
    """Tries each number of threads for a few steps, keeps the quickest for a while, and tries again.

    Args:
        candidates: numbers of threads, most careful first: with equal times it stays there.
        trial, period: steps of each trial, and steps from one round of trials to the next.
    """

    def __init__(self, candidates: tuple[int, ...], trial: int = 5, period: int = 200):
        self.candidates, self.trial, self.period = candidates, trial, period
        self.chosen = candidates[0]
        self._seconds: dict[int, list[float]] = {}

    def _threads_of(self, step: int) -> int:
        place = step % self.period // self.trial
        return self.candidates[place] if len(self.candidates) > 1 and place < len(self.candidates) else self.chosen

    @contextmanager
    def step(self, number: int):
        """Around training step `number`, counted from 0: sets the threads and takes the time."""
        threads = self._threads_of(number)
        torch.set_num_threads(threads)
        began = time.perf_counter()
        yield
        if number % self.period < self.trial * len(self.candidates):
            self._seconds.setdefault(threads, []).append(time.perf_counter() - began)
        if number % self.period == self.trial * len(self.candidates) - 1:
            self.chosen = min(self._seconds, key=lambda count: statistics.median(self._seconds[count]))
            self._seconds.clear()
