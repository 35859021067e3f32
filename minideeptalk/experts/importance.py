"""What text loses when one expert falls silent: the importance of every expert, measured and not guessed from load.

Load says where tokens go; importance says what is lost when they cannot go there.  The two need not agree, which is why
the book shows both.
Axes: L layers with experts, E experts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from minideeptalk.experts.masking import forbid_experts
from minideeptalk.experts.recorder import find_experts


@dataclass(frozen=True)
class Importance:
    """Rise of the loss when one expert alone is closed (chapter 08).

    Args:
        base: the loss with every expert open.
        rise: (L, E) float64, loss with that expert closed minus `base`; not a number where it was not measured.  A
            negative rise means that the loss is lower without the expert.
    """

    base: float
    rise: np.ndarray

    def to_dict(self) -> dict:
        """Plain JSON types; None where nothing was measured."""
        return {"base": self.base, "rise": [[None if np.isnan(value) else value for value in layer] for layer in self.rise.tolist()]}

    @classmethod
    def from_dict(cls, stored: dict) -> Importance:
        """The inverse of `to_dict`."""
        return cls(float(stored["base"]), np.array(stored["rise"], dtype=np.float64))


@torch.no_grad()
def measure_importance(model: nn.Module, loss_function: Callable[[nn.Module], float], layers: Iterable[int] | None = None,
                       experts: Iterable[int] | None = None, progress: Callable = iter) -> Importance:
    """Close one expert at a time and measure the loss again.

    The router's logit of the closed expert is masked before its softmax, so its tokens go to their next best expert and
    the weights spread over the open ones, as in a training stage where that expert is closed.  Where the K gate weights
    are not renormalised, as in the paper, that spreading alone changes the output a little, so even an expert that no
    token chose has a small rise.

    Args:
        model: a `DeepTalkModel` or any MoE model of transformers; it is put into eval mode for the measurement.
        loss_function: `loss_function(model)` returns the mean loss over a fixed set of text; it is called once for each
            expert and once more, and must give the same number when called twice.
        layers, experts: MoE layers and expert indices to measure, all by default.
        progress: wraps the list of (layer, expert) pairs, for instance `tqdm`.

    Raises:
        LearnerError: for layers or experts that do not exist.

    Source: what reviewers of the paper asked for (probing what the experts hold); chapter 08.
    """
    found = find_experts(model)
    shape = (len(found), found[0][1].num_experts)
    every = [range(size) if chosen is None else list(chosen) for size, chosen in zip(shape, (layers, experts))]
    pairs = [(layer, expert) for layer in every[0] for expert in every[1]]
    was_training = model.training
    model.eval()
    try:
        base = float(loss_function(model))
        rise = np.full(shape, np.nan)
        for layer, expert in progress(pairs):
            with forbid_experts(model, {layer: [expert]}):
                rise[layer, expert] = float(loss_function(model)) - base
    finally:
        model.train(was_training)
    return Importance(base, rise)
