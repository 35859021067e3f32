"""What chapter 01 claims about the ten text skills."""

import importlib.util
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.world import FAMILIES, SPEAKABLE, SPLITS, Tokenizer, data_hash, describe, fact_table, mixture, split_of, spoken_words

_spec = importlib.util.spec_from_file_location("world_reference", Path(__file__).parent / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

EXACT = ("add", "lookup", "repeat", "reverse", "compare", "sort", "count")


def drawn(name, split, count=1500):
    rng = Random(5)
    return [FAMILIES[name].sample(rng, split) for _ in range(count)]


def text(words):
    return " ".join(words)


def test_half_of_ten_families_are_never_spoken():
    assert [name for name, family in FAMILIES.items() if family.spoken] == ["add", "lookup", "repeat", "reverse", "compare"]
    assert [name for name, family in FAMILIES.items() if not family.spoken] == ["sort", "facts", "grammar", "story", "count"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", EXACT)
def test_answers_agree_with_an_independent_reference(name, split):
    for item in drawn(name, split, 400):
        assert text(item.answer) == getattr(reference, name)(text(item.question)), item
        assert item.wrong is None


def test_facts_answer_what_the_table_says_in_every_phrasing():
    for split in SPLITS:
        for item in drawn("facts", split, 400):
            assert text(item.answer) == reference.facts(text(item.question), fact_table())


@pytest.mark.parametrize("name", ["grammar", "story"])
def test_choices_are_minimal_pairs_with_one_right_half(name):
    is_right = getattr(reference, f"{name}_is_right")
    for split in SPLITS:
        for item in drawn(name, split, 400):
            (right,), (wrong,) = item.answer, item.wrong
            assert is_right(text(item.question), right) and not is_right(text(item.question), wrong)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_combination_stands_on_two_sides(name):
    combinations, questions = {}, {}
    for split in SPLITS:
        items = drawn(name, split)
        assert all(split_of(name, item.combination) == split for item in items)
        combinations[split] = {item.combination for item in items}
        questions[split] = {item.question for item in items if FAMILIES[name].kind == "exact"}
    for found in (combinations, questions):
        assert not found["train"] & found["test"]
        assert not found["train"] & found["validation"]
        assert not found["validation"] & found["test"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_200_different_test_items_and_100_for_validation(name):
    for split, count in (("test", 200), ("validation", 100)):
        items = FAMILIES[name].items(split, count, seed=3)
        assert len({(item.question, item.answer) for item in items}) == count
        assert items == FAMILIES[name].items(split, count, seed=3)
    assert items != FAMILIES[name].items("validation", 100, seed=4)


def test_a_small_split_is_given_whole_and_then_again():
    items = FAMILIES["facts"].items("test", 450)
    assert len(items) == 450 and len(set(items)) == 200


@pytest.mark.parametrize("name", FAMILIES)
def test_held_out_questions_consist_of_trained_words_and_stay_short(name):
    trained = {word for item in drawn(name, "train", 4000) for word in item.question + item.answer}
    for split in ("validation", "test"):
        for item in drawn(name, split):
            assert set(item.question + item.answer + (item.wrong or ())) <= trained
            assert len(item.question) <= 16


def test_of_720_sums_a_fifth_is_tested_and_every_part_of_them_is_trained():
    sums = [(large, small) for large in range(10, 90) for small in range(1, 10)]
    trained = [pair for pair in sums if split_of("add", pair) == "train"]
    tested = [pair for pair in sums if split_of("add", pair) == "test"]
    assert len(sums) == 720 and 0.17 < len(tested) / len(sums) < 0.23 and len(trained) > 450
    parts = (lambda a, b: (a % 10, b), lambda a, b: (a // 10, b), lambda a, b: (a // 10, a % 10 + b >= 10))
    for part in parts:
        assert {part(*pair) for pair in tested} <= {part(*pair) for pair in trained}


def test_lookup_holds_out_what_is_told_but_trains_every_pair_of_words():
    def pairs(items):
        return {pair for item in items for pair in combinations(item.combination, 2)}

    tested = drawn("lookup", "test")
    assert all(split_of("lookup", item.combination) == "test" for item in tested)
    assert pairs(tested) <= pairs(drawn("lookup", "train", 5000))


def test_held_out_word_lists_are_neither_said_nor_heard_in_training():
    for name in ("repeat", "reverse"):
        for item in drawn(name, "train"):
            assert split_of("speaking", item.answer) == split_of("speaking", item.answer[::-1]) == "train"
    for name in ("repeat", "reverse"):
        for item in drawn(name, "test", 300):
            assert split_of("speaking", item.answer) == "test"


@pytest.mark.parametrize("name", ["add", "lookup", "compare"])
def test_number_and_name_answers_are_trained_texts(name):
    assert all(split_of("speaking", item.answer) == "train" for item in drawn(name, "test", 300))


def test_200_facts_are_fixed_and_no_city_is_likelier():
    table = fact_table()
    assert len(table) == 200
    assert set(Counter(table.values()).values()) == {10}
    for name in {name for name, _ in table}:
        assert len({city for (owner, _), city in table.items() if owner == name}) == 20
    assert table["leo", "park"] == fact_table()["leo", "park"]


def test_each_fact_is_trained_in_two_phrasings_and_tested_in_a_third():
    for name, place in fact_table():
        sides = [split_of("facts", (name, place, phrasing)) for phrasing in range(4)]
        assert sorted(sides) == ["test", "train", "train", "validation"]
    for phrasing in range(4):
        trained = [fact for fact in fact_table() if split_of("facts", (*fact, phrasing)) == "train"]
        assert len(trained) == 100 and len({name for name, _ in trained}) == 10 and len({place for _, place in trained}) == 20


def test_both_story_sentences_are_needed_and_all_their_pairs_are_trained():
    plots = {(item.question[1], item.question[-3]) for item in drawn("story", "train")}
    assert len(plots) == 4 * 4
    held_out = {item.combination for item in drawn("story", "test")}
    assert set(Counter(name for name, *_ in held_out).values()) == {2}  # every name is tested


def guess_scores(name, guess, count=6000):
    items = drawn(name, "train", count)
    return sum(guess(item) == item.answer for item in items) / count


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_chance_of_lookup_is_one_of_four_words(place):
    assert guess_scores("lookup", lambda item: (item.question[place],)) == pytest.approx(FAMILIES["lookup"].chance, abs=0.025)


def test_chance_of_compare_is_one_of_two_numbers():
    first = guess_scores("compare", lambda item: item.question[3 : item.question.index("or")])
    assert first == pytest.approx(FAMILIES["compare"].chance, abs=0.025)


@pytest.mark.parametrize("number", ["one", "two", "three", "four"])
def test_chance_of_count_is_one_of_four_numbers(number):
    assert guess_scores("count", lambda item: (number,)) == pytest.approx(FAMILIES["count"].chance, abs=0.025)


def test_chance_of_facts_is_one_of_twenty_cities():
    answers = Counter(item.answer for item in FAMILIES["facts"].items("test", 200))
    assert {count / 200 for count in answers.values()} == {FAMILIES["facts"].chance}


def test_chance_of_open_answers_is_one_of_all_the_answers_there_are():
    sums = {large + small for large in range(10, 90) for small in range(1, 10)}
    sets = {frozenset((a, b, c)) for a in range(20) for b in range(a) for c in range(b)}

    def lists(words):
        return words * (words - 1) * (1 + (words - 2) * (1 + words - 3))

    assert FAMILIES["add"].chance == 1 / len(sums)
    assert FAMILIES["sort"].chance == 1 / len(sets)
    assert FAMILIES["repeat"].chance == 1 / lists(len(SPEAKABLE)) and FAMILIES["reverse"].chance == 1 / lists(20)


# What a reader could look at instead of understanding; each must leave the answer open.
SHORTCUTS = {
    "grammar": {"ending alone": lambda q, verb: verb, "nearest noun": lambda q, verb: (q[-1].endswith("s"), verb.endswith("s")),
                "distractor": lambda q, verb: (q[2:], verb)},
    "story": {"ending alone": lambda q, verb: verb, "attitude": lambda q, verb: (q[1], verb), "event": lambda q, verb: (q[-3], verb),
              "who": lambda q, verb: (q[0], verb), "animal": lambda q, verb: (q[3], verb)},
}


@pytest.mark.parametrize("name,shortcut", [(name, shortcut) for name, group in SHORTCUTS.items() for shortcut in group])
def test_no_shortcut_beats_chance_in_a_choice(name, shortcut):
    view = SHORTCUTS[name][shortcut]
    learned, tried = Counter(), drawn(name, "train", 8000)
    for item in tried:
        learned[view(item.question, item.answer[0])] += 1
        learned[view(item.question, item.wrong[0])] -= 1
    score = 0.0
    for item in FAMILIES[name].items("test", 200):
        difference = learned[view(item.question, item.answer[0])] - learned[view(item.question, item.wrong[0])]
        score += 0.5 if difference == 0 else float(difference > 0)
    assert abs(score / 200 - FAMILIES[name].chance) < 0.1


@pytest.mark.parametrize("name", ["grammar", "story"])
def test_the_same_endings_are_right_and_wrong_equally_often(name):
    items = drawn(name, "train", 6000)
    right, wrong = Counter(item.answer for item in items), Counter(item.wrong for item in items)
    assert set(right) == set(wrong)
    assert all(abs(right[ending] - wrong[ending]) < 0.2 * right[ending] for ending in right)


def test_spoken_families_use_spoken_words_only_and_every_speakable_word_is_answered():
    heard, said = set(), set()
    for name in (name for name, family in FAMILIES.items() if family.spoken):
        for item in drawn(name, "train", 4000):
            heard |= set(item.question)
            said |= set(item.answer)
    assert said == set(SPEAKABLE)
    assert heard | said == set(spoken_words())


def test_the_tokenizer_knows_every_word_of_every_family():
    tokenizer = Tokenizer()
    for name in FAMILIES:
        for item in drawn(name, "train", 500):
            words = item.question + item.answer + (item.wrong or ())
            assert tokenizer.decode(tokenizer.encode(words)) == list(words)


def test_the_mixture_takes_families_equally_and_only_those_asked_for():
    rng = Random(0)
    names = Counter(mixture(rng, "train").family for _ in range(5000))
    assert set(names) == set(FAMILIES) and min(names.values()) > 400
    assert {mixture(rng, "test", ["add", "repeat"]).family for _ in range(50)} == {"add", "repeat"}


def test_the_world_is_described_in_one_row_a_family():
    rows = describe().splitlines()
    assert len(rows) == 1 + len(FAMILIES)
    assert all(row.startswith(name) and "->" in row for row, name in zip(rows[1:], FAMILIES, strict=True))


def test_equal_worlds_have_equal_fingerprints():
    assert data_hash() == data_hash() and len(data_hash()) == 64


@pytest.mark.parametrize("act,message", [
    (lambda: FAMILIES["add"].sample(Random(0), "dev"), "train, validation, test"),
    (lambda: split_of("sums", (1, 2)), "a family out of add"),
    (lambda: mixture(Random(0), "train", []), "at least one family"),
])
def test_mistakes_are_explained(act, message):
    with pytest.raises(LearnerError, match=message):
        act()
