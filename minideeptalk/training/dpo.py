"""Direct preference optimisation of the voice: of two takes of the same words, the one better understood becomes likelier.

Four traps are avoided on purpose (the reference code falls into the first three): each take is scored after its *own* codes,
in two teacher-forced passes; both are aligned to the start of the answer; no gradient reaches the reference; and both takes
write the same words, for otherwise the voice would be punished for what the text got wrong.
Source: Rafailov et al. (2023); paper, stage 4, where beta is 0.1 and each codebook has its own loss; Pang et al. (2024) for the
cross-entropy that holds the chosen take up.  Chapter 11.
Axes: P pairs, B = 2 P rows (the chosen ones first), T steps, Q codec streams, D width, n steps with an audio target.
"""

from __future__ import annotations

import copy

import torch
from torch.nn import functional as F

from minideeptalk.config import SizeConfig
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import IGNORE, Batch
from minideeptalk.training.losses import LossParts, audio_loss, steps_with_target, text_loss
from minideeptalk.training.stages import AUDIO_SIDE, Stage

BETA = 0.1
ANCHOR = 1.0
CURVES = ("preference_accuracy", "preference_margin", "preference_chosen", "preference_rejected")


def preference_stage(size: SizeConfig) -> Stage:
    """Stage 4: the parts of stage 3, on pairs instead of targets."""
    lengths = size.stages
    return Stage("4-dpo", "4", "Preference", ("experts", "router", *AUDIO_SIDE), {"preference": 1.0},
                 round(0.15 * lengths.joint), lengths.speech_batch, 0.08 * lengths.joint_lr)


def stream_scores(model: DeepTalkModel, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Log-probability of the codes of each row and stream, summed over steps: (B, T, D) and (B, T, Q) -> (B, Q)."""
    spoken, targets, places = steps_with_target(hidden, target, (target != IGNORE).any(dim=-1))  # (n, D), (n, Q), (n,)
    logits = model.audio_logits(spoken).float()  # (n, Q, rows)
    steps = -F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="none").view(targets.shape)
    return steps.new_zeros(len(target), target.shape[-1]).index_add(0, places // target.shape[1], steps)


def preference_losses(scores: torch.Tensor, reference: torch.Tensor, beta: float = BETA) -> tuple[torch.Tensor, torch.Tensor]:
    """-log sigmoid of the margin, for each stream.

    Args:
        scores, reference: (2 P, Q) log-probabilities under the model that learns and the frozen one; chosen rows first.

    Returns:
        losses (Q,), averaged over pairs, and margins (P, Q): how much more the model prefers the chosen take than the
        reference does, times beta.
    """
    chosen, rejected = (scores - reference).chunk(2)  # (P, Q) each
    margins = beta * (chosen - rejected)
    return -F.logsigmoid(margins).mean(dim=0), margins


class PreferenceLoss:
    """What takes the place of `losses.batch_loss` in stage 4: preference on the codes, cross-entropy on the chosen text.

    Args:
        model: as it is now; a frozen copy of it becomes the reference.
        anchor: weight of the cross-entropy of the chosen codes (Pang et al., 2024). A preference alone is content when the
            rejected take falls faster than the chosen one; this holds the chosen one up.  The paper has none: 0.
    """

    def __init__(self, model: DeepTalkModel, beta: float = BETA, anchor: float = ANCHOR):
        self.reference, self.beta, self.anchor = copy.deepcopy(model).eval().requires_grad_(False), beta, anchor

    def __call__(self, model: DeepTalkModel, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        """`batch` holds P chosen takes, then the P rejected ones, in the same order."""
        inputs = {**batch.model_inputs(), "real": batch.mask}
        output = model(**inputs)
        self.reference.to(output.hidden.device)
        with torch.no_grad():
            reference = stream_scores(self.reference, self.reference(**inputs).hidden, batch.code_target)
        scores = stream_scores(model, output.hidden, batch.code_target)  # (2 P, Q)
        audio, margins = preference_losses(scores, reference, self.beta)
        pairs = len(batch.text) // 2
        text = text_loss(model, output.hidden[:pairs], batch.text_target[:pairs])
        spread = model.balance_loss(output.routing, batch.mask)
        total = audio.mean() + text_weight * text + (model.config.balance_weight if balance else 0.0) * spread
        if self.anchor:
            total = total + self.anchor * audio_loss(model, output.hidden[:pairs], batch.code_target[:pairs]).mean()
        preferred = margins.detach().sum(dim=1)  # (P,)
        chosen, rejected = (scores.detach() - reference).sum(dim=1).chunk(2)  # (P,) nats gained since the reference
        seen = torch.stack([(preferred > 0).float().mean(), preferred.mean(), chosen.mean(), rejected.mean()]).tolist()  # waits once for a GPU
        return LossParts(total, text, audio, spread, dict(zip(CURVES, seen)))
