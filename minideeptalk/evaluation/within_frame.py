"""What the codes of one frame know about each other beyond the model's state: all that flattening the seven streams could add (chapter 14).

Without a delay the model chooses the codes of a frame side by side, each blind to the others.  Flattened, one after another in seven
steps, each would see those before it.  That costs seven times the steps, in training and before the first sound, so it is no arm of
the study; what it could gain is measured on a frozen model instead.  The scores of its own heads are kept, and a table for every pair of
streams adds what the codes chosen earlier in the frame say about a later one.  How far that lowers the loss of held-out speech is a
lower bound of what the blind choice costs: a deeper reader of the earlier codes might find more.
Axes: N frames, Q codec streams, D width, R rows of a head (codes and special tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from minideeptalk.tasks import ExampleBuilder, SpokenAnswer, SpokenReply, collate

EPOCHS, RATE, DECAY, BATCH = 12, 0.03, 1e-3, 512


@dataclass(frozen=True)
class Frames:
    """Codes (N, Q) of spoken frames, and the scores (N, Q, R) that the model gave before each was chosen."""

    codes: torch.Tensor
    scores: torch.Tensor

    def blind(self, seed: int = 0) -> torch.Tensor:
        """Codes (N, Q) of frames in another order: the same tables cannot learn anything true from them."""
        return self.codes[torch.randperm(len(self.codes), generator=torch.Generator().manual_seed(seed))]


@torch.no_grad()
def read_frames(model, builder: ExampleBuilder, replies: list[SpokenReply], batch_size: int = 50) -> Frames:
    """Let the model read replies as in training and keep its scores of every code, whatever the delay of the streams."""
    model.eval()
    codes, scores = [], []
    for start in range(0, len(replies), batch_size):
        part = replies[start:start + batch_size]
        examples = [builder.speak(r.words, r.style, SpokenAnswer(tuple(builder.tokenizer.encode(r.words)), r.codes, r.starts)) for r in part]
        batch = collate(examples, builder.silence).to(model.device)
        hidden = model(**batch.model_inputs(), real=batch.mask).hidden  # (B, T, D)
        for row, reply in enumerate(part):
            first = len(builder.say_prompt(reply.words, reply.style)) - 1
            frame = torch.arange(len(reply.codes), device=model.device)
            by_stream = [model.audio_logits(hidden[row, first + lag + frame])[:, stream] for stream, lag in enumerate(builder.lags)]
            codes.append(reply.codes)
            scores.append(torch.stack(by_stream, dim=1).float().cpu())  # (F, Q, R)
    return Frames(torch.cat(codes), torch.cat(scores))


def within_frame(train: Frames, validation: Frames, test: Frames, seed: int = 0) -> list[dict]:
    """Loss of every stream on the test frames, in nats, and what earlier codes of the same frame take away from it.

    The tables learn on `train`; the epoch to stop at is chosen on `validation`.

    Returns:
        a row for each stream: `stream`, `own` (the model alone), `chained` (with the earlier codes) and `control` (with those of other
        frames; it shows what the tables gain without knowing anything).
    """
    rows = []
    for stream in range(test.codes.shape[1]):
        own = _loss(test.scores[:, stream], test.codes[:, stream])
        row = {"stream": stream, "own": own, "chained": own, "control": own}
        if stream:
            row["chained"] = _chained(stream, *((frames, frames.codes) for frames in (train, validation, test)), seed=seed)
            row["control"] = _chained(stream, *((frames, frames.blind(seed)) for frames in (train, validation, test)), seed=seed)
        rows.append(row)
    return rows


def _loss(scores: torch.Tensor, codes: torch.Tensor) -> float:
    return float(F.cross_entropy(scores, codes))


def _chained(stream: int, train, validation, test, seed: int) -> float:
    """Test loss of one stream with tables for the streams before it; each argument is frames and the codes that are told."""
    size = train[0].scores.shape[-1]
    generator = torch.Generator().manual_seed(seed)
    tables = torch.zeros(stream, size, size, requires_grad=True)  # (earlier streams, code there, R)
    optimizer = torch.optim.Adam([tables], lr=RATE)

    def scores(frames: Frames, told: torch.Tensor, chosen=slice(None)) -> torch.Tensor:
        added = sum(tables[earlier][told[chosen, earlier]] for earlier in range(stream))  # (n, R)
        return frames.scores[chosen, stream] + added

    best = (float("inf"), float("nan"))
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(train[1]), generator=generator).split(BATCH):
            loss = F.cross_entropy(scores(*train, chosen), train[0].codes[chosen, stream]) + DECAY * tables.square().mean(dim=0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            found = [_loss(scores(*part), part[0].codes[:, stream]) for part in (validation, test)]
        best = min(best, tuple(found))
    return best[1]
