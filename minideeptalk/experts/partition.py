"""The partition: which parameters a stage trains, where tokens may be routed, and storage that makes freezing real.

A gradient mask on fused weights does not freeze (momentum and weight decay move the rest), so the experts that learn get a
bank of their own (`model.experts.ExpertBank`) for the length of a stage.  Source: paper stages 2.1 and 2.2; chapter 09.
"""

from __future__ import annotations

from contextlib import contextmanager

from torch import nn

from minideeptalk.errors import LearnerError

PARTS = {
    "text_embedding": ("embedding.text.",),
    "audio_embedding": ("embedding.audio.", "embedding.elapsed."),
    "audio_heads": ("audio_heads.",),
    "adapter": ("adapter.",),
    "attention": (".attention.",),
    "norms": ("norm.",),
    "dense": ("layers.0.feed_forward.",),
    "router": (".router.",),
    "shared": (".shared.",),
    "experts": (".experts.gate_up_proj", ".experts.down_proj"),
    "bank": (".experts.bank.",),
    "lora": (".lora_",),
    "lane": (".lane_",),
    "talker": ("talker.",),
}
"""Names of parameter groups, and what each parameter's name contains."""

BACKBONE = ("text_embedding", "attention", "norms", "dense", "router", "shared", "experts")
"""Everything that text pretraining trained."""


def parameters_of(model: nn.Module, parts: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """The parameters of the named parts, by name.

    Raises:
        LearnerError: for a part that does not exist.
    """
    for part in parts:
        if part not in PARTS:
            raise LearnerError(f"a part out of {', '.join(PARTS)}", repr(part))
    marks = [mark for part in parts for mark in PARTS[part]]
    return {name: parameter for name, parameter in model.named_parameters() if any(mark in name for mark in marks)}


def route_to(model, allowed: list[list[int]] | None) -> None:
    """Let tokens reach only the experts `allowed[layer]`; None opens every expert again.

    Where fewer than K are allowed, a token goes to as many as there are: the reference code's top-k over masked scores picks
    closed experts with weight 0 there, which is the same.
    """
    chosen = model.config.experts_per_token
    for layer, mixture in enumerate(model.mixtures()):
        mixture.router.experts_per_token = chosen if allowed is None else max(1, min(chosen, len(allowed[layer])))
        everyone = set(range(mixture.experts.num_experts))
        mixture.router.close(sorted(everyone - set(allowed[layer])) if allowed is not None else None)


@contextmanager
def only_experts(model, allowed: list[list[int]]):
    """Within this block, only the experts `allowed[layer]` are routed to, and they alone hold learnable expert storage.

    On leaving, the banks are written back and all experts are open.  The other experts are byte-equal afterwards.
    """
    try:
        route_to(model, allowed)
        for mixture, indices in zip(model.mixtures(), allowed):
            mixture.experts.open_bank(list(indices))
        yield model
    finally:
        for mixture in model.mixtures():
            mixture.experts.close_bank()
        route_to(model, None)


def trainable_only(model: nn.Module, parts: tuple[str, ...]) -> list[nn.Parameter]:
    """Set `requires_grad` so that exactly these parts learn, and return their parameters."""
    chosen = parameters_of(model, parts)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return list(chosen.values())
