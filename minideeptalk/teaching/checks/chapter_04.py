"""Exercises of chapter 04: the gate, the balance loss, the load of each expert.

Axes: N tokens, B batch, T steps, E experts, K chosen experts, G groups.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 04-1 --------------------------------------------------------------------------------------------------------------


def top_k_gate(logits, k, renormalise):
    """logits (N, E) -> weights (N, k) and indices (N, k), the largest first."""
    ### BEGIN SOLUTION
    probabilities = logits.softmax(dim=-1)  # (N, E)
    weights, indices = probabilities.topk(k, dim=-1)  # (N, k)
    if renormalise:
        weights = weights / weights.sum(dim=-1, keepdim=True)  # (N, k)
    return weights, indices
    ### END SOLUTION


def _gate_by_hand(logits, k, renormalise):
    """The same with plain Python numbers: the independent implementation that the rungs compare with."""
    weights, indices = [], []
    for row in logits.double().tolist():
        powers = [2.718281828459045 ** (value - max(row)) for value in row]
        shares = [power / sum(powers) for power in powers]
        best = sorted(range(len(row)), key=lambda expert: -shares[expert])[:k]
        total = sum(shares[expert] for expert in best) if renormalise else 1.0
        weights.append([shares[expert] / total for expert in best])
        indices.append(best)
    return torch.tensor(weights), torch.tensor(indices)


def _some_logits(rows=7, experts=6):
    return torch.randn(rows, experts, generator=torch.Generator().manual_seed(4))


def _gate_shape(gate):
    answer = gate(_some_logits(), 2, True)
    expect(isinstance(answer, tuple) and len(answer) == 2, "Return two tensors, `weights, indices`. Print type(answer).")
    for name, part in zip(("weights", "indices"), answer):
        expect(part.shape == (7, 2), f"{name} should be (N, k) = (7, 2), yours is {tuple(part.shape)}. Print {name}.shape.")


def _gate_dtype(gate):
    weights, indices = gate(_some_logits(), 2, True)
    expect(weights.is_floating_point() and indices.dtype == torch.int64,
           f"weights are floats and indices int64, yours are {weights.dtype} and {indices.dtype}. Are they in this order?")


def _gate_indices(gate):
    _, indices = gate(_some_logits(), 3, False)
    expect(torch.equal(indices, _gate_by_hand(_some_logits(), 3, False)[1]),
           "The chosen experts are not the k most probable ones of each token. Over which dimension did you take softmax and topk? "
           "Print logits[0] and indices[0].")


def _gate_plain_weights(gate):
    weights, _ = gate(_some_logits(), 2, False)
    expect(torch.allclose(weights.float(), _gate_by_hand(_some_logits(), 2, False)[0], atol=1e-5),
           "With renormalise=False a weight is the probability among all E experts, so the k weights add up to less than one. Softmax "
           "comes before top-k. Print weights.sum(-1).")


def _gate_renormalised_weights(gate):
    weights, _ = gate(_some_logits(), 2, True)
    expect(torch.allclose(weights.float(), _gate_by_hand(_some_logits(), 2, True)[0], atol=1e-5),
           "With renormalise=True the k weights of each token are divided by their own sum. Print weights.sum(-1): it should be all ones.")


def _gate_unharmed(gate):
    logits = _some_logits()
    gate(logits, 2, True)
    expect(torch.equal(logits, _some_logits()), "Your function changed its input. Do not write into `logits`.")


def _gate_gradient(gate):
    logits = _some_logits().requires_grad_()
    weights, _ = gate(logits, 2, False)
    expect(weights.requires_grad, "No gradient can flow back to the router. Did you detach, or rebuild a tensor from numbers?")
    weights[:, 0].sum().backward()
    expect(logits.grad.abs().sum() > 0, "The gradient of the logits is zero. Print logits.grad.")


def _gate_top_k_first(logits, k, renormalise):
    values, indices = logits.topk(k, dim=-1)
    return values.softmax(dim=-1), indices


def _gate_never_renormalises(logits, k, renormalise):
    return logits.softmax(dim=-1).topk(k, dim=-1)


def _gate_wrong_dimension(logits, k, renormalise):
    weights, indices = logits.softmax(dim=0).topk(k, dim=-1)
    return (weights / weights.sum(-1, keepdim=True) if renormalise else weights), indices


def _gate_detached(logits, k, renormalise):
    return top_k_gate(logits.detach(), k, renormalise)


# ---- 04-2 --------------------------------------------------------------------------------------------------------------


def balance_loss(probabilities, indices):
    """probabilities (B, T, E), indices (B, T, K) -> one number, 1 where use is even."""
    ### BEGIN SOLUTION
    steps, experts = probabilities.shape[1:]
    hits = torch.zeros_like(probabilities).scatter(2, indices, 1.0)  # (B, T, E)
    frequency = hits.sum(dim=1) * experts / (indices.shape[-1] * steps)  # (B, E)
    mean_probability = probabilities.mean(dim=1)  # (B, E)
    return (frequency * mean_probability).sum(dim=-1).mean()
    ### END SOLUTION


def _routing(batch=2, steps=5, experts=6, chosen=2, seed=3):
    logits = 2 * torch.randn(batch, steps, experts, generator=torch.Generator().manual_seed(seed))
    probabilities = logits.softmax(dim=-1)
    return probabilities, probabilities.topk(chosen, dim=-1).indices


def _opposite_sequences():
    """Two sequences that use one half of the experts each: uneven apart, even together."""
    first = torch.tensor([0.49, 0.49, 0.01, 0.01])
    probabilities = torch.stack([first.expand(6, 4), first.flip(0).expand(6, 4)])  # (2, 6, 4)
    return probabilities, torch.tensor([[0, 1], [3, 2]])[:, None, :].expand(2, 6, 2)


def _balance_by_hand(probabilities, indices):
    batch, steps, experts = probabilities.shape
    total = 0.0
    for sequence in range(batch):
        for expert in range(experts):
            count = sum(expert in indices[sequence, step].tolist() for step in range(steps))
            mean = sum(probabilities[sequence, step, expert].item() for step in range(steps)) / steps
            total += count * experts / (steps * indices.shape[-1]) * mean
    return total / batch


def _balance_shape(loss):
    value = loss(*_routing())
    expect(isinstance(value, torch.Tensor) and value.shape == (), "Return one number as a tensor without dimensions. Print value.shape.")


def _balance_dtype(loss):
    expect(loss(*_routing()).is_floating_point(), "The loss should be a float. Print its dtype.")


def _balance_floor(loss):
    probabilities = torch.full((1, 4, 4), 0.25)
    indices = torch.tensor([[[0, 1], [2, 3], [0, 1], [2, 3]]])
    value = loss(probabilities, indices).item()
    expect(abs(value - 1) < 1e-5, f"With even use the loss is 1, yours is {value:.4g}. A count is compared with T * K / E, its even share.")


def _balance_sequences(loss):
    value, hand = loss(*_opposite_sequences()).item(), _balance_by_hand(*_opposite_sequences())
    expect(abs(value - hand) < 1e-4,
           f"Two sequences, each uneven in its own way, should give {hand:.4g}, yours gives {value:.4g}. Count and average within each "
           "sequence, and only then over the batch. Print the shape of your counts: (B, E).")


def _balance_values(loss):
    value, hand = loss(*_routing()).item(), _balance_by_hand(*_routing())
    expect(abs(value - hand) < 1e-4, f"On random routing the loss is {hand:.4g}, yours is {value:.4g}. All K choices count, not the first "
                                     "alone, and an even share is T * K / E of them. Print your counts and compare them with indices.")


def _balance_gradient(loss):
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    probabilities = logits.softmax(dim=-1)
    value = loss(probabilities, probabilities.topk(2, dim=-1).indices)
    expect(value.requires_grad, "Counts have no gradient; the mean probability must keep its own. Did you detach it?")
    value.backward()
    expect(logits.grad.abs().sum() > 0, "The router gets a zero gradient. Print logits.grad.")


def _balance_over_the_batch(probabilities, indices):
    return balance_loss(probabilities.flatten(0, 1)[None], indices.flatten(0, 1)[None])


def _balance_without_share(probabilities, indices):
    return balance_loss(probabilities, indices) * indices.shape[-1] / probabilities.shape[-1]


def _balance_first_choice(probabilities, indices):
    return balance_loss(probabilities, indices[..., :1])


def _balance_detached(probabilities, indices):
    return balance_loss(probabilities.detach(), indices)


# ---- 04-3 --------------------------------------------------------------------------------------------------------------


def load_by_group(indices, groups, mask, experts, num_groups):
    """indices (N, K), groups (N,), mask (N,) -> (G, E), shares of each group's choices."""
    ### BEGIN SOLUTION
    table = torch.zeros(num_groups, experts)
    for group in range(num_groups):
        chosen = indices[(groups == group) & mask]  # (n, K)
        counts = torch.bincount(chosen.flatten(), minlength=experts)  # (E,)
        table[group] = counts / max(1, chosen.numel())
    return table
    ### END SOLUTION


def _choices():
    generator = torch.Generator().manual_seed(6)
    scores = torch.rand(40, 5, generator=generator)
    groups = torch.arange(40) % 3
    mask = torch.rand(40, generator=generator) > 0.3
    return scores.topk(3, dim=-1).indices, groups, mask


def _load_by_hand(indices, groups, mask, experts, num_groups):
    table = [[0.0] * experts for _ in range(num_groups)]
    for token, group in enumerate(groups.tolist()):
        for expert in indices[token].tolist():
            table[group][expert] += float(mask[token])
    return torch.tensor([[count / max(1.0, sum(row)) for count in row] for row in table])


def _load_shape(load):
    table = load(*_choices(), 5, 3)
    expect(table.shape == (3, 5), f"One row a group and one column an expert: (3, 5), yours is {tuple(table.shape)}. Print table.shape.")


def _load_dtype(load):
    expect(load(*_choices(), 5, 3).is_floating_point(), "Shares are floats. Print table.dtype.")


def _load_rows(load):
    indices, groups, _ = _choices()
    sums = load(indices, groups, torch.ones(40, dtype=torch.bool), 5, 3).sum(dim=1).float()
    expect(torch.allclose(sums, torch.ones(3), atol=1e-5),
           f"Each row is divided by all choices of its group, so it adds up to 1; yours give {[round(s, 3) for s in sums.tolist()]}. "
           "A token makes K choices.")


def _load_mask(load):
    expect(torch.allclose(load(*_choices(), 5, 3).float(), _load_by_hand(*_choices(), 5, 3), atol=1e-5),
           "The shares are off once some tokens are masked. Tokens with mask False are padding and count nowhere, neither above nor below "
           "the line. Print table and the number of unmasked tokens of each group.")


def _load_empty(load):
    indices, groups, mask = _choices()
    row = load(indices, groups, mask & (groups != 2), 5, 3)[2]
    expect(bool((row == 0).all()), "A group without tokens has an empty row of zeros, yours is not. Are you dividing by zero?")


def _load_counts_padding(indices, groups, mask, experts, num_groups):
    return load_by_group(indices, groups, torch.ones_like(mask), experts, num_groups)


def _load_over_tokens(indices, groups, mask, experts, num_groups):
    return load_by_group(indices, groups, mask, experts, num_groups) * indices.shape[1]


def _load_by_column(indices, groups, mask, experts, num_groups):
    table = load_by_group(indices, groups, mask, experts, num_groups)
    return table / table.sum(dim=0).clamp(min=1e-9)


def _load_divides_by_zero(indices, groups, mask, experts, num_groups):
    table = load_by_group(indices, groups, mask, experts, num_groups)
    return table / table.sum(dim=1, keepdim=True)


EXERCISES = (
    Exercise("04-1", "the gate", 2, 15, 2, "softmax, topk", top_k_gate,
             (_gate_shape, _gate_dtype, _gate_indices, _gate_plain_weights, _gate_renormalised_weights, _gate_unharmed, _gate_gradient),
             (Mutant("top-k before softmax", _gate_top_k_first, "Softmax comes before top-k"),
              Mutant("never renormalises", _gate_never_renormalises, "divided by their own sum"),
              Mutant("softmax over tokens", _gate_wrong_dimension, "Over which dimension"),
              Mutant("detached", _gate_detached, "No gradient"))),
    Exercise("04-2", "the balance loss", 3, 20, 3, "scatter or bincount", balance_loss,
             (_balance_shape, _balance_dtype, _balance_floor, _balance_sequences, _balance_values, _balance_gradient),
             (Mutant("averaged over the batch", _balance_over_the_batch, "within each sequence"),
              Mutant("even share left out", _balance_without_share, "its even share"),
              Mutant("first choice only", _balance_first_choice, "All K choices"),
              Mutant("a share of K", lambda probabilities, indices: balance_loss(probabilities, indices) * indices.shape[-1] ** 2 / probabilities.shape[-1], "T * K / E"),
              Mutant("detached", _balance_detached, "Did you detach"))),
    Exercise("04-3", "who works for whom", 2, 15, 2, "indexing, bincount", load_by_group,
             (_load_shape, _load_dtype, _load_rows, _load_mask, _load_empty),
             (Mutant("counts padding", _load_counts_padding, "padding"),
              Mutant("divides by tokens", _load_over_tokens, "K choices"),
              Mutant("divides by column", _load_by_column, "adds up to 1"),
              Mutant("divides by zero", _load_divides_by_zero, "dividing by zero"))),
)
