"""Is load importance?  What a text model loses without its least busy experts, its least important ones, or some drawn by lot (chapters 08 and 14).

Load and importance are measured on the same training text; what is kept is measured on held-out text, of those skills and of others.
Axes: L layers with experts, E experts, B batch, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.kept import kept_of
from minideeptalk.evaluation.knock_out import experts_by_lot
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.experts import forbid_experts, measure_importance
from minideeptalk.tasks import IGNORE, Batch, ExampleBuilder

RULES = ("lowest load", "lowest importance", "highest load", "drawn by lot")
CLOSED = (1, 2, 4, 6, 8)


@torch.no_grad()
def text_loads(model, batches: Sequence[Batch]) -> np.ndarray:
    """Share (L, E) of the text choices of every layer that each expert got; rows sum to 1."""
    model.eval()
    experts = model.mixtures()[0].experts.num_experts
    counts = np.zeros((len(model.mixtures()), experts))
    for batch in batches:
        batch = batch.to(model.device)
        for layer, routing in enumerate(model(**batch.model_inputs()).routing):
            counts[layer] += torch.bincount(routing.indices[batch.mask].flatten(), minlength=experts).cpu().numpy()
    return counts / counts.sum(axis=1, keepdims=True)


def text_importance(model, batches: Sequence[Batch]) -> np.ndarray:
    """Rise (L, E) of the mean loss of the answers' words, in nats, when one expert alone is closed."""
    @torch.no_grad()
    def loss(model) -> float:
        total, words = 0.0, 0
        for batch in batches:
            batch = batch.to(model.device)
            wanted = batch.text_target != IGNORE  # (B, T)
            logits = model.text_logits(model(**batch.model_inputs(), real=batch.mask).hidden[wanted])
            total += float(F.cross_entropy(logits.float(), batch.text_target[wanted], reduction="sum"))
            words += int(wanted.sum())
        return total / words

    return measure_importance(model, loss).rise


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 of a row (E,); equal values share the mean of theirs."""
    below, equal = values[None] < values[:, None], values[None] == values[:, None]
    return below.sum(axis=1) + (equal.sum(axis=1) - 1) / 2


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of two rows (E,).

    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.2, 0.3]))
    1.0

    Raises:
        LearnerError: where one of them is the same everywhere, so that there is no order.
    """
    one, two = ranks(first), ranks(second)
    if one.std() == 0 or two.std() == 0:
        raise LearnerError("values that differ", "the same value for every expert", next_step="measure on more text")
    return round(float(np.corrcoef(one, two)[0, 1]), 12)


def correlation_by_chance(experts: int, inside: float = 0.95, draws: int = 20_000, seed: int = 0) -> float:
    """The rank correlation that `inside` of all random orders of E experts stay below, sign left aside."""
    rng = np.random.default_rng(seed)
    orders = rng.random((draws, experts)).argsort(axis=1).argsort(axis=1)  # (draws, E)
    centred = orders - (experts - 1) / 2
    found = centred @ centred[0] / (centred[0] @ centred[0])
    return float(np.quantile(np.abs(found[1:]), inside))


def evenness(loads: np.ndarray) -> np.ndarray:
    """Entropy (L,) of loads (L, E) over its largest value: 1 where every expert gets the same."""
    safe = np.where(loads > 0, loads, 1.0)
    return -(loads * np.log(safe)).sum(axis=1) / np.log(loads.shape[1])


def profile_of_text(model, batches: Sequence[Batch]) -> dict:
    """Load and importance of every expert of a text model on the same training text, and how far their orders agree.

    Importance is measured on both halves of the text apart.  Where the halves disagree, importance itself is noise, and no load could
    agree with it; so their agreement, `reliability`, stands beside each correlation.

    Args:
        batches: of training text, an even number.

    Returns:
        `load` and `rise` (L, E), and by layer `correlation`, `reliability` and `evenness`.
    """
    half = len(batches) // 2
    rises = [text_importance(model, part) for part in (batches[:half], batches[half:])]
    load, rise = text_loads(model, batches), sum(rises) / 2
    return {"load": load, "rise": rise, "evenness": evenness(load),
            "correlation": np.array([rank_correlation(*pair) for pair in zip(load, rise)]),
            "reliability": np.array([rank_correlation(*pair) for pair in zip(*rises)])}


def to_close(rule: str, count: int, load: np.ndarray, rise: np.ndarray, draw: int = 0) -> list[list[int]]:
    """The `count` experts of every layer that a rule of `RULES` closes; of equal ones those with the lower number.

    Raises:
        LearnerError: for another rule.
    """
    if rule == "drawn by lot":
        return experts_by_lot(*load.shape, count, 7919 * count + draw)
    if rule not in RULES:
        raise LearnerError(f"a rule out of {', '.join(RULES)}", repr(rule))
    order = {"lowest load": load, "lowest importance": rise, "highest load": -load}[rule]
    return [sorted(layer[:count].tolist()) for layer in np.argsort(order, axis=1, kind="stable")]


def closing_curve(model, builder: ExampleBuilder, load: np.ndarray, rise: np.ndarray, items: int = 200, draws: int = 5,
                  counts: Sequence[int] = CLOSED) -> list[dict]:
    """Text kept when experts of every layer are closed, untrained, by each rule and number.

    Args:
        load, rise: (L, E), what the rules look at. items: of each skill, from the test split. draws: of the rule `drawn by lot`.

    Returns:
        rows of `rule`, `closed` (experts of a layer), `draw` (None where nothing was drawn) and `kept` by family.
    """
    before = text_accuracy(model, builder, "test", items)
    rows = []
    for count in counts:
        for rule in RULES:
            for draw in range(draws) if rule == "drawn by lot" else (None,):
                with forbid_experts(model, to_close(rule, count, load, rise, draw or 0)):
                    kept = kept_of(before, text_accuracy(model, builder, "test", items))
                rows.append({"rule": rule, "closed": count, "draw": draw, "kept": kept})
    return rows
