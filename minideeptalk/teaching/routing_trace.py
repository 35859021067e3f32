"""Listens to the routers while the miniature answers: for each step, which experts had the token, and with which weight.

Axes: T steps, L layers with experts, E experts, K chosen experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from minideeptalk.experts import find_experts
from minideeptalk.hearing.ear import Heard
from minideeptalk.inference.decoding import speak_in_steps
from minideeptalk.inference.talker import Talker
from minideeptalk.model import AudioToken


@dataclass(frozen=True)
class RoutingTrace:
    """One question and its answer: labels (T,), weights (T, L, E), how many steps belong to the prompt, and the words of the answer."""

    labels: tuple[str, ...]
    weights: np.ndarray
    prompt_steps: int
    answer: str


def trace_answer(talker: Talker, heard: Heard, trigger: AudioToken = AudioToken.ANSWER) -> RoutingTrace:
    """Answer a heard question aloud and keep what every router did."""
    prompt = talker.builder.heard_prompt(heard.frames, trigger)
    kept: list[list[np.ndarray]] = [[] for _ in find_experts(talker.model)]
    handles = [module.register_forward_pre_hook(_listener(module.num_experts, layer), with_kwargs=True)
               for layer, (_, module) in zip(kept, find_experts(talker.model))]
    try:
        for decoder, _ in speak_in_steps(talker.model, talker.builder, prompt):
            pass
    finally:
        for handle in handles:
            handle.remove()
    weights = np.stack([np.concatenate(layer) for layer in kept], axis=1)  # (T, L, E)
    labels = _prompt_labels(talker, prompt, heard) + _answer_labels(talker, decoder.text[0].tolist())
    return RoutingTrace(tuple(labels[:len(weights)]), weights, len(prompt), " ".join(decoder.answer(0).words))


def _listener(experts: int, kept: list):
    """A hook on an experts module that keeps (n, E) gate weights of one forward; every decoder here has a single row."""

    def before_experts(module, args, kwargs):
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        indices = next(value for value in tensors if not value.is_floating_point())  # (n, K)
        weights = next(value for value in tensors if value.is_floating_point() and value.shape == indices.shape)  # (n, K)
        kept.append(torch.zeros(len(indices), experts).scatter(1, indices.cpu(), weights.float().cpu()).numpy())

    return before_experts


def _prompt_labels(talker: Talker, prompt, heard: Heard) -> list[str]:
    words = list(heard.words) if len(heard.words) == len(heard.frames) else [f"sound {number}" for number in range(1, len(heard.frames) + 1)]
    names = iter(["begins to hear", *[f"hears “{word}”" for word in words], "has heard all"])
    return [next(names) if token == talker.builder.audio else f"reads {talker.builder.tokenizer.decode([token])[0].strip('<>')}"
            for token in prompt.text]


def _answer_labels(talker: Talker, text: list[int]) -> list[str]:
    labels, word = [], "nothing yet"
    for number, token in enumerate(text, start=1):
        if token == talker.builder.end:
            word = "the end"
        elif token != talker.builder.wait:
            word = f"“{talker.builder.tokenizer.decode([token])[0]}”"
        labels.append(f"answer step {number}, says {word}")
    return labels
