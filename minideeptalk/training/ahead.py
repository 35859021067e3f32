"""Batches made ahead: while the model learns from one, a thread of its own draws the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from minideeptalk.tasks import Batch


def drawn_ahead(draw: Callable[[int], Batch], start: int, stop: int) -> Iterator[Batch]:
    """The batches `start` to `stop - 1`, one always in the making.

    A thread is enough: torch computes outside of Python's lock, and a batch depends on its number alone, so it is the same
    whenever it is drawn.  A fault of `draw` is raised where its batch would have come.
    """
    if start >= stop:
        return
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(draw, start)
        for number in range(start + 1, stop + 1):
            batch = coming.result()
            if number < stop:
                coming = worker.submit(draw, number)
            yield batch
