"""One whole training step of the language model, beside a dense model and transformers' mixture of the same active size.

All three read the same full rows of word ids, predict the next word, clip, and update with fused AdamW.  On a CPU they also
stand in a second process, with the system's allocator instead of ours, and all six take turns, step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from torch.nn import functional as F
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from minideeptalk.allocator import as_found
from minideeptalk.benchmarks.processes import OtherProcess
from minideeptalk.benchmarks.record import bar, row
from minideeptalk.benchmarks.roofline import Machine, measure_machine, step_work
from minideeptalk.benchmarks.timing import autocast, peak_memory_mb, seconds_of, take_turns
from minideeptalk.config import EarConfig, ModelSize, size_config
from minideeptalk.model import DeepTalkConfig, DeepTalkModel, SwiGLU
from minideeptalk.records.environment import peak_memory_mb as peak_of_process_mb

WORDS, STEPS = 512, 64  # vocabulary; length of a row
BATCHES = {"nano": (8, 64), "mini": (8, 64), "base": (64,)}  # rows of a batch
GPU_BATCH = 1024  # rows, beside those: fewer leave a GPU waiting for its next kernel
DENSE, OURS, THEIRS = "dense of the same active size", "ours", "transformers Qwen2Moe"
FOUND = "allocator as found"
OVER_DENSE, OVER_THEIRS = 1.15, 1.2
PEAK_MB = {"cpu": 3000, "cuda": 6000}
PEAK_SIZES = ("nano", "mini")  # the claim is about mini; nano is smaller
PEAK_OF = {"cpu": "resident memory of a process that trains ours alone, Python and all libraries included",
           "cuda": "tensors on the GPU while ours alone trains, weights and optimizer included"}


def our_model(size: ModelSize, ear_width: int = EarConfig().width) -> DeepTalkModel:
    """The speech language model of a size, untrained."""
    torch.manual_seed(0)
    return DeepTalkModel(DeepTalkConfig.from_size(size, WORDS, ear_width))


def dense_model(size: ModelSize) -> DeepTalkModel:
    """The same model with one dense feed-forward in place of chosen and shared experts, as wide as those together."""
    model = our_model(size)
    for layer in model.layers:
        if layer.is_moe:
            layer.is_moe = False
            layer.feed_forward = SwiGLU(size.width, (size.experts_per_token + size.shared_experts) * size.expert_hidden)
    return model


def their_model(size: ModelSize) -> Qwen2MoeForCausalLM:
    """transformers' mixture with one dense layer, shared experts and the same widths; its own choice of kernels."""
    torch.manual_seed(0)
    return Qwen2MoeForCausalLM(Qwen2MoeConfig(
        vocab_size=WORDS, hidden_size=size.width, num_hidden_layers=size.layers, num_attention_heads=size.heads,
        num_key_value_heads=size.heads, intermediate_size=size.dense_hidden, mlp_only_layers=[0], num_experts=size.experts,
        num_experts_per_tok=size.experts_per_token, moe_intermediate_size=size.expert_hidden,
        shared_expert_intermediate_size=size.shared_experts * size.expert_hidden, tie_word_embeddings=True, qkv_bias=False,
        output_router_logits=True, router_aux_loss_coef=0.001, use_cache=False))


MODELS = {DENSE: dense_model, OURS: our_model, THEIRS: their_model}


@dataclass(frozen=True)
class Setting:
    """What a step is: size of the dial, rows of a batch, and where and in which dtype its products are computed."""

    size: str
    batch: int
    device: str
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.batch} rows of {STEPS}"

    def step(self, name: str) -> Callable[[], None]:
        """A training step of the named model, new and untrained."""
        text = torch.randint(WORDS, (self.batch, STEPS), generator=torch.Generator().manual_seed(0))
        model = MODELS[name](size_config(self.size).model).to(self.device).train()
        return training_step(name, model, text.to(self.device), self.dtype)


def bench_train(size: str, rounds: int, clock: Callable[[], float], device: str, dtype: torch.dtype) -> dict:
    """Training steps of the three models in turns; on a CPU, at the largest batch, also in a process that never called `keep_memory`.

    Returns:
        `rows`, `bars` and `notes` for the record.
    """
    settings = [Setting(size, batch, device, dtype) for batch in BATCHES[size]]
    largest = settings[-1]
    machine = measure_machine(device, dtype, clock)
    found = (_bench_gpu if device == "cuda" else _bench_cpu)(settings, rounds, clock, machine)
    _steps.cache_clear()
    found["bars"] += [peak_bar(largest)] if size in PEAK_SIZES else []
    return found | {"notes": [_sizes_note(_sizes(size)), *found["notes"], str(machine)]}


def _bench_cpu(settings: list[Setting], rounds: int, clock: Callable[[], float], machine: Machine) -> dict:
    *smaller, largest = settings
    rows = [entry for setting in smaller for entry in setting_rows(setting, {str(setting): _here}, rounds, clock, machine)]
    with OtherProcess() as other:
        with as_found():
            other.ask(torch.set_num_threads, torch.get_num_threads())
        rows += setting_rows(largest, {str(largest): _here, f"{largest}, {FOUND}": other.ask}, rounds, clock, machine)
    return {"rows": rows, "bars": speed_bars(str(largest), rows), "notes": [
        f"rows with `{FOUND}` ran in a second process, which took turns with this one, step by step"]}


def _bench_gpu(settings: list[Setting], rounds: int, clock: Callable[[], float], machine: Machine) -> dict:
    """No second allocator, since glibc's is not a GPU's, and no bars of speed, since they were set for CPUs."""
    rows = [entry for setting in (*settings, replace(settings[-1], batch=GPU_BATCH))
            for entry in setting_rows(setting, {str(setting): _here}, rounds, clock, machine)]
    return {"rows": rows, "bars": [], "notes": ["the bars of speed were set for CPUs",
                                                "transformers' grouped experts compute in the dtype of their weights, fp32, also under autocast"]}


def setting_rows(setting: Setting, places: dict[str, Callable], rounds: int, clock: Callable[[], float], machine: Machine) -> list[dict]:
    """The rows of the three models, in turns.

    Args:
        places: name of a shape -> who computes it: `_here`, or `ask` of another process.
    """
    measures = {(name, shape): partial(ask, _seconds, setting, name, clock) for shape, ask in places.items() for name in MODELS}
    best = {key: min(times) for key, times in take_turns(measures, rounds).items()}
    tokens, size = setting.batch * STEPS, size_config(setting.size).model
    least = {name: machine.least_seconds(step_work(size, tokens, *counts, setting.dtype)) for name, counts in _sizes(setting.size).items()}
    return [row(name, shape, tokens, seconds, best[DENSE, shape], places[shape](_memory, setting, name), share_of_roofline=least[name] / seconds)
            for (name, shape), seconds in best.items()]


def _here(function: Callable, *args):
    return function(*args)


@lru_cache(maxsize=1)
def _steps(setting: Setting) -> dict[str, Callable[[], None]]:
    """Made once in each process that is asked, and kept until another setting comes."""
    return {name: setting.step(name) for name in MODELS}


def _seconds(setting: Setting, name: str, clock: Callable[[], float]) -> float:
    return seconds_of(_steps(setting)[name], clock)


def _memory(setting: Setting, name: str) -> float:
    return peak_memory_mb(_steps(setting)[name], setting.device)


def speed_bars(shape: str, rows: list[dict]) -> list[dict]:
    """The claims about whole steps of one shape; all that is compared took turns."""
    entries = {(entry["name"], entry["shape"]): entry for entry in rows}
    ours, theirs, found = entries[OURS, shape], entries[THEIRS, shape], entries[THEIRS, f"{shape}, {FOUND}"]
    return [bar(f"whole step over the dense model's, {shape}", ours["ratio_to_dense"], at_most=OVER_DENSE),
            bar(f"tokens a second over transformers' as found, {shape}", ours["tokens_per_s"] / found["tokens_per_s"], at_least=OVER_THEIRS),
            bar(f"tokens a second over transformers' with our allocator, {shape}", ours["tokens_per_s"] / theirs["tokens_per_s"],
                at_least=OVER_THEIRS)]


def peak_bar(setting: Setting) -> dict:
    """The claim about memory, measured in a process that does nothing else."""
    with OtherProcess() as fresh:
        peak = fresh.ask(_peak_of_training, setting, torch.get_num_threads())
    return bar(f"peak MB of {PEAK_OF[setting.device]}, {setting}", peak, at_most=PEAK_MB[setting.device])


def _peak_of_training(setting: Setting, threads: int) -> float:
    torch.set_num_threads(threads)
    step = setting.step(OURS)
    for _ in range(3):
        step()
    return peak_of_process_mb(setting.device)


def training_step(name: str, model: torch.nn.Module, text: torch.Tensor, dtype: torch.dtype = torch.float32) -> Callable[[], None]:
    """Loss, gradients, clipping and update of one model, in mixed precision unless `dtype` is fp32."""
    trained = [parameter for part, parameter in model.named_parameters() if not part.startswith(("adapter", "audio", "embedding.audio"))]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler(text.device.type, enabled=dtype == torch.float16)  # else it passes everything on
    loss = partial(_their_loss if name == THEIRS else _our_loss, model, text)

    def step() -> None:
        with autocast(text.device.type, dtype):
            total = loss()
        scaler.scale(total).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    return step


def _our_loss(model: DeepTalkModel, text: torch.Tensor) -> torch.Tensor:
    output = model(text)
    loss = F.cross_entropy(model.text_logits(output.hidden[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
    if output.routing:
        loss = loss + model.config.balance_weight * model.balance_loss(output.routing, torch.ones_like(text, dtype=torch.bool))
    return loss


def _their_loss(model: Qwen2MoeForCausalLM, text: torch.Tensor) -> torch.Tensor:
    return model(input_ids=text, labels=text).loss


@lru_cache(maxsize=1)
def _sizes(size: str) -> dict[str, tuple[int, int]]:
    """`parameters` of each model."""
    return {name: parameters(make(size_config(size).model)) for name, make in MODELS.items()}


def _sizes_note(counts: dict[str, tuple[int, int]]) -> str:
    return "; ".join(f"{name}: {stored:,} parameters, {active:,} active" for name, (stored, active) in counts.items())


def parameters(model: torch.nn.Module) -> tuple[int, int]:
    """All and active parameters of a model that this step uses."""
    total = sum(p.numel() for part, p in model.named_parameters() if not part.startswith(("adapter", "audio", "embedding.audio")))
    routed = sum(p.numel() for part, p in model.named_parameters() if ".experts." in part)
    return total, total - routed + round(routed * _share_chosen(model.config))


def _share_chosen(config) -> float:
    return config.num_experts_per_tok / config.num_experts if hasattr(config, "num_experts") else config.experts_per_token / config.experts
