"""Layers computed twice: the same gradients for less memory."""

import torch

from minideeptalk.benchmarks.timing import peak_memory_mb
from minideeptalk.training.losses import batch_loss


def _gradients(model, batch):
    torch.manual_seed(3)  # dropout of the second pass must be that of the first
    model.train().zero_grad()
    batch_loss(model, batch).total.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_gradients_are_those_of_layers_that_are_kept(tiny):
    model, batch = tiny.model(dropout=0.1), tiny.batch(tiny.builder())
    kept = _gradients(model, batch)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    again = _gradients(model, batch)
    assert kept.keys() == again.keys()
    assert all(torch.allclose(kept[name], again[name], atol=1e-6) for name in kept)


def test_less_is_held_between_forward_and_backward(tiny):
    text = torch.randint(5, 60, (8, 96))

    def step():
        model(text).hidden.square().mean().backward()

    model = tiny.model(layers=6).train()
    kept = peak_memory_mb(step, "cpu")
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert peak_memory_mb(step, "cpu") < 0.6 * kept
