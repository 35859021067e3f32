"""Checkpoints of stages: whole, as transformers writes them, or as what changed since the stage before.

A run keeps whole checkpoints.  The ones that ship with the package are in half precision and, after stage 0, hold only the
tensors that the stage moved, and of the fused experts only the experts that it moved: a frozen part takes no space.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from minideeptalk.errors import LearnerError
from minideeptalk.model.deeptalk import DeepTalkModel

CHANGES = "changes.safetensors"
ROWS = "#rows"  # name + ROWS: the experts whose weights stand under name


def has_stage(folder: Path, stage: str) -> bool:
    """Whether `folder/stages/<stage>` holds a checkpoint of either kind."""
    place = Path(folder) / "stages" / stage
    return (place / "model.safetensors").exists() or (place / CHANGES).exists()


def load_stage(folder: Path | str, stage: str) -> DeepTalkModel:
    """The model after a stage, in fp32.

    Args:
        folder: a run, or the shipped samples. stage: name of the stage's folder, such as `3-joint`.

    Raises:
        LearnerError: when there is no such checkpoint, or it cannot be read.
    """
    folder = Path(folder)
    place = folder / "stages" / stage
    if not has_stage(folder, stage):
        raise LearnerError(f"a run with stages/{stage}", str(folder), "training has not reached this stage, or this is no run",
                           "train with `minideeptalk train --size nano --out DIR`, or add --resume to go on")
    try:
        if (place / "model.safetensors").exists():
            model, found = DeepTalkModel.from_pretrained(place, local_files_only=True, output_loading_info=True)
            _refuse_strangers(found["unexpected_keys"], place)
            _refuse_holes(found["missing_keys"], place)
            return model.float()
        link = json.loads((place / "changes.json").read_text())
        model = load_stage(folder, link["since"])
        apply_changes(model, load_file(place / CHANGES))
        for name, value in link["config"].items():
            setattr(model.config, name, value)
        return model
    except LearnerError:
        raise
    except Exception as error:  # a damaged file raises many types in safetensors, json and transformers
        raise LearnerError(f"a readable checkpoint in {place}", f"{type(error).__name__}: {error}",
                           "the file was cut off or edited", "train this stage again") from error


def _refuse_holes(names, place: Path) -> None:
    """What a file lacks would be filled with random numbers."""
    if names:
        raise LearnerError("a whole checkpoint", f"{len(names)} tensors missing, such as {min(names)}, in {place}",
                           "another version of minideeptalk wrote it, or it was edited", "train this stage again")


def _refuse_strangers(names, place: Path) -> None:
    """transformers passes over tensors that the model has no place for; what is left would answer, and answer wrongly."""
    if names:
        raise LearnerError("a checkpoint of the plain model", f"{len(names)} tensors more, such as {min(names)}, in {place}",
                           "an arm of the study rebuilt the model before it trained this stage",
                           "open the run with baselines.talking.open_run, or `minideeptalk talk`")


def changes_between(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What moved, in half precision; of stacked (E, ...) experts only the rows that moved, with their indices."""
    changes = {}
    for name, value in after.items():
        old, value = before[name].half(), value.half()  # what shipped before was rounded too
        if torch.equal(old, value):
            continue
        if value.dim() == 3:
            rows = (old != value).flatten(1).any(dim=1).nonzero()[:, 0]  # (n,)
            changes[name + ROWS] = rows.to(torch.int32)
            value = value[rows]
        changes[name] = value.contiguous()
    return changes


def apply_changes(model: DeepTalkModel, changes: dict[str, torch.Tensor]) -> None:
    """Write changes into a model in place."""
    state = model.state_dict()
    with torch.no_grad():
        for name, value in changes.items():
            if name.endswith(ROWS):
                continue
            rows = changes.get(name + ROWS)
            if rows is None:
                state[name].copy_(value)
            else:
                state[name][rows.long()] = value.to(state[name].dtype)


def save_changes(model: DeepTalkModel, since: DeepTalkModel, since_stage: str, folder: Path) -> None:
    """Write what changed from one stage's model to the next into the next stage's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(changes_between(since.state_dict(), model.state_dict()), folder / CHANGES)
    config = {name: getattr(model.config, name) for name in ("layout", "delay")}
    (folder / "changes.json").write_text(json.dumps({"since": since_stage, "config": config}, indent=1) + "\n")
