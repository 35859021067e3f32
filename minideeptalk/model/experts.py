"""The routed experts: many small SwiGLU networks in two fused tensors, computed by a clear loop or a fast path.

The fast paths stand in `grouped.py` and give the same numbers (`tests/model/test_experts.py`).  The weights have the layout of transformers'
experts modules, `gate_up_proj` (E, 2H, D) and `down_proj` (E, D, H), and the forward their signature.

Freezing is storage: while only some experts may learn, `open_bank` copies those into tensors of their own
(an `ExpertBank`), which alone are given to the optimizer; the fused tensors are not in any graph, so no momentum, decay
or rounding can move the others.  `close_bank` writes the bank back.
Axes: N tokens, E experts, K chosen experts, D width, H hidden width of one expert.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.errors import LearnerError
from minideeptalk.model.grouped import experts_grouped


def experts_loop(hidden, indices, weights, gate_up_proj, down_proj):
    """One expert after another: the path to read.

    Args:
        hidden: (N, D). indices, weights: (N, K). gate_up_proj: (E, 2H, D). down_proj: (E, D, H).

    Returns:
        (N, D): for each token, the weighted sum of its experts' outputs.
    """
    output = torch.zeros_like(hidden)
    for expert, (gate_up_weight, down_weight) in enumerate(zip(gate_up_proj, down_proj)):  # an index would make a gradient of all experts, for each
        token, slot = (indices == expert).nonzero(as_tuple=True)  # (n,), (n,)
        gate, up = F.linear(hidden[token], gate_up_weight).chunk(2, dim=-1)  # (n, H), (n, H)
        activated = F.silu(gate) * up * weights[token, slot, None].to(hidden.dtype)  # (n, H)
        output.index_add_(0, token, F.linear(activated, down_weight).to(output.dtype))
    return output


PATHS = {"loop": experts_loop, "grouped": experts_grouped}


class ExpertBank(nn.Module):
    """The weights of a few experts in tensors of their own, so that they can learn while the others cannot.

    `exclusive` says that only these are routed to; else the other experts work beside them, frozen.
    """

    def __init__(self, indices: list[int], gate_up_proj: torch.Tensor, down_proj: torch.Tensor, exclusive: bool):
        super().__init__()
        self.indices, self.exclusive = sorted(indices), exclusive
        self.gate_up_proj = nn.Parameter(gate_up_proj.detach()[self.indices].clone())  # (n, 2H, D)
        self.down_proj = nn.Parameter(down_proj.detach()[self.indices].clone())  # (n, D, H)
        place = torch.full((gate_up_proj.shape[0],), -1, dtype=torch.long, device=gate_up_proj.device)
        place[self.indices] = torch.arange(len(self.indices), device=place.device)
        self.register_buffer("place", place, persistent=False)  # (E,) position of each expert in the bank


class Experts(nn.Module):
    """E routed experts of one layer. See the module's text for storage and freezing."""

    def __init__(self, width: int, experts: int, hidden: int, implementation: str):
        super().__init__()
        self.num_experts = experts
        self.implementation = implementation
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * hidden, width))
        self.down_proj = nn.Parameter(torch.empty(experts, width, hidden))
        self.bank: ExpertBank | None = None

    def open_bank(self, indices: list[int], exclusive: bool = True) -> ExpertBank:
        """Give the experts `indices` storage of their own until `close_bank`.

        Args:
            exclusive: until then, only they may be routed to; False lets tokens reach the others too, which costs a copy.

        Raises:
            LearnerError: if a bank is open already.
        """
        if self.bank is not None:
            raise LearnerError("no open bank", f"a bank of experts {self.bank.indices}",
                               next_step="call close_bank() first")
        self.bank = ExpertBank(indices, self.gate_up_proj, self.down_proj, exclusive)
        return self.bank

    def close_bank(self) -> None:
        """Write the bank's weights back to their places and drop it. The other experts keep every byte."""
        if self.bank is None:
            return
        with torch.no_grad():
            self.gate_up_proj[self.bank.indices] = self.bank.gate_up_proj
            self.down_proj[self.bank.indices] = self.bank.down_proj
        self.bank = None

    def forward(self, hidden_states, top_k_index, top_k_weights):
        """(N, D), (N, K), (N, K) -> (N, D)."""
        path = PATHS[self.implementation]
        if self.bank is None:
            return path(hidden_states, top_k_index, top_k_weights, self.gate_up_proj, self.down_proj)
        if not self.bank.exclusive:
            return path(hidden_states, top_k_index, top_k_weights, self._with_bank("gate_up_proj"), self._with_bank("down_proj"))
        place = self.bank.place[top_k_index]  # (N, K)
        return path(hidden_states, place, top_k_weights, self.bank.gate_up_proj, self.bank.down_proj)

    def _with_bank(self, name: str) -> torch.Tensor:
        """All experts' weights, with gradients for those of the bank alone."""
        rows = torch.tensor(self.bank.indices, device=self.bank.place.device)
        return getattr(self, name).detach().index_copy(0, rows, getattr(self.bank, name))
