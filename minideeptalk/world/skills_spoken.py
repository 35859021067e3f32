"""The five skills that also occur in speech: add, lookup, repeat, reverse, compare.

Each function draws one item of a split. Combinations of small skills are listed once and sorted into splits, so that
drawing is a table look-up; word lists are too many for that and are drawn until one falls into the split.
"""

from __future__ import annotations

from functools import cache
from math import perm
from random import Random

from minideeptalk.world.family import Family, Item
from minideeptalk.world.numbers import number_words
from minideeptalk.world.splits import hashed_split, pick, pick_different, rotated_split, sorted_into_splits
from minideeptalk.world.vocabulary import LIST_WORDS, NAMES, OBJECTS

ADD_LARGE = range(10, 90)
ADD_SMALL = range(1, 10)
COMPARED = range(10, 100)
LIST_LENGTHS = (2, 3, 4)


def add_split(combination: tuple) -> str:
    """The split of a sum, whichever number is said first.

    A fifth of the sums is held out for testing: there are only 720, and a tenth would not give 200 test questions.
    """
    return hashed_split("add", combination, validation=0.1, test=0.2)


@cache
def _sums() -> dict[str, tuple]:
    return sorted_into_splits(((large, small) for large in ADD_LARGE for small in ADD_SMALL), add_split)


def make_add(rng: Random, split: str) -> Item:
    """`what is forty two plus seven` -> `forty nine`; either number may come first."""
    large, small = pick(rng, _sums()[split])
    first, second = (large, small) if rng.random() < 0.5 else (small, large)
    question = ("what", "is", *number_words(first), "plus", *number_words(second))
    return Item("add", question, number_words(large + small), None, (large, small))


def lookup_split(combination: tuple) -> str:
    """The split of a pair (name, object); each name and each object has one test pair."""
    name, thing = combination
    return rotated_split(NAMES.index(name), 3 * OBJECTS.index(thing))


@cache
def _pairs() -> dict[str, tuple]:
    return sorted_into_splits(((name, thing) for name in NAMES for thing in OBJECTS), lookup_split)


def make_lookup(rng: Random, split: str) -> Item:
    """`leo hat mia key ben cup who has the key` -> `mia`.

    The two pairs beside the asked one are training pairs in every split: no held-out pair is ever seen in training,
    not even unasked, and in a test item exactly the asked pair is new.
    """
    name, thing = asked = pick(rng, _pairs()[split])
    others = _pairs()["train"]
    pairs = [asked]
    while len(pairs) < 3:
        other = pick(rng, others)
        if all(other[0] != pair[0] and other[1] != pair[1] for pair in pairs):
            pairs.append(other)
    place = int(rng.random() * 3)
    pairs[0], pairs[place] = pairs[place], pairs[0]
    question = (*pairs[0], *pairs[1], *pairs[2], "who", "has", "the", thing)
    return Item("lookup", question, (name,), None, asked)


def word_list_split(words: tuple) -> str:
    """The split of a list of words: one rule for repeat, reverse and the speaking task.

    A list and its mirror image go together, so a held-out list is held out everywhere: in training no user says it,
    neither forwards nor to be reversed, and the model never has to.
    """
    return hashed_split("word list", min(words, words[::-1]))


def _word_list(rng: Random, split: str) -> tuple[str, ...]:
    while True:
        words = pick_different(rng, LIST_WORDS, pick(rng, LIST_LENGTHS))
        if word_list_split(words) == split:
            return words


def make_repeat(rng: Random, split: str) -> Item:
    """`say red cat box` -> `red cat box`."""
    words = _word_list(rng, split)
    return Item("repeat", ("say", *words), words, None, words)


def make_reverse(rng: Random, split: str) -> Item:
    """`say red cat box backwards` -> `box cat red`; the combination is the answer, in the order it is spoken."""
    words = _word_list(rng, split)
    return Item("reverse", ("say", *words[::-1], "backwards"), words, None, words)


def compare_split(combination: tuple) -> str:
    """The split of an unordered pair of numbers, smaller first."""
    return hashed_split("compare", combination)


@cache
def _number_pairs() -> dict[str, tuple]:
    pairs = ((small, large) for large in COMPARED for small in range(COMPARED.start, large))
    return sorted_into_splits(pairs, compare_split)


def make_compare(rng: Random, split: str) -> Item:
    """`which is more forty two or seventeen` -> `forty two`."""
    small, large = pick(rng, _number_pairs()[split])
    first, second = (large, small) if rng.random() < 0.5 else (small, large)
    question = ("which", "is", "more", *number_words(first), "or", *number_words(second))
    return Item("compare", question, number_words(large), None, (small, large))


# How many different answers each skill has: a blind guess is right once in so many times.
_SUM_ANSWERS = len({large + small for large in ADD_LARGE for small in ADD_SMALL})
_LIST_ANSWERS = sum(perm(len(LIST_WORDS), length) for length in LIST_LENGTHS)

SPOKEN_FAMILIES = (
    Family("add", True, "exact", 1 / _SUM_ANSWERS, "MMLU (arithmetic)", make_add, add_split),
    Family("lookup", True, "exact", 1 / 3, "BBH (tracking objects)", make_lookup, lookup_split),
    Family("repeat", True, "exact", 1 / _LIST_ANSWERS, "BBH (algorithmic)", make_repeat, word_list_split),
    Family("reverse", True, "exact", 1 / _LIST_ANSWERS, "BBH (algorithmic)", make_reverse, word_list_split),
    Family("compare", True, "exact", 1 / 2, "MMLU (arithmetic)", make_compare, compare_split),
)
