"""Sequential full fine-tuning: the recipe's own stages and tasks, but every parameter learns in each and no expert is closed."""

from __future__ import annotations

from dataclasses import replace

from minideeptalk.config import SizeConfig
from minideeptalk.training.arm import Arm
from minideeptalk.training.stages import EVERYTHING, Stage, speech_stages


def stages(size: SizeConfig) -> list[Stage]:
    """Speech, then text, then both, each with the whole model, at the rate of the joint stage."""
    align, *later = speech_stages(size)
    whole = {"trainable": EVERYTHING, "experts": "all", "learning_rate": size.stages.joint_lr}
    return [align, *(replace(stage, **whole) for stage in later)]


SEQUENTIAL = Arm("sequential", "all parameters learn in every stage; no expert is set apart", stages=stages, select=None)
