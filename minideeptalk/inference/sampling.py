"""How one token is chosen from the scores of all: greedily, or by chance with the usual knobs.

Axes: B batch, V tokens of one stream; leading axes are written (...).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from minideeptalk.errors import LearnerError


@dataclass(frozen=True)
class Sampling:
    """How the tokens of an answer are chosen.

    Args:
        temperature: 0 takes the likeliest token; above, tokens come by chance, and the rarer the higher.
        top_k: draw from the k likeliest tokens only; 0 means all.
        top_p: draw from the likeliest tokens that together hold this share of the probability (Holtzman et al., 2020).
        repetition_penalty: above 1, tokens that a stream of this answer already holds become less likely: positive scores
            are divided by it, negative ones multiplied (Keskar et al., 2019). Pauses and ends are exempt.
        seed: of the draws.
        text: how the words are chosen, where they are not chosen as the codes are.

    Raises:
        LearnerError: for a knob outside its range.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    text: Sampling | None = None

    def __post_init__(self):
        for holds, expected, got in (
            (self.temperature >= 0, "a temperature of 0 or more", self.temperature),
            (self.top_k >= 0, "a top_k of 0 (all tokens) or more", self.top_k),
            (0 < self.top_p <= 1, "a top_p above 0 and at most 1", self.top_p),
            (self.repetition_penalty >= 1, "a repetition penalty of 1 (none) or more", self.repetition_penalty),
        ):
            if not holds:
                raise LearnerError(expected, str(got))


def pick(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> torch.Tensor:
    """One token for each row of logits (..., V) -> (...)."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.float() / sampling.temperature
    if sampling.top_k:
        lowest = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    if sampling.top_p < 1:
        logits = logits.masked_fill(~nucleus(logits, sampling.top_p), float("-inf"))
    probabilities = logits.softmax(dim=-1)
    flat = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return flat.view(probabilities.shape[:-1])


def nucleus(logits: torch.Tensor, share: float) -> torch.Tensor:
    """True on the fewest likeliest tokens that together hold at least `share` of the probability; (..., V) -> (..., V)."""
    sorted_logits, order = logits.sort(dim=-1, descending=True)
    probabilities = sorted_logits.softmax(dim=-1)
    held_before = probabilities.cumsum(dim=-1) - probabilities  # by the likelier tokens
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, held_before < share)


class Chooser:
    """Chooses token after token of some streams, and remembers what it chose for the repetition penalty.

    Args:
        sampling: the knobs. generator: the source of chance. exempt: tokens that may repeat freely.
    """

    def __init__(self, sampling: Sampling, generator: torch.Generator, exempt: list[int]):
        self.sampling, self.generator, self.exempt = sampling, generator, exempt
        self.seen = None  # (..., V) True on tokens that the answer holds

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """One token for each row of logits (..., V) -> (...)."""
        penalty = self.sampling.repetition_penalty
        if penalty > 1 and self.seen is not None:
            punished = torch.where(logits > 0, logits / penalty, logits * penalty)
            logits = torch.where(self.seen, punished, logits)
        return pick(logits, self.sampling, self.generator)

    def remember(self, tokens: torch.Tensor, vocabulary: int) -> None:
        """Count `tokens` (...) as said, out of `vocabulary` tokens."""
        if self.sampling.repetition_penalty == 1:
            return
        if self.seen is None:
            self.seen = torch.zeros(*tokens.shape, vocabulary, dtype=torch.bool, device=tokens.device)
        self.seen.scatter_(-1, tokens[..., None], True)
        self.seen[..., self.exempt] = False
