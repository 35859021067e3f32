"""Exercises of chapter 11: the pair, the score of a take, the preference loss, labels from the start, melody.

Axes: P pairs, T steps, F frames, Q codec streams, C codes.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from minideeptalk.teaching.checks.framework import Exercise, Mistake, Mutant, expect

# ---- 11-1 --------------------------------------------------------------------------------------------------------------


def pair_of(errors):
    """Word errors of the takes of one text -> (number of the chosen take, number of the rejected one), None where no take is right, or all are."""
    ### BEGIN SOLUTION
    if not errors or min(errors) > 0 or max(errors) == 0:
        return None
    return errors.index(min(errors)), errors.index(max(errors))
    ### END SOLUTION


def _pair_shape(function):
    pair = function([1, 0, 3, 2])
    expect(isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(number, int) for number in pair), f"Two takes that differ give a tuple of two whole numbers, yours is {pair!r}.")


def _pair_fewest(function):
    pair = function([1, 0, 3, 2])
    expect(pair[0] == 1, f"The chosen take has the *fewest* errors: take 1 of [1, 0, 3, 2], yours is take {pair[0]}. An error rate is no score to raise.")


def _pair_most(function):
    pair = function([1, 0, 3, 2])
    expect(pair[1] == 2, f"The rejected take has the *most* errors: take 2 of [1, 0, 3, 2], yours is take {pair[1]}. The next best teaches less.")


def _pair_none(function):
    for errors in ([2, 2, 2], [0, 0]):
        expect(function(errors) is None, f"No take of {errors} is better than another, so there is nothing to learn: None, yours is {function(errors)}.")


def _pair_right(function):
    expect(function([2, 1, 3]) is None, "No take of [2, 1, 3] is right, and what is wrong should not become likelier: None.")


def _pair_few(function):
    try:
        found = function([1]), function([])
    except ValueError as error:
        raise Mistake("Without any take, [], there is no pair: None. min([]) fails, so look for an empty list first.") from error
    expect(found == (None, None), "With fewer than two takes there is no pair: None.")


def _pair_ties(function):
    pair = function([2, 0, 1, 0, 2])
    expect(pair == (1, 0), f"Of equal takes the first counts, so that everybody makes the same pairs: (1, 0) of [2, 0, 1, 0, 2], yours is {pair}.")


def _pair_next_best(errors):
    if pair_of(errors) is None:
        return None
    order = sorted(range(len(errors)), key=lambda number: errors[number])
    return order[0], order[1]


def _pair_always(errors):
    return (errors.index(min(errors)), errors.index(max(errors))) if errors else None


def _pair_last(errors):
    order = sorted(range(len(errors)), key=lambda number: errors[number])
    return None if pair_of(errors) is None else (max(n for n in order if errors[n] == min(errors)), order[-1])


# ---- 11-2 --------------------------------------------------------------------------------------------------------------


def take_score(logits, targets):
    """logits (T, Q, C), targets (T, Q), -100 where nothing is asked -> (Q,) log-probability of the codes of each stream."""
    ### BEGIN SOLUTION
    asked = targets != -100  # (T, Q)
    chances = logits.log_softmax(dim=-1)  # (T, Q, C)
    codes = targets.clamp(min=0)[..., None]  # (T, Q, 1)
    return (chances.gather(-1, codes)[..., 0] * asked).sum(dim=0)
    ### END SOLUTION


def _heard_take():
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(9, 3, 6, generator=generator)
    targets = torch.full((9, 3), -100)
    targets[3:7, 0] = torch.tensor([1, 0, 5, 2])
    targets[4:8, 1] = torch.tensor([2, 2, 4, 3])
    targets[5:8, 2] = torch.tensor([0, 5, 1])
    return logits, targets


def _score_by_hand():
    logits, targets = _heard_take()
    totals = [0.0, 0.0, 0.0]
    for step in range(9):
        for stream in range(3):
            if targets[step, stream] >= 0:
                row = logits[step, stream].tolist()
                totals[stream] += row[int(targets[step, stream])] - math.log(sum(math.exp(value) for value in row))
    return torch.tensor(totals)


def _score_shape(function):
    scores = function(*_heard_take())
    expect(scores.shape == (3,), f"One score a stream, (3,), yours is {tuple(scores.shape)}.")


def _score_sign(function):
    scores = function(*_heard_take())
    expect((scores < 0).all(), f"Log-probabilities are below zero, yours are {[round(value, 2) for value in scores.tolist()]}. " "A loss has the other sign; logits are not probabilities yet.")


def _score_sum(function):
    mean = _score_by_hand() / torch.tensor([4.0, 4.0, 3.0])
    expect(not torch.allclose(function(*_heard_take()).float(), mean, atol=1e-4), "DPO compares whole takes: *sum* over steps. You took the mean.")


def _score_asked(function):
    logits, targets = _heard_take()
    more = torch.cat([logits, 3 * torch.ones(4, 3, 6)]), torch.cat([targets, torch.full((4, 3), -100)])
    expect(torch.allclose(function(*more), function(logits, targets), atol=1e-5), "Four more steps at which nothing is asked changed your score. Where a target is -100, nothing counts.")


def _score_value(function):
    scores, wanted = function(*_heard_take()).float(), _score_by_hand()
    expect(torch.allclose(scores, wanted, atol=1e-4), f"Added up by hand the scores are {[round(value, 2) for value in wanted.tolist()]}, yours are " f"{[round(value, 2) for value in scores.tolist()]}. Each stream for itself?")


def _score_gradient(function):
    logits, targets = _heard_take()
    logits.requires_grad_(True)
    function(logits, targets).sum().backward()
    expect(logits.grad is not None and logits.grad.abs().sum() > 0, "No gradient reaches the logits: nothing could learn from this score.")


def _score_raw(logits, targets):
    return (logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0] * (targets != -100)).sum(dim=0)


def _score_padding(logits, targets):
    return logits.log_softmax(dim=-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0].sum(dim=0)


# ---- 11-3 --------------------------------------------------------------------------------------------------------------


def preference_loss(chosen, rejected, chosen_before, rejected_before, beta):
    """Scores (P, Q) of both takes under the model and under the frozen reference -> (Q,) loss of each stream, mean over pairs."""
    ### BEGIN SOLUTION
    gained = chosen - chosen_before.detach()  # (P, Q) nats by which the chosen take became likelier
    lost = rejected - rejected_before.detach()
    return -F.logsigmoid(beta * (gained - lost)).mean(dim=0)
    ### END SOLUTION


def _four_scores():
    generator = torch.Generator().manual_seed(11)
    return [-20 - 6 * torch.rand(5, 3, generator=generator) for _ in range(4)]


def _preference_shape(function):
    losses = function(*_four_scores(), 0.1)
    expect(losses.shape == (3,), f"One loss a stream, (3,), yours is {tuple(losses.shape)}.")


def _preference_start(function):
    chosen, rejected, _, _ = _four_scores()
    losses = function(chosen, rejected, chosen.clone(), rejected.clone(), 0.1)
    expect(torch.allclose(losses, torch.full((3,), math.log(2.0)), atol=1e-5),
           f"A model that equals its reference has no preference yet: log 2 = 0.693 for every pair, yours is {[round(value, 3) for value in losses.tolist()]}. Subtract what the reference says.")


def _preference_direction(function):
    chosen, rejected, chosen_before, rejected_before = _four_scores()
    now = function(chosen, rejected, chosen_before, rejected_before, 0.1)
    better = function(chosen + 5, rejected, chosen_before, rejected_before, 0.1)
    expect((better < now).all(), "When the chosen take becomes likelier the loss must fall; yours rises. Look at the signs.")


def _preference_streams(function):
    scores = _four_scores()
    one = function(*scores, 0.1)
    scores[0] = scores[0] + torch.tensor([0.0, 9.0, 0.0])
    other = function(*scores, 0.1)
    expect(torch.allclose(one[[0, 2]], other[[0, 2]], atol=1e-6), "Only stream 1 changed, but your losses of the others did too. Each stream has its own sigmoid.")


def _preference_value(function):
    scores = _four_scores()
    losses = function(*scores, 0.5)
    wanted = []
    for stream in range(3):
        margins = [0.5 * float((scores[0] - scores[2] - scores[1] + scores[3])[pair, stream]) for pair in range(5)]
        wanted.append(sum(math.log(1 + math.exp(-margin)) for margin in margins) / 5)
    expect(torch.allclose(losses, torch.tensor(wanted), atol=1e-4), f"Added up by hand the losses are {[round(value, 3) for value in wanted]}, yours are "
           f"{[round(value, 3) for value in losses.tolist()]}. Beta stands inside the sigmoid, the mean over pairs outside.")


def _preference_reference(function):
    scores = [score.requires_grad_(True) for score in _four_scores()]
    function(*scores, 0.1).sum().backward()
    leaks = [score.grad is not None and bool(score.grad.abs().sum() > 0) for score in scores]
    expect(leaks[0] and leaks[1], "The scores of the model that learns get no gradient.")
    expect(not leaks[2] and not leaks[3], "Gradient flows into the reference. It says what was before, and the past does not learn: detach it.")


def _preference_no_reference(chosen, rejected, chosen_before, rejected_before, beta):
    return -F.logsigmoid(beta * (chosen - rejected)).mean(dim=0)


def _preference_one_sigmoid(chosen, rejected, chosen_before, rejected_before, beta):
    margins = beta * ((chosen - chosen_before.detach()) - (rejected - rejected_before.detach()))
    return -F.logsigmoid(margins.mean(dim=1, keepdim=True)).mean(dim=0).expand(chosen.shape[1])


def _preference_mean_inside(chosen, rejected, chosen_before, rejected_before, beta):
    return -F.logsigmoid(beta * ((chosen - chosen_before.detach()) - (rejected - rejected_before.detach())).mean(dim=0))


def _preference_leak(chosen, rejected, chosen_before, rejected_before, beta):
    return -F.logsigmoid(beta * ((chosen - chosen_before) - (rejected - rejected_before))).mean(dim=0)


# ---- 11-4 --------------------------------------------------------------------------------------------------------------


def take_labels(codes, start, steps, over):
    """Codes (F, Q) of a take whose first frame is asked for at step `start` -> labels (steps, Q): the codes, one step of `over`, else -100."""
    ### BEGIN SOLUTION
    labels = torch.full((steps, codes.shape[1]), -100)
    labels[start:start + len(codes)] = codes
    labels[start + len(codes)] = over
    return labels
    ### END SOLUTION


def _two_takes():
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(0, 50, (frames, 3), generator=generator) for frames in (6, 4)]


def _labels_shape(function):
    for codes in _two_takes():
        labels = function(codes, 3, 10, 99)
        expect(labels.shape == (10, 3) and labels.dtype == torch.long, f"Labels of a batch of ten steps are whole numbers (10, 3); yours are " f"{tuple(labels.shape)}, {labels.dtype}.")


def _labels_start(function):
    for codes in _two_takes():
        labels = function(codes, 3, 10, 99)
        expect(torch.equal(labels[3], codes[0]), f"The first frame of a take of {len(codes)} frames is asked for at step 3, like that of the other take; there stands "
               f"{labels[3].tolist()}, not {codes[0].tolist()}. Takes begin together and end apart.")


def _labels_all(function):
    for codes in _two_takes():
        labels = function(codes, 3, 10, 99)
        expect(torch.equal(labels[3:3 + len(codes)], codes), f"Not all {len(codes)} frames of a take are asked for. Do not cut the longer one.")


def _labels_over(function):
    for codes in _two_takes():
        labels = function(codes, 3, 10, 99)
        expect((labels[3 + len(codes)] == 99).all(), "After the last frame every stream must say that it is over: its length belongs to a take.")


def _labels_rest(function):
    for codes in _two_takes():
        labels = function(codes, 3, 10, 99)
        rest = torch.cat([labels[:3], labels[4 + len(codes):]])
        expect((rest == -100).all(), f"Before the take and after it nothing is asked, -100; yours has {sorted(set(rest.flatten().tolist()))}. A zero is a code like any other.")


def _labels_at_the_end(codes, start, steps, over):
    return take_labels(codes, steps - len(codes) - 1, steps, over)


def _labels_endless(codes, start, steps, over):
    labels = take_labels(codes, start, steps, over)
    labels[start + len(codes)] = -100
    return labels


def _labels_zeros(codes, start, steps, over):
    labels = take_labels(codes, start, steps, over)
    labels[start + len(codes) + 1:] = 0
    return labels


# ---- 11-5 --------------------------------------------------------------------------------------------------------------


def melody_of(tracks):
    """Pitch tracks in Hz, nan where there is no voice -> standard deviation (by n) of the log of the pitch in a track, mean over tracks."""
    ### BEGIN SOLUTION
    spreads = []
    for track in tracks:
        voiced = track[~track.isnan()].log()
        if len(voiced) > 1:
            spreads.append(float(voiced.std(unbiased=False)))
    return sum(spreads) / len(spreads) if spreads else None
    ### END SOLUTION


def _track(*hertz):
    return torch.tensor([float("nan") if value is None else float(value) for value in hertz])


def _melody_shape(function):
    value = function([_track(100, 120, 100, 120), _track(200, 200, 240, 240)])
    expect(isinstance(value, float), f"One plain number, yours is {type(value).__name__}.")


def _melody_value(function):
    value = function([_track(100, 120, 100, 120)])
    expect(abs(value - math.log(1.2) / 3**0.5) > 1e-3, "You divided by n - 1, which is torch's default. Divide by n: std(unbiased=False).")
    expect(abs(value - math.log(1.2) / 2) < 1e-3, f"A voice that moves between 100 and 120 Hz has a spread of log 1.2 / 2 = 0.091, yours is {value:.3f}. Take the " "natural logarithm, then the deviation from its mean.")


def _melody_octave(function):
    low, high = function([_track(100, 120, 110, 130)]), function([_track(200, 240, 220, 260)])
    expect(abs(low - high) < 1e-5, f"The same melody an octave higher must have the same spread; yours has {low:.3f} and {high:.3f}. Hertz are not how we hear.")


def _melody_each(function):
    value = function([_track(100, 100, 100), _track(200, 200, 200)])
    expect(abs(value) < 1e-6, f"Two monotonous takes, one high and one low, have no melody: 0, yours is {value:.3f}. Measure inside each take, then average.")


def _melody_voiceless(function):
    value = function([_track(100, None, 120, None), _track(None, None, 150)])
    expect(value is not None and math.isfinite(value) and abs(value - math.log(1.2) / 2) < 1e-4, f"Steps without a voice do not count, nor do takes with less than two voiced steps; then 0.091 is left, yours is {value}.")


def _melody_silence(function):
    expect(function([_track(None, None)]) is None, "Where no voice was found, the answer is None: not measured is not zero.")


def _melody_hertz(tracks):
    spreads = [float(track[~track.isnan()].std(unbiased=False)) / 110 for track in tracks if (~track.isnan()).sum() > 1]
    return sum(spreads) / len(spreads) if spreads else None


def _melody_pooled(tracks):
    voiced = torch.cat([track[~track.isnan()] for track in tracks]).log()
    return float(voiced.std(unbiased=False)) if len(voiced) > 1 else None


EXERCISES = (
    Exercise("11-1", "which take wins", 1, 10, 1, "min, max, index", pair_of,
             (_pair_shape, _pair_fewest, _pair_most, _pair_none, _pair_few, _pair_ties, _pair_right),
             (Mutant("most errors win", lambda errors: (pair_of(errors) or ())[::-1] or None, "fewest"),
              Mutant("a wrong take wins", lambda errors: _pair_always(errors) if len(set(errors)) > 1 else None, "should not become likelier"),
              Mutant("against the next best", _pair_next_best, "most"),
              Mutant("does not look for none", lambda errors: None if min(errors) or not max(errors) else pair_of(errors), "empty list first"),
              Mutant("a pair from equal takes", _pair_always, "nothing to learn"),
              Mutant("the last of equal takes", _pair_last, "the first counts"))),
    Exercise("11-2", "how likely was that take", 2, 15, 2, "log_softmax, gather", take_score,
             (_score_shape, _score_sign, _score_sum, _score_asked, _score_value, _score_gradient),
             (Mutant("mean over steps", lambda logits, targets: take_score(logits, targets) / (targets != -100).sum(dim=0), "You took the mean"),
              Mutant("logits, not probabilities", _score_raw, "not probabilities yet"),
              Mutant("padding counts", _score_padding, "nothing counts"),
              Mutant("streams together", lambda logits, targets: take_score(logits, targets).sum().expand(targets.shape[1]), "Each stream for itself"),
              Mutant("a loss", lambda logits, targets: -take_score(logits, targets), "other sign"))),
    Exercise("11-3", "the preference loss", 3, 20, 3, "logsigmoid, detach", preference_loss,
             (_preference_shape, _preference_start, _preference_direction, _preference_streams, _preference_value, _preference_reference),
             (Mutant("no reference", _preference_no_reference, "Subtract what the reference says"),
              Mutant("takes swapped", lambda chosen, rejected, chosen_before, rejected_before, beta: preference_loss(rejected, chosen, rejected_before, chosen_before, beta), "Look at the signs"),
              Mutant("one sigmoid for all streams", _preference_one_sigmoid, "its own sigmoid"),
              Mutant("mean inside the sigmoid", _preference_mean_inside, "mean over pairs outside"),
              Mutant("gradient into the reference", _preference_leak, "detach it"))),
    Exercise("11-4", "takes of different length", 2, 15, 2, "slices", take_labels,
             (_labels_shape, _labels_start, _labels_all, _labels_over, _labels_rest),
             (Mutant("aligned to the end", _labels_at_the_end, "begin together"),
              Mutant("cut to the shorter take", lambda codes, start, steps, over: take_labels(codes[:4], start, steps, over), "Do not cut"),
              Mutant("never over", _labels_endless, "it is over"),
              Mutant("filled with zeros", _labels_zeros, "a code like any other"))),
    Exercise("11-5", "how much melody", 2, 15, 2, "logarithms, nan", melody_of,
             (_melody_shape, _melody_value, _melody_octave, _melody_each, _melody_voiceless, _melody_silence),
             (Mutant("spread in hertz", _melody_hertz, "Hertz are not"),
              Mutant("all takes in one pot", _melody_pooled, "inside each take"),
              Mutant("by n - 1", lambda tracks: melody_of(tracks) and melody_of(tracks) * (4 / 3) ** 0.5, "Divide by n"),
              Mutant("in semitones", lambda tracks: melody_of(tracks) and melody_of(tracks) * 12 / math.log(2), "natural logarithm"),
              Mutant("silence counted as monotony", lambda tracks: melody_of(tracks) or 0.0, "not measured is not zero"))),
)
