"""What a text skill is: an item (question and answer) and a family that samples items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from minideeptalk.errors import LearnerError
from minideeptalk.world.splits import check_split


@dataclass(frozen=True, slots=True)
class Item:
    """One question with its answer, as words.

    `wrong` is the other half of a minimal pair in families of kind `choice`, else None. `combination` is what decides
    the split: two items with the same combination never stand on different sides.
    """

    family: str
    question: tuple[str, ...]
    answer: tuple[str, ...]
    wrong: tuple[str, ...] | None
    combination: tuple


@dataclass(frozen=True)
class Family:
    """A text skill: how its items are made, and how to read a score of it.

    Attributes:
        name: the key in `FAMILIES`.
        spoken: whether its questions and answers also occur in speech. The others can only be kept or forgotten.
        kind: `exact` (the answer is generated and must be equal) or `choice` (the right ending must be likelier than
            the wrong one).
        chance: the score of a guess among the candidates. The candidates are the answers that the question itself
            offers (two numbers to compare, three names, two endings), or else every answer that the family gives.
        mirrors: the benchmark whose place it takes in this miniature.
        make: draws one item of a split.
        split_rule: the split of a combination.
    """

    name: str
    spoken: bool
    kind: str
    chance: float
    mirrors: str
    make: Callable[[Random, str], Item]
    split_rule: Callable[[tuple], str]

    def __post_init__(self):
        if self.kind not in ("exact", "choice"):
            raise LearnerError("kind 'exact' or 'choice'", repr(self.kind))

    def sample(self, rng: Random, split: str) -> Item:
        """Draw one item.

        Args:
            rng: the source of randomness; equal generators give equal items.
            split: `train`, `validation` or `test`.
        """
        check_split(split)
        return self.make(rng, split)

    def items(self, split: str, count: int, seed: int = 0) -> list[Item]:
        """`count` items that differ from each other, the same on every call with the same seed.

        A split that holds fewer different items than `count` is given whole, and then again until `count` is reached.
        """
        check_split(split)
        rng = Random(f"{self.name}/{split}/{seed}")
        distinct: dict[tuple, Item] = {}
        for _ in range(40 * count + 2000):
            if len(distinct) == count:
                break
            item = self.make(rng, split)
            distinct.setdefault((item.question, item.answer), item)
        found = list(distinct.values())
        return [found[index % len(found)] for index in range(count)]
