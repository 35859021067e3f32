"""The system in one picture, drawn once and lit where a chapter works. Readable at a phone's width and in the dark.

`python -m minideeptalk.teaching.notebooks` writes the files that the book's first page shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from minideeptalk.teaching.cover import cover_svg

WIDTH, HEIGHT = 560, 668
ACCENT = "#e69f00"
TEXT_COLOUR, AUDIO_COLOUR = "#0072B2", "#D55E00"  # blue and vermillion, as in minideeptalk.viz

# id: x, y, width, height, first line, second line
BOXES = {
    "world": (10, 10, 255, 58, "Text skills", "a small world to know"),
    "voices": (295, 10, 255, 58, "Voices", "synthesised questions"),
    "tokenizer": (10, 98, 255, 58, "Tokenizer", "one word, one token"),
    "ear": (295, 98, 120, 58, "Ear", "frozen"),
    "adapter": (440, 98, 110, 58, "Adapter", "gated MLP"),
    "streams": (10, 186, 540, 58, "Two streams, one step every 80 ms", "1 text row and 7 codec rows, averaged into one vector"),
    "attention": (30, 310, 150, 58, "Attention", "over all steps"),
    "router": (205, 310, 150, 58, "Router", "picks top-k of E"),
    "shared": (380, 310, 150, 58, "Shared", "always on"),
    "experts": (30, 388, 500, 62, "", ""),
    "text_head": (10, 486, 255, 58, "Text head", "the answer in words"),
    "audio_heads": (295, 486, 120, 58, "7 heads", "one a code"),
    "codec": (440, 486, 110, 58, "Codec", "sound"),
    "stages": (10, 574, 540, 84, "", ""),
}
ARROWS = [
    ((137, 68), (137, 98)), ((355, 68), (355, 98)), ((415, 127), (440, 127)), ((137, 156), (137, 186)), ((495, 156), (495, 186)),
    ((280, 244), (280, 274)), ((137, 462), (137, 486)), ((355, 462), (355, 486)), ((415, 515), (440, 515)),
]
STAGES = (("0", "text"), ("1", "align"), ("", "profile"), ("", "select"), ("2.1", "audio"), ("2.2", "text"), ("3", "joint"), ("4", "DPO"))
DESCRIPTION = (
    "The system from top to bottom. Text skills pass a tokenizer; synthesised voices pass a frozen ear and an adapter. Both become "
    "two parallel streams with one text row and seven codec rows a step. The speech language model has attention, a router, "
    "routed experts, of which a few are chosen to learn speech, and a shared expert that is always on. A text head gives words; "
    "seven codec heads and the codec give sound. It is trained in stages: text, alignment, profile, select, audio experts, text experts, "
    "joint, DPO."
)


@dataclass(frozen=True)
class SystemDiagram:
    """The system with some parts lit; shows itself in a notebook.

    Args:
        lit: ids out of `BOXES`; empty lights nothing.
        ink: colour of lines and words; `currentColor` follows the page.
    """

    lit: tuple[str, ...] = ()
    ink: str = "currentColor"

    def __post_init__(self):
        unknown = set(self.lit) - set(BOXES)
        if unknown:
            raise KeyError(f"no such part of the diagram: {sorted(unknown)}; there are {sorted(BOXES)}")

    def svg(self) -> str:
        """The picture as one SVG element."""
        parts = [self._frame(), *(self._box(name) for name in BOXES), self._experts(), self._stages(), *map(self._arrow, ARROWS)]
        lit = f" Lit here: {', '.join(self.lit).replace('_', ' ')}." if self.lit else ""
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
                f'style="max-width:100%;height:auto;font-family:system-ui,sans-serif" color="{self.ink}" '
                f'aria-label="{escape(DESCRIPTION + lit)}">' + "".join(parts) + "</svg>")

    def _repr_html_(self) -> str:
        return f'<div class="system-diagram" style="text-align:center">{self.svg()}</div>'

    def _text(self, x, y, words, size=16, weight="normal", anchor="middle", colour=None) -> str:
        return (f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
                f'fill="{colour or self.ink}">{escape(words)}</text>')

    def _rect(self, x, y, w, h, lit=False, radius=9, colour=None, fill=None) -> str:
        stroke, width = (ACCENT, 3) if lit else (colour or self.ink, 1.3)
        inside = f'fill="{ACCENT}" fill-opacity="0.22"' if lit else f'fill="{fill or "none"}" fill-opacity="0.2"'
        return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{radius}" {inside} stroke="{stroke}" stroke-width="{width}"/>'

    def _box(self, name) -> str:
        x, y, w, h, first, second = BOXES[name]
        lines = self._text(x + w / 2, y + 25, first, 19, "600") + self._text(x + w / 2, y + 47, second, 16) if first else ""
        return self._rect(x, y, w, h, name in self.lit) + lines

    def _frame(self) -> str:
        return self._rect(10, 274, 540, 188, radius=14) + self._text(280, 298, "Speech language model", 19, "600")

    def _experts(self) -> str:
        x, y, *_ = BOXES["experts"]
        squares = []
        for expert in range(12):
            audio = expert >= 9
            colour = AUDIO_COLOUR if audio else TEXT_COLOUR
            squares.append(self._rect(x + 12 + expert * 40, y + 8, 34, 24, radius=4, colour=colour, fill=colour))
        return ("".join(squares) + self._text(x + 192, y + 51, "text experts", 16)
                + self._text(x + 430, y + 51, "audio experts", 16))

    def _stages(self) -> str:
        x, y, w, *_ = BOXES["stages"]
        cell = w / len(STAGES)
        parts = [self._text(x + w / 2, y + 23, "Stages of training", 18, "600")]
        for position, (number, words) in enumerate(STAGES):
            centre = x + (position + 0.5) * cell
            parts.append(self._text(centre, y + 49, number or "·", 16, "600") + self._text(centre, y + 70, words, 16))
        return "".join(parts)

    def _arrow(self, ends) -> str:
        (x1, y1), (x2, y2) = ends
        head = f"{x2},{y2} {x2 - 5},{y2 - 9} {x2 + 5},{y2 - 9}" if x1 == x2 else f"{x2},{y2} {x2 - 9},{y2 - 5} {x2 - 9},{y2 + 5}"
        return (f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{self.ink}" stroke-width="1.6"/>'
                f'<polygon points="{head}" fill="{self.ink}"/>')


def page_files() -> dict[str, str]:
    """Name and text of the pictures of the book's first page."""
    return {"cover.svg": cover_svg(), "system-light.svg": SystemDiagram(ink="#1f2328").svg(), "system-dark.svg": SystemDiagram(ink="#e6e8eb").svg()}
