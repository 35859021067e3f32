"""Turning many spoken answers into sound at once: finding a phase is most of what an evaluation costs, and it shares well."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from minideeptalk.codec import PyramidCodec

_codec: PyramidCodec  # of this worker process


def _open_codec(folder: Path) -> None:
    global _codec
    torch.set_num_threads(1)
    _codec = PyramidCodec.load(folder)


def _decode(codes: np.ndarray) -> np.ndarray:
    return _codec.decode(torch.from_numpy(codes)).numpy()


class SoundWorkers:
    """Processes that each hold the codec of one folder; to be used in a `with` block.

    Args:
        folder: what `PyramidCodec.save` wrote. count: how many processes, one thread each.
    """

    def __init__(self, folder: Path, count: int = 2):
        self.folder, self.count = folder, count

    def __enter__(self) -> SoundWorkers:
        self._pool = ProcessPoolExecutor(self.count, mp_context=get_context("spawn"), initializer=_open_codec,
                                         initargs=(self.folder,))
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(cancel_futures=True)

    def decode(self, tables: list[torch.Tensor]) -> list[torch.Tensor]:
        """Codes (T, Q) -> samples (T * 1280,), sample for sample what the codec gives one after another."""
        share = max(1, len(tables) // (4 * self.count))
        return [torch.from_numpy(sound) for sound in self._pool.map(_decode, [table.numpy() for table in tables], chunksize=share)]
