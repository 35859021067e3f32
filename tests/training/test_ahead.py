"""Batches made ahead come in order, one at a time ahead, and bring their faults along."""

import threading

import pytest

from minideeptalk.training.ahead import drawn_ahead


def test_every_batch_comes_once_and_in_order_from_where_a_run_goes_on():
    assert list(drawn_ahead(lambda number: number * number, 3, 7)) == [9, 16, 25, 36]
    assert list(drawn_ahead(lambda number: number, 5, 5)) == []


def test_the_next_batch_is_made_elsewhere_while_this_one_is_used():
    made, second = [], threading.Event()

    def draw(number):
        made.append((number, threading.current_thread() is threading.main_thread()))
        if number == 1:
            second.set()
        return number

    batches = drawn_ahead(draw, 0, 9)
    assert next(batches) == 0
    assert second.wait(timeout=10)
    batches.close()
    assert made == [(0, False), (1, False)]


def test_a_fault_is_raised_where_its_batch_would_have_come():
    batches = drawn_ahead(lambda number: 1 // (2 - number), 1, 5)
    assert next(batches) == 1
    with pytest.raises(ZeroDivisionError):
        next(batches)
