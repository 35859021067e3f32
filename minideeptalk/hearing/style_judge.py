"""The style judge: which of the four speaking styles does the assistant's voice use?

Trained on original recordings and on copies that went through log-mel and Griffin-Lim and back, because every sound of
the codec went that way; never on codec or model output. Loudness is normalised away, so that "angry" is not simply
"loud". Axes: B batch, T frames at 25 Hz, N samples.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from minideeptalk.config import MELS, STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.batches import FRAMES_PER_SECOND, bucketed, mask_patches, pad_mels
from minideeptalk.hearing.judge import as_tensor
from minideeptalk.hearing.optimise import Progress, optimise
from minideeptalk.speech.corpus import Corpus
from minideeptalk.speech.features import LogMel, griffin_lim


class StyleJudge(nn.Module):
    """Two strided convolutions, statistics over time, one linear layer.

    Args:
        width: channels of the convolutions.
    """

    def __init__(self, width: int = 64):
        super().__init__()
        self.width = width
        self.log_mel = LogMel()
        self.convolutions = nn.ModuleList([
            nn.Conv1d(MELS, width, kernel_size=5, stride=2, padding=2),
            nn.Conv1d(width, width, kernel_size=5, padding=2),
        ])
        self.head = nn.Linear(2 * width, len(STYLES))

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        """`(N,)` -> `(frames, 80)` log-mel minus its mean: the level is gone, contrast and melody stay."""
        log_mel = self.log_mel(waveform)
        return log_mel - log_mel.mean()

    def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """`(B, frames, 80)` and `(B,)` -> `(B, 4)`."""
        states = mel.transpose(1, 2)  # (B, 80, frames)
        for convolution in self.convolutions:
            states = nn.functional.gelu(convolution(states))  # (B, width, T)
        lengths = (lengths + 1) // 2
        valid = (torch.arange(states.shape[2])[None, :] < lengths[:, None]).float()[:, None]  # (B, 1, T)
        mean = (states * valid).sum(dim=2) / lengths[:, None]  # (B, width)
        spread = (((states - mean[..., None]).square() * valid).sum(dim=2) / lengths[:, None] + 1e-5).sqrt()
        return self.head(torch.cat([mean, spread], dim=1))  # (B, 4)

    @torch.no_grad()
    def classify(self, waveforms: list[torch.Tensor], batch_size: int = 64) -> list[str]:
        """The style of each `(N,)` waveform at 16 kHz, in the same order."""
        self.eval()
        styles = []
        for start in range(0, len(waveforms), batch_size):
            batch = [self.features(as_tensor(wave)) for wave in waveforms[start : start + batch_size]]
            styles += [STYLES[index] for index in self(*pad_mels(batch)).argmax(dim=1).tolist()]
        return styles

    def save(self, folder: str | Path) -> None:
        """Write `style_judge.safetensors` into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, folder / "style_judge.safetensors")

    @classmethod
    def load(cls, folder: str | Path) -> StyleJudge:
        """Read what `save` wrote; frozen.

        Raises:
            LearnerError: when `folder` holds no style judge.
        """
        path = Path(folder) / "style_judge.safetensors"
        if not path.exists():
            raise LearnerError("a folder with style_judge.safetensors", str(folder), "the style judge was not saved there",
                               "train one with train_style_judge(...).save(folder)")
        tensors = load_file(path)
        judge = cls(width=len(tensors["convolutions.0.bias"]))
        judge.load_state_dict(tensors)
        return judge.eval().requires_grad_(False)


def train_style_judge(
    corpus: Corpus, seed: int = 211, updates: int = 200, utterances: int = 1500, copies: int = 300, learning_rate: float = 3e-3,
    progress: Progress | None = None,
) -> StyleJudge:
    """Train a style judge on the assistant's voice.

    Args:
        corpus: utterances of the assistant's voice in all styles.
        seed: of the weights and the order.
        updates: training steps of 30 s of speech each.
        utterances: how many of the corpus are heard, drawn at random.
        copies: how many of them are also heard as their Griffin-Lim copy.
        learning_rate: peak.
        progress: called with (update, updates, loss) after each update.

    Returns:
        The frozen style judge.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    judge = StyleJudge()
    order = torch.randperm(len(corpus), generator=generator).tolist()[:utterances]
    chosen = order + order[:copies]
    with torch.no_grad():
        waves = [as_tensor(corpus.waveform(i)) for i in order]
        waves += [griffin_lim(judge.log_mel(wave)) for wave in waves[:copies]]
        features = [judge.features(wave) for wave in waves]
    styles = torch.tensor([STYLES.index(corpus.request(i).style) for i in chosen])
    batches = bucketed([len(mel) for mel in features], 30 * FRAMES_PER_SECOND, generator)

    def next_loss() -> torch.Tensor:
        batch = next(batches)
        mel, lengths = pad_mels([features[i] for i in batch])
        return nn.functional.cross_entropy(judge(mask_patches(mel, generator), lengths), styles[batch])

    optimise(judge, next_loss, updates, learning_rate, progress)
    return judge.eval().requires_grad_(False)
