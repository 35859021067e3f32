"""Several processes, one for each GPU, train one model: each takes its rows of every batch, and their gradients are averaged.

`accelerate launch --num_processes 2 train.py` starts them. A batch is drawn from its number alone, so all of them draw the same one
and share its rows out: a stage sees the batches, counts the tokens and, but for the rounding of sums, ends with the weights that it
would have on a single GPU. torch's DistributedDataParallel hears only what goes through `forward`, and a loss here also calls heads
and balance; what it would do is one function, `average_gradients`. Alone, nothing in this file does anything. Chapter 15.
Axes: B rows of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import distributed, nn

from minideeptalk.errors import LearnerError
from minideeptalk.tasks import Batch


def together() -> bool:
    """Whether several processes train here."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def rows_of(batch: Batch, process: int, processes: int) -> Batch:
    """The rows that one of several processes trains on; together they are the whole batch, and no row is taken twice.

    Rows number i and B / 2 + i stay together, for they may be a pair (stage 4).

    Raises:
        LearnerError: for fewer than two rows a process.
    """
    if processes == 1:
        return batch
    count = len(batch.text)
    if count < 2 * processes:
        raise LearnerError(f"a batch of at least {2 * processes} rows for {processes} processes", f"{count} rows",
                           "the batch was chosen for one process", "raise the stage's batch or start fewer processes")
    mine = torch.cat([half[process::processes] for half in torch.arange(count).chunk(2)])
    values = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    return Batch(**{name: None if value is None else value[mine] for name, value in values.items()})


def joint_share(count: torch.Tensor | int) -> torch.Tensor | float:
    """What the mean over this process's `count` items weighs, so that the average over processes is the mean over all items.

    All processes have to ask, also one that has no item. Alone: 1.
    """
    if not together():
        return 1.0
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    mine = torch.as_tensor(count, dtype=torch.float32, device=device)
    everybody = mine.clone()
    distributed.all_reduce(everybody)
    return mine * distributed.get_world_size() / everybody.clamp(min=1)


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Give every process the mean of all gradients. A parameter that no process used keeps none, as it would alone."""
    if not together():
        return
    used = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32, device=parameters[0].device)
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    used = [parameter for parameter, somewhere in zip(parameters, used.tolist()) if somewhere]
    flat = torch.cat([(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten() for parameter in used])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for parameter, piece in zip(used, flat.split([parameter.numel() for parameter in used])):
        parameter.grad = piece.view_as(parameter)


@torch.no_grad()
def same_start(model: nn.Module) -> None:
    """Copy the first process's parameters and buffers to all others."""
    for tensor in (*model.parameters(), *model.buffers()) if together() else ():
        distributed.broadcast(tensor.data, 0)


def joint_points(points: dict[str, float]) -> dict[str, float]:
    """Numbers of a step, averaged over processes; what a process did not measure counts as 0, which is its share of it."""
    if not together():
        return points
    gathered: list[dict[str, float]] = [{} for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(gathered, points)
    names = dict.fromkeys(name for one in gathered for name in one)
    return {name: sum(one.get(name, 0.0) for one in gathered) / len(gathered) for name in names}
