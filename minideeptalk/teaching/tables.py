"""Tables in a chapter, rows on a desk, cards on a phone, named cells for a screen reader; and plain ones for generated pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minideeptalk.viz.tables import EMPTY


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, for pages that are made before the book is built."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *rows])


@dataclass(frozen=True)
class Table:
    """Rows of short text; shows itself in a notebook and on the page.

    Args:
        heads: names of the columns. rows: one sequence of cells a row, as text that may hold HTML; the first cell names its row.
        caption: what the table says.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str

    def _repr_html_(self) -> str:
        # Explicit roles: a table that a narrow page lays out as cards would lose its meaning for a screen reader.
        heads = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in self.heads)
        return (f'<table role="table"><caption>{self.caption}</caption><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
                f'<tbody role="rowgroup">{"".join(map(self._row, self.rows))}</tbody></table>')

    def _row(self, cells: Sequence[str]) -> str:
        named = zip(self.heads[1:], cells[1:], strict=True)
        inner = "".join(f'<td role="cell" data-column="{name}"{"" if cell else EMPTY}>{cell}</td>' for name, cell in named)
        number = f' data-column="{self.heads[0]}"' if cells[0].replace(".", "").isdigit() else ""  # as the head of a card, a number says too little
        return f'<tr role="row"><th scope="row" role="rowheader"{number}>{cells[0]}</th>{inner}</tr>'
