"""LoRA-PureMoE: PureMoE, but the text model itself only learns through low-rank updates of peft, merged at the end.

The paper does not say rank or targets.  Here: every matrix of the backbone, the fused experts (all of a layer share one
adapter of rank E r) and the router.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import torch
from peft import LoraConfig, get_peft_model

from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.puremoe import stages as joint_stages
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.stages import AUDIO_SIDE, Stage

RANK = 8
LAYERS = ["qkv", "attention.output", "gate_up", "down"]
FUSED = ["experts.gate_up_proj", "experts.down_proj", "router.weight"]


def stages(size: SizeConfig) -> list[Stage]:
    """As PureMoE; the new audio rows, heads and adapter learn in full, since there is nothing yet to update."""
    align, joint = joint_stages(size)
    return [align, replace(joint, trainable=("lora", *AUDIO_SIDE))]


@contextmanager
def low_rank(model: DeepTalkModel, stage: Stage, selection: Selection | None):
    """Within this block the backbone carries LoRA; on leaving, the updates are added to its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # else the updates would begin by what the process had drawn before
        wrapped = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LAYERS, target_parameters=FUSED))
    try:
        yield
    finally:
        wrapped.merge_and_unload()


LORA_PUREMOE = replace(PUREMOE, name="lora-puremoe", stages=stages, around=low_rank,
                       changes="as puremoe, with low-rank updates of the backbone (peft)")
