"""Spoken material ready for the language model: heard questions as ear frames, and the assistant's replies as codes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from minideeptalk.world import Item


@dataclass
class SpokenQuestion:
    """A question of the world in somebody's voice: frames (N, ear width) and what the ear made of it."""

    item: Item
    voice: str
    style: str
    frames: torch.Tensor
    heard: tuple[str, ...]


@dataclass
class SpokenReply:
    """The assistant saying `words`: codes (F, Q) and the frame at which each word starts."""

    words: tuple[str, ...]
    style: str
    codes: torch.Tensor
    starts: tuple[int, ...]


@dataclass
class SpokenSet:
    """All spoken material of one split."""

    questions: list[SpokenQuestion]
    replies: list[SpokenReply]

    def __post_init__(self):
        self.reply_index = {(reply.words, reply.style): number for number, reply in enumerate(self.replies)}

    def reply(self, words: tuple[str, ...], style: str) -> SpokenReply | None:
        """The reply with these words in this style, or None if it was never synthesised."""
        number = self.reply_index.get((tuple(words), style))
        return None if number is None else self.replies[number]

    def save(self, folder: Path) -> None:
        """Write `spoken.safetensors` (frames in half precision, codes in 16 bits) and `spoken.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            "frames": torch.cat([question.frames for question in self.questions]).half(),
            "codes": torch.cat([reply.codes for reply in self.replies]).to(torch.int16),
        }
        save_file(tensors, folder / "spoken.safetensors")
        questions = [{"item": asdict(q.item), "voice": q.voice, "style": q.style, "steps": len(q.frames),
                      "heard": q.heard} for q in self.questions]
        replies = [{"words": r.words, "style": r.style, "steps": len(r.codes), "starts": r.starts} for r in self.replies]
        (folder / "spoken.json").write_text(json.dumps({"questions": questions, "replies": replies}))

    @classmethod
    def load(cls, folder: Path) -> SpokenSet:
        """Read what `save` wrote."""
        tensors = load_file(folder / "spoken.safetensors")
        texts = json.loads((folder / "spoken.json").read_text())
        frames = tensors["frames"].float().split([question["steps"] for question in texts["questions"]])
        codes = tensors["codes"].long().split([reply["steps"] for reply in texts["replies"]])
        questions = [SpokenQuestion(_item(q["item"]), q["voice"], q["style"], f, tuple(q["heard"]))
                     for q, f in zip(texts["questions"], frames)]
        replies = [SpokenReply(tuple(r["words"]), r["style"], c, tuple(r["starts"]))
                   for r, c in zip(texts["replies"], codes)]
        return cls(questions, replies)


def _item(fields: dict) -> Item:
    """An `Item` from JSON, whose lists become the tuples they were."""
    def frozen(value):
        return tuple(frozen(part) for part in value) if isinstance(value, list) else value

    return Item(**{name: frozen(value) for name, value in fields.items()})
