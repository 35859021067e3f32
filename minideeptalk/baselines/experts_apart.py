"""Uni-MoE's idea: experts are trained one modality at a time, each group while all others are closed, and joined with LoRA.

Here a modality is hearing, speaking or text.  The groups go by index, as nothing is measured: of the audio experts the first
half hears and the second half speaks.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace

from minideeptalk.baselines.lora_puremoe import low_rank
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import only_experts
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.profile import ByLoad
from minideeptalk.training.stages import AUDIO_SIDE, Stage, speech_stages

HEARING = ("recognise", "answer_in_text", "name_style")
"""Tasks that only hear; the other spoken ones speak."""


def stages(size: SizeConfig) -> list[Stage]:
    """The recipe's, with 2.1 in two parts that share its updates by their tasks, and LoRA in the joint one."""
    align, audio, text, joint = speech_stages(size)
    hears = {task: weight for task, weight in audio.tasks.items() if task in HEARING}
    speaks = {task: weight for task, weight in audio.tasks.items() if task not in HEARING}
    updates = round(audio.updates * sum(hears.values()) / sum(audio.tasks.values()))
    return [
        align,
        replace(audio, name="2.1-hearing", code="2.1h", title="Hearing experts", tasks=hears, updates=updates, experts="all"),
        replace(audio, name="2.1-speaking", code="2.1s", title="Speaking experts", tasks=speaks, experts="all",
                updates=audio.updates - updates),
        text,
        replace(joint, title="Joint, low rank", trainable=("lora", *AUDIO_SIDE)),
    ]


def groups(selection: Selection, code: str) -> list[list[int]]:
    """Experts of each layer that the stage with this code may use: the first or the second half of the audio experts."""
    halves = [(experts[:len(experts) // 2], experts[len(experts) // 2:]) for experts in selection.audio_experts]
    return [list(half[code == "2.1s"]) for half in halves]


@contextmanager
def one_modality(model: DeepTalkModel, stage: Stage, selection: Selection):
    """Within this block only the experts of the stage's modality are open and learn; in the joint stage all carry LoRA."""
    if stage.code == "3":
        scope = low_rank(model, stage, selection)
    else:
        scope = only_experts(model, groups(selection, stage.code)) if stage.code in ("2.1h", "2.1s") else nullcontext()
    with scope:
        yield


EXPERTS_APART = replace(
    ALIGNED, name="experts-apart", stages=stages, select=ByLoad("by_index"), around=one_modality,
    changes="hearing, speaking and text experts are trained one modality at a time and joined with low-rank updates (peft)")
