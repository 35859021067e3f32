"""Exercises of chapter 05: the loss on answers, the learning rate, exact match in one pass, and how sure a share is.

Axes: B batch, T steps, V words.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

IGNORE = -100

# ---- 05-1 --------------------------------------------------------------------------------------------------------------


def answer_loss(logits, targets):
    """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> mean cross-entropy in nats."""
    ### BEGIN SOLUTION
    wanted = targets != -100  # (B, T)
    return F.cross_entropy(logits[wanted], targets[wanted])
    ### END SOLUTION


def _some_answers():
    """Three examples: the first with a short answer, the second with a long one, the third padded to the same length."""
    logits = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(2))
    targets = torch.full((3, 6), IGNORE)
    targets[0, 4:] = torch.tensor([1, 3])
    targets[1, 2:] = torch.tensor([2, 0, 4, 1])
    targets[2, 2:4] = torch.tensor([3, 3])
    return logits, targets


def _nats(logits, targets):
    """Cross-entropy of every asked step by hand, in one list a row: the independent implementation that the rungs compare with."""
    rows = []
    for row, wanted in zip(logits.double().tolist(), targets.tolist(), strict=True):
        rows.append([math.log(sum(math.exp(value) for value in scores)) - scores[word]
                     for scores, word in zip(row, wanted, strict=True) if word != IGNORE])
    return rows


def _loss_shape(loss):
    value = loss(*_some_answers())
    expect(isinstance(value, torch.Tensor) and value.shape == (), "Return one number as a tensor without dimensions. Print value.shape.")


def _loss_dtype(loss):
    expect(loss(*_some_answers()).is_floating_point(), "The loss should be a float. Print its dtype.")


def _loss_one_step(loss):
    logits, targets = _some_answers()
    value = loss(logits[:1, 4:5], targets[:1, 4:5]).item()
    hand = _nats(logits[:1, 4:5], targets[:1, 4:5])[0][0]
    expect(abs(value - hand) < 1e-4, f"At one step the loss is -log p(target) = {hand:.4g}, yours is {value:.4g}. The target of a step stands "
                                     "at that step already: shift nothing.")


def _loss_mean(loss):
    logits, targets = _some_answers()
    nats = _nats(logits, targets)
    every = [value for row in nats for value in row]
    value, hand = loss(logits, targets).item(), sum(every) / len(every)
    by_row = sum(sum(row) / len(row) for row in nats) / len(nats)
    if abs(value - by_row) < 1e-4:
        expect(False, "You take the mean of each example first. Then a word of a long answer counts less than one of a short answer; "
                      "average over all asked steps at once.")
    expect(abs(value - hand) < 1e-4, f"Over these three examples the mean is {hand:.4g}, yours is {value:.4g}. Divide by the number of steps "
                                     "with a target, not by all steps. Print (targets != -100).sum().")


def _loss_padding(loss):
    logits, targets = _some_answers()
    longer = torch.cat([logits, torch.ones(3, 4, 5)], dim=1), F.pad(targets, (0, 4), value=IGNORE)
    expect(abs(loss(*longer) - loss(logits, targets)) < 1e-5, "Four more steps of padding changed your loss. Steps with target -100 count "
                                                              "neither above nor below the line.")


def _loss_unharmed(loss):
    logits, targets = _some_answers()
    loss(logits, targets)
    expect(torch.equal(targets, _some_answers()[1]), "Your function changed its input. Do not write into `targets`.")


def _loss_gradient(loss):
    logits, targets = _some_answers()
    logits.requires_grad_()
    value = loss(logits, targets)
    expect(value.requires_grad, "No gradient can flow back to the logits. Did you detach, or rebuild a tensor from numbers?")
    value.backward()
    silent = logits.grad[targets == IGNORE].abs().max().item()
    expect(silent == 0, "A step without a target got a gradient. Print logits.grad[targets == -100].")


def _loss_over_all_steps(logits, targets):
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")  # zero where ignored
    return nats.mean()


def _loss_of_means(logits, targets):
    return torch.stack([F.cross_entropy(row, wanted) for row, wanted in zip(logits, targets)]).mean()


def _loss_shifted(logits, targets):
    if targets.shape[1] == 1:
        return F.cross_entropy(logits.flatten(0, 1).roll(1, dims=-1), targets.flatten())
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())


def _loss_on_padding(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.clamp(min=0).flatten())


def _loss_detached(logits, targets):
    return answer_loss(logits.detach(), targets)


# ---- 05-2 --------------------------------------------------------------------------------------------------------------


def rate_at(update, updates, peak, warmup=0.03):
    """Number of an update, how many there are, highest rate, share of warm-up -> the learning rate of this update."""
    ### BEGIN SOLUTION
    warm = max(1, round(warmup * updates))
    if update < warm:
        return peak * (update + 1) / warm
    progress = (update - warm) / max(1, updates - warm)  # from 0 up to 1
    return peak * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
    ### END SOLUTION


def _rate_shape(rate):
    value = rate(0, 100, 0.002)
    expect(isinstance(value, (int, float)), f"Return one number, yours is {type(value).__name__}.")


def _rate_first(rate):
    value = rate(0, 100, 0.003, 0.1)
    expect(value > 0, "The first update has rate 0, so it changes nothing. Count from one: (update + 1) / warm.")
    expect(abs(value - 0.0003) < 1e-8, f"With ten updates of warm-up the first has a tenth of the peak: 0.0003, yours is {value:.3g}. The rate "
                                       "climbs in equal steps.")


def _rate_peak(rate):
    rates = [rate(update, 200, 0.004, 0.05) for update in range(200)]
    expect(abs(max(rates) - 0.004) < 1e-8, f"The highest rate should be the peak, 0.004, yours is {max(rates):.3g}.")
    expect(9 <= rates.index(max(rates)) <= 10, f"With 5 % of 200 updates as warm-up the peak is reached at the tenth, yours at number "
                                               f"{rates.index(max(rates)) + 1}.")


def _rate_middle(rate):
    value = rate(105, 200, 0.004, 0.05)
    expect(abs(value - 0.0022) < 4e-5, f"Half-way down, a cosine stands at the middle between peak and end: 0.0022, yours is {value:.3g}. "
                                       "Progress runs from 0 at the end of the warm-up to 1 at the last update.")


def _rate_curved(rate):
    early, late = rate(35, 200, 0.004, 0.05), rate(175, 200, 0.004, 0.05)
    expect(early > 0.0037 and late < 0.0007, f"Shortly after the peak and shortly before the end a cosine is flat; yours gives {early:.3g} and "
                                             f"{late:.3g}. A straight line is another schedule.")


def _rate_end(rate):
    value = rate(999, 1000, 0.002)
    expect(abs(value - 0.0002) < 1e-6, f"The last update has a tenth of the peak, 0.0002, yours has {value:.3g}.")


def _rate_short(rate):
    try:
        value = rate(0, 1, 0.002)
    except ZeroDivisionError:
        value = None
    expect(value is not None and value > 0, "A stage of one update should work too. Take at least 1 where you divide.")


def _rate_without_warmup(update, updates, peak, warmup=0.03):
    return rate_at(update + max(1, round(warmup * updates)), updates + max(1, round(warmup * updates)), peak, warmup)


def _rate_from_zero(update, updates, peak, warmup=0.03):
    warm = max(1, round(warmup * updates))
    return peak * update / warm if update < warm else rate_at(update, updates, peak, warmup)


def _rate_to_zero(update, updates, peak, warmup=0.03):
    return (rate_at(update, updates, peak, warmup) - 0.1 * peak) / 0.9 if update >= max(1, round(warmup * updates)) else rate_at(
        update, updates, peak, warmup)


def _rate_straight(update, updates, peak, warmup=0.03):
    warm = max(1, round(warmup * updates))
    return rate_at(update, updates, peak, warmup) if update < warm else peak * (1 - 0.9 * (update - warm) / max(1, updates - warm))


# ---- 05-3 --------------------------------------------------------------------------------------------------------------


def exact_match(logits, targets):
    """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> list of B bools: is the whole answer right?"""
    ### BEGIN SOLUTION
    first_choice = logits.argmax(dim=-1)  # (B, T)
    right = (first_choice == targets) | (targets == -100)  # (B, T)
    return right.all(dim=1).tolist()
    ### END SOLUTION


END = 4  # the word that ends an answer in `_graded_answers`


def _graded_answers():
    """Five answers: right; wrong in the middle; right words without their end; wrong only where nothing is asked; all wrong."""
    targets = torch.tensor([[IGNORE, 1, 2, END, IGNORE], [IGNORE, 1, 2, END, IGNORE], [IGNORE, 3, 1, END, IGNORE],
                            [IGNORE, 2, END, IGNORE, IGNORE], [IGNORE, 0, 1, END, IGNORE]])
    chosen = torch.tensor([[0, 1, 2, END, 0], [0, 1, 3, END, 0], [0, 3, 1, 2, 0], [3, 2, END, 1, 2], [0, 1, 2, 0, 0]])
    return 3 * F.one_hot(chosen, 6).float() - 1, targets  # (5, 5, 6), (5, 5)


def _exact_shape(match):
    answer = match(*_graded_answers())
    expect(len(answer) == 5, f"One verdict for each of five examples, yours has {len(answer)}.")


def _exact_dtype(match):
    answer = match(*_graded_answers())
    expect(isinstance(answer, list) and all(isinstance(value, bool) for value in answer),
           f"Return a list of True and False, yours is {answer!r}. A share of right words is another measure, and a kinder one. `.tolist()` "
           "makes a list.")


def _exact_whole(match):
    answer = match(*_graded_answers())
    expect(answer[0] and not answer[4], f"The first example is right and the last one is wrong everywhere, yours are {answer}.")
    expect(not answer[1], "The second example has one wrong word among three: that is a wrong answer. All steps must be right.")


def _exact_end(match):
    expect(not match(*_graded_answers())[2], "The third example has the right words and then goes on talking. The end of an answer is a "
                                             "token like the others: it belongs to what must be right.")


def _exact_ignored(match):
    expect(match(*_graded_answers())[3], "In the fourth example only steps without a target differ, the question and the padding. Nobody asked "
                                         "for a guess there: let such steps pass.")


def _exact_unharmed(match):
    logits, targets = _graded_answers()
    match(logits, targets)
    expect(torch.equal(targets, _graded_answers()[1]), "Your function changed its input. Do not write into `targets`.")


def _exact_any(logits, targets):
    return ((logits.argmax(dim=-1) == targets) & (targets != IGNORE)).any(dim=1).tolist()


def _exact_without_end(logits, targets):
    return exact_match(logits, targets.masked_fill(targets == END, IGNORE))


def _exact_counts_ignored(logits, targets):
    return (logits.argmax(dim=-1) == targets.clamp(min=0)).all(dim=1).tolist()


def _exact_share(logits, targets):
    wanted = targets != IGNORE
    return [(row[mask] == wish[mask]).float().mean().item() for row, wish, mask in zip(logits.argmax(dim=-1), targets, wanted)]


# ---- 05-4 --------------------------------------------------------------------------------------------------------------


def interval(right, asked, z=1.96):
    """Right answers, questions asked -> lowest and highest share that the count still agrees with (Wilson's interval)."""
    ### BEGIN SOLUTION
    share = right / asked
    middle = (share + z * z / (2 * asked)) / (1 + z * z / asked)
    reach = z * math.sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / (1 + z * z / asked)
    return middle - reach, middle + reach
    ### END SOLUTION


def _interval_by_hand(right, asked, z=1.96):
    """The two shares p at which the observed share lies z standard errors of p away, found by halving."""
    share = right / asked

    def edge(inside, outside):
        for _ in range(60):
            middle = (inside + outside) / 2
            near = abs(share - middle) <= z * math.sqrt(middle * (1 - middle) / asked)
            inside, outside = (middle, outside) if near else (inside, middle)
        return inside

    return edge(share, 0.0), edge(share, 1.0)


def _interval_shape(function):
    answer = function(90, 100)
    expect(isinstance(answer, tuple) and len(answer) == 2, f"Return two numbers, (low, high), yours is {answer!r}.")


def _interval_order(function):
    low, high = function(90, 100)
    expect(low < 0.9 < high, f"The share itself, 0.9, lies between low and high; yours are {low:.3g} and {high:.3g}.")


def _interval_bounds(function):
    for right in (0, 1, 19, 20):
        low, high = function(right, 20)
        expect(low > -1e-9 and high < 1 + 1e-9, f"{right} of 20 gives {low:.3g} to {high:.3g}, but a share lies between 0 and 1. The plain formula "
                                                "share ± z * standard error does this; Wilson's does not.")


def _interval_full(function):
    low, _ = function(20, 20)
    expect(low < 0.99, "20 of 20 does not prove that the 21st is right, but your interval has no width. At the edges the observed "
                       "spread is zero; Wilson's interval asks instead which true shares could have given this count.")


def _interval_values(function):
    for right, asked in ((90, 100), (5, 50), (200, 200), (31, 60)):
        low, high = function(right, asked)
        wanted = _interval_by_hand(right, asked)
        expect(abs(low - wanted[0]) < 1e-3 and abs(high - wanted[1]) < 1e-3,
               f"{right} of {asked} agrees with {wanted[0]:.3f} to {wanted[1]:.3f}, yours is {low:.3f} to {high:.3f}. z = 1.96 for 95 %; print "
               "middle and reach.")


def _interval_wider(function):
    narrow, wide = function(31, 60, 1.0), function(31, 60, 2.5)
    expect(wide[1] - wide[0] > narrow[1] - narrow[0], "A larger z asks for more certainty, so the interval should be wider. Is z used?")


def _interval_plain(right, asked, z=1.96):
    share = right / asked
    reach = z * math.sqrt(share * (1 - share) / asked)
    return share - reach, share + reach


def _interval_clipped(right, asked, z=1.96):
    low, high = _interval_plain(right, asked, z)
    return max(0.0, low), min(1.0, high)


def _interval_one_sigma(right, asked, z=1.96):
    return interval(right, asked, 1.0)


def _interval_fixed_z(right, asked, z=1.96):
    return interval(right, asked, 1.96)


EXERCISES = (
    Exercise("05-1", "the loss on answers", 2, 15, 2, "boolean masks, cross_entropy", answer_loss,
             (_loss_shape, _loss_dtype, _loss_one_step, _loss_mean, _loss_padding, _loss_unharmed, _loss_gradient),
             (Mutant("divides by all steps", _loss_over_all_steps, "not by all steps"),
              Mutant("mean of means", _loss_of_means, "mean of each example first"),
              Mutant("shifts once more", _loss_shifted, "shift nothing"),
              Mutant("padding is word 0", _loss_on_padding, "with a target"),
              Mutant("detached", _loss_detached, "No gradient"))),
    Exercise("05-2", "up quickly, down slowly", 2, 10, 1, "cosine", rate_at,
             (_rate_shape, _rate_first, _rate_peak, _rate_middle, _rate_curved, _rate_end, _rate_short),
             (Mutant("no warm-up", _rate_without_warmup, "a tenth of the peak"),
              Mutant("starts at zero", _rate_from_zero, "changes nothing"),
              Mutant("ends at zero", _rate_to_zero, "Half-way down"),
              Mutant("a straight line", _rate_straight, "another schedule"))),
    Exercise("05-3", "right, and nothing but right", 2, 10, 2, "argmax, boolean masks", exact_match,
             (_exact_shape, _exact_dtype, _exact_whole, _exact_end, _exact_ignored, _exact_unharmed),
             (Mutant("one right word is enough", _exact_any, "All steps must be right"),
              Mutant("end left out", _exact_without_end, "goes on talking"),
              Mutant("question counts", _exact_counts_ignored, "Nobody asked"),
              Mutant("share of words", _exact_share, "a kinder one"))),
    Exercise("05-4", "how sure is a share", 3, 15, 2, "nothing but arithmetic", interval,
             (_interval_shape, _interval_order, _interval_bounds, _interval_full, _interval_values, _interval_wider),
             (Mutant("the plain formula", _interval_plain, "Wilson's does not"),
              Mutant("the plain formula, cut off", _interval_clipped, "no width"),
              Mutant("one standard error", _interval_one_sigma, "z = 1.96"),
              Mutant("z ignored", _interval_fixed_z, "Is z used"))),
)
