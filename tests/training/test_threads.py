"""The number of threads follows the machine: the quickest at this moment, tried again after a while."""

import pytest
import torch

from minideeptalk.training import threads as threads_module
from minideeptalk.training.threads import QuickestThreads, quickest_threads


def _run(monkeypatch, seconds_of, steps, chooser):
    """The threads of each step, on a clock that runs `seconds_of(step, threads)` in it."""
    clock, used = [0.0], []
    monkeypatch.setattr(threads_module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    for number in range(steps):
        with chooser.step(number):
            clock[0] += seconds_of(number, used[-1])
    return used


def test_an_idle_machine_is_given_the_threads_that_help(monkeypatch):
    used = _run(monkeypatch, lambda step, threads: 1.0 / threads, 30, QuickestThreads((1, 2), trial=3, period=20))
    assert used == [1] * 3 + [2] * 17 + [1] * 3 + [2] * 7


def test_a_machine_that_gets_busy_is_noticed_at_the_next_trial(monkeypatch):
    def seconds(step, threads):
        return 1.0 if threads == 1 else (0.6 if step < 20 else 3.0)

    used = _run(monkeypatch, seconds, 40, QuickestThreads((1, 2), trial=3, period=20))
    assert used[6:20] == [2] * 14 and used[26:] == [1] * 14


def test_one_slow_step_does_not_decide_and_equal_times_keep_the_fewest(monkeypatch):
    used = _run(monkeypatch, lambda step, threads: 9.0 if step == 1 else 1.0, 12, QuickestThreads((1, 2), trial=3, period=20))
    assert used[6:] == [1] * 6
    assert set(_run(monkeypatch, lambda step, threads: 1.0, 12, QuickestThreads((1,), trial=3, period=20))) == {1}


@pytest.mark.parametrize("cores, gpu, candidates", [(1, False, None), (2, False, (1, 2)), (8, False, (1, 2, 8)), (8, True, None)])
def test_there_is_a_choice_where_a_cpu_has_several_cores(monkeypatch, cores, gpu, candidates):
    """A GPU works on after a step has handed it everything, so that the time of the step tells nothing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    chooser = quickest_threads(cores)
    assert (chooser and chooser.candidates) == candidates
