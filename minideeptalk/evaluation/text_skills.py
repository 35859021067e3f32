"""Text ability by family, on held-out combinations: the benchmark of what can be forgotten.

Greedy decoding gives the reference answer exactly when the model's first choice is right at every answer step given the
reference before it, so one forward pass measures exact match (`tests/evaluation` proves it against decoding).
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from minideeptalk.tasks import IGNORE, Example, ExampleBuilder, collate
from minideeptalk.world import FAMILIES, Item


def _answer_logits(model, builder: ExampleBuilder, examples: list[Example], batch_size: int):
    """Teacher-forced batches: yields targets (B, T), where they count (B, T), and the text logits there (n, V)."""
    model.eval()
    for start in range(0, len(examples), batch_size):
        batch = collate(examples[start:start + batch_size], builder.silence).to(model.device)
        hidden = model(**batch.model_inputs(), real=batch.mask).hidden
        wanted = batch.text_target != IGNORE  # (B, T)
        yield batch.text_target, wanted, model.text_logits(hidden[wanted])


@torch.no_grad()
def answers_right(model, builder: ExampleBuilder, examples: list[Example], batch_size: int = 200) -> list[bool]:
    """Whether greedy decoding of each text answer (its `<end>` included) would equal the reference."""
    right = []
    for target, wanted, logits in _answer_logits(model, builder, examples, batch_size):
        chosen = torch.zeros_like(target)
        chosen[wanted] = logits.argmax(dim=-1)
        right += ((chosen == target) | ~wanted).all(dim=1).tolist()
    return right


@torch.no_grad()
def answer_scores(model, builder: ExampleBuilder, examples: list[Example], batch_size: int = 200) -> list[float]:
    """Log-probability in nats of each text answer, its `<end>` included."""
    scores = []
    for target, wanted, logits in _answer_logits(model, builder, examples, batch_size):
        losses = torch.zeros(target.shape, device=logits.device)
        losses[wanted] = F.cross_entropy(logits.float(), target[wanted], reduction="none")
        scores += (-losses.sum(dim=1)).tolist()
    return scores


def family_accuracy(model, builder: ExampleBuilder, items: list[Item]) -> float:
    """Share of items solved: exact match, or for families of kind `choice` the right answer scored above the wrong one."""
    right = [builder.chat(item.question, item.answer) for item in items]
    if FAMILIES[items[0].family].kind == "exact":
        solved = answers_right(model, builder, right)
    else:
        wrong = [builder.chat(item.question, item.wrong) for item in items]
        scores = answer_scores(model, builder, right), answer_scores(model, builder, wrong)
        solved = [good > bad for good, bad in zip(*scores)]
    return sum(solved) / len(solved)


def text_accuracy(model, builder: ExampleBuilder, split: str = "test", count: int = 200, seed: int = 0) -> dict[str, float]:
    """Accuracy of every family on `count` held-out items, between 0 and 1."""
    return {name: family_accuracy(model, builder, family.items(split, count, seed)) for name, family in FAMILIES.items()}
