"""Exercises of chapter 10: the joint loss, text kept above chance, a curve from the rows of a record, and parts put back.

Axes: E experts.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 10-1 --------------------------------------------------------------------------------------------------------------


def joint_loss(text, audio, balance, weight):
    """text () or None, audio (Q,) or None, balance (), its weight -> text + mean of audio + weighted balance, without what is None."""
    ### BEGIN SOLUTION
    total = weight * balance
    if text is not None:
        total = total + text
    if audio is not None:
        total = total + audio.mean()
    return total
    ### END SOLUTION


def _losses(grad=False):
    audio = torch.tensor([7.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], requires_grad=grad)
    return torch.tensor(2.0, requires_grad=grad), audio, torch.tensor(1.5, requires_grad=grad)


def _joint_shape(function):
    value = function(*_losses(), 0.1)
    expect(isinstance(value, torch.Tensor) and value.shape == (), f"One number, shape (), that can be differentiated; yours is {value!r}.")


def _joint_both(function):
    value = float(function(*_losses(), 0.0))
    expect(abs(value - 7.5) > 1e-6, "The balance loss counts with its weight, which is 0 here, and yours counts in full.")
    expect(abs(value - 6.0) < 1e-6, f"Text 2 and seven streams whose mean is 4 make 6, yours is {value:.3f}. The streams are averaged first, so that "
                                    "speech as a whole weighs as much as text.")


def _joint_balance(function):
    value = float(function(*_losses(), 0.1))
    expect(abs(value - 6.15) < 1e-6, f"The balance loss counts with its weight: 6.15, yours is {value:.3f}.")


def _joint_text_alone(function):
    text, _, balance = _losses()
    value = float(function(text, None, balance, 0.0))
    expect(abs(value - 2.0) < 1e-6, f"A batch of text alone has the loss of its text, 2, yours is {value:.3f}. What has no target is left out, not "
                                    "counted as zero.")


def _joint_speech_alone(function):
    _, audio, balance = _losses()
    value = float(function(None, audio, balance, 0.0))
    expect(abs(value - 4.0) < 1e-6, f"A batch without text has the mean of its streams, 4, yours is {value:.3f}.")


def _joint_gradient(function):
    text, audio, balance = _losses(grad=True)
    function(text, audio, balance, 0.1).backward()
    expect(all(part.grad is not None for part in (text, audio, balance)), "A part of the loss got no gradient. Do not turn tensors into numbers on the way.")
    expect(torch.allclose(audio.grad, torch.full((7,), 1 / 7)), f"Each stream pulls with a seventh, yours with {audio.grad.tolist()}.")


def _joint_sum(text, audio, balance, weight):
    return weight * balance + (0 if text is None else text) + (0 if audio is None else audio.sum())


def _joint_mean_of_eight(text, audio, balance, weight):
    parts = ([] if text is None else [text]) + ([] if audio is None else list(audio))
    return weight * balance + torch.stack(parts).mean()


def _joint_halved(text, audio, balance, weight):
    if audio is None:
        return weight * balance + text / 2
    return joint_loss(text, audio, balance, weight)


def _joint_unweighted(text, audio, balance, weight):
    return joint_loss(text, audio, balance, 1.0)


def _joint_detached(text, audio, balance, weight):
    return joint_loss(text, audio, balance.detach(), weight)


# ---- 10-2 --------------------------------------------------------------------------------------------------------------


def text_kept(before, after, chance):
    """Accuracies by family -> mean over families of after / before, each corrected for chance; families below 0.1 before are left out."""
    ### BEGIN SOLUTION
    kept = []
    for family in before:
        start = (before[family] - chance[family]) / (1 - chance[family])
        end = (after[family] - chance[family]) / (1 - chance[family])
        if start >= 0.1:
            kept.append(end / start)
    return sum(kept) / len(kept)
    ### END SOLUTION


def _kept_shape(function):
    value = function({"add": 0.8}, {"add": 0.4}, {"add": 0.0})
    expect(isinstance(value, float), f"One plain number, yours is {type(value).__name__}.")


def _kept_plain(function):
    value = function({"add": 0.8}, {"add": 0.4}, {"add": 0.0})
    expect(abs(value - 0.5) < 1e-9, f"From 0.8 to 0.4 with nothing by guessing: half is kept, yours is {value:.3f}.")


def _kept_chance(function):
    value = function({"compare": 1.0}, {"compare": 0.75}, {"compare": 0.5})
    expect(abs(value - 0.5) < 1e-9, f"Who guesses gets 0.5 here, so 0.75 is half way down from 1: 0.5, yours is {value:.3f}. Correct for chance.")


def _kept_families(function):
    value = function({"add": 1.0, "count": 0.2}, {"add": 1.0, "count": 0.0}, {"add": 0.0, "count": 0.0})
    expect(abs(value - 0.5) < 1e-9, f"One family is kept, one is gone: 0.5, yours is {value:.3f}. Divide within each family, then take the mean: every "
                                    "family counts alike.")


def _kept_by_name(function):
    value = function({"add": 1.0, "compare": 0.9}, {"compare": 0.7, "add": 0.5}, {"compare": 0.5, "add": 0.0})
    expect(abs(value - 0.5) < 1e-9, f"Of both families half is kept: 0.5, yours is {value:.3f}. The dicts need not name their families in one order: look each up by its name.")


def _kept_never_learnt(function):
    value = function({"add": 1.0, "story": 0.52}, {"add": 0.5, "story": 0.9}, {"add": 0.0, "story": 0.5})
    expect(abs(value - 0.5) < 1e-9, f"The second family was never learnt (0.04 above chance), so it cannot be forgotten: 0.5, yours is {value:.3f}.")


def _kept_floor(function):
    value = function({"add": 1.0, "story": 0.56}, {"add": 0.5, "story": 0.56}, {"add": 0.0, "story": 0.5})
    expect(abs(value - 0.75) < 1e-9, f"Corrected for chance the second family stood at 0.12, which is learnt, and it is kept whole: 0.75, yours is {value:.3f}. The floor "
                                     "of 0.1 is for the corrected accuracy.")


def _kept_gain(function):
    value = function({"add": 0.5}, {"add": 0.75}, {"add": 0.0})
    expect(abs(value - 1.5) < 1e-9, f"Text may get better, and that counts too: 1.5, yours is {value:.3f}. Cutting at 1 would make every arm look worse "
                                    "on average than it is.")


def _kept_uncorrected(before, after, chance):
    return text_kept(before, after, {family: 0.0 for family in before})


def _kept_ratio_of_means(before, after, chance):
    names = [family for family in before if (before[family] - chance[family]) / (1 - chance[family]) >= 0.1]
    start, end = (sum((values[name] - chance[name]) / (1 - chance[name]) for name in names) for values in (before, after))
    return end / start


def _kept_with_unlearnt(before, after, chance):
    ratios = [(after[name] - chance[name]) / (before[name] - chance[name]) for name in before]
    return sum(ratios) / len(ratios)


def _kept_cut(before, after, chance):
    return min(1.0, text_kept(before, after, chance))


# ---- 10-3 --------------------------------------------------------------------------------------------------------------


def forgetting_points(rows, families):
    """Rows {name, stage, step, value} -> dict from stage to the mean accuracy of these families at its last step, in order."""
    ### BEGIN SOLUTION
    last = {}
    for row in rows:
        family = row["name"].removeprefix("text_accuracy/")
        if row["name"].startswith("text_accuracy/") and family in families:
            stage = last.setdefault(row["stage"], {})
            if row["step"] >= stage.get(family, (-1, 0.0))[0]:
                stage[family] = (row["step"], row["value"])
    return {stage: sum(value for _, value in values.values()) / len(values) for stage, values in last.items()}
    ### END SOLUTION


def _rows():
    rows = [{"name": "loss", "stage": "0", "step": 90, "value": 0.7}, {"name": "text_loss", "stage": "0", "step": 90, "value": 0.3}]
    for stage, step, add, sort in (("0", 50, 0.2, 0.0), ("0", 90, 1.0, 0.8), ("0", 70, 0.6, 0.4), ("2.1", 40, 0.9, 0.2), ("3", 30, 1.0, 0.1)):
        rows += [{"name": f"text_accuracy/{family}", "stage": stage, "step": step, "value": value} for family, value in (("add", add), ("sort", sort))]
    return rows


def _points_shape(function):
    points = function(_rows(), ["add", "sort"])
    expect(isinstance(points, dict) and len(points) == 3, f"A dict with one entry for each of three stages, yours is {points}.")


def _points_order(function):
    expect(list(function(_rows(), ["add", "sort"])) == ["0", "2.1", "3"], "Stages in the order in which the run met them: 0, 2.1, 3.")


def _points_last(function):
    value = function(_rows(), ["add"])["0"]
    expect(abs(value - 1.0) < 1e-9, f"After stage 0, `add` stands at 1.0, yours says {value:.2f}. A stage may be measured more than once: its *last step* counts.")


def _points_mean(function):
    value = function(_rows(), ["add", "sort"])["2.1"]
    expect(abs(value - 0.55) < 1e-9, f"The mean of 0.9 and 0.2 is 0.55, yours is {value:.2f}.")


def _points_chosen(function):
    value = function(_rows(), ["sort"])["3"]
    expect(abs(value - 0.1) < 1e-9, f"Only the families asked for: `sort` ends at 0.1, yours is {value:.2f}. Covered and uncovered families must not be mixed.")


def _points_unharmed(function):
    rows = _rows()
    function(rows, ["add"])
    expect(rows == _rows(), "Your function changed the rows of the record.")


def _points_first(rows, families):
    kept, seen = [], set()
    for row in rows:
        if (row["name"], row["stage"]) not in seen:
            seen.add((row["name"], row["stage"]))
            kept.append(row)
    return forgetting_points(kept, families)


def _points_over_steps(rows, families):
    values = {}
    for row in rows:
        if row["name"].removeprefix("text_accuracy/") in families:
            values.setdefault(row["stage"], []).append(row["value"])
    return {stage: sum(found) / len(found) for stage, found in values.items()}


def _points_all_families(rows, families):
    return forgetting_points(rows, ["add", "sort"])


def _points_sum(rows, families):
    return {stage: value * len(families) for stage, value in forgetting_points(rows, families).items()}


# ---- 10-4 --------------------------------------------------------------------------------------------------------------


def put_back(after, before, rows):
    """Two dicts of tensors by name, and rows by name -> a new dict: `after`, but with these rows as they were `before`."""
    ### BEGIN SOLUTION
    mixed = {name: tensor.clone() for name, tensor in after.items()}
    for name, numbers in rows.items():
        mixed[name][numbers] = before[name][numbers]
    return mixed
    ### END SOLUTION


def _states():
    generator = torch.Generator().manual_seed(4)
    before = {"experts": torch.randn(4, 3, generator=generator), "router": torch.randn(4, 2, generator=generator)}
    return {name: tensor + 1.0 for name, tensor in before.items()}, before


def _back_shape(function):
    after, before = _states()
    mixed = function(after, before, {"experts": [1, 3]})
    expect(set(mixed) == set(after) and all(mixed[name].shape == after[name].shape for name in after), f"The names and shapes of `after`, yours are "
           f"{ {name: tuple(tensor.shape) for name, tensor in mixed.items()} }.")


def _back_rows(function):
    after, before = _states()
    mixed = function({name: tensor.clone() for name, tensor in after.items()}, before, {"experts": [1, 3]})
    expect(torch.equal(mixed["experts"][[1, 3]], before["experts"][[1, 3]]), "The rows 1 and 3 should be as they were *before*. Which state do you read them from?")


def _back_others(function):
    after, before = _states()
    mixed = function({name: tensor.clone() for name, tensor in after.items()}, before, {"experts": [1, 3]})
    expect(torch.equal(mixed["experts"][[0, 2]], after["experts"][[0, 2]]), "Rows 0 and 2 were not asked for, and changed. Put back rows, not the tensor.")
    expect(torch.equal(mixed["router"], after["router"]), "A tensor that was not named changed.")


def _back_unharmed(function):
    after, before = _states()
    function(after, before, {"experts": [0], "router": [2]})
    fresh, old = _states()
    expect(all(torch.equal(after[name], fresh[name]) for name in after), "Your function wrote into `after`. The next experiment would start from a mixture.")
    expect(all(torch.equal(before[name], old[name]) for name in before), "Your function wrote into `before`.")


def _back_own_storage(function):
    after, before = _states()
    mixed = function(after, before, {"experts": [0]})
    mixed["router"].zero_()
    expect(torch.equal(after["router"], _states()[0]["router"]), "The result shares its storage with `after`: training it would train both. Clone every tensor.")


def _back_in_place(after, before, rows):
    for name, numbers in rows.items():
        after[name][numbers] = before[name][numbers]
    return {name: tensor.clone() for name, tensor in after.items()}


def _back_whole(after, before, rows):
    return {name: (before if name in rows else after)[name].clone() for name in after}


def _back_reversed(after, before, rows):
    return put_back(before, after, rows)


def _back_shared(after, before, rows):
    mixed = dict(after)
    for name, numbers in rows.items():
        mixed[name] = after[name].clone()
        mixed[name][numbers] = before[name][numbers]
    return mixed


EXERCISES = (
    Exercise("10-1", "one loss for both", 1, 10, 1, "means, None", joint_loss,
             (_joint_shape, _joint_both, _joint_balance, _joint_text_alone, _joint_speech_alone, _joint_gradient),
             (Mutant("sums the streams", _joint_sum, "averaged first"),
              Mutant("mean of all eight", _joint_mean_of_eight, "averaged first"),
              Mutant("text-only batches halved", _joint_halved, "not counted as zero"),
              Mutant("balance not weighted", _joint_unweighted, "with its weight"),
              Mutant("balance without gradient", _joint_detached, "got no gradient"))),
    Exercise("10-2", "text kept", 2, 15, 2, "dicts, means", text_kept,
             (_kept_shape, _kept_plain, _kept_chance, _kept_families, _kept_by_name, _kept_never_learnt, _kept_floor, _kept_gain),
             (Mutant("guessing counts", _kept_uncorrected, "Correct for chance"),
              Mutant("ratio of means", _kept_ratio_of_means, "every family counts alike"),
              Mutant("pairs by place", lambda before, after, chance: text_kept(before, dict(zip(before, after.values())), dict(zip(before, chance.values()))), "by its name"),
              Mutant("counts what was never learnt", _kept_with_unlearnt, "never learnt"),
              Mutant("cut at one", _kept_cut, "Cutting at 1"))),
    Exercise("10-3", "a curve from a record", 2, 15, 2, "dicts of dicts", forgetting_points,
             (_points_shape, _points_order, _points_chosen, _points_last, _points_mean, _points_unharmed),
             (Mutant("first step", _points_first, "last step"),
              Mutant("last row", lambda rows, families: forgetting_points([row | {"step": 0} for row in rows], families), "last step"),
              Mutant("mean over steps", _points_over_steps, "last step"),
              Mutant("all families", _points_all_families, "must not be mixed"),
              Mutant("sum", _points_sum, "The mean of"))),
    Exercise("10-4", "put a part back", 2, 15, 2, "indexing, clone", put_back,
             (_back_shape, _back_rows, _back_others, _back_unharmed, _back_own_storage),
             (Mutant("writes into its input", _back_in_place, "wrote into `after`"),
              Mutant("puts the whole tensor back", _back_whole, "not the tensor"),
              Mutant("the wrong way round", _back_reversed, "Which state"),
              Mutant("shares storage", _back_shared, "shares its storage"))),
)
