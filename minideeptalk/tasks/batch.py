"""Padding examples into one batch. Padding stands on the right, where a causal model cannot see it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from minideeptalk.experts.recorder import Modality
from minideeptalk.model import word_positions
from minideeptalk.tasks.examples import IGNORE, Example


@dataclass
class Batch:
    """B examples of at most T steps: text, text_target, modality (B, T); codes, code_target (B, T, Q);
    frames (B, T, ear width) and frame_mask (B, T), both None when nothing is heard; elapsed (B, T), None unless words are held."""

    text: torch.Tensor
    text_target: torch.Tensor
    codes: torch.Tensor | None
    code_target: torch.Tensor | None
    modality: torch.Tensor
    frames: torch.Tensor | None
    frame_mask: torch.Tensor | None
    elapsed: torch.Tensor | None

    def to(self, device) -> Batch:
        """The same batch on another device."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: value.to(device) if value is not None else None for name, value in moved.items()})

    @property
    def mask(self) -> torch.Tensor:
        """(B, T), True on real steps."""
        return self.modality != Modality.PADDING

    def model_inputs(self) -> dict:
        """The arguments of `DeepTalkModel.forward`."""
        return {"text": self.text, "codes": self.codes, "frames": self.frames, "frame_mask": self.frame_mask,
                "elapsed": self.elapsed,
                "positions": None if self.elapsed is None else word_positions(self.elapsed)}


def _pad_lists(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])  # (B, T)


def _pad_tables(tables: list[torch.Tensor | None], steps: int, value: int) -> torch.Tensor | None:
    """Tables (t, Q), None where a row has none, to (B, steps, Q); None when no row has one."""
    present = [table for table in tables if table is not None]
    if not present:
        return None
    padded = torch.full((len(tables), steps, present[0].shape[1]), value)
    for row, table in enumerate(tables):
        if table is not None:
            padded[row, :table.shape[0]] = table
    return padded


def collate(examples: list[Example], silence: int) -> Batch:
    """Pad on the right. `silence` is the id of the codec PAD token; a batch without any codec row carries no codes."""
    text = _pad_lists([example.text for example in examples], 0)
    steps = text.shape[1]
    frames = frame_mask = None
    heard = [example for example in examples if example.frames is not None]
    if heard:
        frames = torch.zeros(*text.shape, heard[0].frames.shape[-1])
        frame_mask = torch.zeros(text.shape, dtype=torch.bool)
        for row, example in enumerate(examples):
            if example.frames is not None:
                place = slice(example.frame_start, example.frame_start + example.frames.shape[0])
                frames[row, place] = example.frames
                frame_mask[row, place] = True
    return Batch(
        text,
        _pad_lists([example.text_target for example in examples], IGNORE),
        _pad_tables([example.codes for example in examples], steps, silence),
        _pad_tables([example.code_target for example in examples], steps, IGNORE),
        _pad_lists([example.modality for example in examples], int(Modality.PADDING)),
        frames, frame_mask,
        _pad_lists([example.elapsed or [0] * len(example) for example in examples], 0)
        if any(example.elapsed for example in examples) else None,
    )
