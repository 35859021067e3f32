"""One whole training step of the language model, beside a dense model and transformers' mixture of the same active size.

All three read the same full rows of word ids, predict the next word, clip, and update with fused AdamW.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch
from torch.nn import functional as F
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM

from minideeptalk.allocator import as_found
from minideeptalk.benchmarks.record import bar, row
from minideeptalk.benchmarks.timing import in_turns, peak_memory_mb
from minideeptalk.config import EarConfig, ModelSize, size_config
from minideeptalk.model import DeepTalkConfig, DeepTalkModel, SwiGLU

WORDS, STEPS = 512, 64  # vocabulary; length of a row
BATCHES = {"nano": (8, 64), "mini": (8, 64), "base": (64,)}  # rows of a batch
DENSE, OURS, THEIRS = "dense of the same active size", "ours", "transformers Qwen2Moe"
OVER_DENSE, OVER_THEIRS = 1.15, 1.2


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


def bench_train(size: str, rounds: int, clock: Callable[[], float], device: str = "cpu") -> dict:
    """Training steps of the three models in turns, in a process with the system's allocator and in this one, which called `keep_memory`.

    Returns:
        `rows`, `bars` and `notes` for the record.
    """
    largest = BATCHES[size][-1]
    with as_found(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        before = pool.submit(_rows_as_found, size, rounds, clock, device, torch.get_num_threads()).result()
    models = _three_models(size)
    rows = [entry for batch in BATCHES[size] for entry in _rows_of_batch(models, batch, _shape(batch), rounds, clock, device)]
    return {"rows": before + rows, "bars": _bars(before, rows, _shape(largest)), "notes": [
        _sizes_note(models), "transformers' tokens a second are taken with the allocator as it finds it; the rows hold both"]}


def _three_models(size: str) -> dict[str, torch.nn.Module]:
    sizes = size_config(size).model
    return {DENSE: dense_model(sizes), OURS: our_model(sizes), THEIRS: their_model(sizes)}


def _rows_as_found(size: str, rounds: int, clock: Callable[[], float], device: str, threads: int) -> list[dict]:
    """The rows of the largest batch, to be called where nobody has changed the allocator."""
    torch.set_num_threads(threads)
    largest = BATCHES[size][-1]
    return _rows_of_batch(_three_models(size), largest, f"{_shape(largest)}, allocator as found", rounds, clock, device)


def _shape(batch: int) -> str:
    return f"{batch} rows of {STEPS}"


def _bars(before: list[dict], rows: list[dict], shape: str) -> list[dict]:
    ours = next(entry for entry in rows if (entry["name"], entry["shape"]) == (OURS, shape))
    both = [next(entry for entry in entries if entry["name"] == THEIRS and entry["shape"].startswith(shape)) for entries in (before, rows)]
    gains = [ours["tokens_per_s"] / theirs["tokens_per_s"] for theirs in both]
    return [bar(f"whole step over the dense model's, {shape}", ours["ratio_to_dense"], at_most=OVER_DENSE),
            bar(f"tokens a second over transformers' as found, {shape}", gains[0], at_least=OVER_THEIRS),
            bar(f"tokens a second over transformers' with our allocator, {shape}", gains[1], at_least=OVER_THEIRS)]


def _rows_of_batch(models: dict, batch: int, shape: str, rounds: int, clock: Callable[[], float], device: str) -> list[dict]:
    text = torch.randint(WORDS, (batch, STEPS), generator=torch.Generator().manual_seed(0)).to(device)
    steps = {name: _training_step(name, model.to(device).train(), text) for name, model in models.items()}
    best = {name: min(times) for name, times in in_turns(steps, rounds, clock).items()}
    return [row(name, shape, text.numel(), seconds, best[DENSE], peak_memory_mb(steps[name], device)) for name, seconds in best.items()]


def _training_step(name: str, model: torch.nn.Module, text: torch.Tensor) -> Callable[[], None]:
    trained = [parameter for part, parameter in model.named_parameters() if not part.startswith(("adapter", "audio", "embedding.audio"))]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    loss = partial(_their_loss if name == THEIRS else _our_loss, model, text)

    def step() -> None:
        loss().backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
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


def _sizes_note(models: dict) -> str:
    """All and active parameters of each model that this step uses."""
    counts = []
    for name, model in models.items():
        total = sum(p.numel() for part, p in model.named_parameters() if not part.startswith(("adapter", "audio", "embedding.audio")))
        routed = sum(p.numel() for part, p in model.named_parameters() if ".experts." in part)
        share = {DENSE: 0.0}.get(name, _share_chosen(model))
        counts.append(f"{name}: {total:,} parameters, {total - routed + round(routed * share):,} active")
    return "; ".join(counts)


def _share_chosen(model) -> float:
    config = model.config
    return config.num_experts_per_tok / config.num_experts if hasattr(config, "num_experts") else config.experts_per_token / config.experts
