"""Whisper's encoder as the ear: it has heard people for longer than a life (Radford et al., 2022), ours a synthesiser for some minutes.

To the language model it is an ear like ours: a frozen network that gives frames for the adapter. Three things differ. It takes its
own features (`features`). It looks at a window of 30 s, whatever is in it, so a short question costs as much as a long one. And it
gives 50 frames a second; without CTC to say where the words are, four neighbours are averaged, which leaves 12.5 a second, the step
of the model, as in the paper. Nothing is downloaded unless `from_pretrained` is called. Chapter 15.
Axes: N samples at 16 kHz, F feature frames at 100 Hz, T frames out, D width, M mel bands.
"""

from __future__ import annotations

import torch
from torch import nn

from minideeptalk.config import SAMPLE_RATE, STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.confidence import confidence, word_statistics
from minideeptalk.hearing.ear import Heard

HOP = 160  # Whisper's features come every 10 ms
STRIDE = 2 * HOP  # and its encoder halves them
RINGING = 2  # its windows are 25 ms long, so the last sound still rings in two more frames


def average_frames(frames: torch.Tensor, size: int) -> torch.Tensor:
    """`(T, D)` -> `(ceil(T / size), D)`: the mean of each `size` neighbours; the last group may be smaller."""
    return torch.stack([group.mean(dim=0) for group in frames.split(size)])


def _silence(features: torch.Tensor) -> float:
    """What Whisper's features hold where nothing sounds: 80 dB under the loudest, on its scale, or its floor."""
    return max(float(features.max()) - 2.0, -1.5)


class WhisperEar:
    """Whisper's encoder behind the interface of the ear: `width`, `listen`, `understands`.

    Args:
        encoder: `WhisperEncoder` of transformers, or a Whisper model that contains one; it is frozen.
        pool: frames averaged into one.

    It reads no words and no style: `Heard.words` is empty and its style the first. `Heard.confidence` is 0 until the ear has been
    shown speech that the language model was trained on (`remember`).

    Example:
        >>> from transformers import WhisperConfig, WhisperModel
        >>> small = WhisperConfig(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
        ...     decoder_attention_heads=2, decoder_ffn_dim=16, max_source_positions=100, vocab_size=8, pad_token_id=0, bos_token_id=1,
        ...     eos_token_id=2, decoder_start_token_id=1)
        >>> ear = WhisperEar(WhisperModel(small))  # random weights, and a window of 2 s instead of 30
        >>> ear.listen([ear.features(torch.zeros(16_000))])[0].frames.shape
        torch.Size([13, 16])
    """

    def __init__(self, encoder: nn.Module, pool: int = 4):
        from transformers import WhisperFeatureExtractor

        encoder = encoder.get_encoder() if hasattr(encoder, "get_encoder") else encoder
        if getattr(encoder.config, "model_type", "") != "whisper":
            raise LearnerError("a Whisper model of transformers", type(encoder).__name__,
                               "another encoder has other features and another rate", "write its ear after hearing/pretrained.py")
        self.encoder, self.pool = encoder.eval().requires_grad_(False), pool
        window = encoder.config.max_source_positions * STRIDE  # samples
        self._extractor = WhisperFeatureExtractor(feature_size=encoder.config.num_mel_bins)
        self._extractor.n_samples = window  # 30 s in every published Whisper
        self.longest_seconds = window / SAMPLE_RATE
        self.threshold = 0.5
        self._mean, self._precision = None, None

    @classmethod
    def from_pretrained(cls, name: str = "openai/whisper-tiny", pool: int = 4) -> WhisperEar:
        """Download a Whisper, or open it from the cache or a folder, and keep its encoder."""
        from transformers import WhisperModel

        return cls(WhisperModel.from_pretrained(name), pool)

    @property
    def width(self) -> int:
        """D, the width of the frames it gives: `DeepTalkConfig(ear_width=ear.width)`."""
        return self.encoder.config.d_model

    def features(self, waveform: torch.Tensor) -> torch.Tensor:
        """Samples `(N,)` at 16 kHz -> Whisper's log-mel `(F + 2, M)`: a frame for each 10 ms of sound, and two in which it ends.

        Raises:
            LearnerError: for sound that is longer than the window, which Whisper would cut off.
        """
        waveform = torch.as_tensor(waveform, dtype=torch.float32)
        if len(waveform) > self._extractor.n_samples or len(waveform) == 0:
            raise LearnerError(f"sound of at most {self.longest_seconds:g} s", f"{len(waveform) / SAMPLE_RATE:.1f} s",
                               "Whisper hears one window at a time", "cut it into sentences")
        padded = self._extractor(waveform.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features[0]  # (M, window)
        wanted = -(-len(waveform) // HOP) + RINGING
        padded = nn.functional.pad(padded, (0, RINGING), value=_silence(padded))  # a full window has nothing after it
        return padded[:, :wanted].T  # (F + 2, M)

    @torch.no_grad()
    def listen(self, features: list[torch.Tensor]) -> list[Heard]:
        """Hear some utterances, each `(F + 2, M)` as `features` gives it; one `Heard` each, in the same order, on the CPU."""
        return [self._heard(one) for one in features]

    def _heard(self, features: torch.Tensor) -> Heard:
        window = self._extractor.n_samples // HOP
        padded = nn.functional.pad(features.T, (0, window), value=_silence(features))[:, :window]  # (M, window)
        states = self.encoder(padded[None].to(self.encoder.device)).last_hidden_state[0]  # (window / 2, D)
        sounding = -(-(len(features) - RINGING) // 2)
        frames = average_frames(states[:sounding], self.pool).cpu()  # (T, D)
        return Heard(frames, (), self._confidence(frames), STYLES[0])

    def _confidence(self, frames: torch.Tensor) -> float:
        if self._mean is None:
            return 0.0
        return confidence(frames, torch.zeros(len(frames), dtype=torch.int64), self._mean, self._precision)

    def remember(self, features: list[torch.Tensor]) -> None:
        """Keep where the frames of this speech lie. Frames of other speech are as strange as they are far from there.

        Raises:
            LearnerError: for less speech than a spread in D dimensions can be measured on.
        """
        frames = torch.cat([heard.frames for heard in self.listen(features)])  # (M, D)
        if len(frames) <= self.width:
            raise LearnerError(f"more than {self.width} frames", f"{len(frames)}", "too little speech", "show it more utterances")
        self._mean, self._precision = word_statistics(frames, torch.zeros(len(frames), dtype=torch.int64), 1)

    def understands(self, heard: Heard) -> bool:
        """Whether what was heard is like the speech that it remembers; `threshold` is for you to choose, on speech of both kinds."""
        return heard.confidence >= self.threshold
