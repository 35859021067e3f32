"""The roofline: an estimate of what the arithmetic and the bytes of a piece of work need at least.

How quick the machine is shows it in the same run.  What stays in a processor's cache can beat the memory part, since the large
copy that measures memory does not stay there.
Source: Williams, Waterman and Patterson, "Roofline", 2009; chapter 15 draws it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from minideeptalk.benchmarks.timing import seconds_of
from minideeptalk.config import ModelSize

SIDE = {"cpu": 1024, "cuda": 8192}  # of the square product that shows how quick arithmetic can be
COPIED = {"cpu": 1 << 29, "cuda": 1 << 31}  # bytes of the copy that shows how quick memory can be
TRIES = 12  # the best counts
ADAMW = 32  # bytes that a step of AdamW reads and writes for each weight: weight, gradient and two moments in fp32


@dataclass(frozen=True)
class Work:
    """What has to be done: operations (a product and a sum are two) and bytes moved."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Machine:
    """What a machine reached: operations and bytes a second."""

    operations: float
    bytes: float

    def least_seconds(self, work: Work) -> float:
        """The time below which no program gets, if its bytes and its arithmetic overlap perfectly."""
        return max(work.operations / self.operations, work.bytes / self.bytes)

    def __str__(self) -> str:
        return f"roofline: {self.operations:.2e} operations and {self.bytes:.2e} bytes a second, measured here before the rows"


def measure_machine(device: str, dtype: torch.dtype, clock: Callable[[], float]) -> Machine:
    """One large square product in `dtype` and one large copy, each at its best."""
    factors = torch.randn(2, SIDE[device], SIDE[device], device=device).to(dtype)
    product = torch.empty_like(factors[0])
    source = torch.zeros(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    arithmetic = min(seconds_of(lambda: torch.matmul(*factors, out=product), clock) for _ in range(TRIES))
    copy = min(seconds_of(lambda: target.copy_(source), clock) for _ in range(TRIES))
    return Machine(2 * SIDE[device] ** 3 / arithmetic, 2 * COPIED[device] / copy)


def layer_work(tokens: int, width: int, chosen_hidden: int, stored_hidden: int, dtype: torch.dtype) -> Work:
    """Forward and backward of a gated feed-forward layer, dense or of experts.

    Args:
        chosen_hidden: hidden units that one token uses, over all its experts. stored_hidden: hidden units of all experts.
        dtype: of values and products; weights and their gradients are fp32.

    Returns:
        Only what no program can avoid: weights, input, output and their gradients once each way.
    """
    weights = 3 * width * stored_hidden  # gate, up, down: read twice, and a gradient written
    values = tokens * 4 * width  # input, output and the gradients of both
    return Work(3 * 2 * 3 * tokens * width * chosen_hidden, 3 * 4 * weights + dtype.itemsize * values)


def step_work(size: ModelSize, tokens: int, stored: int, active: int, dtype: torch.dtype) -> Work:
    """A training step of the language model whose elementwise work is fused and whose experts' rows are gathered, as chapter 15 counts it.

    Args:
        tokens: of a step. stored: parameters, of which one token uses `active`.
    """
    chosen = size.experts_per_token + size.shared_experts
    values = size.layers * (8 * size.width + chosen * (2 * size.width + 3 * size.expert_hidden))
    moved = 3 * 2 * dtype.itemsize * values * tokens  # written and read; forward once, backward twice
    return Work(6 * active * tokens, moved + ADAMW * stored)
