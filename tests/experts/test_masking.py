"""Forbidden experts get no token, in every family, and the model is bit for bit as before afterwards."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts import LoadRecorder, Modality, find_routers, forbid_experts, same_modality

FORBIDDEN = [[0, 1, 2, 5], [3, 4, 6, 7]]


def counts(moe, text):
    with LoadRecorder(moe.model) as recorder:
        recorder.modality(same_modality(torch.ones_like(text), Modality.TEXT_PROMPT))
        output = moe.run(text)
    return recorder.loads().counts[0], output  # (L, E)


def test_no_token_reaches_a_forbidden_expert(any_moe, text):
    with forbid_experts(any_moe.model, FORBIDDEN):
        loads, output = counts(any_moe, text)
    assert all(loads[layer, chosen].sum() == 0 for layer, chosen in enumerate(FORBIDDEN))
    assert output.isfinite().all()


def test_without_the_mask_they_are_used(any_moe, text):
    loads, _ = counts(any_moe, text)
    assert all(loads[layer, chosen].sum() > 0 for layer, chosen in enumerate(FORBIDDEN))


def test_afterwards_the_model_is_bit_for_bit_as_before(any_moe, text):
    before, state = any_moe.run(text), {name: tensor.clone() for name, tensor in any_moe.model.state_dict().items()}
    with forbid_experts(any_moe.model, FORBIDDEN):
        assert not torch.equal(any_moe.run(text), before)
    assert torch.equal(any_moe.run(text), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in any_moe.model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in any_moe.model.modules())


def test_one_layer_alone_can_be_masked(any_moe, text):
    free, _ = counts(any_moe, text)
    with forbid_experts(any_moe.model, {0: FORBIDDEN[0]}):
        loads, _ = counts(any_moe, text)
    assert loads[0, FORBIDDEN[0]].sum() == 0 and loads[1].sum() == free[1].sum()


def test_the_hook_and_our_routers_own_mask_agree(ours, text):
    with forbid_experts(ours.model, FORBIDDEN):
        hooked = ours.run(text)
    for mixture, closed in zip(ours.model.mixtures(), FORBIDDEN):
        mixture.router.close(closed)
    assert torch.equal(hooked, ours.run(text))


def test_masks_inside_masks_add_up(ours, text):
    with forbid_experts(ours.model, {0: [0, 1]}), forbid_experts(ours.model, {0: [2, 3]}):
        loads, _ = counts(ours, text)
    assert loads[0, :4].sum() == 0 and loads[0].sum() == 24


def test_gradients_flow_through_the_open_experts_only(ours, text):
    with forbid_experts(ours.model, FORBIDDEN):
        ours.model(text).hidden.square().sum().backward()
    for layer, mixture in enumerate(ours.model.mixtures()):
        moved = mixture.experts.down_proj.grad.abs().sum(dim=(1, 2)) > 0  # (E,)
        assert not moved[FORBIDDEN[layer]].any() and moved.any()
        assert mixture.router.weight.grad[FORBIDDEN[layer]].abs().sum() == 0


def test_an_error_inside_the_model_leaves_no_mask_behind(ours, text):
    before = ours.run(text)
    with pytest.raises(IndexError), forbid_experts(ours.model, FORBIDDEN):
        ours.run(text + 1000)
    assert torch.equal(ours.run(text), before)


def test_the_router_is_found_beside_shared_experts_and_their_gate(any_moe):
    names = [name for name, _ in find_routers(any_moe.model)]
    assert len(names) == 2 and all(name.endswith(("gate", "router")) and "shared" not in name for name in names)


def test_a_mixture_alone_has_a_router_too(ours):
    assert [name for name, _ in find_routers(ours.model.mixtures()[0])] == ["router"]


@pytest.mark.parametrize("forbidden, message", [
    ({0: range(7)}, "at least 2 open experts"),
    ({5: [0]}, "a MoE layer from 0 to 1, got 5"),
    ({0: [9]}, "experts from 0 to 7"),
])
def test_masks_that_cannot_be_are_explained(any_moe, forbidden, message):
    with pytest.raises(LearnerError, match=message), forbid_experts(any_moe.model, forbidden):
        pass
