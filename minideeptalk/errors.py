"""The one error type that users see: it says what was expected, what came, the likely cause and the next step."""

from __future__ import annotations


class LearnerError(ValueError):
    """Bad input, explained to the person who gave it.

    Args:
        expected: what the function wanted.
        got: what it received instead.
        cause: the likely reason, if one is known.
        next_step: what to do now.

    The command line prints the message as one line and leaves with status 2.
    """

    def __init__(self, expected: str, got: str, cause: str = "", next_step: str = ""):
        parts = [f"expected {expected}, got {got}"]
        if cause:
            parts.append(f"likely cause: {cause}")
        if next_step:
            parts.append(f"next: {next_step}")
        super().__init__("; ".join(parts))
