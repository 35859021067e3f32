"""Keys and values of all steps read so far, in buffers with room ahead (chapter 12).

Transformers' `DynamicCache` makes new, longer tensors at every step and copies what it had.  Here a step is written into its
place, and what attention gets is a view; only when the room is used up is everything copied once, into twice the room.
Keeping a step then costs the same however much was read, where theirs copies more with every step and row; attention still
reads all of it.  One short text in one row
gains nothing: there is next to nothing to copy, and making the views takes longer than that (`minideeptalk bench talk` tells).
Axes: B rows, T new steps, S all steps, layers and heads of the model.
"""

from __future__ import annotations

import torch

ROOM = 128  # steps: a question and an answer of several seconds


class RoomyCache:
    """What `DeepTalkModel.forward` needs of a cache, `get_seq_length` and `update`; and what decoding needs, `take`.

    Args:
        room: steps that fit before the first copy.

    A model that has to know more of its past than keys and values keeps it in `rows`, by name, as tensors (B, ...).

    >>> cache = RoomyCache(room=4)
    >>> key, value = cache.update(torch.ones(1, 2, 3, 8), torch.ones(1, 2, 3, 8), layer=0)
    >>> cache.get_seq_length(), tuple(key.shape)
    (3, (1, 2, 3, 8))
    """

    def __init__(self, room: int = ROOM):
        self.room = room
        self.buffers: dict[int, torch.Tensor] = {}  # layer -> (2, B, heads, room, size): keys, then values
        self.lengths: dict[int, int] = {}  # layer -> S
        self.rows: dict[str, torch.Tensor] = {}

    def get_seq_length(self) -> int:
        """Steps so far."""
        return self.lengths.get(0, 0)

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values (B, heads, T, size) of one layer and give all of them so far, (B, heads, S, size) each."""
        start = self.lengths.get(layer, 0)
        end = start + key.shape[2]
        buffer = self._buffer(layer, key, end)  # (2, B, heads, room, size)
        buffer[0, :, :, start:end] = key
        buffer[1, :, :, start:end] = value
        self.lengths[layer] = end
        return buffer[0, :, :, :end], buffer[1, :, :, :end]

    def take(self, rows: torch.Tensor) -> None:
        """Go on with these rows (n,) alone; a row named twice is doubled."""
        self.buffers = {layer: buffer[:, rows] for layer, buffer in self.buffers.items()}
        self.rows = {name: kept[rows] for name, kept in self.rows.items()}

    def _buffer(self, layer: int, key: torch.Tensor, end: int) -> torch.Tensor:
        """The buffer of a layer, with room for `end` steps."""
        buffer = self.buffers.get(layer)
        if buffer is not None and buffer.shape[3] >= end:
            return buffer
        while self.room < end:
            self.room *= 2
        batch, heads, _, size = key.shape
        roomier = key.new_empty(2, batch, heads, self.room, size)
        if buffer is not None:
            roomier[:, :, :, :buffer.shape[3]] = buffer
        self.buffers[layer] = roomier
        return roomier
