"""One token at a time: the expert layer on a single token, and whole written answers beside transformers' `generate`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from transformers import DynamicCache

from minideeptalk.benchmarks.experts import DENSE as DENSE_LAYER
from minideeptalk.benchmarks.experts import Shape, make_layers
from minideeptalk.benchmarks.record import row
from minideeptalk.benchmarks.timing import in_turns
from minideeptalk.benchmarks.train import DENSE, OURS, WORDS, dense_model, our_model, their_model
from minideeptalk.config import size_config
from minideeptalk.inference.cache import RoomyCache
from minideeptalk.inference.memory import Memory
from minideeptalk.model import DeepTalkModel
from minideeptalk.model.grouped import experts_sorted

PROMPT, NEW = 16, 64  # words


def one_token_rows(size: str, rounds: int, clock: Callable[[], float]) -> list[dict]:
    """The expert layer of a size on one token, forward only."""
    sizes = size_config(size).model
    shape = Shape(sizes.width, sizes.experts, sizes.expert_hidden, sizes.experts_per_token, 1)
    layers, (hidden, indices, weights) = make_layers(shape, "cpu")
    ours = layers["ours"]
    layers["ours, sorted as for many tokens"] = lambda *parts: experts_sorted(*parts, ours.gate_up_proj, ours.down_proj)
    calls = {name: partial(layer, *((hidden,) if name == DENSE_LAYER else (hidden, indices, weights))) for name, layer in layers.items()}
    with torch.no_grad():
        best = {name: min(times) for name, times in in_turns(calls, rounds, clock).items()}
    return [row(name, f"{shape}, forward", 1, seconds, best[DENSE_LAYER], None) for name, seconds in best.items()]


def text_rows(size: str, rounds: int, clock: Callable[[], float]) -> list[dict]:
    """Writing words greedily, one after another, after a short prompt."""
    sizes = size_config(size).model
    prompt = torch.randint(WORDS, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    ours, theirs = our_model(sizes).eval(), their_model(sizes).eval()
    theirs.config.output_router_logits = False
    writers = {DENSE: partial(write_greedily, dense_model(sizes).eval(), prompt), OURS: partial(write_greedily, ours, prompt),
               "ours, transformers' cache": lambda: write_greedily(ours, prompt, DynamicCache(config=ours.config)),
               "transformers generate": lambda: theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW,
                                                                min_new_tokens=NEW, do_sample=False, use_cache=True, pad_token_id=0)}
    best = {name: min(times) for name, times in in_turns(writers, rounds, clock).items()}
    return [row(name, f"{NEW} words after {PROMPT}", NEW, seconds, best[DENSE], None) for name, seconds in best.items()]


@torch.no_grad()
def write_greedily(model: DeepTalkModel, text: torch.Tensor, cache: RoomyCache | DynamicCache | None = None) -> list[int]:
    """`NEW` words after `text` (1, T), each the likeliest; `cache` in the place of the library's own."""
    memory, words = Memory(model, 1), []
    memory.cache = cache or memory.cache
    for _ in range(NEW):
        text = model.text_logits(memory.read(text)).argmax(dim=-1, keepdim=True)  # (1, 1)
        words.append(int(text))
    return words
