"""Exercises of chapter 14: an interval over seeds, differences in pairs, the front, and what one seed would have claimed."""

from __future__ import annotations

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 14-1 --------------------------------------------------------------------------------------------------------------


def seed_interval(values, quantile):
    """Values of some seeds, and the t quantile of their number -> (mean, half-width); half-width None where one seed cannot tell."""
    ### BEGIN SOLUTION
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, None
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, quantile * (variance / count) ** 0.5
    ### END SOLUTION


FOUR = [1.0, 2.0, 4.0, 5.0]  # mean 3, sum of squared deviations 10


def _interval_shape(function):
    found = function(FOUR, 3.0)
    expect(isinstance(found, tuple) and len(found) == 2, f"A pair: mean and half-width. Yours is {found!r}.")


def _interval_mean(function):
    expect(abs(function(FOUR, 3.0)[0] - 3.0) < 1e-9, f"The mean of {FOUR} is 3, yours is {function(FOUR, 3.0)[0]}.")


def _interval_spread(function):
    half = function(FOUR, 2.0)[1]
    expect(abs(half - 2 * (10 / 3 / 4) ** 0.5) < 1e-9, f"With a quantile of 2 the half-width is 2 times the root of 10 / 3 / 4, which is 1.826; yours is {half:.3f}. Divide "
                                                       "the squared deviations by n - 1, and the variance by n: it is the *mean* that is uncertain.")


def _interval_quantile(function):
    ratio = function(FOUR, 6.0)[1] / function(FOUR, 2.0)[1]
    expect(abs(ratio - 3) < 1e-9, f"A quantile three times as large widens the interval three times, yours {ratio:.2f} times. 1.96 is for hundreds of seeds.")


def _interval_one(function):
    found = function([0.7], 12.7)
    expect(found[1] is None, f"One seed says nothing about the spread: None, yours is {found[1]!r}. Zero would claim to be certain.")


def _interval_unharmed(function):
    values = list(FOUR)
    function(values, 2.0)
    expect(values == FOUR, "Your function changed its input.")


def _interval_population(values, quantile):
    mean, half = seed_interval(values, quantile)
    return mean, None if half is None else half * ((len(values) - 1) / len(values)) ** 0.5


def _interval_of_one_run(values, quantile):
    mean, half = seed_interval(values, quantile)
    return mean, None if half is None else half * len(values) ** 0.5


def _interval_normal(values, quantile):
    return seed_interval(values, 2.0)


def _interval_certain(values, quantile):
    mean, half = seed_interval(values, quantile)
    return mean, half or 0.0


# ---- 14-2 --------------------------------------------------------------------------------------------------------------


def paired_differences(ours, theirs):
    """Two dicts from seed to value -> list of ours minus theirs for the seeds that both have, in the order of the seeds."""
    ### BEGIN SOLUTION
    return [ours[seed] - theirs[seed] for seed in sorted(set(ours) & set(theirs))]
    ### END SOLUTION


OURS, THEIRS = {2: 0.9, 0: 0.4, 1: 0.6, 5: 0.8}, {0: 0.3, 1: 0.4, 2: 0.6, 7: 0.1}


def _pairs_shape(function):
    found = function({0: 0.5, 1: 0.5}, {0: 0.25, 1: 0.25})
    expect(isinstance(found, list) and len(found) == 2, f"A list with one difference for each of two seeds, yours is {found!r}.")


def _pairs_sign(function):
    expect(function({0: 0.5}, {0: 0.25})[0] > 0, "Ours minus theirs: ours is larger here, so the difference is above zero.")


def _pairs_common(function):
    found = function(dict(OURS), dict(THEIRS))
    expect(len(found) == 3, f"Seeds 0, 1 and 2 have run for both: three differences, yours are {len(found)}. A run without its partner has no pair.")


def _pairs_by_seed(function):
    found = [round(value, 9) for value in function(dict(OURS), dict(THEIRS))]
    expect(sorted(found) == [0.1, 0.2, 0.3], f"0.4 - 0.3, 0.6 - 0.4 and 0.9 - 0.6, yours are {found}. Pair by *seed*, not by the order of the dicts.")
    expect(found == [0.1, 0.2, 0.3], f"In the order of the seeds 0, 1, 2; yours is {found}.")


def _pairs_zip(ours, theirs):
    return [mine - other for mine, other in zip(list(ours.values())[:3], list(theirs.values())[:3])]


def _pairs_turned(ours, theirs):
    return paired_differences(theirs, ours)


def _pairs_all(ours, theirs):
    return [ours.get(seed, 0.0) - theirs.get(seed, 0.0) for seed in sorted(set(ours) | set(theirs))]


def _pairs_of_means(ours, theirs):
    return [ours[seed] - sum(theirs.values()) / len(theirs) for seed in sorted(set(ours) & set(theirs))]


# ---- 14-3 --------------------------------------------------------------------------------------------------------------


def pareto(points):
    """A list of (x, y), more is better -> the numbers of those that no other beats: as good on both axes and better on one."""
    ### BEGIN SOLUTION
    def beaten(number):
        x, y = points[number]
        return any(u >= x and v >= y and (u, v) != (x, y) for u, v in points)

    return [number for number in range(len(points)) if not beaten(number)]
    ### END SOLUTION


def _pareto_shape(function):
    found = function([(0.1, 0.2)])
    expect(found == [0], f"A list of numbers; one point alone is the front, [0], yours is {found!r}.")


def _pareto_plain(function):
    found = function([(0.9, 0.1), (0.5, 0.5), (0.1, 0.9), (0.4, 0.4)])
    expect(3 not in found, f"Point 3 is worse than point 1 on both axes; yours are {found}.")
    expect(sorted(found) == [0, 1, 2], f"The front is [0, 1, 2], yours is {found}. A point in the middle of the front is best at nothing, and nobody beats it.")


def _pareto_one_axis(function):
    for points in ([(0.5, 0.5), (0.5, 0.3)], [(0.5, 0.5), (0.3, 0.5)]):
        found = function(points)
        expect(found == [0], f"As good on one axis and worse on the other *is* beaten: [0], yours is {found}.")


def _pareto_twins(function):
    found = function([(0.5, 0.5), (0.5, 0.5)])
    expect(sorted(found) == [0, 1], f"Two equal points do not beat each other: [0, 1], yours is {found}.")


def _pareto_better(function):
    found = function([(0.1, 0.1), (0.8, 0.8)])
    expect(found == [1], f"More is better on both axes: [1], yours is {found}.")


def _pareto_strict(points):
    return [number for number, (x, y) in enumerate(points) if not any(u > x and v > y for u, v in points)]


def _pareto_loose(points):
    return [number for number, (x, y) in enumerate(points)
            if not any(u >= x and v >= y for other, (u, v) in enumerate(points) if other != number)]


def _pareto_lower(points):
    return pareto([(-x, -y) for x, y in points])


def _pareto_extremes(points):
    best = [max(range(len(points)), key=lambda number: points[number][axis]) for axis in (0, 1)]
    return sorted(set(best))


# ---- 14-4 --------------------------------------------------------------------------------------------------------------


def contrary_seeds(ours, theirs):
    """Two dicts from seed to value -> the common seeds that, alone, would have claimed the opposite of the mean difference."""
    ### BEGIN SOLUTION
    differences = {seed: ours[seed] - theirs[seed] for seed in sorted(set(ours) & set(theirs))}
    mean = sum(differences.values()) / len(differences)
    return [seed for seed, difference in differences.items() if difference * mean < 0]
    ### END SOLUTION


def _contrary_shape(function):
    found = function({0: 0.5, 1: 0.6}, {0: 0.4, 1: 0.5})
    expect(isinstance(found, list), f"A list of seeds, yours is {found!r}.")


def _contrary_none(function):
    found = function({0: 0.5, 1: 0.6}, {0: 0.4, 1: 0.5})
    expect(found == [], f"Both seeds agree with the mean: [], yours is {found}.")


def _contrary_one(function):
    found = function({0: 0.9, 1: 0.5, 2: 0.6}, {0: 0.4, 1: 0.6, 2: 0.5})
    expect(found == [1], f"On average ours is better; seed 1 alone would have said the opposite: [1], yours is {found}.")


def _contrary_worse(function):
    found = function({0: 0.1, 1: 0.7, 2: 0.2}, {0: 0.5, 1: 0.6, 2: 0.4})
    expect(found == [1], f"Here ours is *worse* on average, and seed 1 alone would have called it better: [1], yours is {found}. Compare with the sign of the mean.")


def _contrary_paired(function):
    found = function({0: 0.2, 1: 0.6, 2: 0.9}, {0: 0.1, 1: 0.5, 2: 0.8})
    expect(found == [], f"In every pair ours is ahead: [], yours is {found}. A hard seed is hard for both; compare *within* the seed.")


def _contrary_many(function):
    found = function({0: 0.9, 1: 0.4, 2: 0.4}, {0: 0.1, 1: 0.5, 2: 0.5})
    expect(found == [1, 2], f"The mean difference is above zero although two of three seeds are below: [1, 2], yours is {found}. It is the mean that decides, "
                            "not a vote.")


def _contrary_common(function):
    found = function({0: 0.9, 1: 0.5, 2: 0.6, 7: 0.0}, {0: 0.4, 1: 0.6, 2: 0.5, 5: 0.9})
    expect(found == [1], f"Seeds 7 and 5 have no partner, so they count nowhere, not in the mean either: [1], yours is {found}.")
    found = function({0: 0.5, 1: 0.9}, {0: 0.5, 1: 0.4})
    expect(found == [], f"Seed 0 sees no difference at all; that is not the opposite: [], yours is {found}.")


def _contrary_all_seeds(ours, theirs):
    better = sum(ours.values()) / len(ours) > sum(theirs.values()) / len(theirs)
    return [seed for seed in sorted(set(ours) & set(theirs)) if (ours[seed] > theirs[seed]) != better]


def _contrary_always_better(ours, theirs):
    return [seed for seed in sorted(set(ours) & set(theirs)) if ours[seed] < theirs[seed]]


def _contrary_unpaired(ours, theirs):
    level = sum(theirs.values()) / len(theirs)
    ahead = sum(ours.values()) / len(ours) > level
    return [seed for seed in sorted(ours) if (ours[seed] > level) != ahead]


def _contrary_vote(ours, theirs):
    signs = {seed: ours[seed] > theirs[seed] for seed in sorted(set(ours) & set(theirs))}
    winner = sum(signs.values()) * 2 > len(signs)
    return [seed for seed, sign in signs.items() if sign != winner]


EXERCISES = (
    Exercise("14-1", "an interval over seeds", 2, 15, 2, "means, square roots", seed_interval,
             (_interval_shape, _interval_mean, _interval_spread, _interval_quantile, _interval_one, _interval_unharmed),
             (Mutant("divides by n", _interval_population, "by n - 1"),
              Mutant("of one run, not of the mean", _interval_of_one_run, "it is the *mean*"),
              Mutant("a fixed quantile", _interval_normal, "hundreds of seeds"),
              Mutant("certain of one seed", _interval_certain, "claim to be certain"))),
    Exercise("14-2", "in pairs", 1, 10, 1, "dicts, sets", paired_differences,
             (_pairs_shape, _pairs_sign, _pairs_common, _pairs_by_seed),
             (Mutant("by order", _pairs_zip, "Pair by *seed*"),
              Mutant("theirs minus ours", _pairs_turned, "Ours minus theirs"),
              Mutant("zero for a missing run", _pairs_all, "no pair"),
              Mutant("against their mean", _pairs_of_means, "Pair by *seed*"))),
    Exercise("14-3", "the front", 3, 20, 2, "any, comparisons", pareto,
             (_pareto_shape, _pareto_plain, _pareto_better, _pareto_one_axis, _pareto_twins),
             (Mutant("must be worse on both", _pareto_strict, "*is* beaten"),
              Mutant("strict on one axis", lambda points: [n for n, (x, y) in enumerate(points) if not any(u >= x and v > y for u, v in points)], "*is* beaten"),
              Mutant("twins beat each other", _pareto_loose, "do not beat each other"),
              Mutant("less is better", _pareto_lower, "yours"),
              Mutant("the extremes alone", _pareto_extremes, "middle of the front"))),
    Exercise("14-4", "what one seed would have claimed", 2, 15, 2, "dicts, signs", contrary_seeds,
             (_contrary_shape, _contrary_none, _contrary_one, _contrary_worse, _contrary_paired, _contrary_many, _contrary_common),
             (Mutant("thinks ours is better", _contrary_always_better, "sign of the mean"),
              Mutant("not in pairs", _contrary_unpaired, "*within* the seed"),
              Mutant("a mean over all seeds", _contrary_all_seeds, "no partner"),
              Mutant("a vote", _contrary_vote, "not a vote"))),
)
