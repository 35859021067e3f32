"""Forbid experts from outside, in our model and in any transformers MoE, without touching the model's code.

Every router computes its scores with one `F.linear` whose last axis is E.  While a router runs, that product is
intercepted and the forbidden columns are set so low that no token can choose them; softmax then spreads the weights over
the experts that are left, as the paper's masks before the softmax do.
Axes: N tokens, E experts, K chosen experts, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from minideeptalk.errors import LearnerError
from minideeptalk.experts.recorder import find_experts

LOWEST = -1e9  # not minus infinity: some routers multiply or add afterwards, and inf * 0 is not a number


def find_routers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The router of every layer that `find_experts` finds, with its name.

    A router is the neighbour of the experts that owns a weight with one row for each expert; the always-on shared
    experts and their gate are neighbours too, and are passed over by name.

    Raises:
        LearnerError: if a layer has no such neighbour, or several.
    """
    modules = dict(model.named_modules())
    routers = []
    for name, experts in find_experts(model):
        block = _block_of(name, experts, modules)
        own = {id(module) for module in experts.modules()}
        found = [(f"{block}.{path}".lstrip("."), module) for path, module in modules[block].named_modules()
                 if id(module) not in own and "shared" not in path and _scores_experts(module, experts.num_experts)]
        if len(found) != 1:
            raise LearnerError(f"one router beside {name}", f"{[path for path, _ in found] or 'none'}",
                               "this MoE family keeps its router elsewhere, or another layer has as many rows as there are experts",
                               "open an issue that names the model class")
        routers.append(found[0])
    return routers


def _block_of(name: str, experts: nn.Module, modules: Mapping[str, nn.Module]) -> str:
    """The nearest module around the experts that holds anything but them; LoRA wraps them in modules of its own."""
    own = {id(module) for module in experts.modules()}
    block = name
    while block:
        block = block.rpartition(".")[0]
        if any(id(module) not in own and _scores_experts(module, experts.num_experts) for module in modules[block].modules()):
            return block
    return block


def _scores_experts(module: nn.Module, experts: int) -> bool:
    weight = module._parameters.get("weight")
    return weight is not None and weight.dim() == 2 and weight.shape[0] == experts


class _CloseColumns(TorchFunctionMode):
    """Inside this mode, the forbidden columns of every `F.linear` that scores E experts are set to LOWEST."""

    def __init__(self, forbidden: torch.Tensor):
        super().__init__()
        self.forbidden = forbidden  # (E,) bool

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function is F.linear and result.shape[-1] == self.forbidden.shape[0]:
            return result.masked_fill(self.forbidden.to(result.device), LOWEST)  # (N, E)
        return result


@contextmanager
def forbid_experts(model: nn.Module, forbidden: Mapping[int, Iterable[int]] | Sequence[Iterable[int]]):
    """Within this block, no token is routed to the forbidden experts; afterwards the model is bit for bit as before.

    Args:
        model: a `DeepTalkModel` or any MoE model of transformers 5.15 or newer, run eagerly (not compiled).
        forbidden: expert indices for each MoE layer, as a list over all layers or as {layer: indices}.

    Raises:
        LearnerError: for a layer or an expert that does not exist, or when fewer than K experts would be left.

    Example:
        >>> import torch
        >>> from minideeptalk.experts.masking import forbid_experts
        >>> from minideeptalk.model import DeepTalkConfig, DeepTalkModel
        >>> model = DeepTalkModel(DeepTalkConfig(width=16, heads=2, layers=3, experts=4, expert_hidden=8)).eval()
        >>> with forbid_experts(model, {0: [1, 3]}):
        ...     output = model(torch.ones(1, 5, dtype=torch.long))
        >>> sorted(output.routing[0].indices.unique().tolist())
        [0, 2]

    Source: paper, routing masks of stages 2.1 and 2.2; chapter "out of the toy".
    """
    routers = find_routers(model)
    experts = find_experts(model)[0][1].num_experts
    by_layer = dict(forbidden) if isinstance(forbidden, Mapping) else dict(enumerate(forbidden))
    with ExitStack() as stack:
        for layer, indices in by_layer.items():
            if not 0 <= layer < len(routers):
                raise LearnerError(f"a MoE layer from 0 to {len(routers) - 1}", f"{layer}",
                                   "layers are counted among those with experts; dense layers have no number")
            name, router = routers[layer]
            closed = _closed(sorted(set(indices)), experts, _experts_per_token(router, model), name)  # (E,)
            if closed.any():
                stack.enter_context(_closed_router(router, closed))
        yield model


def _closed(indices: list[int], experts: int, chosen: int, name: str) -> torch.Tensor:
    wrong = [index for index in indices if not 0 <= index < experts]
    if wrong:
        raise LearnerError(f"experts from 0 to {experts - 1}", f"{wrong} in {name}", "the list belongs to another model")
    if experts - len(indices) < chosen:
        raise LearnerError(f"at least {chosen} open experts in {name}", f"{experts - len(indices)}",
                           f"each token needs {chosen} experts", "forbid fewer experts")
    closed = torch.zeros(experts, dtype=torch.bool)
    closed[indices] = True
    return closed


def _experts_per_token(router: nn.Module, model: nn.Module) -> int:
    """K, by the names that the families give it; 1 where none is known."""
    places = [(router, "top_k"), (router, "experts_per_token"), (getattr(model, "config", None), "num_experts_per_tok")]
    known = [getattr(place, name, None) for place, name in places]
    return next((value for value in known if isinstance(value, int)), 1)


@contextmanager
def _closed_router(router: nn.Module, closed: torch.Tensor):
    """Close columns whenever this router runs; its selection bias, if it has one, is lowered too."""
    modes: list[_CloseColumns] = []

    def before(module, args):
        modes.append(_CloseColumns(closed))
        modes[-1].__enter__()

    def after(module, args, output):
        modes.pop().__exit__(None, None, None)

    bias = router._buffers.get("e_score_correction_bias")  # DeepSeek-V3: sigmoid(LOWEST) is 0, and 0 + bias could still win
    kept = None if bias is None else bias.clone()
    handles = [router.register_forward_pre_hook(before), router.register_forward_hook(after, always_call=True)]
    try:
        if bias is not None:
            bias.masked_fill_(closed.to(bias.device), float("-inf"))
        yield
    finally:
        for handle in handles:
            handle.remove()
        if bias is not None:
            bias.copy_(kept)
