"""Neural codecs that others have trained, behind the interface of every codec here: Mimi, EnCodec and DAC of transformers, and SNAC.

Each has a rate and a step of its own, and puts its codes on other axes. Here all take and give sound at one rate, and codes as a
table: a row for each step, a column for each codebook, coarse to fine. Nothing is downloaded unless `from_pretrained` is called.

SNAC, which the paper uses, gives not a table but a pyramid: while the coarsest codebook says one code, the second says two and the
third four. Seven columns hold it: `[coarse | middle a b | fine a b c d]`, as in our own codec. Chapter 15.
Axes: N samples, T steps, Q codebooks; n samples at the codec's own rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import resample


def pyramid_to_table(levels: Sequence[torch.Tensor]) -> torch.Tensor:
    """Codes of a pyramid, coarse first, `(T,)`, `(2T,)`, `(4T,)` -> a table `(T, 7)`: what is said in a step stands in its row.

    Raises:
        LearnerError: when a level is not a whole number of times as long as the first.
    """
    steps = len(levels[0])
    lengths = [len(level) for level in levels]
    if steps == 0 or any(length % steps for length in lengths):
        raise LearnerError("levels that are 1, 2, 4 ... times as long as the first", f"lengths {lengths}",
                           "a batch axis was left on, or the finest level stands first")
    return torch.cat([level.reshape(steps, -1) for level in levels], dim=1)  # (T, Q)


def table_to_pyramid(table: torch.Tensor, widths: Sequence[int] = (1, 2, 4)) -> list[torch.Tensor]:
    """The inverse: `(T, Q)` -> one tensor `(width * T,)` for each level."""
    return [part.reshape(-1) for part in table.split(list(widths), dim=1)]


@dataclass(frozen=True)
class Inside:
    """How one kind of codec is called: an utterance at a time, at its own rate.

    Args:
        rate: Hz. hop: samples of a step. codebooks, size: Q and K. encode: `(1, 1, n)` -> `(T, Q)`. decode: `(T, Q)` -> `(n,)`.
    """

    rate: int
    hop: int
    codebooks: int
    size: int
    encode: Callable[[torch.Tensor], torch.Tensor]
    decode: Callable[[torch.Tensor], torch.Tensor]


def _mimi(model, count: int | None) -> Inside:
    config = model.config
    count = count or config.num_quantizers
    return Inside(config.sampling_rate, round(config.sampling_rate / config.frame_rate), count, config.codebook_size,
                  lambda sound: model.encode(sound, num_quantizers=count).audio_codes[0].T,
                  lambda codes: model.decode(codes.T[None]).audio_values.flatten())


def _dac(model, count: int | None) -> Inside:
    config = model.config
    count = count or config.n_codebooks
    return Inside(config.sampling_rate, config.hop_length, count, config.codebook_size,
                  lambda sound: model.encode(sound, n_quantizers=count).audio_codes[0].T,
                  lambda codes: model.decode(audio_codes=codes.T[None]).audio_values.flatten())


def _encodec(model, count: int | None) -> Inside:
    config = model.config
    if config.chunk_length_s is not None or config.audio_channels != 1:
        raise LearnerError("a mono EnCodec that takes an utterance whole, such as facebook/encodec_24khz",
                           f"chunks of {config.chunk_length_s} s and {config.audio_channels} channels")
    count = count or config.num_quantizers
    most = max(config.target_bandwidths)
    return Inside(config.sampling_rate, config.hop_length, count, config.codebook_size,
                  lambda sound: model.encode(sound, bandwidth=most).audio_codes[0, 0, :count].T,
                  lambda codes: model.decode(codes.T[None, None], [None]).audio_values.flatten())


def _snac(model, count: int | None) -> Inside:
    widths = [model.vq_strides[0] // stride for stride in model.vq_strides]
    if count not in (None, sum(widths)):
        raise LearnerError(f"all {sum(widths)} columns of SNAC", f"{count}", "its levels belong together", "leave num_codebooks out")
    return Inside(model.sampling_rate, int(model.hop_length) * model.vq_strides[0], sum(widths), model.codebook_size,
                  lambda sound: pyramid_to_table([level[0] for level in model.encode(sound)]),
                  lambda codes: model.decode([level[None] for level in table_to_pyramid(codes, widths)]).flatten())


KINDS = {"mimi": _mimi, "encodec": _encodec, "dac": _dac, "snac": _snac}


class PretrainedCodec:
    """A `codec.Codec` with somebody else's network inside; it is frozen.

    Args:
        model: transformers' `MimiModel`, `EncodecModel` or `DacModel`, or a `SNAC` of the package snac.
        num_codebooks: use only so many, coarsest first; None takes all. Moshi takes 8 of Mimi's 32.
        sample_rate: of the sound outside. A step must be a whole number of its samples: 16 kHz suits Mimi and DAC's 16 kHz model;
            EnCodec and SNAC, with 75 and 11.7 steps a second, need their own 24,000.

    Raises:
        LearnerError: for another kind of model, or a rate that does not fit.

    Example:
        >>> from transformers import MimiConfig, MimiModel
        >>> small = MimiConfig(num_filters=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        ...     intermediate_size=16, codebook_size=16, codebook_dim=8, vector_quantization_hidden_dimension=8, upsample_groups=16)
        >>> codec = PretrainedCodec(MimiModel(small), num_codebooks=8)  # random weights: the shapes of Mimi, not its sound
        >>> codec.encode(torch.zeros(16_000)).shape, codec.step_samples / codec.sample_rate
        (torch.Size([13, 8]), 0.08)
    """

    def __init__(self, model: nn.Module, num_codebooks: int | None = None, sample_rate: int = SAMPLE_RATE):
        kind = "snac" if hasattr(model, "vq_strides") else getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        if kind not in KINDS:
            raise LearnerError(f"a codec out of {', '.join(KINDS)}", kind, "a model that makes no codes, or a new one",
                               "write a function like codec.pretrained._mimi for it")
        self.model = model.eval().requires_grad_(False)
        self._inside = KINDS[kind](model, num_codebooks)
        if self._inside.hop * sample_rate % self._inside.rate:
            raise LearnerError("a step of whole samples", f"{self._inside.hop * sample_rate / self._inside.rate:.2f} samples at {sample_rate} Hz",
                               f"this codec works at {self._inside.rate} Hz, {self._inside.rate / self._inside.hop:.4g} steps a second",
                               f"sample_rate={self._inside.rate}, and resample outside")
        self.sample_rate, self.step_samples = sample_rate, self._inside.hop * sample_rate // self._inside.rate
        self.num_codebooks, self.codebook_size = self._inside.codebooks, self._inside.size

    @classmethod
    def from_pretrained(cls, name: str, num_codebooks: int | None = None, sample_rate: int = SAMPLE_RATE) -> PretrainedCodec:
        """Download a codec of transformers, or open it from the cache or a folder: `kyutai/mimi`, `descript/dac_16khz` and so on."""
        from transformers import AutoModel

        return cls(AutoModel.from_pretrained(name), num_codebooks, sample_rate)

    @torch.no_grad()
    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """`(N,)` samples -> `(T, Q)` int64 codes; N is padded with silence to a whole number of steps."""
        steps = -(-len(waveform) // self.step_samples)
        waveform = nn.functional.pad(torch.as_tensor(waveform), (0, (steps + 1) * self.step_samples - len(waveform)))
        sound = resample(waveform, self.sample_rate, self._inside.rate)  # (n,), one step too many: some networks lose the last
        return self._inside.encode(sound[None, None])[:steps]

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """`(T, Q)` codes -> `(T * step_samples,)` samples."""
        if codes.ndim != 2 or codes.shape[1] != self.num_codebooks:
            raise LearnerError(f"codes of shape (steps, {self.num_codebooks})", f"{tuple(codes.shape)}",
                               "rows and columns swapped, or the delay was not undone")
        sound = self._inside.decode(codes)  # (n,)
        wanted = len(codes) * self._inside.hop
        sound = nn.functional.pad(sound[:wanted], (0, max(0, wanted - len(sound))))
        return resample(sound, self._inside.rate, self.sample_rate)
