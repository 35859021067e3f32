"""What the records of a study say when they lie side by side: curves of forgetting, the front, and what became of the goals.

Chapters 10 and 14 show all of it; a statement is made from the records alone, so it changes when they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from minideeptalk.baselines.ablations import ABLATIONS
from minideeptalk.baselines.budgets import REFERENCE
from minideeptalk.baselines.intervals import Interval, interval_of, paired_interval, t_interval
from minideeptalk.baselines.lanes import LEFT_OUT
from minideeptalk.baselines.summary import value_of
from minideeptalk.records import relative_text_drop

STAGE_CODES = ("0", "1", "2.1", "2.2", "3")
"""The recipe's stages in order; a rival may lack some."""
GROUPS = ("all", "covered", "uncovered")
KINDS = ("the paper's recipe", "our changes to it", "experts drawn or split blindly", "rivals", "ablations")
PREFIX = "text_accuracy/"
ABLATION_NAMES = frozenset(arm.name for arm in ABLATIONS)


def kind_of(arm: str) -> str:
    """Which of `KINDS` an arm is."""
    if arm in ABLATION_NAMES:
        return "ablations"
    if arm in ("deeptalk", REFERENCE):
        return "the paper's recipe"
    if arm.startswith(("random-", "split-by-index")):
        return "experts drawn or split blindly"
    return "our changes to it" if arm.startswith("deeptalk-") else "rivals"


# ---- forgetting --------------------------------------------------------------------------------------------------------


def kept_by_stage(record: Mapping) -> dict[str, dict]:
    """Share of the text ability of stage 0 that is there after each stage, every accuracy corrected for chance.

    Args:
        record: a run record whose curves hold `text_accuracy/<family>`.

    Returns:
        By stage code: `all`, `covered` and `uncovered` (None where no family is left) and `by_family`; 1 is nothing lost.

    Source: `records.relative_text_drop`; chapter 10.
    """
    accuracy = accuracy_by_stage(record["curves"])
    chance, covered = record["metrics"]["chance"]["text_accuracy"], record["config"]["world"]["covered"]
    kept = {}
    for code in [code for code in STAGE_CODES if code in accuracy]:
        drop = relative_text_drop(accuracy["0"], accuracy[code], chance, covered)
        kept[code] = {group: None if drop[group] is None else 1 - drop[group] for group in GROUPS}
        kept[code]["by_family"] = {family: 1 - lost for family, lost in drop["by_family"].items()}
    return kept


def accuracy_by_stage(curves: Iterable[Mapping]) -> dict[str, dict[str, float]]:
    """Text accuracy by stage code and family, as the curves of a run have it after the last update of each stage."""
    accuracy: dict[str, dict[str, float]] = {}
    for row in curves:
        if row["name"].startswith(PREFIX):
            accuracy.setdefault(row["stage"], {})[row["name"].removeprefix(PREFIX)] = row["value"]  # the last step stays
    return accuracy


def kept_over_seeds(runs: Mapping[int, Mapping], group: str = "all") -> dict[str, Interval]:
    """`kept_by_stage` of one group of families as intervals over seeds, by stage code.

    Args:
        runs: records of one arm by seed. group: one of `GROUPS`, or the name of a family.
    """
    values: dict[str, list[float]] = {}
    for record in runs.values():
        for code, kept in kept_by_stage(record).items():
            value = kept.get(group, kept["by_family"].get(group))
            if value is not None:
                values.setdefault(code, []).append(value)
    return {code: t_interval(values[code]) for code in STAGE_CODES if code in values}


def kept_of(runs: Mapping[int, Mapping], families: Sequence[str]) -> dict[int, float]:
    """Mean share of some families' text ability that is there at the end, by seed; families that stage 0 had not learnt are passed over."""
    by_seed = {seed: record["metrics"]["relative_text_drop"]["by_family"] for seed, record in runs.items()}
    shares = {seed: [1 - lost[family] for family in families if family in lost] for seed, lost in by_seed.items()}
    return {seed: sum(values) / len(values) for seed, values in shares.items() if values}


def lost_at_most_all(runs: Mapping[int, Mapping]) -> dict[int, float]:
    """The relative text drop by seed, where no skill counts as more than lost: to answer worse than guessing is to lose it, not twice."""
    by_seed = {seed: record["metrics"]["relative_text_drop"]["by_family"] for seed, record in runs.items()}
    return {seed: sum(min(1.0, drop) for drop in lost.values()) / len(lost) for seed, lost in by_seed.items()}


# ---- the front ---------------------------------------------------------------------------------------------------------


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that nobody beats on both axes at once (the Pareto front), from left to right.

    Args:
        points: (x, y) by name; more is better on both. A point is beaten by one that is at least as good on both axes and
            better on one, so of two equal points both stay.

    >>> front({"a": (0.1, 0.9), "b": (0.2, 0.5), "c": (0.1, 0.4)})
    ['a', 'b']
    """
    def beaten(name: str) -> bool:
        x, y = points[name]
        return any(other != name and u >= x and v >= y and (u, v) != (x, y) for other, (u, v) in points.items())

    return sorted((name for name in points if not beaten(name)), key=lambda name: points[name])


# ---- goals -------------------------------------------------------------------------------------------------------------

MET, MISSED, OPEN = "met", "missed", "open"
AS_GOOD = 0.02
"""How far below zero the interval of a difference may reach for two arms to count as equally good."""


@dataclass(frozen=True)
class Goal:
    """A goal that was set before the study ran: what it says, what came out (percent or points), and `met`, `missed` or `open`."""

    words: str
    measured: str
    verdict: str


def at_most(interval: Interval | None, limit: float) -> str:
    """`met` where all of the interval lies at or below the limit, `missed` where all of it lies above, else `open`."""
    if interval is None or not interval.decides:
        return OPEN
    if interval.mean + interval.half <= limit:
        return MET
    return MISSED if interval.mean - interval.half > limit else OPEN


def no_worse(difference: Interval | None) -> str:
    """`met` where all of a difference (more is better) lies above -`AS_GOOD`, `missed` where it is surely below zero, else `open`."""
    if difference is None or not difference.decides:
        return OPEN
    if difference.mean - difference.half >= -AS_GOOD:
        return MET
    return MISSED if difference.sure_of_sign and difference.mean < 0 else OPEN


def told(interval: Interval | None, signed: bool = False) -> str:
    """`1.2 ± 3.4` in percent, with its sign where it is a difference; `not run` without a value."""
    if interval is None:
        return "not run"
    return f"{100 * interval.mean:{'+' if signed else ''}.1f}" + ("" if interval.half is None else f" ± {100 * interval.half:.1f}")


def metric(runs: Mapping[int, Mapping], *path: str) -> dict[int, float]:
    """A metric of one arm by seed, where it was measured: `metric(runs, "tts_wer", "unseen")`."""
    values = {seed: value_of(record, ".".join(path)) for seed, record in runs.items()}
    return {seed: value for seed, value in values.items() if value is not None}


LOST = ("relative_text_drop", "all")
SPEAKS = (("answers as many spoken questions in text", ("spoken_qa_text",), False),
          ("answers as many spoken questions aloud", ("spoken_qa_speech",), False),
          ("is understood as well on unseen texts", ("tts_wer", "unseen"), True))
CONTROLS = ("random-0", "random-1", "random-2", "split-by-index")
"""Arms whose audio experts nobody measured."""


def goals(arms: Mapping[str, Mapping[int, Mapping]], ours: str, rival: str = "puremoe") -> list[Goal]:
    """The goals of the study that its own records decide and what became of them; the last one was added later.

    Args:
        arms: records by arm and seed, as `summary.by_arm` gives them. ours: the arm of this project's own method.
    """
    def lost(arm: str) -> Interval | None:
        return interval_of(metric(arms.get(arm, {}), *LOST).values())

    def level(arm: str, limit: float, interval: Interval | None, skills: str = "the text skills") -> Goal:
        return Goal(f"{arm} loses at most {limit:.1%} of {skills}", told(interval), at_most(interval, limit))

    def gain(path: tuple[str, ...], one: str, other: str, less_is_better: bool = False) -> Interval | None:
        pair = [metric(arms.get(arm, {}), *path) for arm in (one, other)]
        return paired_interval(*(reversed(pair) if less_is_better else pair))

    made = [level("deeptalk", 0.055, lost("deeptalk")), level(REFERENCE, 0.055, lost(REFERENCE)), level(ours, 0.02, lost(ours)),
            _apart(lost(ours), lost(rival), ours, rival)]
    for words, path, less in SPEAKS:
        difference = gain(path, ours, rival, less)
        made.append(Goal(f"{ours} {words} as {rival}, within {100 * AS_GOOD:.0f} points", told(difference, signed=True), no_worse(difference)))
    for control in CONTROLS:
        made.append(_beats(gain(LOST, REFERENCE, control, True), gain(("spoken_qa_text",), REFERENCE, control), control))
    unread = interval_of(1 - kept for kept in kept_of(arms.get(ours, {}), LEFT_OUT).values())
    return [*made, level(ours, 0.02, unread, f"{' and '.join(LEFT_OUT)}, which its selection did not read (added later)")]


def style_goals(style: Mapping, blind: str = "cascade") -> list[Goal]:
    """The goals of chapter 13: the recipe gives a style back, and who reads words alone does so by chance.

    Args:
        style: a finding of kind `style`. blind: the arm to which no style can reach.
    """
    result = style["result"]
    ceiling, chance = result["ceiling"]["mirrored"], result["chance"]
    of_ceiling = interval_of(score / ceiling for score in style_scores(style, REFERENCE, "mirrored"))
    by_chance = interval_of(style_scores(style, blind, "mirrored"))
    return [Goal(f"{REFERENCE} mirrors a style at {0.8:.0%} of the ceiling or more", told(of_ceiling), at_most(_turned(of_ceiling), -0.8)),
            Goal(f"{blind} mirrors a style by chance, {chance:.0%}, within {100 * AS_GOOD:.0f} points", told(by_chance), at_most(by_chance, chance + AS_GOOD))]


def style_scores(style: Mapping, arm: str, kind: str) -> list[float]:
    """By seed, the share of right styles of one arm, each style counted equally.

    Args:
        style: a finding of kind `style`. kind: which of its tables, `named` or `mirrored`; the style asked for in rows.
    """
    tables = [run[kind] for run in style["result"]["runs"] if run["arm"] == arm]
    return [sum(row[place] / sum(row) for place, row in enumerate(table)) / len(table) for table in tables]


def preference_goal(runs: Sequence[Mapping]) -> Goal:
    """The goal of chapter 11, over its runs: fewer word errors, surely, with the melody left.

    Args:
        runs: run records with `metrics.preference`; their intervals are over texts.
    """
    found = [run["metrics"]["preference"] for run in runs]
    changes = [one["change"]["unseen"] for one in found]
    melodies = [one["after"]["unseen"]["f0_spread"] / one["before"]["unseen"]["f0_spread"] for one in found]
    verdict = OPEN
    if found and all(change["high"] < 0 for change in changes) and min(melodies) >= 0.9:
        verdict = MET
    elif found and (max(change["low"] for change in changes) > 0 or min(melodies) < 0.9):
        verdict = MISSED
    told_each = [f"{100 * change['judge_wer']:+.1f} ({100 * change['low']:+.1f} to {100 * change['high']:+.1f}), spread {melody:.0%}"
                 for change, melody in zip(changes, melodies)]
    return Goal("DPO lowers word errors on unseen texts and leaves 90% of the spread of pitch", "; ".join(told_each) or "not run", verdict)


def _apart(less: Interval | None, more: Interval | None, one: str, other: str) -> Goal:
    decided = less is not None and more is not None and less.decides and more.decides
    verdict = OPEN if not decided else MET if less.mean + less.half < more.mean - more.half else MISSED
    return Goal(f"{one} loses less than {other}, with intervals that do not meet", f"{told(less)} and {told(more)}", verdict)


def _turned(interval: Interval | None) -> Interval | None:
    return None if interval is None else Interval(-interval.mean, interval.half, interval.count)


def _beats(kept: Interval | None, answered: Interval | None, control: str) -> Goal:
    """On the front: surely better on one axis and not surely worse on the other."""
    sides = [side for side in (kept, answered) if side is not None and side.decides]
    worse = any(side.sure_of_sign and side.mean < 0 for side in sides)
    better = any(side.sure_of_sign and side.mean > 0 for side in sides)
    verdict = OPEN if len(sides) < 2 or not (worse or better) else MISSED if worse else MET
    return Goal(f"{REFERENCE} beats {control} on the front", f"text {told(kept, True)}, answers {told(answered, True)}", verdict)
