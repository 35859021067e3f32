"""The loop that is read and the grouped product that runs give the same sums, and transformers' own experts give them too."""

import inspect

import pytest
import torch
from torch.nn import functional as F
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeExperts

from minideeptalk.model import Experts, choose_expert_path, experts_grouped, experts_loop
from minideeptalk.model.grouped import (
    FAST_PATHS,
    experts_padded,
    experts_segments,
    experts_single,
    experts_sorted,
    grouped_product,
    sort_by_expert,
)

TOKENS, EXPERTS, CHOSEN, WIDTH, HIDDEN = 64, 8, 2, 16, 12
EVEN_HIDDEN = 8  # in half precision rows of 16 bytes, as grouped_mm wants them


def routing(kind, seed=0):
    """Indices (N, K), different within a token, and weights (N, K)."""
    generator = torch.Generator().manual_seed(seed)
    chances = {"even": [1.0] * 8, "skewed": [100.0, 20.0, 5.0, 1.0, 1.0, 0.5, 0.2, 0.1], "one expert empty": [1.0] * 4 + [0.0] + [1.0] * 3,
               "two experts take all": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]}[kind]
    indices = torch.tensor(chances).expand(TOKENS, -1).multinomial(CHOSEN, generator=generator)
    return indices, torch.rand(TOKENS, CHOSEN, generator=generator)


KINDS = pytest.mark.parametrize("kind", ["even", "skewed", "one expert empty", "two experts take all"])


def material(narrow=HIDDEN):
    """hidden (N, D), gate_up_proj (E, 2H, D), down_proj (E, D, H), with H = `narrow`."""
    generator = torch.Generator().manual_seed(1)
    shapes = (TOKENS, WIDTH), (EXPERTS, 2 * narrow, WIDTH), (EXPERTS, WIDTH, narrow)
    return [torch.randn(shape, generator=generator) * shape[-1] ** -0.5 for shape in shapes]


def every_expert_on_every_token(hidden, indices, weights, gate_up_proj, down_proj):
    """The definition, in one formula: all experts see all tokens, and the weight is zero where an expert was not chosen."""
    spread = torch.zeros(len(hidden), len(down_proj), dtype=hidden.dtype).scatter(1, indices, weights)  # (N, E)
    gate, up = torch.einsum("nd,ehd->neh", hidden, gate_up_proj).chunk(2, dim=-1)  # (N, E, H)
    return torch.einsum("neh,edh,ne->nd", F.silu(gate) * up, down_proj, spread)


def run(path, kind, dtype, frozen=(), narrow=HIDDEN):
    """The output, and the gradients of hidden, routing weights and both projections; `frozen` are the numbers of those that have none."""
    indices, weights = routing(kind)
    hidden, gate_up_proj, down_proj = material(narrow)
    leaves = [part.to(dtype).requires_grad_(number not in frozen) for number, part in enumerate((hidden, weights, gate_up_proj, down_proj))]
    output = path(leaves[0], indices, *leaves[1:])
    aim = torch.randn(output.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    (output * aim).sum().backward()
    return [output.detach(), *(leaf.grad for leaf in leaves)]


ALL_PATHS = pytest.mark.parametrize("path", [experts_loop, experts_grouped, experts_segments, experts_padded])
NAMES = ("output", "gradient to hidden", "gradient to the routing weights", "gradient to gate_up_proj", "gradient to down_proj")


@KINDS
@ALL_PATHS
def test_each_path_equals_the_definition_in_float64(path, kind):
    for name, ours, exact in zip(NAMES, run(path, kind, torch.float32), run(every_expert_on_every_token, kind, torch.float64)):
        assert (ours.double() - exact).abs().max() < 1e-5, name


@KINDS
@pytest.mark.parametrize("path", [experts_segments, experts_padded])
def test_gradients_are_those_of_finite_differences(path, kind):
    indices, weights = routing(kind)
    leaves = [part.double().requires_grad_() for part in (material()[0][:6], weights[:6], *material()[1:])]
    assert torch.autograd.gradcheck(lambda hidden, share, *both: path(hidden, indices[:6], share, *both), leaves, fast_mode=True)


@KINDS
def test_loop_and_grouped_are_equal(kind):
    for name, loop, grouped in zip(NAMES, run(experts_loop, kind, torch.float32), run(experts_grouped, kind, torch.float32)):
        torch.testing.assert_close(grouped, loop, atol=1e-5, rtol=0, msg=name)


def test_the_loop_makes_no_gradient_of_all_experts_for_each():
    indices, weights = routing("even")
    hidden, *projections = material()
    nodes, seen = [experts_loop(hidden, indices, weights, *(part.requires_grad_() for part in projections)).grad_fn], []
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.append(node)
            nodes += [parent for parent, _ in node.next_functions]
    names = [node.name() for node in seen]
    assert names.count("UnbindBackward0") == 2 and "SelectBackward0" not in names


@ALL_PATHS
def test_an_expert_without_tokens_gets_a_gradient_of_exactly_zero(path):
    *_, gate_up, down = run(path, "one expert empty", torch.float32)
    idle = [bool((part[4] == 0).all()) for part in (gate_up, down)]
    busy = [bool((part.flatten(1).abs().sum(1) > 0)[[0, 1, 2, 3, 5, 6, 7]].all()) for part in (gate_up, down)]
    assert idle == busy == [True, True]


FAST = pytest.mark.parametrize("path", [experts_grouped, experts_segments, experts_padded])


@FAST
@pytest.mark.parametrize("frozen", [{2, 3}, {3}, {2}, {0, 1}, {0, 2, 3}], ids=lambda frozen: " and ".join(NAMES[1 + part] for part in frozen))
def test_what_is_frozen_costs_no_product_and_the_other_gradients_stay(monkeypatch, path, frozen):
    products = []
    monkeypatch.setattr("minideeptalk.model.grouped.grouped_product", lambda *parts: products.append(parts) or grouped_product(*parts))
    whole = run(path, "skewed", torch.float32)
    in_all = len(products)
    some = run(path, "skewed", torch.float32, frozen)
    for number, (name, all_learn, some_learn) in enumerate(zip(NAMES, whole, some), start=-1):
        assert some_learn is None if number in frozen else torch.equal(some_learn, all_learn), name
    assert in_all == 6 and len(products) - in_all == 6 - len(frozen - {1})  # the routing weights need no product of their own


@pytest.mark.parametrize("kind, few, path", [("even", 0, "padded"), ("two experts take all", 0, "segments"), ("two experts take all", 10_000, "padded")])
def test_padding_is_bounded_where_few_experts_are_busy(monkeypatch, kind, few, path):
    """With rows enough to matter, at most twice as many of them; all paths then still give the same."""
    products = []
    monkeypatch.setattr("minideeptalk.model.grouped.FEW_ROWS", few)
    monkeypatch.setattr("minideeptalk.model.grouped.grouped_product", lambda *parts: products.append(parts) or grouped_product(*parts))
    for name, padded, loop in zip(NAMES, run(experts_padded, kind, torch.float32), run(experts_loop, kind, torch.float32)):
        torch.testing.assert_close(padded, loop, atol=1e-5, rtol=0, msg=name)
    assert {taken for *_, taken in products} == {path}
    assert few or len(products[0][0]) <= 2 * TOKENS * CHOSEN


@ALL_PATHS
def test_the_order_of_the_chosen_experts_does_not_matter(path):
    indices, weights = routing("skewed")
    hidden, *projections = material()
    turned = path(hidden, indices.flip(1), weights.flip(1), *projections)
    torch.testing.assert_close(turned, path(hidden, indices, weights, *projections), atol=1e-6, rtol=0)


@pytest.mark.parametrize("path", [experts_loop, experts_grouped])
def test_both_ways_run_in_mixed_precision(path):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = run(path, "skewed", torch.float32)
    for name, rough, exact in zip(NAMES, mixed, run(experts_loop, "skewed", torch.float32)):
        assert name == "output" or rough.dtype == exact.dtype, name
        assert (rough - exact).abs().max() < 0.05 * exact.abs().max(), name


def off_by(rough, exact):
    """The length of the error, of the length of what is right."""
    return float((rough.double() - exact.double()).norm() / exact.double().norm())


HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


@HALF
@pytest.mark.parametrize("path", FAST_PATHS.values())
def test_every_fast_path_runs_in_half_precision(path, dtype):
    indices, weights = routing("skewed")
    hidden, *projections = material(EVEN_HIDDEN)
    rough = path(hidden.to(dtype), indices, weights.to(dtype), *(part.to(dtype) for part in projections))
    assert rough.dtype == dtype and off_by(rough, experts_loop(hidden, indices, weights, *projections)) < 2 * torch.finfo(dtype).eps


@HALF
@pytest.mark.parametrize("kind", ["skewed", "one expert empty"])
@pytest.mark.parametrize("path", [experts_sorted, experts_segments, experts_padded])
def test_gradients_in_half_precision_are_off_by_its_rounding_alone(path, kind, dtype):
    exact = run(every_expert_on_every_token, kind, torch.float64, narrow=EVEN_HIDDEN)
    for name, rough, right in zip(NAMES, run(path, kind, dtype, narrow=EVEN_HIDDEN), exact):
        assert rough.dtype == dtype and off_by(rough, right) < 2 * torch.finfo(dtype).eps, name


def test_mixed_precision_reaches_the_products_of_the_experts(monkeypatch):
    seen = []
    monkeypatch.setitem(FAST_PATHS, "segments", lambda *parts: seen.extend(part.dtype for part in parts) or parts[0])
    indices, weights = routing("even")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        experts_grouped(material()[0], indices, weights, *material()[1:])  # H = 12 in bf16: rows of 24 bytes
    assert [dtype for dtype in seen if dtype.is_floating_point] == [torch.bfloat16] * 4


# ---- which path, and why -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device, dtype, capability, options, path", [
    ("cpu", torch.float32, None, {}, "grouped"),
    ("cpu", torch.float64, None, {}, "segments"),
    ("cpu", torch.bfloat16, None, {"widths": (16, 12)}, "segments"),
    ("cpu", torch.float32, None, {"tokens": 1, "learning": False}, "single"),
    ("cpu", torch.float32, None, {"tokens": 2, "learning": False}, "single"),
    ("cpu", torch.float32, None, {"tokens": 3, "learning": False}, "grouped"),
    ("cpu", torch.float32, None, {"tokens": 1}, "grouped"),
    ("cuda", torch.bfloat16, (9, 0), {}, "grouped"),
    ("cuda", torch.bfloat16, (8, 0), {}, "padded"),
    ("cuda", torch.bfloat16, (10, 0), {}, "padded"),
    ("cuda", torch.bfloat16, (12, 0), {}, "padded"),
    ("cuda", torch.float32, (9, 0), {}, "padded"),
    ("cuda", torch.float16, (7, 5), {}, "padded"),
])
def test_the_path_is_chosen_with_a_reason(monkeypatch, device, dtype, capability, options, path):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    chosen, reason = choose_expert_path(device, dtype, **options)
    assert chosen == path and chosen in FAST_PATHS and len(reason) > 10


@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_a_few_tokens_give_what_they_give_in_a_batch(tokens):
    """Two is a talker's batch: one row speaks, one writes."""
    indices, weights = routing("even")
    hidden, *projections = material()
    expected = experts_loop(hidden, indices, weights, *projections)[:tokens]
    with torch.no_grad():
        for path in (experts_grouped, experts_single):
            torch.testing.assert_close(path(hidden[:tokens], indices[:tokens], weights[:tokens], *projections), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["even", "one expert empty"])
def test_both_grouped_products_are_one(kind):
    choices = sort_by_expert(routing(kind)[0], EXPERTS)
    rows, (_, gate_up_proj, _) = torch.randn(TOKENS * CHOSEN, WIDTH), material()
    for left, right in ((rows, gate_up_proj.transpose(1, 2)), (rows.t(), torch.randn(TOKENS * CHOSEN, HIDDEN))):
        grouped, segments = (grouped_product(left, right, choices.ends, path) for path in ("grouped", "segments"))
        torch.testing.assert_close(grouped, segments, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("path", ["grouped", "segments"])
def test_the_operator_for_torch_compile_keeps_its_promises(path):
    choices, rows = sort_by_expert(routing("skewed")[0], EXPERTS), torch.randn(TOKENS * CHOSEN, WIDTH)
    operator = torch.ops.minideeptalk.grouped_product.default
    for left, right in ((rows, material()[1].transpose(1, 2)), (rows.t(), torch.randn(TOKENS * CHOSEN, HIDDEN))):
        torch.library.opcheck(operator, (left, right, choices.ends, path == "segments"), test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("frozen", [(), (2, 3)], ids=["all learn", "frozen experts"])
@pytest.mark.parametrize("dtype, path", [(torch.float32, "grouped"), (torch.bfloat16, "grouped"), (torch.float16, "grouped"), (torch.float64, "segments")])
def test_torch_compile_takes_the_layer_in_one_graph(dtype, path, frozen):
    torch.compiler.reset()
    compiled = torch.compile(experts_grouped, fullgraph=True, backend="aot_eager")
    fast, plain = (run(layer, "skewed", dtype, frozen, narrow=EVEN_HIDDEN) for layer in (compiled, FAST_PATHS[path]))
    for name, one, other in zip(NAMES, fast, plain, strict=True):
        assert one is other is None or off_by(one, other) < torch.finfo(dtype).eps, name
    chosen, _ = choose_expert_path("cpu", dtype, widths=(WIDTH, EVEN_HIDDEN))
    assert chosen == path


# ---- beside transformers -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("implementation", ["eager", "grouped_mm", "batched_mm"])
def test_transformers_experts_can_stand_in_a_model_of_ours(tiny, implementation):
    model = tiny.model().eval()
    batch = tiny.batch(tiny.builder())
    ours = model(**batch.model_inputs()).hidden
    for mixture in model.mixtures():
        _, width, hidden = mixture.experts.down_proj.shape
        config = OlmoeConfig(hidden_size=width, intermediate_size=hidden, num_experts=mixture.experts.num_experts)
        config._experts_implementation = implementation
        weights, mixture.experts = mixture.experts.state_dict(), OlmoeExperts(config)
        mixture.experts.load_state_dict(weights)
    torch.testing.assert_close(model(**batch.model_inputs()).hidden, ours, atol=1e-5, rtol=1e-5)
