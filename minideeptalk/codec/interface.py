"""What every codec here can do, ours or a pretrained one: sound to a table of integers and back.

Axes: T steps of 80 ms, Q codebooks, N samples. Source: DeepTalk uses the SNAC codec (7 codes a step);
the order of the columns is ours: [12.5 Hz | 25 Hz a b | 50 Hz a b c d].
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class Codec(Protocol):
    """The interface the streams, the model and the evaluation rely on; nothing else of a codec is used."""

    sample_rate: int
    step_samples: int
    num_codebooks: int
    codebook_size: int

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """`(N,)` float samples -> `(T, Q)` int64 codes, each in `[0, codebook_size)`."""
        ...

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """`(T, Q)` codes -> `(T * step_samples,)` float samples."""
        ...
