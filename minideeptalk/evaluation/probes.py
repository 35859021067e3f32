"""Linear probes: what can be read off the hidden state of each layer of a frozen model (chapter 14).

A probe that succeeds shows that the layer holds the answer in a linear form; it does not show that the model uses it.  So each
has a chance line (always the commonest class) and a control (the same probe trained on shuffled labels, Hewitt and Liang, 2019).
Axes: S states of a model (embedding, then every layer), N examples, D width, C classes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from minideeptalk.model import AudioToken
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import Example, ExampleBuilder, SpokenAnswer, SpokenSet, collate

PENALTY = 1e-3  # on the squared weights of a probe; fixed, so that nothing is chosen on what is reported
CONTROLS = 3  # shuffles


@dataclass(frozen=True)
class Material:
    """N examples, the step of each whose state is read, and the label to be found there."""

    examples: list[Example]
    steps: list[int]
    labels: list[str]

    @classmethod
    def of_prompts(cls, prompts: list[Example], labels: list[str]) -> Material:
        """States of the last prompt step, after which the answer begins."""
        return cls(prompts, [len(prompt) - 1 for prompt in prompts], labels)


def _heard(spoken: SpokenSet) -> list:
    return [question for question in spoken.questions if question.voice != HELD_OUT_VOICE.name]


def style_asked(spoken: SpokenSet, builder: ExampleBuilder) -> Material:
    """Style of a heard question, where an answer in the asker's style is wanted."""
    asked = _heard(spoken)
    return Material.of_prompts([builder.heard_prompt(q.frames, AudioToken.MIRROR) for q in asked], [q.style for q in asked])


def style_not_asked(spoken: SpokenSet, builder: ExampleBuilder) -> Material:
    """Style of a heard question, where a written answer is wanted, for which the style is of no use."""
    asked = _heard(spoken)
    return Material.of_prompts([builder.heard_prompt(q.frames) for q in asked], [q.style for q in asked])


def family(spoken: SpokenSet, builder: ExampleBuilder) -> Material:
    """Which skill a heard question asks for."""
    asked = _heard(spoken)
    return Material.of_prompts([builder.heard_prompt(q.frames) for q in asked], [q.item.family for q in asked])


def next_word_ahead(spoken: SpokenSet, builder: ExampleBuilder) -> Material:
    """The word that will be said next, where the one before it begins to sound."""
    return _next_words(spoken, builder, lambda starts, place: starts[place])


def next_word_due(spoken: SpokenSet, builder: ExampleBuilder) -> Material:
    """The word that will be said next, at the last step of the one before it, where it has to be found."""
    return _next_words(spoken, builder, lambda starts, place: starts[place + 1] - 1)


def _next_words(spoken: SpokenSet, builder: ExampleBuilder, frame: Callable[[Sequence[int], int], int]) -> Material:
    """One place in each reply of two words or more; `frame(starts, place)` is the codec frame that the step reads the word of."""
    rng = random.Random(0)
    examples, steps, labels = [], [], []
    for reply in spoken.replies:
        if len(reply.words) > 1:
            place = rng.randrange(len(reply.words) - 1)
            answer = SpokenAnswer(tuple(builder.tokenizer.encode(reply.words)), reply.codes, reply.starts)
            examples.append(builder.speak(reply.words, reply.style, answer))
            steps.append(len(builder.say_prompt(reply.words, reply.style)) + frame(reply.starts, place))
            labels.append(reply.words[place + 1])
    return Material(examples, steps, labels)


QUESTIONS: dict[str, Callable[[SpokenSet, ExampleBuilder], Material]] = {
    "style, asked for": style_asked, "style, not asked for": style_not_asked, "skill": family,
    "next word, ahead": next_word_ahead, "next word, when due": next_word_due}
"""What is looked for, and the examples in which it is."""


@torch.no_grad()
def hidden_states(model, builder: ExampleBuilder, material: Material, batch_size: int = 100) -> torch.Tensor:
    """States (S, N, D) at one step of every example: of the embedding and after each layer, before the last norm."""
    model.eval()
    seen: list[torch.Tensor] = []
    handles = [model.embedding.register_forward_hook(lambda module, args, output: seen.append(output)),
               *(layer.register_forward_hook(lambda module, args, output: seen.append(output[0])) for layer in model.layers)]
    parts = []
    try:
        for start in range(0, len(material.examples), batch_size):
            seen.clear()
            batch = collate(material.examples[start:start + batch_size], builder.silence).to(model.device)
            model(**batch.model_inputs())
            steps = torch.tensor(material.steps[start:start + batch_size], device=model.device)
            rows = torch.arange(len(steps), device=model.device)
            parts.append(torch.stack([states[rows, steps] for states in seen]).float().cpu())  # (S, B, D)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(parts, dim=1)


def fit_probe(states: torch.Tensor, labels: torch.Tensor, classes: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Multinomial logistic regression on standardised states (N, D); returns a function from states (M, D) to labels (M,)."""
    mean, scale = states.mean(dim=0), states.std(dim=0).clamp(min=1e-6)  # (D,)
    ready = (states - mean) / scale
    weight = torch.zeros(classes, states.shape[1] + 1, requires_grad=True)  # (C, D + 1)
    optimizer = torch.optim.LBFGS([weight], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(ready, weight[:, :-1], weight[:, -1]), labels) + PENALTY * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    final = weight.detach()
    return lambda new: F.linear((new - mean) / scale, final[:, :-1], final[:, -1]).argmax(dim=-1)


def probe(train_states: torch.Tensor, train_labels: Sequence[str], states: torch.Tensor, labels: Sequence[str], seed: int = 0) -> list[dict]:
    """Probe every state of a model.

    Args:
        train_states: (S, N, D). states: (S, M, D) of held-out examples. A label that training never saw counts as missed.

    Returns:
        for each of the S states `accuracy` and, as means over `CONTROLS` shuffles of the training labels, `control`; the same in
        each are `chance`, the number of `classes`, and of `train_items` and `items`.
    """
    names = sorted(set(train_labels))
    numbers = {name: number for number, name in enumerate(names)}
    known = torch.tensor([numbers[label] for label in train_labels])
    wanted = torch.tensor([numbers.get(label, -1) for label in labels])
    commonest = numbers[Counter(train_labels).most_common(1)[0][0]]
    told = {"chance": _share(wanted == commonest), "classes": len(names), "train_items": len(known), "items": len(wanted)}
    shuffles = [torch.randperm(len(known), generator=torch.Generator().manual_seed(seed + number)) for number in range(CONTROLS)]
    rows = []
    for train, held_out in zip(train_states, states):
        found = [_share(fit_probe(train, known[order], len(names))(held_out) == wanted) for order in (slice(None), *shuffles)]
        rows.append({"accuracy": found[0], "control": sum(found[1:]) / CONTROLS, **told})
    return rows


def _share(right: torch.Tensor) -> float:
    return float(right.float().mean())


def probe_model(model, builder: ExampleBuilder, train: SpokenSet, test: SpokenSet, limit: int = 2000, seed: int = 0) -> list[dict]:
    """Every question of `QUESTIONS` to every state of one frozen model.

    Args:
        train, test: spoken material of two splits; the probe learns on at most `limit` examples of the first.

    Returns:
        rows of `question`, `state` (0 is the embedding, n what layer n - 1 leaves) and what `probe` found.
    """
    rows = []
    for question, make in QUESTIONS.items():
        known, held_out = _first(make(train, builder), limit, seed), make(test, builder)
        found = probe(hidden_states(model, builder, known), known.labels, hidden_states(model, builder, held_out), held_out.labels, seed)
        rows += [{"question": question, "state": state, **row} for state, row in enumerate(found)]
    return rows


def _first(material: Material, limit: int, seed: int) -> Material:
    """At most `limit` of the examples, drawn at random."""
    order = list(range(len(material.examples)))
    random.Random(seed).shuffle(order)
    chosen = order[:limit]
    return Material(*([values[number] for number in chosen] for values in (material.examples, material.steps, material.labels)))
