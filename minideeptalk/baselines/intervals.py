"""How sure a mean over a few seeds is: Student's t interval, from the definition of the distribution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3
"""Seeds that a verdict needs: two shares of a few hundred items may agree to the last item by accident, and claim to be certain."""


@dataclass(frozen=True)
class Interval:
    """A mean over `count` seeds and the half-width of its 95 % interval; None where one seed cannot tell."""

    mean: float
    half: float | None
    count: int

    @property
    def sure_of_sign(self) -> bool:
        """Whether the interval leaves out zero, and rests on `FEWEST` seeds at least."""
        return self.decides and abs(self.mean) > self.half

    @property
    def decides(self) -> bool:
        """Whether there are seeds enough for a verdict."""
        return self.half is not None and self.count >= FEWEST


def t_quantile(freedom: int, inside: float = 0.95) -> float:
    """The t with `inside` of Student's distribution between -t and t.

    With t = sqrt(n) tan(angle), the mass up to an angle is the integral of cos(angle) ** (n - 1).

    >>> round(t_quantile(4), 3)
    2.776
    """
    angle = np.linspace(0.0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(np.sqrt(freedom) * np.tan(np.interp(inside, mass / mass[-1], angle)))


def t_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % t interval of independent values.

    Raises:
        ZeroDivisionError: for no value at all.
    """
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return Interval(mean, None, count)
    spread = (sum((value - mean) ** 2 for value in values) / (count - 1)) ** 0.5
    return Interval(mean, t_quantile(count - 1) * spread / count ** 0.5, count)


def interval_of(values: Iterable[float]) -> Interval | None:
    """`t_interval`; None where there is no value."""
    values = list(values)
    return t_interval(values) if values else None


def paired_interval(ours: dict[int, float], theirs: dict[int, float]) -> Interval | None:
    """Interval of the difference (ours minus theirs) over the seeds that both have; None where there are none.

    Runs of one seed share text model, alignment and test items, so their difference varies less than either.
    """
    common = sorted(set(ours) & set(theirs))
    return interval_of(ours[seed] - theirs[seed] for seed in common)
