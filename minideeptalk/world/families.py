"""All ten text skills under their names, and what to do with them: mix, split, describe, fingerprint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from random import Random

from minideeptalk.errors import LearnerError
from minideeptalk.world.family import Family, Item
from minideeptalk.world.skills_spoken import SPOKEN_FAMILIES
from minideeptalk.world.skills_text import TEXT_FAMILIES, fact_table
from minideeptalk.world.speaking import speaking_split, speaking_text
from minideeptalk.world.splits import SPLITS, pick
from minideeptalk.world.tokenizer import Tokenizer

FAMILIES: dict[str, Family] = {family.name: family for family in SPOKEN_FAMILIES + TEXT_FAMILIES}
CHANCE: dict[str, float] = {name: family.chance for name, family in FAMILIES.items()}  # the accuracy of guessing


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise LearnerError(f"a family out of {', '.join(FAMILIES)}", repr(name))
    return FAMILIES[name]


def split_of(family: str, combination: tuple) -> str:
    """The split that a combination belongs to.

    Args:
        family: a name in `FAMILIES`, or `speaking` for texts of the speaking task.
        combination: `Item.combination`, or the words of the text.

    Returns:
        `train`, `validation` or `test`.
    """
    if family == "speaking":
        return speaking_split(combination)
    return _family(family).split_rule(tuple(combination))


def mixture(rng: Random, split: str, families: Sequence[str] = tuple(FAMILIES)) -> Item:
    """One item of a family drawn uniformly, so that no skill crowds out another.

    Args:
        rng: the source of randomness.
        split: `train`, `validation` or `test`.
        families: names in `FAMILIES`; stage 0 takes all, later stages those that the config covers.
    """
    if not families:
        raise LearnerError("at least one family", "none", next_step=f"choose from {', '.join(FAMILIES)}")
    return _family(pick(rng, families)).sample(rng, split)


def describe(split: str = "train", seed: int = 4) -> str:
    """A table of the families for a notebook to print: spoken or not, chance, what it mirrors, one example."""
    rows = [("family", "spoken", "kind", "chance", "mirrors", "example")]
    for family in FAMILIES.values():
        item = family.items(split, 1, seed)[0]
        example = f"{' '.join(item.question)} -> {' '.join(item.answer)}"
        if item.wrong is not None:
            example += f" (not {' '.join(item.wrong)})"
        rows.append((family.name, "yes" if family.spoken else "no", family.kind, f"{family.chance:.3f}",
                     family.mirrors, example))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)


def data_hash() -> str:
    """A fingerprint of the world's definition: equal hashes mean the same words, facts, splits and samples.

    Returns:
        64 hexadecimal digits (SHA-256) over the vocabulary, the fact table and the first items of every split.
    """
    content = {"words": Tokenizer().words, "facts": [[*key, city] for key, city in fact_table().items()]}
    for family in FAMILIES.values():
        for split in SPLITS:
            content[f"{family.name}/{split}"] = [
                (item.question, item.answer, item.wrong, item.combination) for item in family.items(split, 32)]
    rng = Random(0)
    content["speaking"] = [speaking_text(rng, split) for split in SPLITS for _ in range(32)]
    return sha256(json.dumps(content).encode()).hexdigest()
