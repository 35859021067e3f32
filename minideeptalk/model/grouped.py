"""Fast ways through the routed experts, and the one function that chooses among them.

All but the last begin alike: sort the choices by expert, so that the tokens of one expert stand together (`sort_by_expert`).  They
differ in how the many small matrix products are made:

| path | product | where |
| --- | --- | --- |
| `grouped` | `F.grouped_mm`, one call for all experts | CPU; Hopper GPUs in bf16, which have a fused kernel for it |
| `segments` | one `mm` for each expert | float64, widths that `grouped_mm` refuses, and too much padding |
| `padded` | `bmm` over experts padded to the longest | all other GPUs, such as a T4 |
| `single` | the chosen experts of each token by themselves | a CPU that decodes one answer, in one row or two |

Axes: N tokens, E experts, K chosen experts, R = N * K sorted rows, D width, H hidden width of one expert.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

ROW_BYTES = 16  # `F.grouped_mm` wants rows that are multiples of this
FEW_TOKENS = 2  # measured at every size of the dial: from the third token on, sorting is as cheap or cheaper at one of them
MOST_PADDING = 2  # padded rows for each real one: with more, memory and time go into rows that nobody wants
FEW_ROWS = 4096  # up to here the padding is cheaper than one launch for each expert, however much it is (an estimate)


def choose_expert_path(device: torch.device | str, dtype: torch.dtype, *, tokens: int = 0, widths: tuple[int, ...] = (),
                       learning: bool = True) -> tuple[str, str]:
    """The way through the experts that suits this machine, and why.

    Args:
        device: where the tensors are. dtype: in which the products are computed.
        tokens: rows of the batch, 0 if not known. widths: every width of a product (D, H).
        learning: whether gradients will be wanted.

    Returns:
        name of a path and one sentence.
    """
    device = torch.device(device)
    if 1 <= tokens <= FEW_TOKENS and not learning and device.type == "cpu":
        return "single", "a token or two on a CPU: sorting would cost more than the products"
    if dtype == torch.float64:
        return "segments", "float64, which grouped_mm does not know: one product for each expert"
    if any(width * dtype.itemsize % ROW_BYTES for width in widths):
        return "segments", f"widths {widths} make rows that are no multiples of {ROW_BYTES} bytes, which grouped_mm refuses"
    if device.type == "cpu":
        return "grouped", "CPU: grouped_mm calls one product for each expert from C++"
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 9 and dtype == torch.bfloat16:
        # newer ones not: on sm_100 experts without rows got a gradient (pytorch issue 172439), sm_120 has no fused kernel
        return "grouped", "bf16 on Hopper: grouped_mm is one fused kernel"
    return "padded", f"{dtype} on this {device.type}: no fused grouped_mm to rely on, so experts padded to equal length and one bmm"


@dataclass(frozen=True)
class SortedChoices:
    """Choices in the order of their experts.

    `order` (R,) is where each sorted row came from in `indices.flatten()`, `inverse` (N, K) where each choice went;
    `ends` (E,), int32, is where each expert's rows end.
    """

    order: torch.Tensor
    inverse: torch.Tensor
    ends: torch.Tensor

    @property
    def counts(self) -> torch.Tensor:
        """(E,) rows of each expert."""
        return self.ends.diff(prepend=self.ends.new_zeros(1))

    @property
    def token(self) -> torch.Tensor:
        """(R,) the token behind each sorted row."""
        return self.order // self.inverse.shape[1]


def sort_by_expert(indices: torch.Tensor, experts: int) -> SortedChoices:
    """Sort the choices (N, K); nothing here waits for a GPU."""
    flat = indices.reshape(-1)  # (R,)
    order = flat.argsort(stable=True)
    inverse = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    counts = torch.zeros(experts, dtype=torch.int32, device=flat.device)
    counts = counts.scatter_add_(0, flat, torch.ones_like(flat, dtype=torch.int32))
    return SortedChoices(order, inverse.view(indices.shape), counts.cumsum(0, dtype=torch.int32))


def pad_to_length(choices: SortedChoices, longest: int) -> SortedChoices:
    """The same with `longest` rows for every expert; `order` is R where nothing stands."""
    counts, rows = choices.counts, torch.arange(len(choices.order), device=choices.order.device)
    expert = torch.searchsorted(choices.ends, rows, right=True)  # (R,)
    slot = rows + (expert * longest - (choices.ends - counts)[expert])  # (R,)
    order = choices.order.new_full((len(counts) * longest,), len(rows)).index_copy_(0, slot, choices.order)
    return SortedChoices(order, slot[choices.inverse], longest * torch.arange(1, len(counts) + 1, device=slot.device, dtype=torch.int32))


# ---- grouped products ----------------------------------------------------------------------------------------------------


def segment_product(left: torch.Tensor, right: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """What `F.grouped_mm` computes, as one product for each expert.

    Args:
        left: (R, A), or (A, R) where `right` has two axes. right: (E, A, B), or (R, B). ends: (E,).

    Returns:
        (R, B): each expert's rows times its matrix; or (E, A, B): for each expert, the product over its rows.
    """
    bounds = [0, *ends.tolist()]
    spans = [slice(*pair) for pair in pairwise(bounds)]
    if right.dim() == 2:
        return torch.stack([left[:, span] @ right[span] for span in spans])
    return torch.cat([left[span] @ matrix for span, matrix in zip(spans, right)])


@torch.library.custom_op("minideeptalk::grouped_product", mutates_args=())
def opaque_grouped_product(left: torch.Tensor, right: torch.Tensor, ends: torch.Tensor, segments: bool) -> torch.Tensor:
    """Either product, as one operator that torch.compile does not look into: there `F.grouped_mm` admits bf16 alone."""
    return segment_product(left, right, ends) if segments else F.grouped_mm(left, right, offs=ends)


@opaque_grouped_product.register_fake
def _shape_of_product(left, right, ends, segments):
    if right.dim() == 2:
        return left.new_empty(len(ends), left.shape[0], right.shape[1])
    return left.new_empty(left.shape[0], right.shape[2])


def padded_product(left: torch.Tensor, right: torch.Tensor, experts: int) -> torch.Tensor:
    """What `segment_product` computes where every expert has as many rows as any other."""
    if right.dim() == 2:
        return torch.bmm(left.unflatten(1, (experts, -1)).transpose(0, 1), right.unflatten(0, (experts, -1)))
    return torch.bmm(left.unflatten(0, (experts, -1)), right).flatten(0, 1)


def grouped_product(left: torch.Tensor, right: torch.Tensor, ends: torch.Tensor, path: str) -> torch.Tensor:
    """The product of `segment_product` by the named path, `grouped`, `segments` or `padded`."""
    if path == "padded":
        return padded_product(left, right, len(ends))
    if torch.compiler.is_compiling():
        return opaque_grouped_product(left, right, ends, path == "segments")
    return segment_product(left, right, ends) if path == "segments" else F.grouped_mm(left, right, offs=ends)


# ---- the layer -----------------------------------------------------------------------------------------------------------


class SortedExperts(torch.autograd.Function):
    """The whole layer over sorted rows with its gradient by hand.

    Plain autograd gives the same numbers.  By hand, what is cheap to make again is not kept (the gathered rows) and buffers
    are used twice; the sum over a token's choices and the gradient of the gather are both one `embedding_bag`, which runs on
    all threads and adds in a fixed order.
    """

    @staticmethod
    def forward(ctx, hidden, weights, gate_up_proj, down_proj, order, inverse, ends, path):
        """(N, D), (N, K), (E, 2H, D), (E, D, H), then `SortedChoices` and the path -> (N, D)."""
        token = (order // inverse.shape[1]).clamp_(max=len(hidden) - 1)  # (R,); padding reads any row, with the weight 0
        gate_up = grouped_product(hidden.index_select(0, token), gate_up_proj.transpose(1, 2), ends, path)  # (R, 2H)
        gate, up = gate_up.chunk(2, dim=-1)  # (R, H), (R, H)
        share = F.pad(weights.reshape(-1), (0, 1)).index_select(0, order)[:, None]  # (R, 1)
        opened = F.silu(gate)  # (R, H)
        activated = (opened * up).mul_(share)  # weighted on the narrow side
        results = grouped_product(activated, down_proj.transpose(1, 2), ends, path)  # (R, D)
        ctx.path = path
        ctx.save_for_backward(hidden, gate_up, opened, activated, share, token, inverse, ends, gate_up_proj, down_proj)
        return F.embedding_bag(inverse, results, mode="sum")  # (N, D)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        """(N, D) -> the gradients of the first four arguments, None for what is frozen."""
        hidden_learns, weights_learn, gate_up_learns, down_learns = ctx.needs_input_grad[:4]
        to_hidden = to_gate_up_proj = None
        hidden, gate_up, opened, activated, share, token, inverse, ends, gate_up_proj, down_proj = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        wide = gradient.index_select(0, token)  # (R, D) gradient of the results
        to_down_proj = grouped_product(wide.t(), activated, ends, ctx.path) if down_learns else None  # (E, D, H)
        to_activated = grouped_product(wide, down_proj, ends, ctx.path)  # (R, H), before the weight
        to_up = to_activated * opened
        to_weights = torch.linalg.vecdot(to_up, up)[inverse] if weights_learn else None  # (N, K)
        to_gate = torch.ops.aten.silu_backward(to_activated.mul_(share).mul_(up), gate)
        to_gate_up = torch.cat([to_gate, to_up.mul_(share)], dim=1)  # (R, 2H)
        del to_activated, to_up, to_gate
        if gate_up_learns:
            torch.index_select(hidden, 0, token, out=wide)  # now the rows that came in
            to_gate_up_proj = grouped_product(to_gate_up.t(), wide, ends, ctx.path)  # (E, 2H, D)
        del wide
        if hidden_learns:
            to_rows = grouped_product(to_gate_up, gate_up_proj, ends, ctx.path)  # (R, D)
            to_hidden = F.embedding_bag(inverse, to_rows, mode="sum")  # (N, D)
        return to_hidden, to_weights, to_gate_up_proj, to_down_proj, None, None, None, None


def experts_sorted(hidden, indices, weights, gate_up_proj, down_proj, path: str = "grouped"):
    """Sorted rows, and one grouped product for each projection; `path` is `grouped` or `segments`. Shapes as in `experts_grouped`."""
    choices = sort_by_expert(indices, len(gate_up_proj))
    return SortedExperts.apply(hidden, weights, gate_up_proj, down_proj, choices.order, choices.inverse, choices.ends, path)


def experts_segments(hidden, indices, weights, gate_up_proj, down_proj):
    """As `experts_sorted`, with one product for each expert."""
    return experts_sorted(hidden, indices, weights, gate_up_proj, down_proj, "segments")


def experts_padded(hidden, indices, weights, gate_up_proj, down_proj):
    """As `experts_sorted`, every expert's rows padded to those of the busiest, so that each product is one `bmm`; waits once for a GPU.

    Where one expert is far busier than the others, the padding would have no bound: then as `experts_segments`.
    """
    choices, path = sort_by_expert(indices, len(gate_up_proj)), "segments"
    busiest = int(choices.counts.max())
    if busiest * len(gate_up_proj) <= max(FEW_ROWS, MOST_PADDING * len(choices.order)):
        choices, path = pad_to_length(choices, busiest), "padded"
    return SortedExperts.apply(hidden, weights, gate_up_proj, down_proj, choices.order, choices.inverse, choices.ends, path)


def experts_single(hidden, indices, weights, gate_up_proj, down_proj):
    """The experts of one token after another, without sorting."""
    outputs = []
    for token, experts, shares in zip(hidden.split(1), indices.tolist(), weights):
        total = torch.zeros_like(token)  # (1, D)
        for expert, share in zip(experts, shares):
            gate, up = F.linear(token, gate_up_proj[expert]).chunk(2, dim=-1)  # (1, H), (1, H)
            total += F.linear(F.silu(gate) * up * share, down_proj[expert])
        outputs.append(total)
    return torch.cat(outputs)  # (N, D)


FAST_PATHS = {"grouped": experts_sorted, "segments": experts_segments, "padded": experts_padded, "single": experts_single}


def experts_grouped(hidden, indices, weights, gate_up_proj, down_proj):
    """The routed experts by the path that `choose_expert_path` names.

    Args:
        hidden: (N, D). indices, weights: (N, K). gate_up_proj: (E, 2H, D). down_proj: (E, D, H).

    Returns:
        (N, D): for each token, the weighted sum of its experts' outputs, in the dtype of mixed precision where that is on
        (autocast does not know these products, so the casts are made here).
    """
    device = hidden.device
    dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else hidden.dtype
    path, _ = choose_expert_path(device, dtype, tokens=len(hidden), widths=(down_proj.shape[1], down_proj.shape[2]),
                                 learning=torch.is_grad_enabled())
    return FAST_PATHS[path](hidden.to(dtype), indices, weights.to(dtype), gate_up_proj.to(dtype), down_proj.to(dtype))
