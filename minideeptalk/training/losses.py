"""The loss of a batch: cross-entropy of the text stream, of each codec stream, and the balance of the routers.

Axes: B batch, T steps, Q codec streams, n steps that have an audio target.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import IGNORE, Batch
from minideeptalk.training.processes import joint_share


@dataclass
class LossParts:
    """`total` is what trains; text () and audio (Q,) are losses of the streams in nats, None where the batch has no target.

    `more` are other numbers worth a curve.
    """

    total: torch.Tensor
    text: torch.Tensor | None
    audio: torch.Tensor | None
    balance: torch.Tensor
    more: dict[str, float] = field(default_factory=dict)


def steps_with_target(hidden: torch.Tensor, target: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The steps where `wanted` (B, T) is True, of both; a GPU is waited for once, where a mask as index waits each time.

    Returns:
        hidden (n, D), target (n, ...), and the places (n,) of these steps in the flattened batch (B T,).
    """
    places = wanted.flatten().nonzero().squeeze(1)  # (n,)
    return hidden.flatten(0, 1).index_select(0, places), target.flatten(0, 1).index_select(0, places), places


def text_loss(model: DeepTalkModel, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor | None:
    """Mean cross-entropy over the steps that have a text target; hidden (B, T, D), target (B, T)."""
    hidden, target, _ = steps_with_target(hidden, target, target != IGNORE)
    share = joint_share(len(target))
    if not len(target):
        return None
    return F.cross_entropy(model.text_logits(hidden).float(), target) * share


def audio_loss(model: DeepTalkModel, hidden: torch.Tensor, target: torch.Tensor | None) -> torch.Tensor | None:
    """Mean cross-entropy of each codec stream (Q,); hidden (B, T, D), target (B, T, Q)."""
    if target is None:
        return None
    hidden, targets, _ = steps_with_target(hidden, target, (target != IGNORE).any(dim=-1))  # (n, D), (n, Q)
    logits = model.audio_logits(hidden).float()  # (n, Q, rows)
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none").view(targets.shape)
    counts = (targets != IGNORE).sum(dim=0)  # (Q,)
    return losses.sum(dim=0) / counts.clamp(min=1) * joint_share(counts)


def batch_loss(model: DeepTalkModel, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
    """Text loss + mean audio loss + balance loss. A stream without targets is left out, not counted as zero.

    Where several processes share a batch out, each part is weighed so that their average is the loss of the whole batch.
    """
    output = model(**batch.model_inputs(), real=batch.mask)
    text = text_loss(model, output.hidden, batch.text_target)
    audio = audio_loss(model, output.hidden, batch.code_target)
    spread = model.balance_loss(output.routing, batch.mask) * joint_share(len(batch.text))
    total = model.config.balance_weight * spread if balance else 0.0 * spread
    if text is not None:
        total = total + text_weight * text
    if audio is not None:
        total = total + audio.mean()
    return LossParts(total, text, audio, spread)
