"""The five skills that are never spoken: sort, facts, grammar, story, count.

Speech training gives no practice in them, so they show what learning to speak makes a model forget.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations as subsets
from itertools import product
from math import comb
from random import Random

from minideeptalk.world.family import Family, Item
from minideeptalk.world.numbers import number_words
from minideeptalk.world.splits import hashed_split, pick, pick_different, rotated_split, sorted_into_splits
from minideeptalk.world.vocabulary import (
    ANIMALS,
    CITIES,
    LIST_WORDS,
    NAMES,
    OBJECTS,
    PLACES,
    PLURALS,
    PREPOSITIONS,
    VERBS,
)

SORTED = range(20)
COUNTED_LENGTH = 5
FACTS_SEED = 7


def sort_split(combination: tuple) -> str:
    """The split of a set of three numbers, in whatever order they are given."""
    return hashed_split("sort", combination)


@cache
def _number_sets() -> dict[str, tuple]:
    return sorted_into_splits(subsets(SORTED, 3), sort_split)


def make_sort(rng: Random, split: str) -> Item:
    """`sort nine two five` -> `two five nine`."""
    numbers = pick(rng, _number_sets()[split])
    words = tuple(number_words(number)[0] for number in numbers)  # below twenty a number is one word
    return Item("sort", ("sort", *pick_different(rng, words, 3)), words, None, numbers)


@cache
def fact_table() -> dict[tuple[str, str], str]:
    """The city of every (name, place): 200 facts without any rule behind them.

    Each name's twenty places lie in twenty different cities, so no city is likelier than another.
    """
    rng = Random(FACTS_SEED)
    table = {}
    for name in NAMES:
        shuffled = sorted(CITIES, key=lambda _: rng.random())
        table.update({(name, place): city for place, city in zip(PLACES, shuffled, strict=True)})
    return table


PHRASINGS = (
    lambda name, place: ("where", "is", "the", place, "of", name),
    lambda name, place: ("which", "city", "has", "the", place, "of", name),
    lambda name, place: (name, "has", "a", place, "in", "which", "city"),
    lambda name, place: ("tell", "me", "where", name, "has", "the", place),
)
_PHRASING_SPLITS = ("train", "train", "validation", "test")


def facts_split(combination: tuple) -> str:
    """The split of (name, place, phrasing): each fact is trained in two phrasings and tested in a third.

    Facts cannot be held out, since nothing but memory holds them. Their phrasing can: which one is the test phrasing
    changes from fact to fact, so each phrasing is trained too, with other facts.
    """
    name, place, phrasing = combination
    return _PHRASING_SPLITS[(phrasing + NAMES.index(name) + PLACES.index(place)) % len(PHRASINGS)]


@cache
def _phrased_facts() -> dict[str, tuple]:
    return sorted_into_splits(product(NAMES, PLACES, range(len(PHRASINGS))), facts_split)


def make_facts(rng: Random, split: str) -> Item:
    """`where is the park of leo` -> one of twenty cities, by the random table."""
    name, place, phrasing = combination = pick(rng, _phrased_facts()[split])
    return Item("facts", PHRASINGS[phrasing](name, place), (fact_table()[name, place],), None, combination)


def grammar_split(combination: tuple) -> str:
    """The split of (subject, preposition, distractor, verb), whichever of the two nouns are plural."""
    return hashed_split("grammar", combination)


@cache
def _frames() -> dict[str, tuple]:
    frames = (frame for frame in product(PLURALS, PREPOSITIONS, PLURALS, VERBS) if frame[0] != frame[2])
    return sorted_into_splits(frames, grammar_split)


def make_grammar(rng: Random, split: str) -> Item:
    """`the dogs near the cat` -> `run`, not `runs`.

    Both nouns are plural half of the time, independently: agreement with the nearest noun earns exactly chance.
    """
    subject, preposition, distractor, verb = frame = pick(rng, _frames()[split])
    singular = rng.random() < 0.5
    second = distractor if rng.random() < 0.5 else PLURALS[distractor]
    question = ("the", subject if singular else PLURALS[subject], preposition, "the", second)
    forms = (VERBS[verb],), (verb,)
    return Item("grammar", question, forms[not singular], forms[singular], frame)


# strength of the feeling: (attitudes to a welcome and an unwelcome animal, endings when glad and when sorry)
FEELINGS = {"strong": (("loves", "hates"), ("laughs", "weeps")), "mild": (("likes", "fears"), ("smiles", "cries"))}
EVENTS = (("comes", "leaves"), ("returns", "vanishes"))  # the animal is there at the end, or is not


def story_split(combination: tuple) -> str:
    """The split of (name, animal, strength of the feeling, pair of events).

    The four plots that differ only in whether the animal is welcome and whether it stays are on the same side. Else
    a word that leans to one ending in training would, by subtraction, lean to the other one in the test.
    """
    name, animal, strength, event = combination
    return rotated_split(NAMES.index(name), 2 * ANIMALS.index(animal), tuple(FEELINGS).index(strength), 5 * event)


@cache
def _plots() -> dict[str, tuple]:
    return sorted_into_splits(product(NAMES, ANIMALS, FEELINGS, range(len(EVENTS))), story_split)


def make_story(rng: Random, split: str) -> Item:
    """`leo fears the dog mia has the cup then the dog leaves so leo` -> `smiles`, not `cries`.

    Neither the attitude nor the event tells the ending, only both together do, and each ending is right as often as
    it is wrong.
    """
    name, animal, strength, event = plot = pick(rng, _plots()[split])
    other = pick(rng, NAMES)
    while other == name:
        other = pick(rng, NAMES)
    attitudes, endings = FEELINGS[strength]
    unwelcome, absent = pick(rng, (0, 1)), pick(rng, (0, 1))
    question = (name, attitudes[unwelcome], "the", animal, other, "has", "the", pick(rng, OBJECTS),
                "then", "the", animal, EVENTS[event][absent], "so", name)
    glad, sorry = endings
    right, wrong = (glad, sorry) if unwelcome == absent else (sorry, glad)
    return Item("story", question, (right,), (wrong,), plot)


def _shuffled(rng: Random, words: list[str]) -> list[str]:
    """The words in random order (Fisher and Yates, in place); `rng.shuffle` may differ between Python versions."""
    for last in range(len(words) - 1, 0, -1):
        chosen = int(rng.random() * (last + 1))
        words[last], words[chosen] = words[chosen], words[last]
    return words


def count_split(combination: tuple) -> str:
    """The split of (counted word, the five words of the list)."""
    return hashed_split("count", combination)


def make_count(rng: Random, split: str) -> Item:
    """`count cat in cat box cat hat box` -> `two`; one to four of five words are the counted one, equally often."""
    while True:
        counted = pick(rng, LIST_WORDS)
        number = 1 + int(rng.random() * (COUNTED_LENGTH - 1))
        rest = [word for word in LIST_WORDS if word != counted]
        others = [pick(rng, rest) for _ in range(COUNTED_LENGTH - number)]
        words = _shuffled(rng, [counted] * number + others)
        if count_split((counted, *words)) == split:
            return Item("count", ("count", counted, "in", *words), number_words(number), None, (counted, *words))


TEXT_FAMILIES = (
    Family("sort", False, "exact", 1 / comb(len(SORTED), 3), "BBH (word sorting)", make_sort, sort_split),
    Family("facts", False, "exact", 1 / len(CITIES), "TriviaQA, Web Questions", make_facts, facts_split),
    Family("grammar", False, "choice", 1 / 2, "BLiMP (not in the paper)", make_grammar, grammar_split),
    Family("story", False, "choice", 1 / 2, "StoryCloze (not in the paper)", make_story, story_split),
    Family("count", False, "exact", 1 / (COUNTED_LENGTH - 1), "BBH (object counting)", make_count, count_split),
)
