"""Exercises of chapter 01: a split that never changes, a leak, accuracy above guessing, a tokenizer that says what is wrong."""

from __future__ import annotations

import difflib
from hashlib import blake2b

from minideeptalk.teaching.checks.framework import Exercise, Mistake, Mutant, expect

# ---- 01-1 --------------------------------------------------------------------------------------------------------------


def stable_split(skill, combination, validation=0.1, test=0.1):
    """Name of a skill, tuple of words or numbers, two shares -> "train", "validation" or "test"."""
    ### BEGIN SOLUTION
    text = skill + "/" + "/".join(str(part) for part in combination)
    number = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    place = number / 2**64  # from 0 up to 1, the same on every machine
    if place < test:
        return "test"
    if place < test + validation:
        return "validation"
    return "train"
    ### END SOLUTION


def _sums():
    return [(large, small) for large in range(10, 90) for small in range(1, 10)]


def _split_by_hand(skill, combination, validation, test):
    """With hexadecimal digits instead of bytes: the independent implementation that the rungs compare with."""
    digits = blake2b("/".join([skill, *map(str, combination)]).encode("utf8"), digest_size=8).hexdigest()
    place = sum(int(digit, 16) / 16 ** (position + 1) for position, digit in enumerate(digits))
    return "train" if place >= test + validation else "validation" if place >= test else "test"


def _split_shape(split):
    answer = split("add", (42, 7))
    expect(answer in ("train", "validation", "test"), f'Return "train", "validation" or "test", not {answer!r}.')


def _split_repeats(split):
    expect([split("add", pair) for pair in _sums()] == [split("add", pair) for pair in _sums()],
           "Asked twice, your function gave two answers. No random numbers here: the combination alone decides.")


def _split_shares(split):
    for validation, test in ((0.1, 0.1), (0.1, 0.4), (0.3, 0.05)):
        found = [split("add", pair, validation, test) for pair in _sums()]
        for name, share in (("test", test), ("validation", validation)):
            part = found.count(name) / len(found)
            expect(abs(part - share) < 0.08,
                   f"With validation={validation} and test={test}, {part:.0%} of all sums are {name}. Which place between 0 and 1 belongs "
                   "to whom? Print the place of a few combinations.")


def _split_keys(split):
    expect([split("add", pair) for pair in _sums()] != [split("compare", pair) for pair in _sums()],
           "Two skills got the same split. Put the name of the skill into the text, or one unlucky pair is held out everywhere.")


def _split_separator(split):
    pairs = [((first, second), (first + second[0], second[1:])) for first in ("a", "bc", "def", "gh") for second in ("kl", "mno", "pqrs", "tuv")]
    expect(any(split("x", one, 0.3, 0.3) != split("x", two, 0.3, 0.3) for one, two in pairs),
           'The combinations ("a", "kl") and ("ak", "l") always go together. Put a separator between the parts: "/".')


def _split_values(split):
    odd = [pair for pair in _sums() if split("add", pair, 0.1, 0.2) != _split_by_hand("add", pair, 0.1, 0.2)]
    expect(not odd, f"{len(odd)} of {len(_sums())} sums stand on another side than in the library, for instance {odd[:1]}. Python's own "
                    "hash() of a text changes from process to process; take blake2b with digest_size=8 of `skill/part/part`, "
                    "read as a big-endian number, divided by 2**64, and give the lowest places to the test.")
    lists = [tuple(f"w{place}" for place in range(start, start + length)) for length in (1, 3, 4) for start in range(40)]
    expect(all(split("repeat", words) == _split_by_hand("repeat", words, 0.1, 0.1) for words in lists), "A combination may have one part, or three, or four: join them all.")


def _split_with_hash(skill, combination, validation=0.1, test=0.1):
    place = (hash((skill, *map(str, combination))) % 2**32) / 2**32
    return "test" if place < test else "validation" if place < test + validation else "train"


def _split_without_skill(skill, combination, validation=0.1, test=0.1):
    return stable_split("", combination, validation, test)


def _split_without_separator(skill, combination, validation=0.1, test=0.1):
    return stable_split(skill, ("".join(map(str, combination)),), validation, test)


def _split_overlapping(skill, combination, validation=0.1, test=0.1):
    place = 1.0 if stable_split(skill, combination, 0, test) == "train" else 0.0
    return "test" if place < test else stable_split(skill, combination, 0.0 if validation <= test else validation, test)


# ---- 01-2 --------------------------------------------------------------------------------------------------------------


def find_leaks(trained, tested):
    """Two lists of word tuples -> positions in `tested` that training has seen, forwards or backwards."""
    ### BEGIN SOLUTION
    seen = {min(words, words[::-1]) for words in trained}
    return [place for place, words in enumerate(tested) if min(words, words[::-1]) in seen]
    ### END SOLUTION


def _lists():
    trained = [("red", "cat"), ("cat", "box", "hat"), ("blue", "dog", "key", "cup"), ("ring", "drum")]
    tested = [("cup", "dog"), ("red", "cat"), ("hat", "box", "cat"), ("box", "cat", "hat"), ("drum", "ring"), ("cat", "box"), ("cat", "box", "hat")]
    return trained, tested


def _leaks_shape(find):
    answer = find(*_lists())
    expect(isinstance(answer, list) and all(isinstance(place, int) for place in answer),
           f"Return a list of positions (whole numbers), yours is {answer!r}.")


def _leaks_same(find):
    answer = find(*_lists())
    expect({1, 6} <= set(answer), f"Lists 1 and 6 of the test stand in the training word for word; you found {answer}.")


def _leaks_mirrored(find):
    answer = find(*_lists())
    expect({2, 4} <= set(answer), f"Lists 2 and 4 are training lists read backwards, and the model was trained to reverse: they leak too. "
                                  f"You found {answer}.")


def _leaks_false_alarm(find):
    answer = find(*_lists())
    expect(3 not in answer, "List 3 has the words of a training list in an order that training never saw, neither forwards nor backwards. "
                            "That is what we want to test, so it is no leak. Are you comparing sets or sorted words?")
    expect(sorted(answer) == [1, 2, 4, 6], f"The leaks are [1, 2, 4, 6], yours are {sorted(answer)}. A part of a training list is no leak.")


def _leaks_unharmed(find):
    trained, tested = _lists()
    find(trained, tested)
    expect((trained, tested) == _lists(), "Your function changed its input. Make new lists or sets instead.")


def _leaks_exact_only(trained, tested):
    return [place for place, words in enumerate(tested) if words in trained]


def _leaks_as_sets(trained, tested):
    seen = {frozenset(words) for words in trained}
    return [place for place, words in enumerate(tested) if frozenset(words) in seen]


def _leaks_in_part(trained, tested):
    seen = [" ".join(words) for words in trained] + [" ".join(words[::-1]) for words in trained]
    return [place for place, words in enumerate(tested) if any(" ".join(words) in text for text in seen)]


# ---- 01-3 --------------------------------------------------------------------------------------------------------------


def relative_drop(before, after, chance):
    """Three dicts from skill to a number from 0 to 1 -> the mean share of each skill that was lost."""
    ### BEGIN SOLUTION
    drops = []
    for skill in before:
        above_before = (before[skill] - chance[skill]) / (1 - chance[skill])
        above_after = (after[skill] - chance[skill]) / (1 - chance[skill])
        drops.append((above_before - above_after) / above_before)
    return sum(drops) / len(drops)
    ### END SOLUTION


def _drop_by_hand(before, after, chance):
    """1 - (after - chance) / (before - chance): the factor 1 - chance cancels."""
    return 1 - sum((after[skill] - chance[skill]) / (before[skill] - chance[skill]) for skill in before) / len(before)


def _close(value, wanted):
    return abs(value - wanted) < 1e-6


def _drop_shape(drop):
    value = drop({"add": 0.8}, {"add": 0.4}, {"add": 0.0})
    expect(isinstance(value, (int, float)), f"Return one number, yours is {type(value).__name__}.")


def _drop_plain(drop):
    value = drop({"add": 0.8}, {"add": 0.6}, {"add": 0.0})
    expect(_close(value, 0.25), f"From 0.8 to 0.6 without luck is a loss of a quarter of what was there: 0.25, yours is {value:.4g}. "
                                "Divide by what there was before.")


def _drop_to_chance(drop):
    value = drop({"compare": 1.0}, {"compare": 0.5}, {"compare": 0.5})
    expect(_close(value, 1.0), f"Who answers a question with two choices as often right as a coin has lost everything: 1, yours is "
                               f"{value:.4g}. Correct both accuracies for chance first.")


def _drop_mean(drop):
    before, after, chance = {"add": 0.9, "story": 0.7}, {"add": 0.9, "story": 0.5}, {"add": 0.0, "story": 0.5}
    value = drop(before, after, chance)
    expect(_close(value, _drop_by_hand(before, after, chance)),
           f"One skill kept whole, one lost whole: the mean is 0.5, yours is {value:.4g}. Take the share of each skill first, and the "
           "mean over skills last.")


def _drop_by_name(drop):
    value = drop({"add": 1.0, "compare": 0.9}, {"compare": 0.7, "add": 0.5}, {"compare": 0.5, "add": 0.0})
    expect(_close(value, 0.5), f"Both skills have lost half: 0.5, yours is {value:.4g}. The dicts need not name their skills in one order: look each up by its name.")


def _drop_gain(drop):
    before, after, chance = {"add": 0.5, "sort": 0.8}, {"add": 0.6, "sort": 0.6}, {"add": 0.0, "sort": 0.0}
    value = drop(before, after, chance)
    expect(_close(value, _drop_by_hand(before, after, chance)),
           f"A skill that got better counts as a negative loss; the mean here is {_drop_by_hand(before, after, chance):.4g}, yours is "
           f"{value:.4g}. Do not cut at zero.")


def _drop_uncorrected(before, after, chance):
    return sum((before[skill] - after[skill]) / before[skill] for skill in before) / len(before)


def _drop_of_means(before, after, chance):
    first = sum((before[skill] - chance[skill]) / (1 - chance[skill]) for skill in before)
    last = sum((after[skill] - chance[skill]) / (1 - chance[skill]) for skill in before)
    return (first - last) / first


def _drop_never_negative(before, after, chance):
    return sum(max(0.0, _drop_by_hand({skill: before[skill]}, after, chance)) for skill in before) / len(before)


def _drop_in_points(before, after, chance):
    return sum(before[skill] - after[skill] for skill in before) / len(before)


# ---- 01-4 --------------------------------------------------------------------------------------------------------------


def encode(words, vocabulary):
    """Lists of words and of known words -> numbers; an unknown word raises ValueError with near words."""
    ### BEGIN SOLUTION
    numbers = {word: number for number, word in enumerate(vocabulary)}
    for word in words:
        if word not in numbers:
            near = difflib.get_close_matches(word, vocabulary)
            raise ValueError(f"unknown word {word!r}; words like it: {', '.join(near) or 'none'}")
    return [numbers[word] for word in words]
    ### END SOLUTION


VOCABULARY = ["what", "is", "plus", "forty", "two", "seven", "horse", "house", "cat"]


def _complaint(function, words):
    try:
        answer = function(words, list(VOCABULARY))
    except ValueError as error:
        return str(error)
    except KeyError as error:
        raise Mistake(f"A bare KeyError({error}) is no help to a learner. Catch it, or look first, and raise ValueError with a sentence.") from None
    raise Mistake(f"{words} has a word that this world does not know, and your function returned {answer} as if nothing were wrong. A silent "
                  "guess here is a wrong answer later that nobody can explain. Raise ValueError.")


def _encode_shape(function):
    answer = function(["what", "is", "seven"], list(VOCABULARY))
    expect(isinstance(answer, list) and len(answer) == 3, f"Three words make a list of three numbers, yours is {answer!r}.")


def _encode_values(function):
    answer = function(["forty", "two", "is", "what"], list(VOCABULARY))
    expect(answer == [VOCABULARY.index(word) for word in ("forty", "two", "is", "what")],
           f"A word's number is its place in the vocabulary; yours are {answer}.")


def _encode_unknown(function):
    _complaint(function, ["forty", "elephant"])


def _encode_names_the_word(function):
    message = _complaint(function, ["forty", "fourty", "two"])
    expect("fourty" in message, f"The message should name the word that is unknown, yours says: {message!r}.")


def _encode_near(function):
    message = _complaint(function, ["hourse"])
    expect("horse" in message and "house" in message, f"Name the known words that look like it (difflib.get_close_matches), yours says: {message!r}.")
    expect("plus" not in message, "Name only words that look like it: a list of the whole vocabulary is no help.")


def _encode_guesses(words, vocabulary):
    return [vocabulary.index(word) if word in vocabulary else 0 for word in words]


def _encode_skips(words, vocabulary):
    return [vocabulary.index(word) for word in words if word in vocabulary]


def _encode_bare(words, vocabulary):
    numbers = {word: number for number, word in enumerate(vocabulary)}
    return [numbers[word] for word in words]


def _encode_vague(words, vocabulary):
    if not set(words) <= set(vocabulary):
        raise ValueError("unknown word")
    return [vocabulary.index(word) for word in words]


def _encode_lists_all(words, vocabulary):
    for word in words:
        if word not in vocabulary:
            raise ValueError(f"unknown word {word!r}, known are {vocabulary}")
    return [vocabulary.index(word) for word in words]


EXERCISES = (
    Exercise("01-1", "a split that never changes", 2, 15, 2, "hashlib", stable_split,
             (_split_shape, _split_repeats, _split_shares, _split_keys, _split_separator, _split_values),
             (Mutant("Python's hash", _split_with_hash, "process to process"),
              Mutant("skill left out", _split_without_skill, "Two skills got the same split"),
              Mutant("no separator", _split_without_separator, "separator"),
              Mutant("pairs only", lambda skill, parts, *shares: stable_split(skill, parts[:2], *shares), "join them all"),
              Mutant("validation inside the test", _split_overlapping, "belongs to whom"))),
    Exercise("01-2", "find the leak", 1, 10, 1, "sets, slices", find_leaks,
             (_leaks_shape, _leaks_same, _leaks_mirrored, _leaks_false_alarm, _leaks_unharmed),
             (Mutant("word for word only", _leaks_exact_only, "read backwards"),
              Mutant("compares sets", _leaks_as_sets, "sets or sorted words"),
              Mutant("parts count", _leaks_in_part, "no leak"))),
    Exercise("01-3", "what was lost, without luck", 2, 15, 2, "nothing but arithmetic", relative_drop,
             (_drop_shape, _drop_plain, _drop_to_chance, _drop_mean, _drop_by_name, _drop_gain),
             (Mutant("chance left in", _drop_uncorrected, "Correct both"),
              Mutant("share of the means", _drop_of_means, "mean over skills last"),
              Mutant("cut at zero", _drop_never_negative, "cut at zero"),
              Mutant("pairs by place", lambda before, after, chance: relative_drop(before, dict(zip(before, after.values())), dict(zip(before, chance.values()))), "by its name"),
              Mutant("points instead of shares", _drop_in_points, "Divide by what there was"))),
    Exercise("01-4", "an error that helps", 2, 10, 1, "dict, difflib", encode,
             (_encode_shape, _encode_values, _encode_unknown, _encode_names_the_word, _encode_near),
             (Mutant("guesses", _encode_guesses, "silent guess"),
              Mutant("skips", _encode_skips, "as if nothing were wrong"),
              Mutant("bare KeyError", _encode_bare, "no help to a learner"),
              Mutant("does not name the word", _encode_vague, "name the word"),
              Mutant("lists everything", _encode_lists_all, "whole vocabulary"))),
)
