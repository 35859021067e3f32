"""The expert layer against the dense feed-forward of the same active work, the clear loop and transformers' experts.

Axes: N tokens, E experts, K chosen experts, D width, H hidden width of one expert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn import functional as F
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts

from minideeptalk.benchmarks.record import bar, row
from minideeptalk.benchmarks.timing import in_turns, peak_memory_mb
from minideeptalk.model import Experts, SwiGLU, choose_expert_path
from minideeptalk.model.grouped import experts_padded, sort_by_expert

LARGEST_GATHER = 256e6  # bytes: transformers' batched experts copy one weight matrix for each choice
DENSE, OURS, PADDED = "dense of the same active work", "ours", "ours, padded to the busiest expert"
UNMOVED = "products alone, rows sorted before"


@dataclass(frozen=True)
class Shape:
    """One set of sizes, by the letters above."""

    D: int
    E: int
    H: int
    K: int
    N: int

    def __str__(self) -> str:
        return f"D {self.D}, E {self.E}, H {self.H}, K {self.K}, N {self.N}"


SHAPES = {
    "nano": (Shape(128, 4, 128, 2, 512), Shape(128, 16, 128, 2, 512), Shape(128, 16, 128, 2, 4096)),
    "mini": (Shape(192, 24, 128, 3, 512), Shape(192, 24, 128, 3, 4096), Shape(256, 4, 128, 2, 4096), Shape(256, 16, 128, 2, 4096),
             Shape(256, 32, 128, 2, 4096), Shape(256, 64, 128, 2, 4096), Shape(256, 32, 64, 4, 4096), Shape(256, 32, 256, 2, 4096),
             Shape(256, 4, 128, 2, 16384), Shape(256, 64, 128, 2, 16384)),
    "base": (Shape(512, 32, 256, 4, 4096),),
}
LIMIT, GROWTH = 1.25, 1.15


def bench_experts(size: str, rounds: int, clock: Callable[[], float], device: str = "cpu") -> dict:
    """Forward and backward of every candidate at every shape of a size, in turns; the router is not part of it.

    Returns:
        `rows`, `bars` and `notes` for the record.
    """
    rows = [entry for shape in SHAPES[size] for entry in shape_rows(shape, rounds, clock, device)]
    path, reason = choose_expert_path(device, torch.float32)
    return {"rows": rows, "bars": bars(SHAPES[size], rows), "notes": [
        f"path `{path}`: {reason}", "fp32, forward and backward, evenly random choices; the time of the best round"]}


def shape_rows(shape: Shape, rounds: int, clock: Callable[[], float], device: str) -> list[dict]:
    """The rows of one shape."""
    candidates = make_candidates(shape, device)
    best = {name: min(times) for name, times in in_turns(candidates, rounds, clock).items()}
    memory = {name: peak_memory_mb(run, device) for name, run in candidates.items()}
    return [row(name, str(shape), shape.N, seconds, best[DENSE], memory[name]) for name, seconds in best.items()]


def make_candidates(shape: Shape, device: str) -> dict[str, Callable[[], object]]:
    """Every way to compute the layer: name -> one forward and backward on the same tokens, choices and weights."""
    layers, (hidden, indices, weights) = make_layers(shape, device)
    hidden.requires_grad_(), weights.requires_grad_()
    aim = torch.randn(shape.N, shape.D, device=device)
    candidates, ours = {}, layers[OURS]
    padded = partial(experts_padded, hidden, indices, weights, ours.gate_up_proj, ours.down_proj)
    candidates[PADDED] = partial(_forward_and_backward, padded, [hidden, weights, *ours.parameters()], aim)
    candidates[UNMOVED] = _unmoved(ours, hidden, indices, weights, aim)
    for name, layer in layers.items():
        inputs, leaves = ((hidden,), [hidden]) if name == DENSE else ((hidden, indices, weights), [hidden, weights])
        candidates[name] = partial(_forward_and_backward, partial(layer, *inputs), [*leaves, *layer.parameters()], aim)
    return candidates


def make_layers(shape: Shape, device: str) -> tuple[dict[str, torch.nn.Module], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The dense layer and all layers of experts with equal weights; hidden (N, D), evenly random indices (N, K), weights (N, K)."""
    torch.manual_seed(0)
    inputs = (torch.randn(shape.N, shape.D), torch.rand(shape.N, shape.E).topk(shape.K, dim=-1).indices, torch.rand(shape.N, shape.K))
    layers = {OURS: Experts(shape.D, shape.E, shape.H, "grouped"), "clear loop": Experts(shape.D, shape.E, shape.H, "loop")}
    for implementation in ("eager", "grouped_mm", "batched_mm"):
        if implementation != "batched_mm" or 12 * shape.N * shape.K * shape.H * shape.D < LARGEST_GATHER:
            layers[f"transformers {implementation}"] = _theirs(shape, implementation)
    gate_up, down = (torch.randn(size) * size[-1] ** -0.5 for size in ((shape.E, 2 * shape.H, shape.D), (shape.E, shape.D, shape.H)))
    for layer in layers.values():
        layer.load_state_dict({"gate_up_proj": gate_up, "down_proj": down})
    layers = {DENSE: SwiGLU(shape.D, shape.K * shape.H), **layers}
    return {name: layer.to(device) for name, layer in layers.items()}, tuple(part.to(device) for part in inputs)


def _unmoved(layer: Experts, hidden: torch.Tensor, indices: torch.Tensor, weights: torch.Tensor, aim: torch.Tensor) -> Callable[[], object]:
    """What is left of the layer where the rows stand sorted already and nothing is summed: the cost of many small products."""
    choices = sort_by_expert(indices, layer.num_experts)
    rows, aims = hidden.detach()[choices.token].requires_grad_(), aim[choices.token]  # (R, D) each
    share = weights.detach().flatten()[choices.order, None].requires_grad_()  # (R, 1)

    def products() -> torch.Tensor:
        gate, up = F.grouped_mm(rows, layer.gate_up_proj.transpose(1, 2), offs=choices.ends).chunk(2, dim=-1)
        return F.grouped_mm(F.silu(gate) * up * share, layer.down_proj.transpose(1, 2), offs=choices.ends)

    return partial(_forward_and_backward, products, [rows, share, *layer.parameters()], aims)


def _theirs(shape: Shape, implementation: str) -> torch.nn.Module:
    config = OlmoeConfig(hidden_size=shape.D, intermediate_size=shape.H, num_experts=shape.E, num_experts_per_tok=shape.K)
    config._experts_implementation = implementation
    return OlmoeExperts(config)


def _forward_and_backward(layer: Callable, leaves: list[torch.Tensor], aim: torch.Tensor) -> list[torch.Tensor]:
    """Gradients as training wants them: fresh each time."""
    return torch.autograd.grad(layer(), leaves, aim)


def bars(shapes: tuple[Shape, ...], rows: list[dict]) -> list[dict]:
    """The claims that these rows can settle: nearness to the limit, and a cost that hardly grows with the number of experts."""
    ours = {entry["shape"]: entry for entry in rows if entry["name"] == OURS}
    held = [shape for shape in shapes if shape.E <= 32 and shape.H >= 128 and shape.N >= 4096]
    found = [bar(f"expert layer over the dense limit, {shape}", ours[str(shape)]["ratio_to_dense"], at_most=LIMIT) for shape in held]
    for few in shapes:
        for many in shapes:
            if (few.E, many.E) == (4, 64) and (few.D, few.H, few.K, few.N) == (many.D, many.H, many.K, many.N):
                growth = ours[str(many)]["milliseconds"] / ours[str(few)]["milliseconds"]
                found.append(bar(f"cost with 64 experts over cost with 4, {many}", growth, at_most=GROWTH))
    return found
