"""Finds numbers that somebody typed into a chapter's prose: a number belongs to the cell that prints it or to a record.

What may stand in prose: numbers of chapters, stages, exercises and list items, years, whole numbers below ten (they count), whatever stands as
code, formula, link, card or hint, what a sentence quotes from a paper that it names, and the project's own constants, read from where they
are defined. A number that no rule admits stands as code, or better in the cell below.
"""

from __future__ import annotations

import re

from minideeptalk.codec.pyramid import FRAMES_PER_STEP
from minideeptalk.config import HOP, MELS, SAMPLE_RATE, STEP_SECONDS, size_config
from minideeptalk.speech.features import FFT_SIZE

STEP_MS = round(1000 * STEP_SECONDS)
CONSTANTS = {
    SAMPLE_RATE, HOP, MELS, FFT_SIZE, FFT_SIZE // 2 + 1, STEP_MS, STEP_MS // FRAMES_PER_STEP, round(1 / STEP_SECONDS, 1),
    size_config("nano").codec.codebook_size, size_config("mini").codec.codebook_size, SAMPLE_RATE // 1000,
}
SCALE_ENDS = {"0 %", "100 %"}
# Each is taken out before numbers are looked for.
NOT_PROSE = [
    r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)", r"```.*?```", r"<details>.*?</details>(?:\s*</details>)*", r"<[^>]*>", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"`[^`]*`",
    r"!?\[[^\]]*\]\([^)]*\)", r"^\*\*Exercise .*$", r"^ *\d+\. ", r"## References.*",
    r"\b[Cc]hapters? \d\d(?:(?:, | and | to |-)\d\d)*", r"\b[Ss]tages? \d(?:\.\d)?(?:(?:, | and | to )\d(?:\.\d)?)*", r"\b\d\d-\d\b",
    r"\|\s*\d\d [A-Z]", r"\b(?:19|20)\d\d\b", r"\b[A-Za-z]+-?\d+\b", r"^\| \d\d .*$", r"\b\d\d [A-Z][a-z]+",
    r"[^.\n|]*\b[Pp]aper\b[^.\n|]*(?:\.\d[^.\n|]*)*",
]
STRIPPED = re.compile("|".join(f"(?:{pattern})" for pattern in NOT_PROSE), flags=re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:\s?%)?")


def typed_numbers(markdown: str) -> list[str]:
    """Numbers in the prose of one Markdown cell, each with the words around it."""
    text = STRIPPED.sub(" ", markdown)
    return [text[max(0, match.start() - 25):match.end() + 25].replace("\n", " ").strip() for match in NUMBER.finditer(text)
            if not _may_stand(match[0])]


def _may_stand(number: str) -> bool:
    if number.endswith("%"):
        return number.replace("\u00a0", " ") in SCALE_ENDS
    value = float(number.replace(",", ""))
    return value in CONSTANTS or (value < 10 and value == int(value) and "." not in number)
