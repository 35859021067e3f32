"""How much of every text skill is left after something was done to a model: one share for each family, guessing taken off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minideeptalk.world import FAMILIES

LEARNT_FLOOR = 0.1
"""A skill whose accuracy above chance was lower was never learnt, so nothing of it can be lost."""


def kept_of(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Share of each learnt skill that is left; 1 is all, 0 is guessing, below 0 is worse than guessing.

    >>> kept_of({"compare": 1.0, "story": 0.5}, {"compare": 0.75, "story": 0.5})
    {'compare': 0.5}
    """
    kept = {}
    for name, accuracy in before.items():
        chance = FAMILIES[name].chance
        if (accuracy - chance) / (1 - chance) >= LEARNT_FLOOR:
            kept[name] = (after[name] - chance) / (accuracy - chance)
    return kept


def mean_kept(kept: Mapping[str, float], families: Iterable[str]) -> float | None:
    """Mean over those of `families` that were learnt; None where there is none."""
    values = [kept[family] for family in families if family in kept]
    return sum(values) / len(values) if values else None
