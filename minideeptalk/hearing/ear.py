"""The ear: the model's own speech encoder, Whisper-style, trained with CTC on words and then frozen.

Log-mel at 50 Hz goes through a small convolution stem (25 Hz out), sinusoidal positions and a few pre-norm transformer
layers. Two heads read the same hidden states: one writes words (CTC), one tells the speaking style. The language model
never sees the words, only the hidden states that remain after CTC compression: about one frame a word.
DeepTalk takes whale or Whisper here; this one has the same role and interface, in miniature.
Axes: B batch, T frames at 25 Hz, D width, V words + blank.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from minideeptalk.config import MELS, STYLES, EarConfig
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.batches import pad_mels
from minideeptalk.hearing.confidence import confidence
from minideeptalk.hearing.ctc import BLANK, best_path, collapse, compress


@dataclass(frozen=True)
class Heard:
    """What the ear made of one utterance.

    Args:
        frames: `(N, D)` one hidden state for each word, for the adapter.
        words: the N words read by CTC; the language model does not see them.
        confidence: 0 to 1, how familiar the sounds are; see `Ear.understands`.
        style: the likeliest of the four speaking styles.
    """

    frames: torch.Tensor
    words: tuple[str, ...]
    confidence: float
    style: str


def normalise(log_mel: torch.Tensor) -> torch.Tensor:
    """Shift and scale one utterance `(frames, 80)` to mean 0 and deviation 1, so that loudness plays no part."""
    return (log_mel - log_mel.mean()) / log_mel.std().clamp(min=1e-3)


def sinusoids(steps: int, width: int) -> torch.Tensor:
    """Fixed positions of Vaswani et al. (2017): `(T, D)`, sines in the first half, cosines in the second."""
    rates = torch.exp(-torch.arange(width // 2) * (torch.log(torch.tensor(1e4)) / (width // 2 - 1)))  # (D/2,)
    angles = torch.arange(steps)[:, None] * rates[None, :]  # (T, D/2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)  # (T, D)


def valid_frames(steps: int, lengths: torch.Tensor) -> torch.Tensor:
    """`(B, T)` True where an utterance still sounds; `lengths` is `(B,)`."""
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]


class EncoderLayer(nn.Module):
    """Pre-norm: a short convolution over neighbours (sounds are local), self-attention, and a feed-forward part.

    Whisper has no such convolution; with two layers and minutes of training it is what lets the ear tell `fifteen`
    from `fifty`. The idea is the Conformer's (Gulati et al., 2020).
    """

    def __init__(self, width: int, heads: int, kernel: int = 9):
        super().__init__()
        self.heads = heads
        self.neighbour_norm = nn.LayerNorm(width)
        self.neighbours = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, states: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """`states` `(B, T, D)`, `valid` `(B, T)` True where there is sound; returns `(B, T, D)`."""
        batch, steps, width = states.shape
        local = self.neighbour_norm(states) * valid[..., None]  # padding stays silent, whatever stands in it
        states = states + self.neighbours(local.transpose(1, 2)).transpose(1, 2)  # (B, T, D)
        mixed = self.query_key_value(self.attention_norm(states)).view(batch, steps, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D/heads)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])
        states = states + self.attention_out(attended.transpose(1, 2).reshape(batch, steps, width))
        return states + self.feed_forward(states)


class Ear(nn.Module):
    """The speech encoder with its two heads. Train one with `train_ear`, or `Ear.load` one.

    Args:
        words: the vocabulary; label 0 is blank, word i has label i + 1.
        config: width, layers and heads.
    """

    def __init__(self, words: tuple[str, ...], config: EarConfig | None = None):
        super().__init__()
        self.words = tuple(words)
        self.config = config or EarConfig()
        width = self.config.width
        self.stem = nn.ModuleList([
            nn.Conv1d(MELS, width, kernel_size=3, padding=1),
            nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1),
        ])
        self.layers = nn.ModuleList([EncoderLayer(width, self.config.heads) for _ in range(self.config.layers)])
        self.norm = nn.LayerNorm(width)
        self.word_head = nn.Linear(width, len(self.words) + 1)
        self.style_head = nn.Linear(width, len(STYLES))
        # what each word looks like inside, for the confidence; filled by `remember_words` and `choose_threshold`
        self.register_buffer("word_means", torch.zeros(len(self.words), width))
        self.register_buffer("precision", torch.eye(width))
        self.register_buffer("threshold", torch.tensor(0.5))

    @property
    def width(self) -> int:
        """D, the width of the frames it gives."""
        return self.config.width

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.precision.device

    def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode a padded batch.

        Args:
            mel: `(B, frames, 80)` normalised log-mel.
            lengths: `(B,)` valid frames.

        Returns:
            hidden states `(B, T, D)` and their lengths `(B,)`, T = frames / 2 rounded up.
        """
        states = mel.transpose(1, 2)  # (B, 80, frames)
        for convolution in self.stem:
            states = nn.functional.gelu(convolution(states))
        states = states.transpose(1, 2)  # (B, T, D)
        lengths = (lengths + 1) // 2
        valid = valid_frames(states.shape[1], lengths)  # (B, T)
        states = states + sinusoids(states.shape[1], states.shape[2]).to(states)
        for layer in self.layers:
            states = layer(states, valid)
        return self.norm(states), lengths

    def word_log_probabilities(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, T, D)` -> `(B, T, V)`."""
        return self.word_head(states).log_softmax(dim=-1)

    def style_logits(self, states: torch.Tensor, log_probabilities: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Style of each utterance, read where the words are: exactly the frames that survive compression.

        Args:
            states: `(B, T, D)`.
            log_probabilities: `(B, T, V)` of the word head; gives the weights, takes no gradient.
            lengths: `(B,)`.

        Returns:
            `(B, 4)`.
        """
        valid = valid_frames(states.shape[1], lengths)  # (B, T)
        voiced = (1 - log_probabilities.detach()[..., BLANK].exp() + 1e-3) * valid  # (B, T)
        mean = (states * voiced[..., None]).sum(dim=1) / voiced.sum(dim=1, keepdim=True)  # (B, D)
        return self.style_head(mean)

    @torch.no_grad()
    def listen(self, log_mels: list[torch.Tensor], batch_size: int = 32) -> list[Heard]:
        """Hear some utterances, each `(frames, 80)` log-mel; gives one `Heard` each, in the same order, on the CPU."""
        self.eval()
        heard = []
        for start in range(0, len(log_mels), batch_size):
            mel, lengths = pad_mels([normalise(log_mel) for log_mel in log_mels[start : start + batch_size]], self.device)
            states, lengths = self(mel, lengths)
            log_probabilities = self.word_log_probabilities(states)
            styles = self.style_logits(states, log_probabilities, lengths).argmax(dim=1)  # (B,)
            for row, length in enumerate(lengths.tolist()):
                heard.append(self._heard(states[row, :length], log_probabilities[row, :length], int(styles[row])))
        return heard

    def _heard(self, states: torch.Tensor, log_probabilities: torch.Tensor, style: int) -> Heard:
        path = best_path(log_probabilities)  # (T,)
        labels = collapse(path)
        frames = compress(states, path)  # (N, D)
        indices = torch.tensor(labels, dtype=torch.int64, device=frames.device) - 1  # (N,) without blank
        sure = confidence(frames, indices, self.word_means, self.precision)
        return Heard(frames.cpu(), tuple(self.words[label - 1] for label in labels), sure, STYLES[style])

    def understands(self, heard: Heard) -> bool:
        """Whether to believe what was heard; otherwise the honest answer is "I did not understand"."""
        return heard.confidence >= float(self.threshold)

    def save(self, folder: str | Path) -> None:
        """Write `ear.safetensors` and then `ear.json`, which says that the weights are whole, into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ear.json").unlink(missing_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / "ear.safetensors")
        (folder / "ear.json").write_text(json.dumps({"words": self.words, "config": asdict(self.config)}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Ear:
        """Read what `save` wrote; the ear comes back frozen.

        Raises:
            LearnerError: when `folder` holds no ear.
        """
        folder = Path(folder)
        if not (folder / "ear.safetensors").exists() or not (folder / "ear.json").exists():
            raise LearnerError("a folder with ear.safetensors and ear.json", str(folder), "the ear was not saved there",
                               "train one with train_ear(...).save(folder)")
        settings = json.loads((folder / "ear.json").read_text())
        ear = cls(tuple(settings["words"]), EarConfig(**settings["config"]))
        ear.load_state_dict(load_file(folder / "ear.safetensors"))
        return ear.freeze()

    def freeze(self) -> Ear:
        """No gradient ever again, and evaluation mode; returns itself."""
        return self.eval().requires_grad_(False)

