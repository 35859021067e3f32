"""How much of what was asked for arrived: word and character error rates."""

from __future__ import annotations

from collections.abc import Sequence

from minideeptalk.errors import LearnerError


def edit_distance(reference: Sequence, hypothesis: Sequence) -> int:
    """Fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein, 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(hypothesis) + 1))  # distance from the empty reference to each prefix of the hypothesis
    for i, expected in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, start=1):
            substituted = diagonal + (expected != heard)
            diagonal = row[j]
            row[j] = min(substituted, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def _error_rate(references: list[Sequence], hypotheses: list[Sequence]) -> float:
    if len(references) != len(hypotheses):
        raise LearnerError("as many hypotheses as references", f"{len(references)} and {len(hypotheses)}")
    total = sum(len(reference) for reference in references)
    if total == 0:
        raise LearnerError("at least one reference word", "none", "the list of references is empty")
    errors = sum(edit_distance(r, h) for r, h in zip(references, hypotheses, strict=True))
    return errors / total


def _words(text: str | Sequence[str]) -> list[str]:
    return text.split() if isinstance(text, str) else list(text)


def word_error_rate(references: list, hypotheses: list) -> float:
    """Edit distance in words over all pairs, divided by the number of reference words; may exceed 1.

    Args:
        references: texts that were asked for, as strings or as sequences of words.
        hypotheses: texts that were heard.

    Raises:
        LearnerError: for lists of different length or without a word.

    >>> word_error_rate(["forty nine", "red"], ["forty", "red"])
    0.3333333333333333
    """
    return _error_rate([_words(r) for r in references], [_words(h) for h in hypotheses])


def character_error_rate(references: list, hypotheses: list) -> float:
    """Edit distance in characters (spaces count) over all pairs, divided by the number of reference characters.

    >>> character_error_rate(["red"], ["rad"])
    0.3333333333333333
    """
    return _error_rate([" ".join(_words(r)) for r in references], [" ".join(_words(h)) for h in hypotheses])
