"""The normalisation by hand is torch's, and so is its gradient; where torch has something better, that is used."""

import pytest
import torch
from torch.nn import functional as F

from minideeptalk.model import norm
from minideeptalk.model.norm import NormalisedByHand, RMSNorm


def values(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype).requires_grad_()


def test_the_gradient_is_that_of_finite_differences():
    assert torch.autograd.gradcheck(lambda hidden, weight: NormalisedByHand.apply(hidden, weight, 1e-6), (values(2, 3, 8), values(8)))


@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 3, 8), (1, 1, 8)])
def test_both_ways_give_the_same_numbers(shape):
    layer = RMSNorm(8, eps=1e-6)
    torch.nn.init.normal_(layer.weight)
    hidden, aim = values(*shape, dtype=torch.float32), values(*shape, dtype=torch.float32).detach() + 1
    by_hand = layer(hidden)
    plain = F.rms_norm(hidden, (8,), layer.weight, 1e-6)
    assert type(by_hand.grad_fn).__name__ == "NormalisedByHandBackward"
    torch.testing.assert_close(by_hand, plain)
    for one, other in zip(*(torch.autograd.grad(out, (hidden, layer.weight), aim) for out in (by_hand, plain)), strict=True):
        torch.testing.assert_close(one, other)


def test_zeros_stay_zeros_and_their_gradient_is_finite():
    hidden = torch.zeros(2, 8, requires_grad=True)
    out = RMSNorm(8, eps=1e-6)(hidden)
    out.sum().backward()
    assert not out.any() and hidden.grad.isfinite().all()


def test_a_frozen_weight_gets_no_gradient():
    layer, hidden = RMSNorm(8, eps=1e-6).requires_grad_(False), values(2, 8, dtype=torch.float32)
    layer(hidden).sum().backward()
    assert layer.weight.grad is None and hidden.grad is not None


@pytest.mark.parametrize("circumstance", ["no gradients", "half precision", "another device"])
def test_elsewhere_torch_does_it(monkeypatch, circumstance):
    monkeypatch.setattr(norm.NormalisedByHand, "apply", lambda *_: pytest.fail("by hand"))
    layer = RMSNorm(8, eps=1e-6)
    if circumstance == "half precision":
        assert layer.to(torch.bfloat16)(values(2, 8, dtype=torch.bfloat16)).shape == (2, 8)
    elif circumstance == "another device":
        assert layer.to("meta")(torch.empty(2, 8, device="meta")).shape == (2, 8)
    else:
        with torch.no_grad():
            assert layer(values(2, 8, dtype=torch.float32)).shape == (2, 8)


def test_torch_compile_takes_it_in_one_graph():
    layer, hidden = RMSNorm(8, eps=1e-6), values(2, 8, dtype=torch.float32)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(hidden), layer(hidden))
