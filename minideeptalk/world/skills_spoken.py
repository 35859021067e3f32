"""The five skills that also occur in speech: add, lookup, repeat, reverse, compare.

Each function draws one item of a split. Combinations of small skills are listed once and sorted into splits, so that
drawing is a table look-up; word lists are too many for that and are drawn until one falls into the split.
"""

from __future__ import annotations

from functools import cache
from math import perm
from random import Random

from minideeptalk.world.family import Family, Item
from minideeptalk.world.numbers import is_number, number_words
from minideeptalk.world.splits import hashed_split, pick, pick_different, sorted_into_splits
from minideeptalk.world.vocabulary import ANIMALS, COLOURS, LIST_WORDS, NAMES, OBJECTS, SPEAKABLE

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


KINDS = {"person": NAMES, "thing": OBJECTS, "animal": ANIMALS, "color": COLOURS}


def lookup_split(combination: tuple) -> str:
    """The split of the four words that are told, whatever their order and the question.

    Held-out *pairs* would be the wrong combination: a model that never saw `mia key` learns that mia never has the key,
    and answers below chance.
    """
    return hashed_split("lookup", combination)


def make_lookup(rng: Random, split: str) -> Item:
    """`cup red mia horse which color` -> `red`: one person, thing, animal and color in any order, one of them asked for."""
    while True:
        told = tuple(pick(rng, words) for words in KINDS.values())
        if lookup_split(told) == split:
            break
    asked = int(rng.random() * 4)
    question = (*pick_different(rng, told, 4), "which", tuple(KINDS)[asked])
    return Item("lookup", question, (told[asked],), None, told)


def word_list_split(words: tuple) -> str:
    """The split of a list of words: one rule for repeat, reverse and the speaking task.

    A list and its mirror image go together, so a held-out list is held out everywhere: in training no user says it,
    neither forwards nor to be reversed, and the model never has to.
    """
    return hashed_split("word list", min(words, words[::-1]))


def _word_list(rng: Random, split: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Different words in random order; a number such as `forty two` is no list, because other skills say it."""
    while True:
        words = pick_different(rng, choices, pick(rng, LIST_LENGTHS))
        if word_list_split(words) == split and not is_number(words):
            return words


def make_repeat(rng: Random, split: str) -> Item:
    """`say red cat seven` -> `red cat seven`, over every word that can be spoken: what speaking starts from."""
    words = _word_list(rng, split, SPEAKABLE)
    return Item("repeat", ("say", *words), words, None, words)


def make_reverse(rng: Random, split: str) -> Item:
    """`say red cat box backwards` -> `box cat red`; the combination is the answer, in the order it is spoken."""
    words = _word_list(rng, split, LIST_WORDS)
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
_REPEAT_ANSWERS = sum(perm(len(SPEAKABLE), length) for length in LIST_LENGTHS)
_REVERSE_ANSWERS = sum(perm(len(LIST_WORDS), length) for length in LIST_LENGTHS)

SPOKEN_FAMILIES = (
    Family("add", True, "exact", 1 / _SUM_ANSWERS, "MMLU (arithmetic)", make_add, add_split),
    Family("lookup", True, "exact", 1 / 4, "BBH (questions about a context)", make_lookup, lookup_split),
    Family("repeat", True, "exact", 1 / _REPEAT_ANSWERS, "BBH (algorithmic)", make_repeat, word_list_split),
    Family("reverse", True, "exact", 1 / _REVERSE_ANSWERS, "BBH (algorithmic)", make_reverse, word_list_split),
    Family("compare", True, "exact", 1 / 2, "MMLU (arithmetic)", make_compare, compare_split),
)
