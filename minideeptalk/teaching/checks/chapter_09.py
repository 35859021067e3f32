"""Exercises of chapter 09: closing experts, storage for those that learn, what really moved, putting weights back.

Axes: N tokens, E experts, K chosen experts.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 09-1 --------------------------------------------------------------------------------------------------------------


def closed_gate(logits, closed, k):
    """logits (N, E), closed (E,) bool -> weights (N, k), indices (N, k); no token reaches a closed expert, no weight is lost."""
    ### BEGIN SOLUTION
    open_logits = logits.masked_fill(closed, float("-inf"))  # (N, E)
    return open_logits.softmax(dim=-1).topk(k, dim=-1)
    ### END SOLUTION


CLOSED = torch.tensor([True, False, True, False, False, True])


def _scores():
    return 2 * torch.randn(8, 6, generator=torch.Generator().manual_seed(9))


def _closed_by_hand(logits, closed, k):
    """Softmax over the open experts alone, then their numbers put back."""
    numbers = [expert for expert, shut in enumerate(closed.tolist()) if not shut]
    weights, places = logits[:, numbers].softmax(dim=-1).topk(k, dim=-1)
    return weights, torch.tensor(numbers)[places]


def _closed_shape(gate):
    weights, indices = gate(_scores(), CLOSED, 2)
    expect(weights.shape == (8, 2) and indices.shape == (8, 2), f"weights and indices are (N, k) = (8, 2), yours {tuple(weights.shape)} and {tuple(indices.shape)}.")


def _closed_reached(gate):
    _, indices = gate(_scores(), CLOSED, 3)
    expect(not bool(CLOSED[indices].any()), "A token reached a closed expert. A closed logit of 0 is not closed: others are below zero. Use minus infinity.")


def _closed_weights(gate):
    weights, _ = gate(_scores(), CLOSED, 3)
    expect(torch.allclose(weights.sum(dim=-1).float(), torch.ones(8), atol=1e-5),
           f"Three experts are open and three are chosen, so their weights sum to 1; yours sum to {weights.sum(-1)[0]:.3f} for the first token. Close "
           "*before* the softmax, or the closed experts keep their probability.")


def _closed_two(gate):
    weights, indices = gate(_scores(), CLOSED, 2)
    hand_weights, hand_indices = _closed_by_hand(_scores(), CLOSED, 2)
    expect(torch.equal(indices, hand_indices) and torch.allclose(weights.float(), hand_weights, atol=1e-5),
           "With two of three open experts the weights are probabilities among the three, so they sum to less than one: do not renormalise the chosen "
           "ones once more. Print weights.sum(-1).")


def _closed_unharmed(gate):
    logits = _scores()
    gate(logits, CLOSED, 2)
    expect(torch.equal(logits, _scores()), "Your function changed its input. `masked_fill` without an underscore gives a new tensor.")


def _closed_gradient(gate):
    logits = _scores().requires_grad_()
    gate(logits, CLOSED, 2)[0].sum().backward()
    expect(bool(torch.isfinite(logits.grad).all()) and bool((logits.grad[:, CLOSED] == 0).all()), "Closed experts should get a gradient of zero. Print logits.grad.")


def _closed_after(logits, closed, k):
    return logits.softmax(dim=-1).masked_fill(closed, 0.0).topk(k, dim=-1)


def _closed_with_zero(logits, closed, k):
    return logits.masked_fill(closed, 0.0).softmax(dim=-1).topk(k, dim=-1)


def _closed_renormalised(logits, closed, k):
    weights, indices = closed_gate(logits, closed, k)
    return weights / weights.sum(dim=-1, keepdim=True), indices


def _closed_in_place(logits, closed, k):
    logits[:, closed] = float("-inf")
    return logits.softmax(dim=-1).topk(k, dim=-1)


# ---- 09-2 --------------------------------------------------------------------------------------------------------------


def open_bank(weights, learning):
    """weights (E, ...), numbers of the experts that learn -> their own copy (n, ...) that wants gradients, and place (E,), -1 elsewhere."""
    ### BEGIN SOLUTION
    numbers = sorted(learning)
    bank = weights.detach()[numbers].clone().requires_grad_()  # (n, ...)
    place = torch.full((len(weights),), -1)  # (E,)
    place[numbers] = torch.arange(len(numbers))
    return bank, place
    ### END SOLUTION


def _stack():
    return torch.arange(24.0).view(6, 2, 2)


def _bank_shape(opened):
    bank, place = opened(_stack(), [1, 4])
    expect(bank.shape == (2, 2, 2) and place.shape == (6,), f"A bank (2, 2, 2) and places (6,), yours {tuple(bank.shape)} and {tuple(place.shape)}.")


def _bank_values(opened):
    bank, _ = opened(_stack(), [1, 4])
    expect(torch.equal(bank.detach(), _stack()[[1, 4]]), "The bank holds the weights of the learning experts and of no others. Print bank[0].")


def _bank_place(opened):
    for learning in ([1, 4], [4, 1]):
        bank, place = opened(_stack(), learning)
        expect(all(torch.equal(bank[place[expert]].detach(), _stack()[expert]) for expert in learning),
               f"place[4] should say where expert 4 stands in the bank; opened with {learning}, yours gives {place.tolist()}. Bank and places must have one order.")


def _bank_closed(opened):
    place = opened(_stack(), [1, 4])[1].tolist()
    expect([place[expert] for expert in (0, 2, 3, 5)] == [-1] * 4, f"An expert that is not in the bank has the place -1, yours are {place}. A 0 would send its "
                                                                   "tokens to somebody else, and nothing would fail.")


def _bank_leaf(opened):
    bank, _ = opened(_stack().requires_grad_(), [1, 4])
    expect(bank.requires_grad and bank.is_leaf, "An optimizer takes leaves that want gradients. Detach, index, clone, then requires_grad_().")


def _bank_copy(opened):
    weights = _stack()
    bank, _ = opened(weights, [1, 2])
    with torch.no_grad():
        bank += 100
    expect(torch.equal(weights, _stack()), "Learning in the bank changed the stack of all experts. A slice is a view: clone it.")


def _bank_view(weights, learning):
    numbers = sorted(learning)
    place = open_bank(weights, learning)[1]
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return weights.detach()[numbers[0]:numbers[-1] + 1].requires_grad_(), place
    return open_bank(weights, learning)[0], place


def _bank_unsorted_place(weights, learning):
    bank, place = open_bank(weights, learning)
    place[learning] = torch.arange(len(learning))
    return bank, place


def _bank_zeros(weights, learning):
    bank, place = open_bank(weights, learning)
    return bank, place.clamp(min=0)


def _bank_not_a_leaf(weights, learning):
    bank, place = open_bank(weights, learning)
    return (weights[sorted(learning)].clone() if weights.requires_grad else bank), place


# ---- 09-3 --------------------------------------------------------------------------------------------------------------


def what_moved(before, after):
    """Two dicts of tensors by name -> dict from the names that moved to the list of rows (first axis) in which they did."""
    ### BEGIN SOLUTION
    moved = {}
    for name in before:
        rows = [row for row in range(len(before[name])) if not torch.equal(before[name][row], after[name][row])]
        if rows:
            moved[name] = rows
    return moved
    ### END SOLUTION


def _states():
    before = {"experts": torch.ones(4, 2, 3), "router": torch.ones(4, 3), "norm": torch.ones(3)}
    after = {name: value.clone() for name, value in before.items()}
    after["experts"][2] += 1
    return before, after


def _moved_shape(moved):
    answer = moved(*_states())
    expect(isinstance(answer, dict), f"A dict from name to rows, yours is a {type(answer).__name__}.")


def _moved_rows(moved):
    answer = moved(*_states())
    expect(answer == {"experts": [2]}, f"Only row 2 of the experts moved: {{'experts': [2]}}, yours is {answer}. A tensor that did not move is not in the dict.")


def _moved_tiny(moved):
    before, after = _states()
    after["router"][1, 0] += 1e-7
    expect(moved(before, after).get("router") == [1], "The router moved by one ten-millionth, and you missed it. Frozen means the same bytes, not nearly: torch.equal.")


def _moved_cancels(moved):
    before, after = _states()
    after["experts"][0, 0, 0] += 1
    after["experts"][0, 1, 1] -= 1
    expect(moved(before, after).get("experts") == [0, 2], "Row 0 moved up in one place and down in another. A sum hides that: compare element by element.")


def _moved_several(moved):
    before, after = _states()
    after["norm"][2], after["router"][3] = 2, 0
    expect(set(moved(before, after)) == {"experts", "router", "norm"}, f"Three tensors moved, you found {sorted(moved(before, after))}. Look at all of them.")


def _moved_close(before, after):
    return {name: rows for name in before
            if (rows := [row for row in range(len(before[name])) if not torch.allclose(before[name][row], after[name][row])])}


def _moved_by_sum(before, after):
    return {name: rows for name in before
            if (rows := [row for row in range(len(before[name])) if before[name][row].double().sum() != after[name][row].double().sum()])}


def _moved_first(before, after):
    return dict(list(what_moved(before, after).items())[:1])


def _moved_everything(before, after):
    return {name: [row for row in range(len(before[name])) if not torch.equal(before[name][row], after[name][row])] for name in before}


# ---- 09-4 --------------------------------------------------------------------------------------------------------------


def step_and_restore(optimizer, weight, frozen):
    """Take one step of the optimizer, then put the rows `frozen` of `weight` (E, ...) back, byte for byte, in place."""
    ### BEGIN SOLUTION
    kept = weight.detach()[frozen].clone()
    optimizer.step()
    with torch.no_grad():
        weight[frozen] = kept
    ### END SOLUTION


def _optimised(decay=0.1):
    """A weight with momentum from an earlier stage, gradients on all rows."""
    weight = torch.nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(4)))
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=decay)
    for _ in range(3):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    weight.grad = torch.ones_like(weight)
    return optimizer, weight


def _restore_shape(step):
    optimizer, weight = _optimised()
    step(optimizer, weight, [0, 1])
    expect(weight.shape == (5, 3), f"The weight keeps its shape (5, 3), yours has {tuple(weight.shape)}.")


def _restore_learns(step):
    optimizer, weight = _optimised()
    before = weight.detach().clone()
    step(optimizer, weight, [0, 1])
    expect(not torch.equal(weight[2:], before[2:]), "The other rows did not move: did you take the step? Restore `frozen` only.")


def _restore_frozen(step):
    optimizer, weight = _optimised()
    before = weight.detach().clone()
    step(optimizer, weight, [0, 1])
    apart = (weight.detach()[:2] - before[:2]).abs().max()
    expect(torch.equal(weight[:2], before[:2]), f"The frozen rows moved by {apart:.3f}. Momentum and weight decay move a row even if its gradient is zero; and what you keep "
                                                "must be a copy made before the step.")


def _restore_in_place(step):
    optimizer, weight = _optimised()
    place = weight.data_ptr()
    step(optimizer, weight, [0])
    expect(weight.data_ptr() == place and optimizer.param_groups[0]["params"][0] is weight, "The optimizer must go on holding the same tensor: write into it.")


def _restore_others(step):
    optimizer, weight = _optimised()
    twin_optimizer, twin = _optimised()
    twin_optimizer.step()
    step(optimizer, weight, [0, 1])
    expect(torch.equal(weight[2:], twin[2:]), "The rows that learn should do exactly what a plain step does to them. Do not touch their gradients.")


def _restore_by_mask(optimizer, weight, frozen):
    weight.grad[frozen] = 0
    optimizer.step()


def _restore_no_clone(optimizer, weight, frozen):
    kept = weight.detach()
    optimizer.step()
    with torch.no_grad():
        weight[frozen] = kept[frozen]


def _restore_everything(optimizer, weight, frozen):
    kept = weight.detach().clone()
    optimizer.step()
    with torch.no_grad():
        weight.copy_(kept)


def _restore_turned(optimizer, weight, frozen):
    weight.grad[2:] = -weight.grad[2:]
    step_and_restore(optimizer, weight, frozen)


EXERCISES = (
    Exercise("09-1", "close some experts", 2, 10, 2, "softmax, masked_fill", closed_gate,
             (_closed_shape, _closed_reached, _closed_weights, _closed_two, _closed_unharmed, _closed_gradient),
             (Mutant("after the softmax", _closed_after, "before"),
              Mutant("zero is not closed", _closed_with_zero, "minus infinity"),
              Mutant("renormalises", _closed_renormalised, "do not renormalise"),
              Mutant("writes into its input", _closed_in_place, "changed its input"))),
    Exercise("09-2", "a bank for those that learn", 3, 20, 3, "indexing, clone, leaves", open_bank,
             (_bank_shape, _bank_values, _bank_place, _bank_closed, _bank_leaf, _bank_copy),
             (Mutant("a view", _bank_view, "clone it"),
              Mutant("two orders", _bank_unsorted_place, "one order"),
              Mutant("zero for nobody", _bank_zeros, "somebody else"),
              Mutant("not a leaf", _bank_not_a_leaf, "takes leaves"))),
    Exercise("09-3", "what really moved", 2, 15, 2, "torch.equal, dict", what_moved,
             (_moved_shape, _moved_rows, _moved_several, _moved_tiny, _moved_cancels),
             (Mutant("nearly equal", _moved_close, "the same bytes"),
              Mutant("sums", _moved_by_sum, "hides that"),
              Mutant("stops at the first", _moved_first, "all of them"),
              Mutant("lists what stood still", _moved_everything, "not in the dict"))),
    Exercise("09-4", "put them back", 2, 15, 2, "optimizers", step_and_restore,
             (_restore_shape, _restore_learns, _restore_frozen, _restore_in_place, _restore_others),
             (Mutant("gradient mask", _restore_by_mask, "Momentum and weight decay"),
              Mutant("no copy", _restore_no_clone, "copy made before"),
              Mutant("restores everything", _restore_everything, "did you take the step"),
              Mutant("turns the others round", _restore_turned, "plain step"))),
)
