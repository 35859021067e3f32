"""The expert layer against the dense feed-forward of the same active work, the clear loop and transformers' experts.

Axes: N tokens, E experts, K chosen experts, D width, H hidden width of one expert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch.nn import functional as F
from transformers.models.olmoe.configuration_olmoe import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeExperts

from minideeptalk.benchmarks.record import bar, row
from minideeptalk.benchmarks.roofline import Machine, layer_work, measure_machine
from minideeptalk.benchmarks.timing import autocast, in_turns, peak_memory_mb
from minideeptalk.model import Experts, SwiGLU, choose_expert_path
from minideeptalk.model.grouped import experts_padded, sort_by_expert

LARGEST_GATHER = 256e6  # bytes: transformers' batched experts copy one weight matrix for each choice
DENSE, OURS, PADDED = "dense of the same active work", "ours", "ours, padded to the busiest expert"
UNMOVED, PLAIN, UPDATE = "products alone, rows sorted before", "plain autograd", "fused AdamW step alone"


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
    "mini": (Shape(192, 24, 128, 3, 64), Shape(192, 24, 128, 3, 512), Shape(192, 24, 128, 3, 4096),
             Shape(256, 4, 128, 2, 4096), Shape(256, 16, 128, 2, 4096), Shape(256, 32, 128, 2, 4096), Shape(256, 64, 128, 2, 4096),
             Shape(256, 32, 64, 4, 4096), Shape(256, 32, 256, 2, 4096), Shape(256, 4, 128, 2, 16384), Shape(256, 64, 128, 2, 16384)),
    "base": (Shape(512, 32, 256, 4, 4096),),
}
LIMIT, GROWTH = 1.25, 1.15
FEW, MANY = 4, 64  # experts between which a layer's cost should hardly grow
GPU_TOKENS = 65536  # of one more shape there: fewer leave a GPU waiting for its next kernel
BAR_TOKENS = 4096  # shapes with more came when a first run had missed the bars of these, so they are rows and no bars


def bench_experts(size: str, rounds: int, clock: Callable[[], float], device: str, dtype: torch.dtype) -> dict:
    """Forward and backward of every candidate at every shape of a size; the router is not part of it.

    Shapes that differ in the number of experts alone take turns with each other too, because a bar compares them.

    Returns:
        `rows`, `bars` and `notes` for the record.
    """
    shapes = SHAPES[size] + ((replace(SHAPES[size][0], N=GPU_TOKENS),) if device == "cuda" else ())
    groups: dict[Shape, list[Shape]] = {}
    for shape in shapes:
        groups.setdefault(replace(shape, E=0), []).append(shape)
    machine = measure_machine(device, dtype, clock)
    rows = [entry for group in groups.values() for entry in group_rows(group, rounds, clock, device, dtype, machine)]
    path, reason = choose_expert_path(device, dtype)
    notes = [f"path `{path}`: {reason}", f"{dtype}, forward and backward, evenly random choices; the time of the best round",
             f"transformers batched_mm stands where its copies of weights, one for each choice, take less than {LARGEST_GATHER / 1e6:.0f} MB",
             str(machine)]
    if device == "cuda":
        notes.append("the bars were set for CPUs; transformers' grouped_mm computes in the dtype of its weights, fp32, also under autocast")
    return {"rows": rows, "bars": bars(shapes, rows) if device == "cpu" else [], "notes": notes + growth_notes(shapes, rows)}


def group_rows(shapes: list[Shape], rounds: int, clock: Callable[[], float], device: str, dtype: torch.dtype, machine: Machine) -> list[dict]:
    """The rows of several shapes, all of whose candidates take turns."""
    candidates = {(shape, name): run for shape in shapes for name, run in make_candidates(shape, device, dtype).items()}
    best = {key: min(times) for key, times in in_turns(candidates, rounds, clock).items()}
    return [row(name, str(shape), shape.N, seconds, None if name == UPDATE else best[shape, DENSE],
                peak_memory_mb(candidates[shape, name], device), share_of_roofline=_share(machine, shape, name, dtype, seconds))
            for (shape, name), seconds in best.items()]


def _share(machine: Machine, shape: Shape, name: str, dtype: torch.dtype, seconds: float) -> float | None:
    if name == UPDATE:
        return None
    chosen = shape.K * shape.H
    return machine.least_seconds(layer_work(shape.N, shape.D, chosen, chosen if name == DENSE else shape.E * shape.H, dtype)) / seconds


def make_candidates(shape: Shape, device: str, dtype: torch.dtype = torch.float32) -> dict[str, Callable[[], object]]:
    """Every way to compute the layer: name -> one forward and backward on the same tokens, choices and weights; and the update of its weights."""
    layers, (hidden, indices, weights) = make_layers(shape, device)
    hidden.requires_grad_(), weights.requires_grad_()
    aim = torch.randn(shape.N, shape.D, device=device)
    ours, train = layers[OURS], partial(_forward_and_backward, dtype)
    candidates = {}
    for name, path in ((PADDED, experts_padded), (PLAIN, experts_plain)):
        run = partial(_in_dtype, dtype, path, hidden, indices, weights, ours.gate_up_proj, ours.down_proj)
        candidates[name] = partial(train, run, [hidden, weights, *ours.parameters()], aim)
    rows, share, aims, ends = _sorted(hidden, indices, weights, aim, shape.E)
    products = partial(_in_dtype, dtype, _products, rows, share, ours.gate_up_proj, ours.down_proj, ends)
    candidates[UNMOVED] = partial(train, products, [rows, share, *ours.parameters()], aims)
    for name, layer in layers.items():
        inputs, leaves = ((hidden,), [hidden]) if name == DENSE else ((hidden, indices, weights), [hidden, weights])
        candidates[name] = partial(train, partial(layer, *inputs), [*leaves, *layer.parameters()], aim)
    return candidates | {UPDATE: _update(ours)}


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


def experts_plain(hidden, indices, weights, gate_up_proj, down_proj):
    """The layer of `model/grouped.py` as torch's autograd derives it, with nothing by hand."""
    choices = sort_by_expert(indices, len(gate_up_proj))
    share = weights.flatten().index_select(0, choices.order)[:, None]  # (R, 1)
    results = _products(hidden.index_select(0, choices.token), share, gate_up_proj, down_proj, choices.ends)  # (R, D)
    return torch.zeros_like(hidden).index_add_(0, choices.token, results)


def _products(rows, share, gate_up_proj, down_proj, ends):
    """Sorted rows (R, D) and their weights (R, 1) through their experts -> (R, D)."""
    gate, up = F.grouped_mm(rows, gate_up_proj.transpose(1, 2), offs=ends).chunk(2, dim=-1)  # (R, H), (R, H)
    return F.grouped_mm(F.silu(gate) * up * share, down_proj.transpose(1, 2), offs=ends)


def _sorted(hidden, indices, weights, aim, experts):
    """Rows that stand sorted before the clock starts, so that only the many small products are left: (R, D), (R, 1), (R, D), (E,)."""
    choices = sort_by_expert(indices, experts)
    share = weights.detach().flatten()[choices.order, None]  # (R, 1)
    return hidden.detach()[choices.token].requires_grad_(), share.requires_grad_(), aim[choices.token], choices.ends


def _update(layer: Experts) -> Callable[[], object]:
    """The optimizer's step over copies of a layer's weights: unlike the layer, it grows with every expert."""
    copies = [torch.nn.Parameter(weight.detach().clone()) for weight in layer.parameters()]
    for copy in copies:
        copy.grad = torch.full_like(copy, 1e-3)
    return torch.optim.AdamW(copies, lr=1e-4, fused=True).step


def _theirs(shape: Shape, implementation: str) -> torch.nn.Module:
    config = OlmoeConfig(hidden_size=shape.D, intermediate_size=shape.H, num_experts=shape.E, num_experts_per_tok=shape.K)
    config._experts_implementation = implementation
    return OlmoeExperts(config)


def _in_dtype(dtype: torch.dtype, path: Callable, *parts: torch.Tensor) -> torch.Tensor:
    """`path` over parts cast by hand, as `experts_grouped` casts them: autocast does not know grouped products."""
    return path(*(part.to(dtype) if part.is_floating_point() else part for part in parts))


def _forward_and_backward(dtype: torch.dtype, layer: Callable, leaves: list[torch.Tensor], aim: torch.Tensor) -> list[torch.Tensor]:
    """Gradients as training wants them: fresh each time."""
    with autocast(aim.device.type, dtype):
        output = layer()
    return torch.autograd.grad(output, leaves, aim.to(output.dtype))


def bars(shapes: tuple[Shape, ...], rows: list[dict]) -> list[dict]:
    """The claims that these rows can settle: nearness to the limit, and a cost that hardly grows with the number of experts."""
    ours = {entry["shape"]: entry for entry in rows if entry["name"] == OURS}
    return [*(bar(f"expert layer over the dense limit, {shape}", ours[str(shape)]["ratio_to_dense"], at_most=LIMIT) for shape in under_limit(shapes)),
            *(bar(f"cost with {MANY} experts over cost with {FEW}, {many}", growth(rows, OURS, many), at_most=GROWTH)
              for many in grown(shapes) if many.N == BAR_TOKENS)]


def under_limit(shapes: tuple[Shape, ...]) -> list[Shape]:
    """The shapes for which nearness to the limit was claimed."""
    return [shape for shape in shapes if shape.E <= 32 and shape.H >= 128 and shape.N == BAR_TOKENS]


def growth_notes(shapes: tuple[Shape, ...], rows: list[dict]) -> list[str]:
    """What grows with the experts and has no bar: the optimizer's step, and the layer at shapes that came later."""
    optimizer = [f"the optimizer's step apart: over the weights of {MANY} experts it takes {growth(rows, UPDATE, many):.1f} times that over "
                 f"{FEW}, {many}" for many in grown(shapes)]
    later = [f"cost with {MANY} experts over cost with {FEW}, {many}: {growth(rows, OURS, many):.3f}, no bar, "
             f"since this shape was added when a first run had missed the bar of {BAR_TOKENS} tokens" for many in grown(shapes) if many.N > BAR_TOKENS]
    return optimizer + later


def grown(shapes: tuple[Shape, ...]) -> list[Shape]:
    """The shapes with `MANY` experts that have a twin with `FEW`."""
    return [shape for shape in shapes if shape.E == MANY and replace(shape, E=FEW) in shapes]


def growth(rows: list[dict], name: str, many: Shape) -> float:
    """A candidate's time at `many` over that with `FEW` experts; the two took turns."""
    few, grown_to = (next(entry["milliseconds"] for entry in rows if (entry["name"], entry["shape"]) == (name, str(shape)))
                     for shape in (replace(many, E=FEW), many))
    return grown_to / few
