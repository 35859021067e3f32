"""Numbers as words: 42 is `("forty", "two")`, two tokens, so that speech can say what text says (chapter 01)."""

from __future__ import annotations

from collections.abc import Sequence

from minideeptalk.errors import LearnerError

BELOW_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBER_WORDS = BELOW_TWENTY + TENS


def _spell(number: int) -> tuple[str, ...]:
    if number < 20:
        return (BELOW_TWENTY[number],)
    tens, units = divmod(number, 10)
    return (TENS[tens - 2],) if units == 0 else (TENS[tens - 2], BELOW_TWENTY[units])


_SPELLED = tuple(_spell(number) for number in range(100))
_VALUE = {words: number for number, words in enumerate(_SPELLED)}


def number_words(number: int) -> tuple[str, ...]:
    """Spell a number from 0 to 99 in one or two words.

    >>> number_words(42)
    ('forty', 'two')

    Raises:
        LearnerError: outside 0..99, which this world has no words for.
    """
    if not 0 <= number < 100:
        raise LearnerError("a number from 0 to 99", str(number), "the world has no word for hundred")
    return _SPELLED[number]


def is_number(words: Sequence[str]) -> bool:
    """Whether the words spell exactly one number of this world, as `forty two` does and `two forty` does not."""
    return tuple(words) in _VALUE


def number_value(words: Sequence[str]) -> int:
    """The number that the words spell; the inverse of `number_words`.

    >>> number_value(("forty", "two"))
    42

    Raises:
        LearnerError: if the words are not one number between zero and ninety nine.
    """
    if not is_number(words):
        raise LearnerError("words that spell one number, such as 'forty two'", repr(" ".join(words)))
    return _VALUE[tuple(words)]
