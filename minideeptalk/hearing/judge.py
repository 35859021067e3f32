"""The judge: the recogniser that examines what the model says. It is no part of the model and shares nothing with it.

Three rules keep it honest. It was trained on original recordings only, never on codec or model sound, or it would
learn to forgive their faults. It has other features, another shape (convolutions, characters) and another seed than the
ear, or the model could learn to speak to its own ear. It uses no language model, so it cannot guess the text.
Axes: B batch, T frames at 50 Hz, V characters + blank, N samples.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
import torchaudio
from safetensors.torch import load_file, save_file
from torch import nn

from minideeptalk.config import SAMPLE_RATE, JudgeConfig
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.batches import pad_mels
from minideeptalk.hearing.ctc import best_path, collapse

CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"
BANDS = 64


def spell(text: str) -> list[int]:
    """Text -> labels, 1 for the space; 0 is CTC's blank.

    Raises:
        LearnerError: for a character the judge cannot write.
    """
    unknown = sorted(set(text) - set(CHARACTERS))
    if unknown:
        raise LearnerError("lower-case letters, spaces and apostrophes", repr("".join(unknown)),
                           "digits or capitals in a transcript", "spell numbers as words")
    return [CHARACTERS.index(character) + 1 for character in text]


class ConvolutionBlock(nn.Module):
    """Depthwise convolution over time, then two pointwise ones, around a residual path."""

    def __init__(self, width: int, kernel: int = 11):
        super().__init__()
        self.over_time = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """`(B, T, D)` -> `(B, T, D)`."""
        mixed = self.over_time(states.transpose(1, 2)).transpose(1, 2)  # (B, T, D)
        return states + self.contract(nn.functional.gelu(self.expand(self.norm(mixed))))


class Judge(nn.Module):
    """Convolutional CTC recogniser over characters. Train one with `train_judge`, or `Judge.load` one.

    Args:
        config: width and number of layers.
    """

    def __init__(self, config: JudgeConfig | None = None):
        super().__init__()
        self.config = config or JudgeConfig()
        width = self.config.width
        self.spectrum = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=512, hop_length=160, n_mels=BANDS)
        self.stem = nn.Conv1d(BANDS, width, kernel_size=5, stride=2, padding=2)
        self.blocks = nn.ModuleList([ConvolutionBlock(width) for _ in range(self.config.layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(CHARACTERS) + 1)

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        """`(N,)` samples -> `(frames at 100 Hz, 64)` log-mel with mean 0 and deviation 1."""
        waveform = as_tensor(waveform).to(self.head.weight.device)
        log_mel = (self.spectrum(waveform) + 1e-6).log().T  # (frames, 64)
        return (log_mel - log_mel.mean()) / log_mel.std().clamp(min=1e-3)

    def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`(B, frames, 64)` and `(B,)` -> log-probabilities `(B, T, V)` and their lengths, T = frames / 2 rounded up."""
        states = nn.functional.gelu(self.stem(mel.transpose(1, 2))).transpose(1, 2)  # (B, T, D)
        for block in self.blocks:
            states = block(states)
        return self.head(self.norm(states)).log_softmax(dim=-1), (lengths + 1) // 2

    @torch.no_grad()
    def transcribe(self, waveforms: list[torch.Tensor], batch_size: int = 32) -> list[str]:
        """Read some utterances, each `(N,)` at 16 kHz; gives their texts in the same order."""
        self.eval()
        texts = []
        for start in range(0, len(waveforms), batch_size):
            batch = [self.features(wave) for wave in waveforms[start : start + batch_size]]
            mel, lengths = pad_mels(batch, self.head.weight.device)
            log_probabilities, lengths = self(mel, lengths)
            for row, length in zip(log_probabilities, lengths.tolist(), strict=True):
                labels = collapse(best_path(row[:length]))
                texts.append(" ".join("".join(CHARACTERS[label - 1] for label in labels).split()))
        return texts

    def save(self, folder: str | Path) -> None:
        """Write `judge.safetensors` and then `judge.json`, which says that the weights are whole, into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "judge.json").unlink(missing_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / "judge.safetensors")
        (folder / "judge.json").write_text(json.dumps({"config": asdict(self.config)}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Judge:
        """Read what `save` wrote; the judge comes back frozen.

        Raises:
            LearnerError: when `folder` holds no judge.
        """
        folder = Path(folder)
        if not (folder / "judge.safetensors").exists() or not (folder / "judge.json").exists():
            raise LearnerError("a folder with judge.safetensors and judge.json", str(folder), "the judge was not saved there",
                               "train one with train_judge(...).save(folder)")
        judge = cls(JudgeConfig(**json.loads((folder / "judge.json").read_text())["config"]))
        judge.load_state_dict(load_file(folder / "judge.safetensors"))
        return judge.eval().requires_grad_(False)


def as_tensor(waveform) -> torch.Tensor:
    """Samples as a float32 tensor `(N,)`, whether they came as one or as a numpy array."""
    return torch.as_tensor(waveform, dtype=torch.float32)
