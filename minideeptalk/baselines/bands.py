"""How far a second run of a recipe may lie from the first: the spread between runs, measured over the seeds of the study.

Rounding differs from one processor or kernel to the next, training amplifies it, and other experts are chosen: a second run is as good as
another seed. A metric is a share `v` of some items, or errors per word. It would vary with `v (1 - v)`, or with `v`, if items fell by chance and
independently. Runs vary more or less than that by a factor, the *overdispersion*; the study tells it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from minideeptalk.baselines.intervals import t_quantile
from minideeptalk.baselines.summary import committed_records

COUNTED = {
    "relative_text_drop.all": "text_items_per_family", "relative_text_drop.covered": "text_items_per_family",
    "spoken_qa_text": "spoken_questions", "spoken_qa_speech": "spoken_questions", "asr_wer": "spoken_questions",
    "tts_wer.trained": "spoken_answers", "tts_wer.unseen": "spoken_answers",
    "style_accuracy.recognised": "ceilings", "style_accuracy.mirrored": "ceilings",
}
"""Metrics that are compared, and the count of the items each rests on."""
SURE = 0.999
"""How sure a single band is. There are eight or nine, so a healthy second run should leave some of them once in a hundred times, were errors normal."""
LEAST = 0.05
"""No band is narrower than five points: a share of a few hundred items may agree to the last item by accident."""


def value_of(record: Mapping, metric: str) -> float | None:
    """A metric of a record by its dotted name; None where it was not measured."""
    value = record["metrics"]
    for name in metric.split("."):
        value = value[name]
    return value


def chance_variance(metric: str, mean: float, items: int) -> float:
    """Variance of one item if items fell independently: of a share `v (1 - v)`, of errors per word `v`, since words may be inserted without end.

    Half an item is added to either side, so that a mean of 0 or 1 does not claim to be certain.
    """
    if "wer" in metric:
        return max(mean, 0.5 / items)
    share = (min(max(mean, 0.0), 1.0) * items + 0.5) / (items + 1)
    return share * (1 - share)


@dataclass(frozen=True)
class Spread:
    """How much a metric varies from run to run of one arm.

    `factor`: variance of a run over the chance variance of one item, so `1 / items` is what items alone would give.
    `items`: that the runs were measured with. `freedom`: degrees of freedom behind the factor.
    """

    factor: float
    items: int
    freedom: int

    @property
    def overdispersion(self) -> float:
        """Variance between runs over the one that items alone would give; 1 is as much as chance."""
        return self.factor * self.items

    def band(self, metric: str, mean: float, items: int) -> float:
        """Largest difference of two runs with that mean that is inside; fewer items than the study's say less."""
        factor = self.factor * max(1.0, self.items / items)
        return t_quantile(self.freedom, SURE) * (2 * factor * chance_variance(metric, mean, items)) ** 0.5


def spread_of(metric: str, groups: Iterable[Sequence[float]], items: int) -> Spread | None:
    """Squared deviations of runs from the mean of their group, over the chance variance, averaged over all groups.

    Args:
        metric: its dotted name. groups: values of runs that differ by luck alone; a group of one says nothing. items: that each value rests on.

    Returns:
        None where no group has two.

    Source: Pearson's estimate of a dispersion parameter, McCullagh and Nelder, Generalized Linear Models, section 4.5.
    """
    squares, freedom = 0.0, 0
    for values in groups:
        mean = sum(values) / len(values)
        squares += sum((value - mean) ** 2 for value in values) / chance_variance(metric, mean, items)
        freedom += len(values) - 1
    return Spread(squares / freedom, items, freedom) if freedom else None


def spreads_of(records: Sequence[Mapping]) -> dict[str, Spread]:
    """By metric, how much the seeds of one arm differ, over all arms; a metric that no arm has two seeds of is absent."""
    found = {}
    for metric, counted in COUNTED.items():
        arms = defaultdict(list)
        for record in records:
            if (value := value_of(record, metric)) is not None:
                arms[record["arm"]].append(value)
        if spread := spread_of(metric, arms.values(), min(record["metrics"]["counts"][counted] for record in records)):
            found[metric] = spread
    return found


@cache
def committed_spreads() -> dict[str, Spread]:
    """`spreads_of` the committed study at `nano`, which has the seeds; other sizes are held against it, too."""
    return spreads_of(committed_records())


def bands_of(record: Mapping, again: Mapping, spreads: Mapping[str, Spread] | None = None) -> dict[str, float]:
    """How far a second run may lie from the first, by metric; the variance is that of the mean of both, as in a test of two proportions.

    A metric is left out where even a difference of 1 would be inside, since no run could fail it, and where the record did not measure it.

    Args:
        record, again: run records of one arm. spreads: None takes `committed_spreads`.
    """
    bands = {}
    for metric, spread in (committed_spreads() if spreads is None else spreads).items():
        first, second = value_of(record, metric), value_of(again, metric)
        items = record["metrics"]["counts"][COUNTED[metric]]
        if first is not None and spread.band(metric, 0.5, items) < 1:
            bands[metric] = max(LEAST, spread.band(metric, first if second is None else (first + second) / 2, items))
    return bands
