"""What a model has read: prompts padded to one batch, and the memory that lets it read every step only once.

Axes: B batch, T new steps, S all steps so far, Q codec streams, D width.
"""

from __future__ import annotations

import torch

from minideeptalk.inference.cache import RoomyCache
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import Example, ExampleBuilder


def left_padded(prompts: list[Example], builder: ExampleBuilder, device) -> dict[str, torch.Tensor]:
    """Prompts of unequal length as rows for `Memory.read`, padded on the left so that all end at the same step."""
    steps = max(len(prompt) for prompt in prompts)
    rows, streams = len(prompts), builder.config.num_codebooks
    text = torch.zeros(rows, steps, dtype=torch.long)
    codes = torch.full((rows, steps, streams), builder.silence)
    real = torch.zeros(rows, steps, dtype=torch.bool)
    frames = torch.zeros(rows, steps, builder.config.ear_width)
    frame_mask = torch.zeros(rows, steps, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        offset = steps - len(prompt)
        text[row, offset:] = torch.tensor(prompt.text)
        real[row, offset:] = True
        if prompt.codes is not None:
            codes[row, offset:] = prompt.codes
        if prompt.frames is not None:
            place = slice(offset + prompt.frame_start, offset + prompt.frame_start + len(prompt.frames))
            frames[row, place], frame_mask[row, place] = prompt.frames, True
    inputs = {"text": text, "codes": codes, "real": real}
    if bool(frame_mask.any()):
        inputs |= {"frames": frames, "frame_mask": frame_mask}
    return {name: value.to(device) for name, value in inputs.items()}


class Memory:
    """Keys and values of all that was read, which steps of it were real, and the place of the last one.

    One memory over several turns is a conversation (`inference.conversation`).

    Args:
        model: the reader. rows: B.
    """

    def __init__(self, model: DeepTalkModel, rows: int):
        self.model = model
        self.cache = RoomyCache()
        self.mask = torch.zeros(rows, 0, dtype=torch.bool, device=model.device)  # (B, S)
        self.gaps = False  # whether some row has a step that is not real: only then does attention need the mask
        self.place = torch.full((rows,), -1, device=model.device)  # (B,)

    @torch.no_grad()
    def read(self, text: torch.Tensor, real: torch.Tensor | None = None, elapsed: torch.Tensor | None = None,
             **rows: torch.Tensor) -> torch.Tensor:
        """Read new steps and return the hidden state of the last one, (B, D). Arguments as `read_all`."""
        return self.read_all(text, real, elapsed, **rows)[:, -1]

    @torch.no_grad()
    def read_all(self, text: torch.Tensor, real: torch.Tensor | None = None, elapsed: torch.Tensor | None = None,
                 **rows: torch.Tensor) -> torch.Tensor:
        """Read new steps and return their hidden states, (B, T, D).

        Args:
            text: (B, T) word ids. real: (B, T) False where a row has no step; None means everywhere True.
            elapsed: (B, T) steps since the word in the text row began to sound, in the layout `held` only.
            rows: `codes`, `frames` and `frame_mask` of `DeepTalkModel.forward`.
        """
        self.gaps = self.gaps or (real is not None and not bool(real.all()))
        real = torch.ones_like(text, dtype=torch.bool) if real is None else real
        moves = real if elapsed is None else real & (elapsed <= 1)  # as `streams.word_positions` counts in training
        positions = (self.place[:, None] + moves.long().cumsum(dim=1)).clamp(min=0)  # (B, T)
        self.place = positions[:, -1]
        self.mask = torch.cat([self.mask, real], dim=1)
        rows = rows if elapsed is None else rows | {"elapsed": elapsed}
        mask = self.mask if self.gaps else None
        return self.model(text=text, **rows, positions=positions, attention_mask=mask, cache=self.cache).hidden

    def double(self) -> None:
        """Every row a second time, after all of them: what was read before becomes the past of twice as many rows."""
        self._take(torch.arange(len(self.place), device=self.place.device).repeat(2))

    def keep(self, rows: int) -> None:
        """Forget all but the first `rows` rows."""
        self._take(torch.arange(rows, device=self.place.device))

    def _take(self, rows: torch.Tensor) -> None:
        self.cache.take(rows)
        self.mask, self.place = self.mask[rows], self.place[rows]
        self.gaps = not bool(self.mask.all())
