"""Progress inside a stage, and folders written in one move, so that a long run can be interrupted: safetensors and JSON only."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


@dataclass
class Progress:
    """What a stage has done so far: updates, tokens seen (and those heard or spoken), seconds, and the points of its curves.

    `scaler` is the state of the loss scaler, which fp16 alone has.
    """

    step: int = 0
    tokens: int = 0
    speech_tokens: int = 0
    seconds: float = 0.0
    curves: list[dict] = field(default_factory=list)
    scaler: dict = field(default_factory=dict)


@contextmanager
def in_one_move(folder: Path) -> Iterator[Path]:
    """A fresh place to write to, which takes the place of `folder` when the block ends well; interrupted, `folder` is as it was.

    Example:
        >>> with in_one_move(folder) as fresh:
        ...     model.save_pretrained(fresh)
    """
    fresh, old = folder.with_name(f".{folder.name}.new"), _before(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def save_progress(folder: Path, model, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write model (an open expert bank included), optimizer state and progress to `folder`, replacing it as a whole."""
    moments = {f"{index}.{name}": value.contiguous() for index, state in optimizer.state_dict()["state"].items()
               for name, value in state.items()}
    with in_one_move(folder) as fresh:
        save_file({name: value.contiguous().clone() for name, value in model.state_dict().items()}, fresh / "model.safetensors")
        save_file(moments, fresh / "optimizer.safetensors")
        (fresh / "progress.json").write_text(json.dumps(asdict(progress)))


def _before(folder: Path) -> Path:
    """Where the last one stands while the next takes its place."""
    return folder.with_name(f".{folder.name}.old")


def load_progress(folder: Path | None, model, optimizer: torch.optim.Optimizer) -> Progress:
    """Continue from `folder`: fills model and optimizer and says what was done. Without such a folder nothing was."""
    places = [] if folder is None else [place for place in (folder, _before(folder)) if (place / "progress.json").exists()]
    if not places:
        return Progress()
    folder = places[0]
    model.load_state_dict(load_file(folder / "model.safetensors"))
    state = optimizer.state_dict()
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})
    return Progress(**json.loads((folder / "progress.json").read_text()))
