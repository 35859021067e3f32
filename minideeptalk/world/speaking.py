"""Texts for the speaking task: lists of words to be said, where a held-out list is held out in every task."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from minideeptalk.errors import LearnerError
from minideeptalk.world.numbers import is_number
from minideeptalk.world.skills_spoken import word_list_split
from minideeptalk.world.splits import check_split, pick, pick_different
from minideeptalk.world.vocabulary import SPEAKABLE


def speaking_split(words: Sequence[str]) -> str:
    """The split of a text to be spoken.

    Single words and numbers (`forty two`) are always training: answers of add, lookup and compare say them. All
    other texts follow the rule that repeat and reverse follow too, so what is unseen here is unseen there.
    """
    words = tuple(words)
    if len(words) < 2 or is_number(words):
        return "train"
    return word_list_split(words)


def speaking_text(rng: Random, split: str, lengths: Sequence[int] = (1, 2, 3, 4)) -> tuple[str, ...]:
    """Different speakable words in random order, in a text of the split.

    Args:
        rng: the source of randomness.
        split: `train`, `validation` or `test`.
        lengths: the numbers of words to draw from, uniformly. Outside training, 1 is left out.

    Raises:
        LearnerError: if no text of these lengths can be in the split.
    """
    check_split(split)
    usable = lengths if split == "train" else [length for length in lengths if length > 1]
    if not usable or min(usable) < 1 or max(usable) > len(SPEAKABLE):
        raise LearnerError(f"lengths from 2 to {len(SPEAKABLE)} words (1 in training)", f"{tuple(lengths)} in {split}",
                           "every single word is trained, so a new text has at least two")
    while True:
        words = pick_different(rng, SPEAKABLE, pick(rng, usable))
        if speaking_split(words) == split:
            return words
