"""The cover of the book, drawn by rule: words come in from the left, experts light up, sound goes out to the right.

The picture brings its own dark ground, so it looks the same on a light and on a dark page. `python -m minideeptalk.teaching.notebooks`
writes it to `book/_static/cover.svg`.
"""

from __future__ import annotations

import math

WIDTH, HEIGHT = 960, 540
GROUND, INK, PALE = "#10202e", "#f4f1e8", "#8fa3b3"
TEXT_COLOUR, AUDIO_COLOUR = "#56b4e9", "#e69f00"  # sky blue and orange of Okabe and Ito, bright enough for a dark ground
COLUMNS, ROWS, CELL = 6, 6, 44
LEFT, TOP = 348, 132  # corner of the experts' grid
AUDIO_EXPERTS = {(0, 4), (1, 5), (2, 4), (3, 5), (4, 4), (5, 5), (2, 5), (4, 3)}  # row, column
WORDS = ("cup", "red", "mia", "horse", "which", "color")
DESCRIPTION = (
    "Cover: written words enter from the left and pass a grid of small experts. Most of them are blue and work for text; some, towards the "
    "right, are orange and have learnt to speak. A sound wave leaves them on the right."
)


def cover_svg() -> str:
    """The whole picture as one SVG element."""
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="18" fill="{GROUND}"/>', *_words(), *_experts(), *_wave(), *_title()]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
            f'aria-label="{DESCRIPTION}" font-family="system-ui,sans-serif">{"".join(parts)}</svg>')


def _row_centre(row: int) -> float:
    return TOP + (row + 0.5) * CELL


def _words() -> list[str]:
    """One word a row, and its line to the grid."""
    parts = []
    for row, word in enumerate(WORDS):
        y, target = _row_centre(row), _row_centre((5 * row + 2) % ROWS)
        parts.append(f'<text x="{LEFT - 150}" y="{y + 8:.0f}" font-size="25" text-anchor="end" fill="{INK}">{word}</text>')
        parts.append(f'<path d="M{LEFT - 136} {y:.0f} C {LEFT - 80} {y:.0f}, {LEFT - 70} {target:.0f}, {LEFT - 8} {target:.0f}" '
                     f'fill="none" stroke="{TEXT_COLOUR}" stroke-width="2" opacity="0.75"/>')
    return parts


def _experts() -> list[str]:
    """The grid: blue for text, orange for speech, each as bright as its share of the work."""
    parts = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            speaks = (row, column) in AUDIO_EXPERTS
            busy = 0.35 + 0.65 * abs(math.sin(1.7 * row + 2.3 * column + 0.5))
            parts.append(f'<rect x="{LEFT + column * CELL}" y="{TOP + row * CELL}" width="{CELL - 8}" height="{CELL - 8}" rx="7" '
                         f'fill="{AUDIO_COLOUR if speaks else TEXT_COLOUR}" opacity="{1 if speaks else busy:.2f}"/>')
    return parts


def _wave() -> list[str]:
    """Bars of a voice that rises and falls, between the grid and the right edge."""
    parts, start, middle = [], LEFT + COLUMNS * CELL + 24, TOP + ROWS * CELL / 2 - 4
    for bar in range(28):
        envelope = math.sin(math.pi * (bar + 1) / 29) * (0.55 + 0.45 * math.sin(0.9 * bar))
        height = 12 + 190 * abs(envelope) * (0.6 + 0.4 * abs(math.sin(2.1 * bar)))
        parts.append(f'<rect x="{start + bar * 11}" y="{middle - height / 2:.1f}" width="6" height="{height:.1f}" rx="3" '
                     f'fill="{AUDIO_COLOUR}"/>')
    return parts


def _title() -> list[str]:
    return [f'<text x="48" y="76" font-size="46" font-weight="700" fill="{INK}">minideeptalk</text>',
            f'<text x="48" y="{HEIGHT - 66}" font-size="27" fill="{INK}">Teaching a text model to speak, without making it forget</text>',
            f'<text x="48" y="{HEIGHT - 32}" font-size="20" fill="{PALE}">A native spoken language model, rebuilt in miniature</text>']
