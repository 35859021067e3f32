"""Lanes that a conversation changes once: from its first sound on, written steps take the audio lane, too.

In `deeptalk-lanes` a written step keeps to the text model even in the middle of speech, so a spoken question is answered in writing
by weights that never learnt to look at sound.  Here what was heard or said decides for all that follows: written answers to sound
learn with it, and a conversation that stays in writing still passes through the text model alone, to the byte.  The price: once
there was a sound, what is typed after it meets weights that learnt from speech and forgot as they may.  With copies of everything
(`deeptalk-lanes-copied-from-sound`) this is two models in all but name; with low-rank updates it stays one.
Axes: B batch, T steps, N tokens.
"""

from __future__ import annotations

from dataclasses import replace
from inspect import signature

import torch

from minideeptalk.baselines.lanes import LANES, lay_lanes
from minideeptalk.baselines.lanes_copied import LANES_COPIED, lay_copied_lanes
from minideeptalk.baselines.routing import Ears, is_audio
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel

ROWS = ("text", "codes", "frame_mask", "elapsed")


class LastingEars(Ears):
    """`Ears` for which every step from the first sound of its row on is audio; what was read before stands in the cache."""

    def __init__(self, model: DeepTalkModel):
        self.audio = torch.zeros(0, dtype=torch.bool)  # (N,)
        model.register_forward_pre_hook(self._listen, with_kwargs=True)

    def _listen(self, model: DeepTalkModel, args: tuple, kwargs: dict) -> None:
        given = signature(model.forward).bind(*args, **kwargs).arguments
        sounds = is_audio(model.embedding.pad, *map(given.get, ROWS))  # (B, T)
        audio, cache, real = sounds.cumsum(dim=1) > 0, given.get("cache"), given.get("real")
        if cache is not None:
            if "sounded" in cache.rows:
                audio |= cache.rows["sounded"][:, None]
            cache.rows["sounded"] = audio[:, -1]
        self.audio = audio.flatten() if real is None else audio[real]


def lay_lasting_lanes(model: DeepTalkModel, selection: Selection) -> DeepTalkModel:
    """`lay_lanes` for conversations that change their lane once."""
    return lay_lanes(model, selection, listen=LastingEars)


def lay_lasting_copies(model: DeepTalkModel, selection: Selection) -> DeepTalkModel:
    """`lay_copied_lanes` for conversations that change their lane once."""
    return lay_copied_lanes(model, selection, listen=LastingEars)


LANES_FROM_SOUND = replace(LANES, name="deeptalk-lanes-from-sound", prepare=lay_lasting_lanes,
                           changes="as deeptalk-lanes, but from the first sound of a conversation on all its steps take the audio lane")
LANES_COPIED_FROM_SOUND = replace(LANES_COPIED, name="deeptalk-lanes-copied-from-sound", prepare=lay_lasting_copies,
                                  changes="as deeptalk-lanes-copied, but from the first sound of a conversation on all its steps take the copies")
