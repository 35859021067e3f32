"""PureMoE, the paper's main rival: after stage 1 everything is trained on everything at once, without a partition."""

from __future__ import annotations

from dataclasses import replace

from minideeptalk.config import SizeConfig
from minideeptalk.training.arm import Arm
from minideeptalk.training.stages import EVERYTHING, Stage, merged, speech_stages


def stages(size: SizeConfig) -> list[Stage]:
    """Stage 1, then one joint stage with the updates and the examples of 2.1, 2.2 and 3 together."""
    align, *later = speech_stages(size)
    return [align, replace(merged(later, like=later[-1]), trainable=EVERYTHING)]


PUREMOE = Arm("puremoe", "one joint stage in which all parameters learn; no expert is set apart", stages=stages, select=None)
