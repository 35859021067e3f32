"""Exercises of chapter 08: a count becomes a load, the choice of the speakers, ranks that agree, importance of one expert at a time.

Axes: L layers, E experts.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 08-1 --------------------------------------------------------------------------------------------------------------


def normalise(counts, tokens, how):
    """counts (L, E), tokens (L,), how "share", "fraction" or "max" -> loads (L, E)."""
    ### BEGIN SOLUTION
    if how == "share":
        divisor = counts.sum(dim=1)  # (L,) all choices of the layer
    elif how == "fraction":
        divisor = tokens  # (L,)
    else:
        divisor = counts.amax(dim=1)  # (L,) the busiest expert
    return counts / divisor[:, None]
    ### END SOLUTION


def _tally():
    return torch.tensor([[30.0, 10.0, 0.0, 20.0], [5.0, 5.0, 25.0, 25.0]]), torch.tensor([30.0, 30.0])


def _normalise_shape(function):
    for how in ("share", "fraction", "max"):
        loads = function(*_tally(), how)
        expect(loads.shape == (2, 4), f"Loads have the shape of the counts, (2, 4); with {how!r} yours is {tuple(loads.shape)}.")


def _normalise_values(function):
    counts, _ = _tally()
    for how, wanted in (("share", counts / 60), ("fraction", counts / 30), ("max", counts / torch.tensor([[30.0], [25.0]]))):
        loads = function(*_tally(), how)
        expect(torch.allclose(loads.float(), wanted, atol=1e-6), f"With {how!r} the second layer has the loads {[round(value, 2) for value in wanted[1].tolist()]}, yours has "
               f"{[round(value, 2) for value in loads[1].tolist()]}. A load is its count divided by one number of the layer: twice the tokens, twice the load.")


def _normalise_share(function):
    sums = function(*_tally(), "share").sum(dim=1).float()
    expect(torch.allclose(sums, torch.ones(2)), f"Shares of each *layer* sum to 1, yours to {[round(value, 3) for value in sums.tolist()]}. "
                                                "Which dimension holds the experts?")


def _normalise_fraction(function):
    sums = function(*_tally(), "fraction").sum(dim=1).float()
    expect(torch.allclose(sums, torch.full((2,), 2.0)), f"Every token chose two experts, so fractions of tokens sum to 2, yours to {sums.tolist()}. "
                                                        "Divide by the tokens.")


def _normalise_max(function):
    busiest = function(*_tally(), "max").amax(dim=1).float()
    expect(torch.allclose(busiest, torch.ones(2)), f"The busiest expert of *each layer* has the load 1, yours have {busiest.tolist()}.")


def _normalise_unharmed(function):
    counts, tokens = _tally()
    function(counts, tokens, "share")
    expect(torch.equal(counts, _tally()[0]), "Your function changed its input. `/=` writes into the tensor.")


def _normalise_all_layers(counts, tokens, how):
    return normalise(counts, tokens, how) if how != "max" else counts / counts.max()


def _normalise_stretched(counts, tokens, how):
    low = counts.amin(dim=1, keepdim=True)
    return (counts - low) / (counts.amax(dim=1, keepdim=True) - low) if how == "max" else normalise(counts, tokens, how)


def _normalise_softmax(counts, tokens, how):
    return counts.softmax(dim=1) if how == "share" else normalise(counts, tokens, how)


def _normalise_by_column(counts, tokens, how):
    return counts / counts.sum(dim=0).clamp(min=1) if how == "share" else normalise(counts, tokens, how)


def _normalise_fraction_of_choices(counts, tokens, how):
    return normalise(counts, tokens, "share" if how == "fraction" else how)


def _normalise_in_place(counts, tokens, how):
    divisor = {"share": counts.sum(dim=1), "fraction": tokens, "max": counts.amax(dim=1)}[how]
    counts /= divisor[:, None]
    return counts


# ---- 08-2 --------------------------------------------------------------------------------------------------------------


def choose_speakers(audio, text, count):
    """audio load and text load (L, E) -> a list for each layer: its `count` experts with the best product score, rising."""
    ### BEGIN SOLUTION
    scores = audio * (1 - text)  # (L, E)
    chosen = []
    for layer in scores.tolist():
        order = sorted(range(len(layer)), key=lambda expert: (-layer[expert], expert))
        chosen.append(sorted(order[:count]))
    return chosen
    ### END SOLUTION


def _two_loads():
    audio = torch.tensor([[1.0, 0.9, 0.1, 0.6, 0.6, 0.0], [0.2, 1.0, 0.3, 0.3, 0.9, 0.1]])
    text = torch.tensor([[1.0, 0.2, 0.0, 0.5, 0.5, 0.3], [0.0, 0.9, 0.1, 1.0, 0.2, 0.4]])
    return audio, text


def _choose_shape(choose):
    chosen = choose(*_two_loads(), 2)
    expect(len(chosen) == 2 and all(len(layer) == 2 for layer in chosen), f"Two layers, two experts each; yours is {chosen}.")


def _choose_dtype(choose):
    chosen = choose(*_two_loads(), 2)
    expect(isinstance(chosen, list) and all(isinstance(expert, int) for layer in chosen for expert in layer),
           f"Lists of plain whole numbers, which JSON can hold; yours is {chosen!r}.")


def _choose_held_back(choose):
    chosen = choose(*_two_loads(), 1)
    expect(chosen[0] != [0], "Expert 0 of the first layer has the most sound and also the most text: audio * (1 - text) is 0 there. Print the scores.")
    expect(chosen == [[1], [4]], f"The best single experts are 1 and 4, yours are {chosen}. Much sound *and* little text; each layer is judged alone.")


def _choose_each_layer(choose):
    chosen = choose(*_two_loads(), 3)
    expect([sorted(layer) for layer in chosen] == [[1, 3, 4], [2, 4, 0]] or [sorted(layer) for layer in chosen] == [[1, 3, 4], [0, 2, 4]],
           f"With three a layer: [1, 3, 4] and [0, 2, 4], yours are {chosen}. Every layer gives the same number.")


def _choose_ties(choose):
    chosen = choose(*_two_loads(), 2)
    expect(chosen[0] == [1, 3], f"Experts 3 and 4 have the same score; of equal scores the lower index wins, so that everybody gets the same list. Yours: {chosen[0]}.")


def _choose_order(choose):
    chosen = choose(*_two_loads(), 3)
    expect(all(layer == sorted(layer) for layer in chosen), f"Give the experts of a layer in rising order, not in the order of their scores: {chosen}.")


def _choose_audio_only(audio, text, count):
    return choose_speakers(audio, torch.zeros_like(text), count)


def _choose_over_layers(audio, text, count):
    best = (audio * (1 - text)).sum(dim=0)[None]
    return choose_speakers(best, torch.zeros_like(best), count) * len(audio)


def _choose_last_tie(audio, text, count):
    scores = audio * (1 - text)
    return [sorted(sorted(range(len(layer)), key=lambda expert: (-layer[expert], -expert))[:count]) for layer in scores.tolist()]


def _choose_unsorted(audio, text, count):
    scores = audio * (1 - text)
    return [sorted(range(len(layer)), key=lambda expert: (-layer[expert], expert))[:count] for layer in scores.tolist()]


# ---- 08-3 --------------------------------------------------------------------------------------------------------------


def rank_correlation(first, second):
    """Two lists of numbers, equally long -> Spearman's correlation, -1 to 1; equal numbers share the mean of their ranks."""
    ### BEGIN SOLUTION
    def ranks(values):
        return [sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2 for value in values]

    a, b = torch.tensor(ranks(first)).double(), torch.tensor(ranks(second)).double()
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()))
    ### END SOLUTION


def _rank_shape(function):
    value = function([1.0, 2.0, 3.0, 5.0], [2.0, 1.0, 4.0, 9.0])
    expect(isinstance(value, float), f"One plain number, yours is {type(value).__name__}.")


def _rank_same(function):
    value = function([1.0, 2.0, 3.0, 5.0], [1.0, 20.0, 300.0, 3e6])
    expect(abs(value - 1) < 1e-6, f"Both lists rise together, however unevenly: 1, yours is {value:.3f}. Compare ranks, not values.")


def _rank_opposite(function):
    value = function([1.0, 2.0, 3.0, 5.0], [9.0, 7.0, 2.0, 1.0])
    expect(abs(value + 1) < 1e-6, f"One rises where the other falls: -1, yours is {value:.3f}.")


def _rank_unordered(function):
    value = function([3.0, 1.0, 0.0, 2.0], [20.0, 0.0, 10.0, 30.0])
    expect(abs(value - 0.6) < 1e-6, f"The ranks 3, 1, 0, 2 and 2, 0, 1, 3 agree by 0.6, yours is {value:.3f}. argsort gives places, not ranks: sort twice, or count who is smaller.")


def _rank_ties(function):
    value = function([0.0, 0.0, 0.0, 1.0], [4.0, 2.0, 3.0, 5.0])
    expect(abs(value - 0.8) > 1e-6, "The shortcut with the sum of d² holds only without ties; correlate the ranks themselves.")
    expect(abs(value - 0.7745966692) < 1e-6, f"Three experts with the same load share one rank: 0.775, yours is {value:.3f}. If ties keep the order in which they "
                                             "stand, the answer depends on the numbering of the experts.")
    value = function([0.0, 1.0, 1.0, 1.0, 2.0, 3.0], [0.0, 3.0, 1.0, 2.0, 4.0, 5.0])
    expect(abs(value - 0.9411239481) < 1e-6, f"Places 1, 2 and 3 are shared by three experts, so each has the *mean* rank 2: 0.941, yours is {value:.3f}. Neither the "
                                             "lowest of their ranks nor one rank for each different value.")


def _rank_values(first, second):
    a, b = torch.tensor(first).double(), torch.tensor(second).double()
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()))


def _rank_argsort_once(first, second):
    return rank_correlation(torch.tensor(first).argsort().tolist(), torch.tensor(second).argsort().tolist())


def _rank_ties_by_place(first, second):
    def ranks(values):
        return torch.tensor(values).argsort(stable=True).argsort().tolist()

    return rank_correlation(ranks(first), ranks(second))


def _rank_lowest(first, second):
    return _rank_values(*([float(sum(other < value for other in values)) for value in values] for values in (first, second)))


def _rank_absolute(first, second):
    return abs(rank_correlation(first, second))


# ---- 08-4 --------------------------------------------------------------------------------------------------------------


def importances(loss_of, experts):
    """loss_of(closed) gives the loss with a list of experts closed -> the rise of the loss for each expert alone."""
    ### BEGIN SOLUTION
    base = loss_of([])
    return [loss_of([expert]) - base for expert in range(experts)]
    ### END SOLUTION


COSTS = (0.5, -0.1, 0.0, 0.3)


def _loss_of(closed):
    """A loss in which experts 0 and 3 stand in for each other: closing both costs far more than each alone."""
    return 2.0 + sum(COSTS[expert] for expert in closed) + (4.0 if {0, 3} <= set(closed) else 0.0)


def _importance_shape(function):
    expect(len(function(_loss_of, 4)) == 4, f"One number for each of the four experts, yours are {len(function(_loss_of, 4))}.")


def _importance_alone(function):
    value = function(_loss_of, 4)
    expect(abs(value[3] - 0.3) < 1e-9, f"Closed alone, expert 3 costs 0.3, yours {value[3]:.2f}. Is expert 0 still closed while you ask for it?")


def _importance_base(function):
    value = function(_loss_of, 4)
    expect(abs(value[0] - 0.5) < 1e-9, f"The rise is against the loss with everybody open: 0.5 for expert 0, yours is {value[0]:.2f}.")


def _importance_sign(function):
    value = function(_loss_of, 4)
    expect(abs(value[1] + 0.1) < 1e-9, f"Without expert 1 the loss is *lower*: -0.1, yours is {value[1]:.2f}. Do not hide that.")


def _importance_calls(function):
    calls = []

    def counted(closed):
        calls.append(list(closed))
        return _loss_of(closed)

    function(counted, 4)
    expect(len(calls) <= 5, f"A loss is a pass over all the text, and you asked for {len(calls)}; five will do. Measure the base once.")


def _importance_cumulative(loss_of, experts):
    base, closed, rises = loss_of([]), [], []
    for expert in range(experts):
        closed.append(expert)
        rises.append(loss_of(closed) - base)
    return rises


def _importance_other_base(loss_of, experts):
    losses = [loss_of([expert]) for expert in range(experts)]
    return [loss - min(losses) for loss in losses]


def _importance_absolute(loss_of, experts):
    return [abs(rise) for rise in importances(loss_of, experts)]


def _importance_wasteful(loss_of, experts):
    return [loss_of([expert]) - loss_of([]) for expert in range(experts)]


EXERCISES = (
    Exercise("08-1", "from count to load", 1, 10, 1, "sums over a dimension", normalise,
             (_normalise_shape, _normalise_share, _normalise_fraction, _normalise_max, _normalise_unharmed, _normalise_values),
             (Mutant("one maximum for all layers", _normalise_all_layers, "each layer"),
              Mutant("stretched from 0 to 1", _normalise_stretched, "divided by one number"),
              Mutant("softmax", _normalise_softmax, "divided by one number"),
              Mutant("shares by column", _normalise_by_column, "Which dimension"),
              Mutant("divides by choices", _normalise_fraction_of_choices, "Divide by the tokens"),
              Mutant("writes into its input", _normalise_in_place, "changed its input"))),
    Exercise("08-2", "the choice", 2, 15, 2, "sorting", choose_speakers,
             (_choose_shape, _choose_dtype, _choose_held_back, _choose_each_layer, _choose_ties, _choose_order),
             (Mutant("text forgotten", _choose_audio_only, "most text"),
              Mutant("all layers together", _choose_over_layers, "judged alone"),
              Mutant("higher index wins", _choose_last_tie, "the lower index wins"),
              Mutant("in the order of scores", _choose_unsorted, "rising order"))),
    Exercise("08-3", "do the ranks agree", 3, 20, 2, "sorting, means", rank_correlation,
             (_rank_shape, _rank_same, _rank_opposite, _rank_unordered, _rank_ties),
             (Mutant("values, not ranks", _rank_values, "Compare ranks"),
              Mutant("argsort once", _rank_argsort_once, "sort twice"),
              Mutant("ties by place", _rank_ties_by_place, "share one rank"),
              Mutant("the lowest rank for all", _rank_lowest, "*mean* rank"),
              Mutant("sign lost", _rank_absolute, "falls"))),
    Exercise("08-4", "one expert at a time", 1, 10, 1, "functions as arguments", importances,
             (_importance_shape, _importance_base, _importance_alone, _importance_sign, _importance_calls),
             (Mutant("never opens again", _importance_cumulative, "still closed"),
              Mutant("another base", _importance_other_base, "everybody open"),
              Mutant("sign lost", _importance_absolute, "Do not hide"),
              Mutant("measures the base each time", _importance_wasteful, "Measure the base once"))),
)
