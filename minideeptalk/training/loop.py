"""One training loop for every stage, on accelerate: the same code runs on a CPU, a GPU or several, in the precision that fits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import extract_model_from_parallel
from tqdm.auto import tqdm

from minideeptalk.experts import Modality
from minideeptalk.experts.partition import only_experts, trainable_only
from minideeptalk.tasks import Batch
from minideeptalk.training.ahead import drawn_ahead
from minideeptalk.training.checkpoints import Progress, load_progress, save_progress
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.processes import average_gradients, joint_points, rows_of, same_start
from minideeptalk.training.stages import Stage
from minideeptalk.training.threads import QuickestThreads

HEARD_OR_SPOKEN = torch.tensor([int(Modality.AUDIO_PROMPT), int(Modality.SPOKEN_ANSWER)])


def choose_precision() -> tuple[str, str]:
    """Mixed precision for this machine, and the reason: bf16 where the GPU has it in hardware, fp16 before, else fp32."""
    if not torch.cuda.is_available():
        return "no", "no GPU: fp32"
    if torch.cuda.get_device_capability() >= (8, 0):
        return "bf16", "GPU with hardware bf16"
    return "fp16", "GPU older than sm_80 has no hardware bf16: fp16 with a loss scaler"


def learning_rate(step: int, stage: Stage) -> float:
    """Linear warm-up, then cosine decay to a tenth of the peak."""
    warm = max(1, round(stage.warmup * stage.updates))
    if step < warm:
        return stage.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, stage.updates - warm)
    return stage.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def train_stage(
    model,
    stage: Stage,
    draw_batch: Callable[[int], Batch],
    *,
    seed: int,
    selection: list[list[int]] | None = None,
    progress_folder: Path | None = None,
    evaluate: Callable[[int], dict[str, float]] | None = None,
    evaluations: int = 4,
    show_progress: bool = True,
    loss: Callable = batch_loss,
    threads: QuickestThreads | None = None,
) -> dict:
    """Train one stage in place; alone, or in each of the processes that `accelerate launch` started.

    Args:
        model: `DeepTalkModel`; it ends fully open (no bank, no closed expert), in its own precision and on the device where it was: codec,
            ear and whoever called this are there.
        draw_batch: the batch of a given update; must depend on its number alone, so that a resumed run sees the same. Several
            processes draw the same one, and each trains on its rows of it (`processes.rows_of`).
        selection: experts of each MoE layer that this stage may use (`stage.experts` is not `all`).
        progress_folder: where an interrupted stage continues from.
        evaluate: called a few times with the update number, in every process; its numbers go into the curves.
        loss: `losses.batch_loss`, or a rival's with the same arguments and result.
        threads: sets the number of CPU threads of each step; None leaves it alone.

    Returns:
        `curves` (list of {name, stage, step, value}), `updates`, `tokens` and those of them that were heard or spoken
        (`speech_tokens`), `trainable`, `seconds`.
    """
    scope = only_experts(model, selection) if stage.experts != "all" else nullcontext()
    home = model.device
    try:
        with scope:
            trained = trainable_only(model, stage.trainable)
            result = _run_updates(model, stage, draw_batch, trained, seed, progress_folder, evaluate, evaluations, show_progress, loss,
                                  threads)
    finally:
        extract_model_from_parallel(model, keep_fp32_wrapper=False)  # out of half precision, however the stage ended
        model.to(home)
    result["trainable"] = sum(parameter.numel() for parameter in trained)
    return result


def _run_updates(model, stage, draw_batch, trained, seed, progress_folder, evaluate, evaluations, show_progress, loss,
                 threads) -> dict:
    precision, _ = choose_precision()
    accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())  # else it takes Apple's GPU, unasked and untested
    optimizer = torch.optim.AdamW(trained, lr=stage.learning_rate, betas=(0.9, 0.98), weight_decay=stage.weight_decay, fused=True)
    done = load_progress(progress_folder, model, optimizer)
    wrapped, optimizer = _prepared(accelerator, model, optimizer, done)
    rank, processes = accelerator.process_index, accelerator.num_processes
    last_save = time.perf_counter()
    began = last_save - done.seconds
    every = max(1, stage.updates // evaluations)
    bar = tqdm(range(done.step, stage.updates), initial=done.step, total=stage.updates, desc=f"stage {stage.code} {stage.title}",
               disable=not (show_progress and accelerator.is_main_process), mininterval=1.0)
    batches = drawn_ahead(draw_batch, done.step, stage.updates)
    for step in bar:
        torch.manual_seed(seed * 1_000_003 + step + 1_009 * rank)  # dropout does not depend on where a run was interrupted
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage)
        wrapped.train()
        with threads.step(step) if threads else nullcontext():
            batch = next(batches)
            with accelerator.autocast():  # its own reaches no further than `forward`, and the heads stand outside
                parts = loss(wrapped, rows_of(batch, rank, processes).to(accelerator.device), stage.text_weight, stage.balance)
            accelerator.backward(parts.total)
            average_gradients(trained)
            accelerator.clip_grad_norm_(trained, stage.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done.tokens += int(batch.mask.sum())
        done.speech_tokens += int(torch.isin(batch.modality, HEARD_OR_SPOKEN.to(batch.modality.device)).sum())  # of the whole batch
        if step % 20 == 0 or step == stage.updates - 1:
            done.curves += _curve_points(parts, stage, step)
            bar.set_postfix_str(_postfix(parts))
        if evaluate is not None and ((step + 1) % every == 0 or step == stage.updates - 1):
            done.curves += [{"name": name, "stage": stage.code, "step": step + 1, "value": value}
                            for name, value in evaluate(step + 1).items()]
        if progress_folder and accelerator.is_main_process and time.perf_counter() - last_save > 60:
            last_save = time.perf_counter()
            done.step, done.seconds = step + 1, last_save - began
            done.scaler = accelerator.scaler.state_dict() if accelerator.scaler else {}
            save_progress(progress_folder, model, optimizer, done)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    return {"curves": done.curves, "updates": stage.updates, "tokens": done.tokens, "speech_tokens": done.speech_tokens,
            "seconds": time.perf_counter() - began}


def _prepared(accelerator: Accelerator, model, optimizer, done: Progress) -> tuple:
    """Model and optimizer on their device and in their precision; several processes begin with the same weights."""
    if accelerator.num_processes == 1:
        model, optimizer = accelerator.prepare(model, optimizer)
    else:  # `evaluation_mode` keeps DistributedDataParallel away: gradients are averaged in the loop
        model, optimizer = accelerator.prepare_model(model, evaluation_mode=True), accelerator.prepare(optimizer)
        same_start(model)
    if done.scaler and accelerator.scaler:
        accelerator.scaler.load_state_dict(done.scaler)
    return model, optimizer


def _curve_points(parts, stage: Stage, step: int) -> list[dict]:
    points = {"loss": float(parts.total.detach()), "balance": float(parts.balance.detach()), **parts.more}
    if parts.text is not None:
        points["text_loss"] = float(parts.text.detach())
    if parts.audio is not None:
        points["audio_loss"] = float(parts.audio.detach().mean())
    return [{"name": name, "stage": stage.code, "step": step, "value": value} for name, value in joint_points(points).items()]


def _postfix(parts) -> str:
    text = "-" if parts.text is None else f"{float(parts.text.detach()):.2f}"
    audio = "-" if parts.audio is None else f"{float(parts.audio.detach().mean()):.2f}"
    return f"text {text} audio {audio}"
