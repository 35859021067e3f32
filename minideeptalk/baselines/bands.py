"""How far a second run of a recipe may lie from the first: as far as the seeds of an arm lie apart, measured in the study.

Processors and kernels round differently, training amplifies it, and other experts are chosen: a second run may end as far away as another seed.
The spread of each arm comes from few seeds, so it is averaged over arms, as a multiple of what a share of that size varies by chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from minideeptalk.baselines.summary import committed_records, value_of

ERROR_RATES = ("asr_wer", "tts_wer.trained", "tts_wer.unseen")
ITEMS_OF = {
    "relative_text_drop.all": "text_items_per_family", "relative_text_drop.covered": "text_items_per_family",
    "spoken_qa_text": "spoken_questions", "spoken_qa_speech": "spoken_questions", "asr_wer": "spoken_questions",
    "tts_wer.trained": "spoken_answers", "tts_wer.unseen": "spoken_answers",
    "style_accuracy.mirrored": "ceilings",
}
"""Metrics that are compared, and the count of the items each rests on. The style *recognised* is none of them: the seeds of one arm spread from
guessing to perfect, further than in anything else."""
SIZE, SCALE = "nano", 0.5
"""Of the runs in the committed study: size, and factor on the updates after stage 0."""
WIDTH = 4.0
"""Standard errors of a difference in a band. A t quantile would claim to know the spread better than three to five seeds tell it: arms of one
seed share text model and alignment, so they do not vary independently. Of all pairs of an arm's runs fewer than one in twenty leave a band if the
spread is measured without the seed of the second; `tests/baselines/test_bands.py` counts it, at nano and the length of the study only."""
STEADY = 0.9
"""Share of the arms, the steadiest, that a spread is averaged over; each of the others keeps its own. A tenth is always left out, so the average is a
little low, and `WIDTH` makes up for it."""
LEAST = 0.05
"""No band is narrower: close to 0 and 1 the spread is too small to be known."""


def chance_variance(metric: str, mean: float, items: int) -> float:
    """Variance that a metric with this mean has if items fall independently: `v (1 - v)` over the items for a share, `v` for errors per word.

    It is used as a scale, to carry a spread from one mean to another. A share gets half an item on either side and an error rate half an error at
    least, so that it is nowhere zero.
    """
    if metric in ERROR_RATES:  # words may be inserted without end, so this is no share
        return max(mean, 0.5 / items) / items
    share = (min(max(mean, 0.0), 1.0) * items + 0.5) / (items + 1)
    return share * (1 - share) / items


def overdispersion(metric: str, values: Sequence[float], items: int) -> float:
    """Variance of an arm's runs over their `chance_variance`: 1 where independent items explain it all.

    It is below 1 where a value rests on more than its items say: an item has several words, and text lost averages several families.

    Args:
        values: of two runs or more that differ by luck alone. items: that each value rests on.

    Source: Pearson's estimate of a dispersion parameter, McCullagh and Nelder, Generalized Linear Models, section 4.5.
    """
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1) / chance_variance(metric, mean, items)


@dataclass(frozen=True)
class Spread:
    """How much one metric varies between the runs of an arm.

    `usual`: overdispersion, averaged over the steady arms. `unsteady`: of each other arm. `means`: of each arm over its seeds.
    `items`: behind each value.
    """

    metric: str
    items: int
    usual: float
    unsteady: Mapping[str, float]
    means: Mapping[str, float]

    def band(self, arm: str | None, value: float, items: int) -> float:
        """Largest difference from a run with this value that is inside.

        Args:
            arm: None for a run of another size or length than the study's. value: stands for the mean where the study has no two runs of the arm.
            items: of that run; with fewer than in the study, the band is wider.
        """
        dispersion = self.unsteady.get(arm, self.usual)
        variance = chance_variance(self.metric, self.means.get(arm, value), self.items) * max(1.0, self.items / items)
        return max(LEAST, WIDTH * (2 * dispersion * variance) ** 0.5)


def spreads_of(records: Sequence[Mapping]) -> dict[str, Spread]:
    """The spread of each metric over arms with several seeds; a metric that no arm has twice is absent.

    Args:
        records: of one study, one at least, each with the counts of its items.
    """
    found = {}
    for metric, counted in ITEMS_OF.items():
        arms = defaultdict(list)
        for record in records:
            if (value := value_of(record, metric)) is not None:
                arms[record["arm"]].append(value)
        items = min(record["metrics"]["counts"][counted] for record in records)
        by_arm = {arm: overdispersion(metric, values, items) for arm, values in arms.items() if len(values) > 1}
        if by_arm:
            ordered = sorted(by_arm, key=by_arm.get)
            steady = ordered[:round(STEADY * len(ordered))]
            usual = sum(by_arm[arm] for arm in steady) / len(steady)
            unsteady = {arm: by_arm[arm] for arm in ordered[len(steady):]}
            found[metric] = Spread(metric, items, usual, unsteady, {arm: sum(arms[arm]) / len(arms[arm]) for arm in by_arm})
    return found


@cache
def committed_spreads() -> dict[str, Spread]:
    """`spreads_of` the committed study. Runs of other sizes and lengths are held against its average, too."""
    return spreads_of(committed_records())


def bands_of(record: Mapping, spreads: Mapping[str, Spread] | None = None) -> dict[str, float]:
    """How far a second run may lie from a record, by metric.

    A metric is left out where the record has none, and where its band spans all from guessing to perfect, so that no run could fail.

    Args:
        record: one that does not count its items is taken to have as many as the study's. spreads: None takes `committed_spreads`.
    """
    bands = {}
    alike = record["size"] == SIZE and record["config"].get("study", {}).get("scale") == SCALE
    for metric, spread in (committed_spreads() if spreads is None else spreads).items():
        value = value_of(record, metric)
        if value is not None:
            items = record["metrics"].get("counts", {}).get(ITEMS_OF[metric]) or spread.items
            band = spread.band(record["arm"] if alike else None, value, items)
            if any(abs(end - value) > band for end in _ends(record, metric)):
                bands[metric] = band
    return bands


def _ends(record: Mapping, metric: str) -> tuple[float, float]:
    """What a model that learnt nothing scores, and a perfect one."""
    if metric in ERROR_RATES or metric.startswith("relative_text_drop"):
        return 1.0, 0.0
    return record["metrics"]["chance"][metric.split(".")[0]] or 0.0, 1.0
