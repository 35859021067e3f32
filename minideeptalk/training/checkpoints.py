"""Progress inside a stage, so that a long run can be interrupted: safetensors and JSON only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def save_progress(folder: Path, model, optimizer: torch.optim.Optimizer, step: int, curves: list[dict]) -> None:
    """Write model (an open expert bank included), optimizer state and step to `folder`, replacing it as a whole."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: value.contiguous().clone() for name, value in model.state_dict().items()}, fresh / "model.safetensors")
    moments = {f"{index}.{name}": value.contiguous() for index, state in optimizer.state_dict()["state"].items()
               for name, value in state.items()}
    save_file(moments, fresh / "optimizer.safetensors")
    (fresh / "progress.json").write_text(json.dumps({"step": step, "curves": curves}))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(fresh, folder)


def load_progress(folder: Path, model, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict]]:
    """Continue from `folder` if it exists: returns the updates done so far (0 if none) and the curves up to there."""
    if not (folder / "progress.json").exists():
        return 0, []
    model.load_state_dict(load_file(folder / "model.safetensors"))
    state = optimizer.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
    progress = json.loads((folder / "progress.json").read_text())
    return progress["step"], progress["curves"]
