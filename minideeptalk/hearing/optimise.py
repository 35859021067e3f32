"""The one training loop of the three recognisers: AdamW, a learning rate that rises and falls once, clipped gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

Progress = Callable[[int, int, float], None]  # (update, updates, loss), called after each update


def one_cycle(update: int, updates: int, warm_up: float = 0.1) -> float:
    """Factor on the learning rate: linear rise over the first tenth, then half a cosine down to zero."""
    progress = update / max(updates, 1)
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def optimise(
    model: torch.nn.Module, next_loss: Callable[[], torch.Tensor], updates: int, learning_rate: float,
    progress: Progress | None = None,
) -> None:
    """Train `model` in place.

    Args:
        model: its parameters move.
        next_loss: draws a batch and gives its loss, a scalar with gradient.
        updates: how many batches.
        learning_rate: peak.
        progress: told of every update.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: one_cycle(update, updates))
    model.train()
    for update in range(updates):
        loss = next_loss()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress:
            progress(update + 1, updates, float(loss.detach()))
