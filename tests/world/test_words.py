"""Numbers, tokenizer, speaking texts and the hash that sorts combinations."""

import doctest
import subprocess
import sys
from random import Random

import pytest

from minideeptalk.config import STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.world import (
    SPEAKABLE,
    SPECIALS,
    SPLITS,
    WORLD_WORDS,
    Tokenizer,
    number_value,
    number_words,
    numbers,
    speaking_text,
    split_of,
    spoken_words,
    tokenizer,
)
from minideeptalk.world.splits import hashed_split, pick


@pytest.mark.parametrize("module", [numbers, tokenizer])
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


def test_numbers_are_spelled_in_at_most_two_words_and_read_back():
    assert all(number_value(number_words(number)) == number for number in range(100))
    assert {len(number_words(number)) for number in range(100)} == {1, 2}
    assert number_words(42) == ("forty", "two") and number_words(17) == ("seventeen",)


@pytest.mark.parametrize("act", [lambda: number_words(100), lambda: number_words(-1), lambda: number_value(("two", "forty"))])
def test_what_is_no_number_is_refused(act):
    with pytest.raises(LearnerError):
        act()


def test_specials_have_fixed_ids_and_styles_come_next():
    words = Tokenizer().words
    assert words[:6] == SPECIALS == ("<pad>", "<user>", "<assistant>", "<end>", "<audio>", "<wait>")
    assert words[6:10] == STYLES == ("neutral", "happy", "sad", "angry")
    assert words[10:] == WORLD_WORDS
    assert Tokenizer().wait == 5


def test_the_vocabulary_is_small_and_each_word_stands_once():
    assert 150 <= len(Tokenizer()) <= 180
    assert len(set(Tokenizer().words)) == len(Tokenizer())
    assert len(set(spoken_words())) == len(spoken_words())
    assert 50 <= len(SPEAKABLE) <= 60


def test_words_survive_the_tokenizer_and_the_file(tmp_path):
    before = Tokenizer()
    ids = before.encode(before.words)
    assert ids == list(range(len(before))) and before.decode(ids) == list(before.words)
    assert before.encode("forty two") == before.encode(["forty", "two"])
    before.save(tmp_path / "words.json")
    assert Tokenizer.load(tmp_path / "words.json").words == before.words


def test_unknown_words_are_named_with_words_like_them():
    with pytest.raises(LearnerError, match="'fourty'.*forty"):
        Tokenizer().encode("fourty two")
    with pytest.raises(LearnerError, match="'42'.*spelled"):
        Tokenizer().encode(["42"])


@pytest.mark.parametrize("index", [-1, 100_000])
def test_ids_without_a_word_are_refused(index):
    with pytest.raises(LearnerError, match="token ids from 0 to"):
        Tokenizer().decode([index])


def test_a_broken_vocabulary_file_is_explained(tmp_path):
    with pytest.raises(LearnerError, match="no file"):
        Tokenizer.load(tmp_path / "none.json")
    for content in ("no json", "[1]", '{"specials": ["<pad>"], "words": []}'):
        (tmp_path / "words.json").write_text(content)
        with pytest.raises(LearnerError):
            Tokenizer.load(tmp_path / "words.json")
    with pytest.raises(LearnerError, match="more than once"):
        Tokenizer(["cat", "cat"])


def test_the_split_is_the_same_in_another_process():
    # Python's hash() of strings would differ: it is salted afresh in every process.
    code = "from minideeptalk.world import split_of; print([split_of('add', (a, 7)) for a in range(10, 90)])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str([split_of("add", (a, 7)) for a in range(10, 90)])


def test_shares_are_about_eighty_ten_ten():
    found = [hashed_split("test of shares", (number,)) for number in range(5000)]
    assert found.count("test") / 5000 == pytest.approx(0.1, abs=0.02)
    assert found.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)


def test_pick_is_uniform():
    rng = Random(0)
    drawn = [pick(rng, "abcd") for _ in range(8000)]
    assert all(drawn.count(letter) == pytest.approx(2000, abs=200) for letter in "abcd")


@pytest.mark.parametrize("split", SPLITS)
def test_speaking_texts_belong_to_their_split_and_use_every_speakable_word(split):
    rng = Random(1)
    texts = [speaking_text(rng, split) for _ in range(1500)]
    assert all(split_of("speaking", text) == split for text in texts)
    assert {word for text in texts for word in text} == set(SPEAKABLE)
    assert {len(text) for text in texts} == ({1, 2, 3, 4} if split == "train" else {2, 3, 4})


def test_single_words_and_numbers_are_always_trained_and_their_reversals_need_not_be():
    assert all(split_of("speaking", (word,)) == "train" for word in SPEAKABLE)
    assert all(split_of("speaking", number_words(number)) == "train" for number in range(1, 100))
    assert {split_of("speaking", number_words(number)[::-1]) for number in range(21, 30)} - {"train"}


@pytest.mark.parametrize("lengths", [(1,), (), (2, 90)])
def test_impossible_lengths_are_explained(lengths):
    with pytest.raises(LearnerError, match="lengths from 2"):
        speaking_text(Random(0), "test", lengths)
