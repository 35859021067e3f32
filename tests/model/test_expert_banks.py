"""Freezing is storage: experts outside an open bank keep every byte, which a gradient mask on fused weights does not achieve."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts.partition import PARTS, only_experts, parameters_of, trainable_only
from minideeptalk.model import Experts

ALLOWED = [[1, 2, 5], [0, 6, 7]]
RATE, DECAY = 1e-2, 0.1


def fused(seed=0, experts=4):
    """A layer of fused experts and what to multiply through it: every token goes to experts 0 and 1."""
    layer = Experts(8, experts, 12, "grouped")
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return layer, torch.randn(20, 8, generator=generator), torch.tensor([[0, 1]]).expand(20, -1), torch.full((20, 2), 0.5)


def update(optimizer, layer, *inputs, mask=None):
    """One update on a made-up loss; `mask` zeroes the gradient of the experts it names."""
    optimizer.zero_grad()
    (layer(*inputs) - 1.0).square().mean().backward()
    for parameter in layer.parameters():
        if mask is not None:
            parameter.grad[mask] = 0.0
    optimizer.step()


# ---- opening and closing -----------------------------------------------------------------------------------------------


def test_an_open_bank_computes_the_same_numbers(tiny):
    model, batch = tiny.model().eval(), tiny.batch(tiny.builder())
    for mixture, allowed in zip(model.mixtures(), ALLOWED):
        mixture.router.close([expert for expert in range(8) if expert not in allowed])
    without = model(**batch.model_inputs()).hidden
    with only_experts(model, ALLOWED):
        assert torch.equal(model(**batch.model_inputs()).hidden, without)


def test_opening_and_closing_changes_no_byte_and_leaves_nothing_behind(tiny):
    model, other = tiny.model(), tiny.model()
    with only_experts(model, ALLOWED):
        assert model.mixtures()[0].experts.bank.gate_up_proj.shape[0] == 3
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert set(model.state_dict()) == set(other.state_dict())
    assert all(mixture.router.closed is None for mixture in model.mixtures())


def test_what_the_bank_learnt_is_written_to_its_experts_and_to_no_other():
    layer, *_ = fused()
    before = layer.gate_up_proj.detach().clone()
    bank = layer.open_bank([3, 1])
    with torch.no_grad():
        bank.gate_up_proj[0] += 1.0
        bank.gate_up_proj[1] += 3.0
    layer.close_bank()
    moved = (layer.gate_up_proj - before).mean(dim=(1, 2))
    torch.testing.assert_close(moved, torch.tensor([0.0, 1.0, 0.0, 3.0]))  # sorted by expert
    assert torch.equal(layer.gate_up_proj[[0, 2]], before[[0, 2]])


def test_while_a_bank_is_open_no_gradient_reaches_the_fused_tensors(tiny):
    model = tiny.model()
    with only_experts(model, ALLOWED):
        model(tiny.batch(tiny.builder()).text).hidden.square().sum().backward()
        for mixture in model.mixtures():
            assert mixture.experts.gate_up_proj.grad is None and mixture.experts.down_proj.grad is None
            assert mixture.experts.bank.down_proj.grad.abs().sum() > 0


def test_a_second_bank_is_refused():
    layer, *_ = fused()
    layer.open_bank([0])
    with pytest.raises(LearnerError, match=r"no open bank, got a bank of experts \[0\].*close_bank"):
        layer.open_bank([1])


def test_fewer_experts_than_a_token_chooses_all_work(tiny):
    model = tiny.model()
    batch = tiny.batch(tiny.builder()).model_inputs()
    with only_experts(model, [[1, 2, 5], [0]]), torch.no_grad():
        routing = model(**batch).routing
    assert routing[1].indices.shape[-1] == 1 and not routing[1].indices.any()
    assert [mixture.router.experts_per_token for mixture in model.mixtures()] == [model.config.experts_per_token] * 2


def test_a_layer_without_experts_is_refused_and_the_model_stays_open(tiny):
    model, allowed = tiny.model(), [[1, 2, 5], []]
    with pytest.raises(LearnerError, match="at least 1 open experts"), only_experts(model, allowed):
        pass
    assert all(mixture.router.closed is None and mixture.experts.bank is None for mixture in model.mixtures())


def test_an_error_inside_the_stage_still_writes_the_bank_back(tiny):
    model = tiny.model()
    with pytest.raises(KeyboardInterrupt), only_experts(model, ALLOWED):
        with torch.no_grad():
            model.mixtures()[0].experts.bank.down_proj.fill_(2.0)
        raise KeyboardInterrupt
    assert (model.mixtures()[0].experts.down_proj[ALLOWED[0]] == 2.0).all()
    assert all(mixture.router.closed is None and mixture.experts.bank is None for mixture in model.mixtures())


# ---- the trap, and what avoids it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("momentum, decay", [(True, 0.0), (False, DECAY)])
def test_the_trap_a_gradient_mask_on_fused_weights_does_not_freeze(momentum, decay):
    """AdamW moves a parameter whose gradient is zero: by momentum of an earlier stage, or by weight decay."""
    layer, *inputs = fused()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=decay)
    if momentum:
        for _ in range(5):
            update(optimizer, layer, *inputs)  # an earlier stage trains everything
    before = layer.down_proj.detach().clone()
    for _ in range(5):
        update(optimizer, layer, *inputs, mask=[1])  # this stage means to freeze expert 1
    moved = (layer.down_proj - before).abs().amax(dim=(1, 2))
    assert moved[1] > (0.3 * moved[0] if momentum else RATE * decay)


def test_a_bank_freezes_under_the_same_momentum_and_decay():
    layer, *inputs = fused()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=DECAY)
    for _ in range(5):
        update(optimizer, layer, *inputs)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.open_bank([0, 2])
    optimizer = torch.optim.AdamW(layer.bank.parameters(), lr=RATE, weight_decay=DECAY)
    hidden, _, weights = inputs
    for _ in range(5):
        optimizer.zero_grad()
        (layer(hidden, torch.tensor([[0, 2]]).expand(20, -1), weights) - 1.0).square().mean().backward()
        optimizer.step()
    layer.close_bank()
    for name, old in before.items():
        new = layer.state_dict()[name]
        assert torch.equal(new[[1, 3]], old[[1, 3]]), name
        assert not (new[[0, 2]] == old[[0, 2]]).any(), name


def test_momentum_of_an_optimizer_that_outlives_its_stage_cannot_move_a_frozen_expert(tiny):
    """Even an optimizer that holds the fused tensors does nothing to them: without a graph their gradient stays None."""
    model = tiny.model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    batch = tiny.batch(tiny.builder()).model_inputs()
    model(**batch).hidden.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    before = [mixture.experts.down_proj.detach().clone() for mixture in model.mixtures()]
    with only_experts(model, ALLOWED):
        model(**batch).hidden.square().mean().backward()
        optimizer.step()
        assert all(torch.equal(mixture.experts.down_proj, old) for mixture, old in zip(model.mixtures(), before))


# ---- an expert that nobody asked ---------------------------------------------------------------------------------------


def idle_expert_after(decay, updates=4):
    """Expert 3 before and after updates in which no token reached it."""
    layer, *inputs = fused()
    before = layer.down_proj[3].detach().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=decay)
    for _ in range(updates):
        update(optimizer, layer, *inputs)
    assert layer.down_proj.isfinite().all()
    return before, layer.down_proj[3].detach()


def test_a_batch_with_an_idle_expert_trains_and_without_decay_the_idle_expert_keeps_every_byte():
    before, after = idle_expert_after(decay=0.0)
    assert torch.equal(after, before)


def test_with_decay_an_idle_expert_of_the_fused_tensor_shrinks_by_exactly_the_decay():
    """In a fused tensor "no token" is a gradient of zero, not None, so AdamW decays it: known, and why speech stages use none."""
    before, after = idle_expert_after(decay=DECAY)
    torch.testing.assert_close(after, before * (1 - RATE * DECAY) ** 4)
    assert not torch.equal(after, before)


def test_only_the_named_parts_learn(tiny):
    model = tiny.model()
    chosen = trainable_only(model, ("adapter", "audio_heads"))
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert names == {"adapter.fc1.weight", "adapter.fc2.weight", "adapter.proj.weight", "audio_heads.projection.weight"}
    assert sum(parameter.numel() for parameter in chosen) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_a_part_that_does_not_exist_is_named(tiny):
    with pytest.raises(LearnerError, match="a part out of text_embedding.*got 'gate'"):
        trainable_only(tiny.model(), ("gate",))


def test_the_parts_name_every_parameter_once(tiny):
    model = tiny.model()
    found = [name for part in PARTS for name in parameters_of(model, (part,))]
    assert sorted(found) == sorted(name for name, _ in model.named_parameters())
