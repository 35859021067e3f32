"""How the routers are: what the task asks of them, how sure they are, and how well they tell the modalities apart.

A load that looks even says nothing alone (chapter 04), so the book shows these three beside every run with experts.
Axes: N real tokens, E experts, L layers with experts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from minideeptalk.experts import LoadRecorder, jensen_shannon
from minideeptalk.tasks import Batch
from minideeptalk.training.losses import batch_loss


@dataclass(frozen=True)
class RouterHealth:
    """Three numbers for each MoE layer, (L,) float64.

    Args:
        gradient: norm of the loss's gradient on the router's matrix, balance loss off.  A frozen router has one too: it is
            what the task would ask of it, were it free.
        entropy: mean entropy of the router's probabilities in bits, 0 for a sure router and log2 E for one that does not care.
        specialisation: how many bits an expert's number tells about the modality, 0 to 1.
    """

    gradient: np.ndarray
    entropy: np.ndarray
    specialisation: np.ndarray


def router_health(model, batches: Iterable[Batch]) -> RouterHealth:
    """Measure the routers on some batches, of which at least one must hold audio and one text.

    Args:
        model: `DeepTalkModel`; its weights and gradients are left as they are.

    Source: chapters 04 and 07.
    """
    batches = list(batches)
    model.eval()
    entropies, tokens = [], 0
    with LoadRecorder(model) as recorder, torch.no_grad():
        for batch in batches:
            recorder.modality(batch.modality)
            routing = model(**batch.model_inputs()).routing
            entropies.append(torch.stack([_entropy(layer.probabilities[batch.mask]) for layer in routing]))  # (L,) sums
            tokens += int(batch.mask.sum())
    audio, text = recorder.loads().share("share")  # (L, E), (L, E)
    return RouterHealth(_gradient(model, batches), (sum(entropies) / tokens).double().numpy(), jensen_shannon(audio, text))


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Sum over tokens of the entropy in bits; probabilities (N, E)."""
    return -(probabilities * probabilities.clamp(min=1e-12).log2()).sum()


def _gradient(model, batches: list[Batch]) -> np.ndarray:
    """Norm (L,) of the mean gradient over the batches, without touching `.grad`."""
    weights = [mixture.router.weight for mixture in model.mixtures()]
    free = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    try:
        total = sum(batch_loss(model, batch, balance=False).total for batch in batches) / len(batches)
        gradients = torch.autograd.grad(total, weights)
    finally:
        for weight, was in zip(weights, free):
            weight.requires_grad_(was)
    return np.array([gradient.norm().item() for gradient in gradients])
