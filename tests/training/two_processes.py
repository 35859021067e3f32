"""One process of two that train a stage together. `test_processes` runs this file twice, as `accelerate launch` would, and once alone.

What each leaves in a folder: `weights` and `gradients` (of the first update) as safetensors, and `story.json`.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from minideeptalk.config import size_config
from minideeptalk.tasks import collate
from minideeptalk.training import loop
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.stages import speech_stages
from tests.conftest import Tiny

STAGE = replace(speech_stages(size_config("nano"))[-1], updates=3, batch=6, learning_rate=1e-3)


def batches(tiny):
    """Three batches of six rows: every kind of example; one that is text alone for the first process; one of text alone for both."""
    make = tiny.builder()
    chat = make.chat(("which", "is", "more", "four", "or", "nine"), ("nine",))
    long = make.chat(("which", "is", "more", "four", "or", "nine"), ("nine", "four", "nine", "four", "nine"))
    heard = make.recognise(tiny.frames(5), ("say", "red", "cat"))
    said = make.speak(("red", "cat", "box"), "happy", tiny.answer())
    asked = make.answer_aloud(tiny.frames(3, 1), tiny.answer(("leo", "hat"), 1))
    return [collate(rows, make.silence) for rows in ((chat, said, heard, asked, long, said), (chat, said, long, long, asked, chat),
                                                     (chat, long, long, chat, chat, long))]


def train(tiny, folder: Path, seed: int) -> None:
    """Train the stage and write what happened."""
    model, rows, gradients = tiny.model(seed=seed), [], {}
    average = loop.average_gradients

    def loss(model, batch, *how):
        rows.append(batch.text.tolist())
        return batch_loss(model, batch, *how)

    def averaged(parameters):
        average(parameters)
        if not gradients:
            gradients.update({name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None})

    loop.average_gradients = averaged
    try:
        drawn = batches(tiny)
        result = loop.train_stage(model, STAGE, drawn.__getitem__, seed=3, show_progress=False, loss=loss,
                                  evaluate=lambda step: {"step": float(step)}, evaluations=1)
    finally:
        loop.average_gradients = average
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous().clone() for name, value in model.state_dict().items()}, folder / "weights.safetensors")
    save_file(gradients, folder / "gradients.safetensors")
    (folder / "story.json").write_text(json.dumps({"rows": rows, **{name: result[name] for name in ("curves", "tokens", "speech_tokens")}}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    number = int(os.environ["RANK"])
    train(Tiny(), Path(sys.argv[1]) / str(number), seed=number)  # they begin apart, and have to agree on a start
