"""Codes to sound while the codes are still being written: overlapping chunks, cross-faded.

Griffin-Lim looks at a whole stretch of frames, so two neighbouring chunks would meet with a click. Each chunk is
therefore decoded with a little of the past, its last samples are held back, and the next chunk fades over them.
"""

from __future__ import annotations

import torch

from minideeptalk.codec.pyramid import FRAMES_PER_STEP, PyramidCodec
from minideeptalk.config import HOP
from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import griffin_lim


class StreamingDecoder:
    """Decode codes piece by piece; the pieces put together have exactly the length of the whole decode.

    Args:
        codec: a fitted codec.
        context_steps: steps of the past decoded again with each chunk, so that the phase settles; 0 decodes chunks apart.
        held_frames: frames (20 ms each) held back for the cross-fade: the delay this decoder adds; 0 does not fade. At most one step,
            since a chunk may be one step long.

    Raises:
        LearnerError: for more held frames than a step has.

    >>> # stream = StreamingDecoder(codec); [stream.push(codes[i:i+2]) for i in (0, 2, 4)] + [stream.flush()]
    """

    def __init__(self, codec: PyramidCodec, context_steps: int = 2, held_frames: int = 2):
        if not 0 <= held_frames <= FRAMES_PER_STEP:
            raise LearnerError(f"held_frames from 0 to {FRAMES_PER_STEP}, a step", str(held_frames), "a chunk of one step could not be faded")
        self.codec = codec
        self.context_frames = context_steps * FRAMES_PER_STEP
        self.held_frames = min(held_frames, self.context_frames)
        rise = torch.linspace(0, 1, self.held_frames * HOP)
        self._fade_in = torch.sin(0.5 * torch.pi * rise).square()  # with its mirror image it sums to one
        self._past = None  # (frames, 80) log-mel already decoded
        self._held = None  # (held_frames * 320,) samples not yet given out

    def push(self, codes: torch.Tensor) -> torch.Tensor:
        """Take the next `(n, Q)` codes, n >= 1; give the samples that are now final (the first call holds some back)."""
        mel = self.codec.decode_mel(codes)  # (4 * n, 80)
        past = mel[:0] if self._past is None else self._past
        stretch = torch.cat([past, mel])  # (past + 4 * n, 80)
        samples = griffin_lim(stretch, iterations=self.codec.griffin_lim_iterations)  # (frames * 320,)
        held = self.held_frames * HOP
        if self._held is not None:
            samples = samples[len(past) * HOP - held :]
            samples[:held] = self._held * (1 - self._fade_in) + samples[:held] * self._fade_in
        self._past = stretch[max(0, len(stretch) - self.context_frames) :]
        self._held = samples[len(samples) - held :]
        return samples[: len(samples) - held]

    def flush(self) -> torch.Tensor:
        """The samples still held back; afterwards the decoder is ready for another utterance."""
        rest = torch.zeros(0) if self._held is None else self._held
        self._past = self._held = None
        return rest
