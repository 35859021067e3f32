"""A second process that lives beside this one: what only a process of its own can have is its allocator and its peak memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from minideeptalk.errors import LearnerError


class OtherProcess:
    """Does what `ask` tells it, one call after another, until its `with` ends; starts at the first call.

    >>> with OtherProcess() as other:
    ...     other.ask(max, 2, 3)
    3
    """

    def __init__(self):
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(cancel_futures=True)

    def ask(self, function: Callable, *args):
        """`function(*args)`, computed there; this process waits. What it raises there is raised here.

        Raises:
            LearnerError: where the other process has ended.
        """
        try:
            return self._pool.submit(function, *args).result()
        except BrokenProcessPool as error:
            raise LearnerError("a second process beside this one", f"none: {error}", "too little memory for both",
                               "close other programs, or take a smaller --size") from error
