"""The router learns for every K, closed experts are closed, and the balance loss says what it claims."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.model import Router, sequence_balance_loss
from minideeptalk.training.losses import batch_loss

TOKENS, EXPERTS, WIDTH = 40, 8, 16


def router(chosen=2, renormalise=False):
    made = Router(WIDTH, EXPERTS, chosen, renormalise)
    torch.nn.init.normal_(made.weight, generator=torch.Generator().manual_seed(0))
    return made


def hidden():
    return torch.randn(TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


def router_gradients(tiny, chosen, renormalise):
    """Norm of each router's gradient from the language-model loss alone: the balance loss is off."""
    model = tiny.model(experts_per_token=chosen, renormalise=renormalise)
    batch_loss(model, tiny.batch(tiny.builder()), balance=False).total.backward()
    return [float(mixture.router.weight.grad.norm()) for mixture in model.mixtures()]


# ---- who gets a token, and with which weight ---------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", range(1, EXPERTS + 1))
def test_the_language_model_loss_trains_the_router_for_every_k(tiny, chosen):
    assert min(router_gradients(tiny, chosen, renormalise=False)) > 1e-4


def test_the_trap_of_one_expert_with_a_renormalised_gate(tiny):
    """The weight of the only expert is 1 whatever the router says, so nothing tells the router to say something else."""
    assert max(router_gradients(tiny, 1, renormalise=True)) < 1e-6  # rounding
    assert min(router_gradients(tiny, 2, renormalise=True)) > 1e-4


def test_the_chosen_experts_are_the_k_most_likely_of_a_softmax_over_all():
    probabilities, weights, indices = router(3)(hidden())
    by_hand = (hidden() @ router(3).weight.T).exp()
    by_hand = by_hand / by_hand.sum(dim=1, keepdim=True)
    torch.testing.assert_close(probabilities, by_hand)
    torch.testing.assert_close(weights, by_hand.sort(dim=1, descending=True).values[:, :3])
    assert torch.equal(probabilities.gather(1, indices), weights)
    assert (weights.sum(dim=1) < 1).all()  # the paper does not renormalise


@pytest.mark.parametrize("chosen", [2, 3])
def test_softmax_before_or_after_top_k_is_the_same_only_when_renormalised(chosen):
    after = (hidden() @ router().weight.T).topk(chosen, dim=1).values.softmax(dim=1)
    torch.testing.assert_close(router(chosen, renormalise=True)(hidden())[1], after)
    assert (router(chosen)(hidden())[1] - after).abs().max() > 0.05


def test_logits_are_not_rounded_in_mixed_precision():
    exact = router()(hidden())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = router()(hidden())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(mixed, exact))


# ---- closed experts ----------------------------------------------------------------------------------------------------

CLOSED = [0, 3, 5, 6]


def test_a_closed_expert_gets_no_token_and_no_probability():
    gate = router()
    assert set(gate(hidden())[2].flatten().tolist()) & set(CLOSED)
    gate.close(CLOSED)
    probabilities, _, indices = gate(hidden())
    assert not set(indices.flatten().tolist()) & set(CLOSED)
    assert (probabilities[:, CLOSED] == 0).all()


def test_closing_before_the_softmax_keeps_the_weights_that_closing_after_it_would_lose():
    gate = router(chosen=4)
    free = gate(hidden())[0]
    gate.close(CLOSED)
    torch.testing.assert_close(gate(hidden())[1].sum(dim=1), torch.ones(TOKENS))  # four of four open experts
    lost = free.masked_fill(torch.tensor([expert in CLOSED for expert in range(EXPERTS)]), 0.0).sum(dim=1)
    assert lost.mean() < 0.7


def test_rows_of_closed_experts_get_a_gradient_of_zero_and_not_nan():
    gate = router()
    gate.close(CLOSED)
    gate(hidden())[1].square().sum().backward()
    assert gate.weight.grad.isfinite().all() and (gate.weight.grad[CLOSED] == 0).all() and gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("nothing", [None, []])
def test_opening_again_gives_the_first_answer_bit_for_bit(nothing):
    gate = router()
    before = gate(hidden())
    gate.close(CLOSED)
    gate.close(nothing)
    assert all(torch.equal(new, old) for new, old in zip(gate(hidden()), before))


def test_fewer_open_experts_than_a_token_needs_are_refused():
    gate = router(chosen=2)
    with pytest.raises(LearnerError, match="at least 2 open experts, got 1"):
        gate.close(list(range(7)))
    assert gate.closed is None


def test_what_is_closed_follows_the_model_to_another_device_but_not_into_a_checkpoint():
    gate = router()
    gate.close(CLOSED)
    assert set(gate.state_dict()) == {"weight"}
    assert gate.to("meta").closed.device.type == "meta"


# ---- balance -----------------------------------------------------------------------------------------------------------


def decided(indices, probabilities=None):
    """(B, T, K) and (B, T, E) of made-up decisions; probabilities are even unless given."""
    indices = torch.tensor(indices)
    even = torch.full((*indices.shape[:2], 4), 0.25)
    return (even if probabilities is None else probabilities), indices


def everything(indices):
    return torch.ones(indices.shape[:2], dtype=torch.bool)


def test_an_even_load_costs_one():
    probabilities, indices = decided([[[0, 1], [2, 3], [1, 2], [3, 0]]])
    assert float(sequence_balance_loss(probabilities, indices, everything(indices))) == pytest.approx(1.0)


def test_all_tokens_on_k_sure_experts_cost_e_over_k():
    probabilities, indices = decided([[[0, 1]] * 4], torch.tensor([0.5, 0.5, 0.0, 0.0]).expand(1, 4, 4))
    assert float(sequence_balance_loss(probabilities, indices, everything(indices))) == pytest.approx(4 / 2)


def test_two_uneven_sequences_that_are_even_together_still_cost():
    sure = torch.eye(4)[torch.tensor([[0] * 4, [1] * 4])]  # (2, 4, 4): each sequence is sure of one expert
    probabilities, indices = decided([[[0]] * 4, [[1]] * 4], sure)
    assert float(sequence_balance_loss(probabilities, indices, everything(indices))) == pytest.approx(4.0)


def test_padding_is_not_counted():
    generator = torch.Generator().manual_seed(3)
    probabilities = torch.rand(2, 6, 4, generator=generator).softmax(dim=-1)
    indices = probabilities.topk(2, dim=-1).indices
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    told = sequence_balance_loss(probabilities, indices, mask)
    alone = [sequence_balance_loss(probabilities[row:row + 1, :n], indices[row:row + 1, :n], mask[row:row + 1, :n])
             for row, n in enumerate((6, 4))]
    assert float(told) == pytest.approx(float(sum(alone) / 2))
    indices[1, 4:], probabilities[1, 4:] = torch.tensor([0, 1]), 0.9  # padding may be anything
    assert torch.equal(sequence_balance_loss(probabilities, indices, mask), told)


def test_one_layers_imbalance_cannot_hide_anothers(tiny):
    """Two layers that crowd different experts are each uneven; summed over layers before the product they would look even."""
    model = tiny.model(layers=3)
    routing = []
    for expert in (0, 1):
        mine = torch.eye(8)[torch.tensor([[expert] * 4])]  # (1, 4, 8)
        routing.append(type("Routing", (), {"probabilities": mine, "indices": torch.full((1, 4, 1), expert)}))
    assert float(model.balance_loss(routing, torch.ones(1, 4, dtype=torch.bool))) == pytest.approx(8.0)


def test_the_balance_loss_reaches_the_router_when_it_is_on(tiny):
    model = tiny.model(balance_weight=1.0)
    parts = batch_loss(model, tiny.batch(tiny.builder()))
    parts.balance.backward()
    assert 1.0 <= parts.balance.item() < 8 / 2
    assert min(float(mixture.router.weight.grad.norm()) for mixture in model.mixtures()) > 1e-4
