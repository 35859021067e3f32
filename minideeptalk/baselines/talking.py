"""A finished run of any arm as a conversation partner: one model as trained, one that the arm rebuilt, or the two of a rival."""

from __future__ import annotations

from pathlib import Path

from minideeptalk.baselines.arms import find_arm
from minideeptalk.baselines.cascade import CASCADE, cascade_talker
from minideeptalk.baselines.modular import MODULAR, MODULAR_JOINED, modular_talker
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.talk import damage_explained, open_talker
from minideeptalk.inference.talker import Talker
from minideeptalk.model import DeepTalkModel
from minideeptalk.model.checkpoints import has_stage
from minideeptalk.training.arm import Arm
from minideeptalk.training.folders import SETTINGS, RunSettings
from minideeptalk.training.recipe import Recipe

PAIRS = {CASCADE.name: cascade_talker, MODULAR.name: modular_talker, MODULAR_JOINED.name: modular_talker}
"""The arms of two models, and what makes a conversation partner of them."""
LAST = "3-joint"


def open_run(folder: Path | str, stage: str = LAST, parallel: bool = True) -> Talker:
    """`inference.talk.open_talker` for a run of any arm.

    Args:
        stage, parallel: as there; an arm that rebuilds the model (`Arm.prepare`) has one finished stage, and a rival of two models
            finds its words before it speaks anyhow.

    Raises:
        LearnerError: for a folder without a finished run, a damaged checkpoint, or another stage of an arm that rebuilds the model.
    """
    folder = Path(folder)
    settings = RunSettings.read(folder) if any((folder / name).is_file() for name in (SETTINGS, "record.json")) else RunSettings()
    arm = find_arm(settings.arm)
    if arm.prepare is None and arm.name not in PAIRS:
        return open_talker(folder, stage, parallel)
    if stage != LAST:
        raise LearnerError(f"the finished {arm.name}", f"--stage {stage}", "an arm that changes the model itself has no other stage to talk to",
                           "leave --stage away")
    recipe = Recipe(size_config(settings.size), folder, settings.seed, arm, None, progress=False)
    last = arm.stages(recipe.size)[-1].name
    if not has_stage(folder, last):
        raise LearnerError(f"a run with stages/{last}", str(folder), "training has not reached this stage",
                           f"minideeptalk train --resume --out {folder}")
    with damage_explained(folder):
        model, ear, codec = recipe.finished_model(), Ear.load(folder / "ear"), PyramidCodec.load(folder / "codec")
    return partner(arm, model, ear, codec, parallel)


def partner(arm: Arm, model: DeepTalkModel, ear: Ear, codec: PyramidCodec, parallel: bool = True) -> Talker:
    """The finished model of an arm as a conversation partner; it knows how this arm reads prompts and decodes answers."""
    return PAIRS[arm.name](model, ear, codec) if arm.name in PAIRS else Talker(model, ear, codec, parallel=parallel)
