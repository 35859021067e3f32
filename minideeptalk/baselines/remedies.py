"""Three remedies against forgetting from the literature, each applied to PureMoE: replay, weight averaging, distillation."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch.nn import functional as F

from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.puremoe import stages as joint_stages
from minideeptalk.config import SizeConfig
from minideeptalk.experts.partition import BACKBONE, parameters_of
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import IGNORE, Batch
from minideeptalk.training.losses import LossParts, batch_loss
from minideeptalk.training.stages import Stage

# ---- replay ------------------------------------------------------------------------------------------------------------


def replayed(size: SizeConfig) -> list[Stage]:
    """PureMoE's stages with text of all families instead of the covered ones."""
    return [replace(stage, tasks={"all_text" if task == "covered_text" else task: weight for task, weight in stage.tasks.items()})
            for stage in joint_stages(size)]


REPLAY = replace(PUREMOE, name="replay", changes="as puremoe, with text of all families", stages=replayed, declared=(
    "text tokens: as many examples, but of all ten families, those included whose written text the others never see again",))

# ---- weight averaging --------------------------------------------------------------------------------------------------


@torch.no_grad()
def average(model: DeepTalkModel, text_model: DeepTalkModel) -> None:
    """Put each weight of the backbone halfway between what it is and what it was after stage 0."""
    before = dict(text_model.named_parameters())
    for name, weight in parameters_of(model, BACKBONE).items():
        weight.lerp_(before[name].to(weight), 0.5)


AVERAGED = replace(PUREMOE, name="averaged", changes="as puremoe, then averaged with the text model", finish=average,
                   declared=("weights: the text model of stage 0 is used once more at the end",))

# ---- distillation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Distilled:
    """The usual loss and, on written answers to written questions, the divergence from the text model's predictions.

    Args:
        teacher: the frozen text model. weight: of the divergence in nats, mean over answer steps.
    """

    teacher: DeepTalkModel
    weight: float = 1.0

    def __call__(self, model: DeepTalkModel, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        parts = batch_loss(model, batch, text_weight, balance)
        written = text_rows(batch, model.embedding.pad)
        if written is None:
            return parts
        wanted = written.text_target != IGNORE
        inputs = written.model_inputs() | {"real": written.mask}
        self.teacher.to(model.device)
        with torch.no_grad():
            known = self.teacher.text_logits(self.teacher(**inputs).hidden[wanted]).float()  # (n, V)
        said = model.text_logits(model(**inputs).hidden[wanted]).float()  # (n, V)
        apart = F.kl_div(said.log_softmax(-1), known.log_softmax(-1), reduction="batchmean", log_target=True)
        return replace(parts, total=parts.total + self.weight * apart, more={**parts.more, "divergence": float(apart.detach())})


def text_rows(batch: Batch, silence: int) -> Batch | None:
    """The rows of a batch in which every code is `silence`, as a batch of text; None where there is none."""
    rows = torch.ones(len(batch.text), dtype=torch.bool, device=batch.text.device)
    if batch.codes is not None:
        rows &= (batch.codes == silence).flatten(1).all(dim=1)
    if not bool(rows.any()):
        return None
    spoken = {"codes": None, "code_target": None, "frames": None, "frame_mask": None, "elapsed": None}
    written = {field.name: getattr(batch, field.name)[rows] for field in fields(Batch) if field.name not in spoken}
    return Batch(**written, **spoken)


DISTILLED = replace(PUREMOE, name="distilled", changes="as puremoe, held to the text model's answers", loss=Distilled, declared=(
    "passes: the text model and the model itself read the written rows of each batch once more",))
