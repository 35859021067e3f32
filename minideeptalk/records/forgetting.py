"""How much text ability was lost: the one number that the paper's claim rests on (paper, Table 3; chapter 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minideeptalk.errors import LearnerError

LEARNT_FLOOR = 0.1  # a family whose corrected accuracy was lower was never learnt, so nothing can be forgotten


def corrected(accuracy: float, chance: float) -> float:
    """Accuracy above guessing: 0 at chance, 1 when all is right, below 0 when worse than guessing.

    >>> corrected(0.75, 0.5)
    0.5
    """
    if not 0 <= chance < 1:
        raise LearnerError("a chance of at least 0 and below 1", str(chance))
    return (accuracy - chance) / (1 - chance)


def relative_text_drop(before: Mapping[str, float], after: Mapping[str, float], chance_by_family: Mapping[str, float],
                       covered: Iterable[str]) -> dict:
    """Mean over families of (before - after) / before, each accuracy corrected for chance first.

    Args:
        before: accuracy by family after stage 0, 0 to 1.
        after: the same families after the last stage.
        chance_by_family: what guessing scores.
        covered: families that the text of after-training holds; the others are `uncovered`.

    Returns:
        `metrics.relative_text_drop` of a run record: `all`, `covered`, `uncovered` (None where no family is left),
        `by_family`, and `left_out`: families whose corrected `before` is below `LEARNT_FLOOR`.

    Raises:
        LearnerError: if the three mappings name different families, or `covered` names an unknown one.
    """
    covered = set(covered)
    for name, other in (("after", after), ("chance_by_family", chance_by_family)):
        odd = sorted(set(before) ^ set(other))
        if odd:
            raise LearnerError(f"the same families in before and {name}", f"{', '.join(odd)} in one of them only")
    if not covered <= set(before):
        raise LearnerError("covered families that were measured", ", ".join(sorted(covered - set(before))))
    drops, left_out = {}, []
    for family in before:
        start = corrected(before[family], chance_by_family[family])
        if start < LEARNT_FLOOR:
            left_out.append(family)
        else:
            drops[family] = (start - corrected(after[family], chance_by_family[family])) / start
    return {
        "all": _mean(drops.values()),
        "covered": _mean(drop for family, drop in drops.items() if family in covered),
        "uncovered": _mean(drop for family, drop in drops.items() if family not in covered),
        "by_family": drops,
        "left_out": left_out,
    }


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None
