"""Numbers typed by hand: what is a measurement is found, what is a name, a count, a constant or a quotation is not."""

import pytest

from minideeptalk.teaching.typed_numbers import typed_numbers


@pytest.mark.parametrize("prose", [
    "The model was right in 63 % of cases.", "It takes 24 ms.", "Specialisation rose to 1.9 bits.", "After 400 updates it knows.",
    "A loss of 0.5 % is small.", "We trained 1,200 sentences."])
def test_a_measurement_is_found(prose):
    assert len(typed_numbers(prose)) == 1


@pytest.mark.parametrize("prose", [
    "See chapter 07, and chapters 04 and 06.", "1. first\n2. second", "In stages 2.1 and 2.2.", "**Exercise 04-1: the gate** · about 15 minutes",
    "Okabe and Ito (2008).", "Take `updates = 400`.", "The sum is $x + 12$.", "[a page](https://example.org/12/34)",
    "The paper chose 6 of 64 experts.", "A step lasts 80 milliseconds.", "Sound at 16 kHz.", "All of them: 100 %.", "Seven codes, 3 of them coarse.",
    "<details><summary>Hint 1</summary>\n\nTry 250.\n\n</details>", "```python\nx = 99\n```"])
def test_what_is_no_measurement_may_stand(prose):
    assert typed_numbers(prose) == []


def test_the_words_around_it_help_to_find_it():
    (words,) = typed_numbers("We saw that the mixture was right in 63 % of the cases.")
    assert "was right in 63 % of the cases" in words
