"""The stages as data: what trains, on what, for how long, and which experts are open (chapters 05, 07, 09 and 10).

A rival is the same list with an entry changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from minideeptalk.config import SizeConfig
from minideeptalk.experts.partition import BACKBONE

AUDIO_SIDE = ("audio_embedding", "audio_heads", "adapter")


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Args:
        name: folder of its checkpoint. code: the paper's number. title: for people.
        trainable: parts of `experts.partition.PARTS` that learn; everything else is frozen.
        tasks: weight of each task in a batch, by the names of `tasks.TaskSampler`.
        experts: `all`, or only the `audio` or the `text` experts of the selection: routed to, and learning in a bank.
        updates, batch, learning_rate: length, examples an update, and peak rate (linear warm-up, cosine decay).
        balance: whether the balance loss is on. text_weight: weight of the text loss beside the mean audio loss.
    """

    name: str
    code: str
    title: str
    trainable: tuple[str, ...]
    tasks: dict[str, float]
    updates: int
    batch: int
    learning_rate: float
    experts: str = "all"
    balance: bool = True
    text_weight: float = 1.0
    warmup: float = 0.03
    weight_decay: float = 0.0
    clip: float = 1.0


SPEECH_TASKS = {"recognise": 2.0, "speak": 7.0, "answer_in_text": 2.0, "answer_aloud": 2.0, "mirror": 2.0, "name_style": 1.0}


def pretrain_stage(size: SizeConfig) -> Stage:
    """Stage 0: a text model that has something to lose, trained on all families."""
    lengths = size.stages
    return Stage("0-pretrain", "0", "Text pretraining", BACKBONE, {"all_text": 1.0}, lengths.pretrain, lengths.text_batch,
                 lengths.pretrain_lr, weight_decay=0.01)


def speech_stages(size: SizeConfig) -> list[Stage]:
    """Stages 1, 2.1, 2.2 and 3 of the recipe."""
    lengths = size.stages
    return [
        Stage("1-align", "1", "Alignment", AUDIO_SIDE, {"recognise": 1.0, "answer_in_text": 1.0, "speak": 2.0},
              lengths.align, lengths.speech_batch, lengths.align_lr, balance=False),
        Stage("2.1-audio-experts", "2.1", "Audio experts", ("bank", *AUDIO_SIDE), SPEECH_TASKS,
              lengths.audio_experts, lengths.speech_batch, lengths.audio_lr, experts="audio"),
        Stage("2.2-text-experts", "2.2", "Text experts", ("bank",), {"covered_text": 1.0},
              lengths.text_experts, lengths.text_batch, lengths.text_lr, experts="text"),
        Stage("3-joint", "3", "Joint", ("experts", "router", *AUDIO_SIDE), {**SPEECH_TASKS, "covered_text": 4.0},
              lengths.joint, lengths.speech_batch, lengths.joint_lr),
    ]


EVERYTHING = (*BACKBONE, *AUDIO_SIDE)
"""All that can learn: what a rival without a partition trains."""


def merged(stages: list[Stage], like: Stage) -> Stage:
    """One stage in the place of several, with as many updates and, up to rounding of the batch, as many examples of each task.

    Args:
        stages: what it replaces. like: whose name, trainable parts and rates it takes.
    """
    updates = sum(stage.updates for stage in stages)
    examples: dict[str, float] = {}
    for stage in stages:
        for task, weight in stage.tasks.items():
            share = weight / sum(stage.tasks.values())
            examples[task] = examples.get(task, 0.0) + stage.updates * stage.batch * share
    return replace(like, tasks=examples, updates=updates, batch=round(sum(examples.values()) / updates))
