"""Which weights moved, and how far: relative change of every group of parameters, stage by stage (chapter 14).

Axes: E experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import parameters_of

GROUPS = {"attention": "attention", "norms": "norms", "dense layer": "dense", "shared experts": "shared", "router": "router",
          "text embedding": "text_embedding", "audio embedding": "audio_embedding", "adapter": "adapter", "audio heads": "audio_heads"}
"""Name for people, and the part of `experts.partition.PARTS`; the routed experts come on top, split by the selection."""


def weight_groups(model, selection: Selection | None) -> dict[str, list[torch.Tensor]]:
    """The weights of every group, by the names of `GROUPS`, with `text experts` and `audio experts` (or `experts`, where none is set apart)."""
    found = {name: list(parameters_of(model, (part,)).values()) for name, part in GROUPS.items()}
    stacks = list(parameters_of(model, ("experts",)).values())  # (E, ...) each; two a layer, layer after layer
    if selection is None:
        found["experts"] = stacks
    else:
        each = len(stacks) // selection.num_layers
        rows = {"text experts": [list(selection.text_experts(layer)) for layer in range(selection.num_layers)],
                "audio experts": [list(chosen) for chosen in selection.audio_experts]}
        found |= {name: [stack[chosen[number // each]] for number, stack in enumerate(stacks)] for name, chosen in rows.items()}
    return {name: weights for name, weights in found.items() if weights}


def relative_change(before: list[torch.Tensor], after: list[torch.Tensor]) -> float:
    """Frobenius norm of the difference over that of what was before, all tensors taken together.

    >>> relative_change([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 5.0])])
    0.2

    Raises:
        LearnerError: for weights that do not belong together.
    """
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (before, after)]
    if shapes[0] != shapes[1]:
        raise LearnerError(f"weights of shapes {shapes[0]}", f"{shapes[1]}", "the two models are of different sizes")
    moved = sum(float((new.detach().double() - old.detach().double()).square().sum()) for old, new in zip(before, after))
    return (moved / sum(float(old.detach().double().square().sum()) for old in before)) ** 0.5


def weight_drift(models: Mapping[str, torch.nn.Module], selection: Selection | None) -> list[dict]:
    """How far each group moved from the first model and from the one before.

    What stage 0 does not train (audio embedding, adapter, heads) has moved from its random beginning, and that says little.

    Args:
        models: by stage, in the order of training. selection: who became an audio expert, also for the stages before that.

    Returns:
        rows of `stage`, `group`, `since_start` and `since_before`, relative Frobenius norms.
    """
    groups = {stage: weight_groups(model, selection) for stage, model in models.items()}
    stages = list(groups)
    return [{"stage": stage, "group": group, "since_start": relative_change(groups[stages[0]][group], weights),
             "since_before": relative_change(groups[earlier][group], weights)}
            for earlier, stage in pairwise(stages) for group, weights in groups[stage].items()]
