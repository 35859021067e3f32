"""The roofline counts what is done, and a row has its share of it."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from minideeptalk.benchmarks import experts, roofline, train
from minideeptalk.benchmarks.roofline import Machine, Work, layer_work, measure_machine, step_work
from minideeptalk.config import size_config


def test_the_slower_of_arithmetic_and_memory_decides():
    machine = Machine(operations=100.0, bytes=10.0)
    assert machine.least_seconds(Work(200.0, 5.0)) == 2.0 and machine.least_seconds(Work(200.0, 50.0)) == 5.0


def test_operations_of_a_layer_are_those_that_torch_counts():
    shape = experts.Shape(16, 8, 8, 2, 32)
    layers, (hidden, *_) = experts.make_layers(shape, "cpu")
    hidden.requires_grad_()
    with FlopCounterMode(display=False) as counter:
        layers[experts.DENSE](hidden).sum().backward()
    work = layer_work(shape.N, shape.D, shape.K * shape.H, shape.E * shape.H, torch.float32)
    assert work.operations == counter.get_total_flops()
    assert work.bytes == 3 * 4 * sum(weight.numel() for weight in layers[experts.OURS].parameters()) + 4 * 4 * hidden.numel()


def test_operations_of_a_step_are_nearly_those_that_torch_counts():
    """Attention's own products and what gets no gradient are left out of six operations a weight and token."""
    size, text = size_config("nano").model, torch.randint(train.WORDS, (4, train.STEPS))
    model = train.dense_model(size)
    with FlopCounterMode(display=False) as counter:
        train._our_loss(model, text).backward()
    work = step_work(size, text.numel(), *train.parameters(model), torch.float32)
    assert work.operations == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_a_row_has_the_share_of_its_own_work_and_the_optimizer_none():
    shape, machine = experts.Shape(16, 8, 8, 2, 32), Machine(operations=1e3, bytes=1e12)
    rows = {entry["name"]: entry for entry in experts.group_rows([shape], 1, time.perf_counter, "cpu", torch.float32, machine)}
    assert rows[experts.UPDATE]["share_of_roofline"] is None
    seconds, operations = 1e-3 * rows[experts.OURS]["milliseconds"], 18 * shape.N * shape.D * shape.K * shape.H
    assert rows[experts.OURS]["share_of_roofline"] == pytest.approx(operations / 1e3 / seconds, rel=1e-3)


def test_a_machine_shows_how_quick_it_is(monkeypatch):
    monkeypatch.setitem(roofline.SIDE, "cpu", 8)
    monkeypatch.setitem(roofline.COPIED, "cpu", 64)
    ticks = iter(range(100))
    assert measure_machine("cpu", torch.float32, lambda: next(ticks)) == Machine(2 * 8 ** 3, 2 * 64)
