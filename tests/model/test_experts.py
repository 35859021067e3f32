"""The loop that is read and the grouped product that runs give the same sums, and transformers' own experts give them too."""

import inspect

import pytest
import torch
from torch.nn import functional as F
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeExperts

from minideeptalk.model import Experts, experts_grouped, experts_loop

TOKENS, EXPERTS, CHOSEN, WIDTH, HIDDEN = 64, 8, 2, 16, 12


def routing(kind, seed=0):
    """Indices (N, K), different within a token, and weights (N, K)."""
    generator = torch.Generator().manual_seed(seed)
    chances = {"even": [1.0] * 8, "skewed": [100.0, 20.0, 5.0, 1.0, 1.0, 0.5, 0.2, 0.1], "one expert empty": [1.0] * 4 + [0.0] + [1.0] * 3,
               "two experts take all": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]}[kind]
    indices = torch.tensor(chances).expand(TOKENS, -1).multinomial(CHOSEN, generator=generator)
    return indices, torch.rand(TOKENS, CHOSEN, generator=generator)


KINDS = pytest.mark.parametrize("kind", ["even", "skewed", "one expert empty", "two experts take all"])


def material(seed=1):
    """hidden (N, D), gate_up_proj (E, 2H, D), down_proj (E, D, H)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (TOKENS, WIDTH), (EXPERTS, 2 * HIDDEN, WIDTH), (EXPERTS, WIDTH, HIDDEN)
    return [torch.randn(shape, generator=generator) * shape[-1] ** -0.5 for shape in shapes]


def every_expert_on_every_token(hidden, indices, weights, gate_up_proj, down_proj):
    """The definition, in one formula: all experts see all tokens, and the weight is zero where an expert was not chosen."""
    spread = torch.zeros(len(hidden), len(down_proj), dtype=hidden.dtype).scatter(1, indices, weights)  # (N, E)
    gate, up = torch.einsum("nd,ehd->neh", hidden, gate_up_proj).chunk(2, dim=-1)  # (N, E, H)
    return torch.einsum("neh,edh,ne->nd", F.silu(gate) * up, down_proj, spread)


def run(path, kind, dtype):
    """The output, and the gradients of hidden, routing weights and both projections."""
    indices, weights = routing(kind)
    hidden, gate_up_proj, down_proj = material()
    leaves = [part.to(dtype).requires_grad_() for part in (hidden, weights, gate_up_proj, down_proj)]
    output = path(leaves[0], indices, *leaves[1:])
    aim = torch.randn(output.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    (output * aim).sum().backward()
    return [output.detach(), *(leaf.grad for leaf in leaves)]


NAMES = ("output", "gradient to hidden", "gradient to the routing weights", "gradient to gate_up_proj", "gradient to down_proj")


@KINDS
@pytest.mark.parametrize("path", [experts_loop, experts_grouped])
def test_each_path_equals_the_definition_in_float64(path, kind):
    for name, ours, exact in zip(NAMES, run(path, kind, torch.float32), run(every_expert_on_every_token, kind, torch.float64)):
        assert (ours.double() - exact).abs().max() < 1e-5, name


@KINDS
def test_loop_and_grouped_are_equal(kind):
    for name, loop, grouped in zip(NAMES, run(experts_loop, kind, torch.float32), run(experts_grouped, kind, torch.float32)):
        torch.testing.assert_close(grouped, loop, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("path", [experts_loop, experts_grouped])
def test_an_expert_without_tokens_gets_a_gradient_of_exactly_zero(path):
    *_, gate_up, down = run(path, "one expert empty", torch.float32)
    idle = [bool((part[4] == 0).all()) for part in (gate_up, down)]
    busy = [bool((part.flatten(1).abs().sum(1) > 0)[[0, 1, 2, 3, 5, 6, 7]].all()) for part in (gate_up, down)]
    assert idle == busy == [True, True]


@pytest.mark.parametrize("path", [experts_loop, experts_grouped])
def test_the_order_of_the_chosen_experts_does_not_matter(path):
    indices, weights = routing("skewed")
    hidden, *projections = material()
    turned = path(hidden, indices.flip(1), weights.flip(1), *projections)
    torch.testing.assert_close(turned, path(hidden, indices, weights, *projections), atol=1e-6, rtol=0)


@pytest.mark.parametrize("path", [experts_loop, experts_grouped])
def test_both_paths_run_in_mixed_precision(path):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = run(path, "skewed", torch.float32)
    for name, rough, exact in zip(NAMES, mixed, run(experts_loop, "skewed", torch.float32)):
        assert rough.dtype == exact.dtype and (rough - exact).abs().max() < 0.05 * exact.abs().max(), name


@pytest.mark.parametrize("theirs", [OlmoeExperts, Qwen2MoeExperts])
def test_the_forward_has_the_signature_of_transformers_experts(theirs):
    assert list(inspect.signature(Experts.forward).parameters) == list(inspect.signature(theirs.forward).parameters)


@pytest.mark.parametrize("implementation", ["loop", "grouped"])
@KINDS
def test_transformers_experts_with_our_weights_give_our_numbers(implementation, kind):
    config = OlmoeConfig(hidden_size=WIDTH, intermediate_size=HIDDEN, num_experts=EXPERTS, num_experts_per_tok=CHOSEN)
    config._experts_implementation = "eager"
    theirs, ours = OlmoeExperts(config), Experts(WIDTH, EXPERTS, HIDDEN, implementation)
    hidden, gate_up_proj, down_proj = material()
    for experts in (theirs, ours):
        experts.load_state_dict({"gate_up_proj": gate_up_proj, "down_proj": down_proj})
    indices, weights = routing(kind)
    torch.testing.assert_close(ours(hidden, indices, weights), theirs(hidden, indices, weights), atol=1e-5, rtol=0)


def test_a_whole_model_gives_the_same_with_either_path(tiny):
    model = tiny.model().eval()
    batch = tiny.batch(tiny.builder())
    grouped = model(**batch.model_inputs()).hidden
    for mixture in model.mixtures():
        mixture.experts.implementation = "loop"
    torch.testing.assert_close(model(**batch.model_inputs()).hidden, grouped, atol=1e-5, rtol=1e-5)
