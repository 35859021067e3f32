"""Train, validation and test by *combination*: what is tested was never trained, only its parts were.

A random split of sentences would not do: in so small a world most test sentences would also be training sentences,
and recall would pass for skill. So each item names the combination that makes it new (the two numbers of a sum, the
name and the object of a question), and the combination alone decides its split: by a hash, or in small tables by
a rotation that gives each row and column its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from random import Random

from minideeptalk.errors import LearnerError

SPLITS = ("train", "validation", "test")


def hashed_split(key: str, combination: Iterable, validation: float = 0.1, test: float = 0.1) -> str:
    """The split of a combination, the same on every machine and in every process.

    Args:
        key: a name that makes the splits of different skills independent.
        combination: words or numbers.
        validation, test: shares of all combinations; the rest is training.
    """
    # Python's own hash() changes from process to process, blake2b does not.
    text = key + "/" + "/".join(map(str, combination))
    place = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


def rotated_split(*places: int) -> str:
    """The split of a cell in a small table, like a Latin square: every tenth diagonal is held out.

    A hash would leave gaps in a table of 100 cells: some rows with three held-out cells, some with none. Here every
    row and column has its share, so no answer is rarer in the test than in training.

    Args:
        places: the position of each part of the combination in its list, times any factor.
    """
    return {0: "test", 1: "validation"}.get(sum(places) % 10, "train")


def sorted_into_splits(combinations: Iterable, split_rule: Callable[[tuple], str]) -> dict[str, tuple]:
    """All combinations of a skill by split: `{"train": (...), "validation": (...), "test": (...)}`."""
    pools: dict[str, list] = {split: [] for split in SPLITS}
    for combination in combinations:
        pools[split_rule(combination)].append(combination)
    return {split: tuple(pool) for split, pool in pools.items()}


def check_split(split: str) -> None:
    """Raise a LearnerError unless `split` is one of `SPLITS`."""
    if split not in SPLITS:
        raise LearnerError(f"a split out of {', '.join(SPLITS)}", repr(split))


def pick(rng: Random, choices):
    """One of the choices, uniformly. Several times faster than `rng.choice`, and equal in every Python version."""
    return choices[int(rng.random() * len(choices))]


def pick_different(rng: Random, choices, count: int) -> tuple:
    """`count` different choices in random order; meant for a few out of many."""
    chosen: list = []
    while len(chosen) < count:
        candidate = pick(rng, choices)
        if candidate not in chosen:
            chosen.append(candidate)
    return tuple(chosen)
