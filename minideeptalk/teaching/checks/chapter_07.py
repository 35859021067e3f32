"""Exercises of chapter 07: counting by modality, adding recordings up, a distance of loads, a hook that leaves no trace.

Axes: N tokens, E experts, K chosen experts, M modalities.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 07-1 --------------------------------------------------------------------------------------------------------------


def count_by_modality(indices, kinds, experts):
    """indices (N, K), kinds (N,) with 0 to 3 for a modality and -1 for padding -> counts (4, E) of integers."""
    ### BEGIN SOLUTION
    counts = torch.zeros(4, experts, dtype=torch.long)
    for kind in range(4):
        chosen = indices[kinds == kind]  # (n, K)
        counts[kind] = torch.bincount(chosen.flatten(), minlength=experts)  # (E,)
    return counts
    ### END SOLUTION


def _routed(padding=True):
    generator = torch.Generator().manual_seed(7)
    indices = torch.rand(60, 6, generator=generator).topk(2, dim=-1).indices
    return indices, torch.randint(-1 if padding else 0, 4, (60,), generator=generator)


def _counted_by_hand(indices, kinds, experts):
    counts = [[0] * experts for _ in range(4)]
    for token, kind in enumerate(kinds.tolist()):
        if kind >= 0:
            for expert in indices[token].tolist():
                counts[kind][expert] += 1
    return torch.tensor(counts)


def _count_shape(count):
    counts = count(*_routed(padding=False), 6)
    expect(counts.shape == (4, 6), f"One row for each modality and one column for each expert: (4, 6), yours is {tuple(counts.shape)}.")


def _count_dtype(count):
    counts = count(*_routed(padding=False), 6)
    expect(not counts.is_floating_point(), f"Counts are whole numbers, yours are {counts.dtype}. Shares come later, when all batches are in.")


def _count_choices(count):
    counts, hand = count(*_routed(padding=False), 6), _counted_by_hand(*_routed(padding=False), 6)
    expect(torch.equal(counts.long(), hand), f"60 tokens with 2 experts each are 120 choices; yours sum to {int(counts.sum())} and do not all "
                                             "stand where they belong. A token counts once for each of its K experts.")


def _count_padding(count):
    counts, hand = count(*_routed(), 6), _counted_by_hand(*_routed(), 6)
    expect(torch.equal(counts.long(), hand), f"With padding the table should hold {int(hand.sum())} choices, yours holds {int(counts.sum())}. "
                                             "Padding is -1, and a tensor's row -1 is its last row. Print counts[3].")


def _count_idle(count):
    counts = count(torch.tensor([[0, 1]]), torch.tensor([2]), 9)
    expect(counts.shape == (4, 9) and int(counts[2, 2:].sum()) == 0, "An expert that no token chose still has a column, with zeros.")


def _count_wraps_around(indices, kinds, experts):
    counts = torch.zeros(4, experts, dtype=torch.long)
    for token, kind in enumerate(kinds.tolist()):
        counts[kind] += torch.bincount(indices[token], minlength=experts)
    return counts


def _count_tokens(indices, kinds, experts):
    return count_by_modality(indices[:, :1], kinds, experts)


def _count_shares(indices, kinds, experts):
    counts = count_by_modality(indices, kinds, experts)
    return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)


def _count_no_minlength(indices, kinds, experts):
    rows = [torch.bincount(indices[kinds == kind].flatten(), minlength=int(indices.max()) + 1) for kind in range(4)]
    return torch.stack(rows)


# ---- 07-2 --------------------------------------------------------------------------------------------------------------


def merged_load(counts, tokens):
    """counts: list of (E,), tokens: list of numbers, one for each batch -> (E,) fraction of all tokens that hit each expert."""
    ### BEGIN SOLUTION
    total = sum(counts)  # (E,)
    return total / max(1, sum(tokens))
    ### END SOLUTION


def _two_batches():
    return [torch.tensor([90.0, 10.0, 100.0]), torch.tensor([0.0, 10.0, 10.0])], [100, 10]


def _merge_shape(merge):
    expect(merge(*_two_batches()).shape == (3,), f"One number for each expert, (3,), yours is {tuple(merge(*_two_batches()).shape)}.")


def _merge_one(merge):
    load = merge([torch.tensor([30.0, 10.0])], [20])
    expect(torch.allclose(load.float(), torch.tensor([1.5, 0.5])), f"A batch of 20 tokens with 30 and 10 choices: 1.5 and 0.5, yours {load.tolist()}. "
                                                                   "The denominator is the tokens, not the choices.")


def _merge_weights(merge):
    load = merge(*_two_batches())
    expect(torch.allclose(load.float(), torch.tensor([90 / 110, 20 / 110, 1.0])),
           f"Together the batches have 110 tokens, of which 90 chose expert 0: {90 / 110:.3f}, yours {load[0]:.3f}. A batch of 10 tokens must not weigh "
           "as much as one of 100: add counts, then divide.")


def _merge_empty(merge):
    load = merge([torch.zeros(3)], [0])
    expect(bool((load == 0).all()), f"No tokens, no load: zeros, yours is {load.tolist()}. Are you dividing by zero?")


def _merge_unharmed(merge):
    counts, tokens = _two_batches()
    merge(counts, tokens)
    expect(torch.equal(counts[0], _two_batches()[0][0]), "Your function changed its input. `+=` on a tensor writes into it: add to a new one.")


def _merge_mean_of_shares(counts, tokens):
    return torch.stack([count / max(1, number) for count, number in zip(counts, tokens)]).mean(dim=0)


def _merge_over_choices(counts, tokens):
    return sum(counts) / max(1.0, float(sum(counts).sum()))


def _merge_in_place(counts, tokens):
    total = counts[0]
    for more in counts[1:]:
        total += more
    return total / max(1, sum(tokens))


def _merge_by_zero(counts, tokens):
    return sum(counts) / sum(tokens)


# ---- 07-3 --------------------------------------------------------------------------------------------------------------


def load_distance(first, second):
    """Two loads (E,) that each sum to 1 -> their Jensen-Shannon distance, 0 to 1."""
    ### BEGIN SOLUTION
    middle = (first + second) / 2  # (E,)
    divergence = 0.0
    for load in (first, second):
        used = load > 0  # an expert without load adds nothing
        divergence = divergence + (load[used] * (load[used] / middle[used]).log2()).sum() / 2
    return divergence.clamp(min=0).sqrt()
    ### END SOLUTION


def _distance_by_hand(first, second):
    """By entropies: that of the middle minus the mean of the two."""
    def entropy(load):
        return -sum(value * torch.tensor(value).log2().item() for value in load if value > 0)

    pairs = list(zip(first.tolist(), second.tolist()))
    middle = entropy([(a + b) / 2 for a, b in pairs])
    return max(0.0, middle - (entropy(first.tolist()) + entropy(second.tolist())) / 2) ** 0.5


LOADS = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0]), torch.tensor([0.1, 0.3, 0.2, 0.4, 0.0])  # one expert idle in one, one in both


def _distance_shape(distance):
    value = torch.as_tensor(distance(LOADS[0] * 0.8 + 0.05, LOADS[1] * 0.8 + 0.05))
    expect(value.shape == (), f"One number, yours has the shape {tuple(value.shape)}.")


def _distance_zero(distance):
    load = torch.tensor([0.25, 0.25, 0.25, 0.25])
    expect(abs(float(distance(load, load))) < 1e-3, "A load has no distance to itself.")


def _distance_idle(distance):
    value = float(distance(*LOADS))
    expect(not math.isnan(value), "Where an expert is idle, 0 * log(0) is not a number, but adds nothing: leave such experts out. Print (load == 0).")


def _distance_one(distance):
    value = float(distance(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])))
    expect(abs(value - 1) < 1e-4, f"Two modalities that share no expert have the distance 1, yours is {value:.3f}. Compare with the *middle* of both, and "
                                  "take logarithms to base 2.")


def _distance_symmetric(distance):
    ahead, back = float(distance(*LOADS)), float(distance(*LOADS[::-1]))
    expect(abs(ahead - back) < 1e-5, f"A distance is the same both ways, yours are {ahead:.3f} and {back:.3f}.")


def _distance_values(distance):
    value, hand = float(distance(*LOADS)), _distance_by_hand(*LOADS)
    expect(abs(value - hand) < 1e-4, f"The distance of {LOADS[0].tolist()} and {LOADS[1].tolist()} is {hand:.4f}, yours is {value:.4f}. The divergence is the "
                                     "mean of two relative entropies; the *distance* is its square root.")


def _distance_xlogy(first, second):
    middle = (first + second) / 2
    return sum(torch.xlogy(load, load / middle).sum() / 2 for load in (first, second)).clamp(min=0).sqrt() / math.log(2) ** 0.5


def _distance_natural(first, second):
    return load_distance(first, second) * 0.6931471805599453 ** 0.5


def _distance_no_root(first, second):
    return load_distance(first, second) ** 2


def _distance_with_zeros(first, second):
    middle = (first + second) / 2
    parts = [(load * (load / middle).log2()).sum() / 2 for load in (first, second)]
    return sum(parts).clamp(min=0).sqrt()


def _distance_one_side(first, second):
    middle, used = (first + second) / 2, first > 0
    return (first[used] * (first[used] / middle[used]).log2()).sum().clamp(min=0).sqrt()


# ---- 07-4 --------------------------------------------------------------------------------------------------------------


def listen(module, run):
    """Call run() and return the list of first arguments that `module` received meanwhile; no hook stays behind."""
    ### BEGIN SOLUTION
    heard = []

    def before(module, arguments):
        heard.append(arguments[0].detach().clone())

    handle = module.register_forward_pre_hook(before)
    try:
        run()
    finally:
        handle.remove()
    return heard
    ### END SOLUTION


def _layer():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Linear(3, 3), torch.arange(6.0).view(2, 3)


def _deaf(layer):
    """Whether no hook is left on a layer."""
    return not layer._forward_pre_hooks and not layer._forward_hooks


def _listen_shape(listener):
    layer, tokens = _layer()
    heard = listener(layer, lambda: layer(tokens))
    expect(isinstance(heard, list) and len(heard) == 1 and heard[0].shape == (2, 3), "One call, so a list with one tensor (2, 3). Print len(heard).")


def _listen_each(listener):
    layer, tokens = _layer()
    heard = listener(layer, lambda: (layer(tokens), layer(2 * tokens)))
    expect(len(heard) == 2 and torch.equal(heard[1], 2 * tokens), "The module ran twice, so two tensors are wanted, in order.")


def _listen_unharmed(listener):
    layer, tokens = _layer()
    results = []
    listener(layer, lambda: results.append(layer(tokens)))
    expect(torch.equal(results[0], layer(tokens)), "While you listened, the module computed something else. What a pre-hook returns replaces the input: "
                                                   "return nothing.")


def _listen_copies(listener):
    layer, tokens = _layer()

    def run():
        layer(tokens)
        tokens.zero_()

    expect(float(listener(layer, run)[0].sum()) == 15, "The input was overwritten after the call, and your record changed with it. Keep a clone.")


def _listen_removed(listener):
    layer, tokens = _layer()
    heard = listener(layer, lambda: layer(tokens))
    layer(tokens)
    expect(len(heard) == 1 and _deaf(layer), "Your hook still listens after you have returned. Keep its handle and remove it.")


def _listen_removed_after_error(listener):
    layer, tokens = _layer()

    def fails():
        layer(tokens)
        raise ValueError("the run broke off")

    told = False
    try:
        listener(layer, fails)
    except ValueError:
        told = True
    expect(_deaf(layer), "When run() fails, your hook stays on the module for ever. `try: ... finally: handle.remove()`.")
    expect(told, "run() failed, and whoever called you does not learn of it. Remove the hook in `finally` and let the error pass: no `except`.")


def _listen_forever(module, run):
    heard = []
    module.register_forward_pre_hook(lambda module, arguments: heard.append(arguments[0].detach().clone()))
    run()
    return list(heard)


def _listen_after(module, run):
    heard = []
    module.register_forward_hook(lambda module, arguments, result: heard.append(arguments[0].detach().clone()))
    run()
    return list(heard)


def _listen_no_finally(module, run):
    heard = []
    handle = module.register_forward_pre_hook(lambda module, arguments: heard.append(arguments[0].detach().clone()))
    run()
    handle.remove()
    return heard


def _listen_no_clone(module, run):
    heard = []
    handle = module.register_forward_pre_hook(lambda module, arguments: heard.append(arguments[0]))
    try:
        run()
    finally:
        handle.remove()
    return heard


def _listen_replaces(module, run):
    heard = []

    def before(module, arguments):
        heard.append(arguments[0].detach().clone())
        return torch.zeros_like(arguments[0])

    handle = module.register_forward_pre_hook(before)
    try:
        run()
    finally:
        handle.remove()
    return heard


EXERCISES = (
    Exercise("07-1", "count by modality", 2, 15, 2, "indexing, bincount", count_by_modality,
             (_count_shape, _count_dtype, _count_choices, _count_padding, _count_idle),
             (Mutant("padding lands in the last row", _count_wraps_around, "last row"),
              Mutant("counts tokens", _count_tokens, "once for each of its K experts"),
              Mutant("shares too early", _count_shares, "Shares come later"),
              Mutant("idle experts vanish", _count_no_minlength, "still has a column"))),
    Exercise("07-2", "two batches, one load", 1, 10, 1, "sums", merged_load,
             (_merge_shape, _merge_one, _merge_weights, _merge_empty, _merge_unharmed),
             (Mutant("mean of shares", _merge_mean_of_shares, "add counts, then divide"),
              Mutant("divides by choices", _merge_over_choices, "not the choices"),
              Mutant("writes into its input", _merge_in_place, "changed its input"),
              Mutant("divides by zero", _merge_by_zero, "dividing by zero"))),
    Exercise("07-3", "how far apart", 3, 20, 2, "logarithms", load_distance,
             (_distance_shape, _distance_zero, _distance_idle, _distance_one, _distance_symmetric, _distance_values),
             (Mutant("natural logarithm", _distance_natural, "base 2"),
              Mutant("no root", _distance_no_root, "square root"),
              Mutant("not a number", _distance_with_zeros, "leave such experts out"),
              Mutant("not a number where both are idle", _distance_xlogy, "leave such experts out"),
              Mutant("one side only", _distance_one_side, "both ways"))),
    Exercise("07-4", "a hook that leaves no trace", 3, 20, 3, "forward hooks, try and finally", listen,
             (_listen_shape, _listen_each, _listen_unharmed, _listen_copies, _listen_removed, _listen_removed_after_error),
             (Mutant("listens for ever", _listen_forever, "still listens"),
              Mutant("listens afterwards, for ever", _listen_after, "still listens"),
              Mutant("stays after an error", _listen_no_finally, "for ever"),
              Mutant("keeps no copy", _listen_no_clone, "Keep a clone"),
              Mutant("replaces the input", _listen_replaces, "return nothing"))),
)
