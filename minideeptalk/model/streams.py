"""Eight rows a step: seven codec streams and one text stream, their special tokens, delays, embeddings and heads.

Axes: B batch, T steps, Q codec streams (7), D width, F codec frames of an utterance.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.model.configuration import DeepTalkConfig

WORD_STD = 0.1
"""Standard deviation of new word embeddings."""


class AudioToken(IntEnum):
    """Special tokens of each codec stream, counted from the end of the codebook (id = codebook_size + value).

    PAD says "nothing here"; BOA and EOA enclose a heard utterance, and EOA ends a spoken one.  The codec rows of the last
    prompt step say what is wanted: PAD (answer in text), ANSWER (aloud), MIRROR (aloud, in the asker's own style),
    TRANSCRIBE, NAME_STYLE, or SAY_<style> (say the given text in that style): the paper's speaker and task tokens in one.
    """

    PAD = 0
    EOA = 1
    BOA = 2
    ANSWER = 3
    MIRROR = 4
    TRANSCRIBE = 5
    NAME_STYLE = 6
    SAY_NEUTRAL = 7
    SAY_HAPPY = 8
    SAY_SAD = 9
    SAY_ANGRY = 10


def delays(name: str, num_codebooks: int) -> list[int]:
    """How many steps each codec stream lags behind the text of the same moment.

    `stream` is the paper's (stream i lags i + 1); `level` lags by pyramid level (1, 2, 2, 3, 3, 3, 3); `none` keeps the
    streams together, one step behind, so that a word is known before its first sound is chosen.
    """
    if name == "stream":
        return [stream + 1 for stream in range(num_codebooks)]
    if name == "level":
        return [(1, 2, 2, 3, 3, 3, 3)[stream] for stream in range(num_codebooks)]
    return [1] * num_codebooks


def delay(codes: torch.Tensor, lags: list[int], fill: int) -> torch.Tensor:
    """Shift each stream down by its lag; (F, Q) -> (F + max lag, Q), with `fill` in the corners."""
    frames, streams = codes.shape
    shifted = codes.new_full((frames + max(lags), streams), fill)
    for stream, lag in enumerate(lags):
        shifted[lag:lag + frames, stream] = codes[:, stream]
    return shifted


def undelay(shifted: torch.Tensor, lags: list[int]) -> torch.Tensor:
    """Undo `delay`; (F + max lag, Q) -> (F, Q)."""
    frames = shifted.shape[0] - max(lags)
    return torch.stack([shifted[lag:lag + frames, stream] for stream, lag in enumerate(lags)], dim=1)


LONGEST_WORD = 16
"""Steps up to which the place inside a word is counted: 1.3 s, longer than any word of the world."""


def word_positions(elapsed: torch.Tensor) -> torch.Tensor:
    """Places (B, T) that advance with each written token and each new word, and stand still while a word sounds.

    `elapsed` (B, T) is 0 on written steps and counts from 1 while a word sounds.
    """
    return (elapsed <= 1).long().cumsum(dim=1) - 1


class StreamEmbedding(nn.Module):
    """Eight token ids, or a heard frame, become one vector.

    The paper averages eight rows of one shared table.  Here each modality has its own table, so that freezing one is
    real, and the codec row PAD is zero and stays zero: a learnt PAD would change every text step as soon as the audio
    table trains.  In the layout `held`, `elapsed` says how long the word in the text row has been sounding.
    """

    def __init__(self, config: DeepTalkConfig):
        super().__init__()
        self.num_codebooks = config.num_codebooks
        self.rows = config.codebook_size + len(AudioToken)
        self.pad = config.codebook_size + AudioToken.PAD
        text = {"mean": 1.0 / (config.num_codebooks + 1), "sum": 1.0, "weighted": 0.5}[config.combine]
        self.scale = text * config.embedding_multiplier
        self.code_weight = 1.0 / config.num_codebooks if config.combine == "weighted" else 1.0  # of a codec row beside the text row
        self.text = nn.Embedding(config.vocab_size, config.width)
        self.audio = nn.Embedding(config.num_codebooks * self.rows, config.width)
        self.elapsed = nn.Embedding(LONGEST_WORD, config.width)

    def forward(self, text: torch.Tensor, codes: torch.Tensor | None, heard: torch.Tensor | None = None,
                heard_mask: torch.Tensor | None = None, elapsed: torch.Tensor | None = None) -> torch.Tensor:
        """Combine the rows of each step.

        Args:
            text: (B, T) word ids. codes: (B, T, Q) ids, or None where every codec row is PAD (pure text).
            heard: (B, T, D) adapter output. heard_mask: (B, T), True where `heard` takes the place of the codec rows.
            elapsed: (B, T) steps since the word of the text row began to sound, counted from 1; 0 where nothing sounds.

        Returns:
            (B, T, D).
        """
        total = self.text(text)  # (B, T, D)
        if codes is not None:
            offsets = torch.arange(self.num_codebooks, device=codes.device) * self.rows  # (Q,)
            present = self.code_weight * (codes != self.pad)[..., None].to(total.dtype)  # (B, T, Q, 1)
            total = total + (self.audio(codes + offsets) * present).sum(dim=2)
        if heard is not None:
            copies = self.num_codebooks * self.code_weight * heard.to(total.dtype) * heard_mask[..., None]  # it stands in all Q rows
            total = total + copies
        if elapsed is not None:
            place = elapsed.clamp(max=LONGEST_WORD - 1)
            total = total + self.elapsed(place) * (place > 0)[..., None].to(total.dtype)
        return total * self.scale


class AudioHeads(nn.Module):
    """One output layer for each codec stream: (N, D) -> (N, Q, rows)."""

    def __init__(self, config: DeepTalkConfig):
        super().__init__()
        self.num_codebooks = config.num_codebooks
        self.projection = nn.Linear(config.width, config.num_codebooks * (config.codebook_size + len(AudioToken)), bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., Q, rows)."""
        return self.projection(hidden).unflatten(-1, (self.num_codebooks, -1))


class Adapter(nn.Module):
    """From the frozen ear to the language model: the paper's gated MLP without bias, `proj(silu(fc1 x) * fc2 x)`, then levelled.

    Levelled means that every frame comes out equally loud, see `DeepTalkConfig.heard_loudness`.  Left alone, a frame becomes hundreds
    of times louder than a word; what attention adds to it is then next to nothing, and the norms take its size out of the
    gradient (chapter 13 measures it).
    """

    def __init__(self, config: DeepTalkConfig):
        super().__init__()
        hidden = 2 * config.width
        self.fc1 = nn.Linear(config.ear_width, hidden, bias=False)
        self.fc2 = nn.Linear(config.ear_width, hidden, bias=False)
        self.proj = nn.Linear(hidden, config.width, bias=False)
        rows = 1 if config.combine == "weighted" else config.num_codebooks  # a frame stands in all Q codec rows, which `weighted` averages
        self.level = config.heard_loudness * WORD_STD / rows

    def gated(self, frames: torch.Tensor) -> torch.Tensor:
        """(..., ear width) -> (..., D), as loud as it comes."""
        return self.proj(F.silu(self.fc1(frames)) * self.fc2(frames))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(..., ear width) -> (..., D), each frame at the same root mean square."""
        heard = self.gated(frames)
        return self.level * F.rms_norm(heard, heard.shape[-1:], eps=1e-6) if self.level else heard
