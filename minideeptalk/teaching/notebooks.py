"""Keeps the chapters in order: each `.ipynb` equals its `py:percent` twin, and what is generated stands there as generated.

Edit the twin (`notebooks/NN_name.py`), then run `python -m minideeptalk.teaching.notebooks`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from minideeptalk.teaching.checks import Exercise, exercise_solution, exercise_stub, exercises
from minideeptalk.teaching.diagram import page_files
from minideeptalk.teaching.project import ROOT, colab_url
from minideeptalk.teaching.setup_cell import setup_cell
from minideeptalk.teaching.typed_numbers import typed_numbers

MAX_CELL_LINES = 25
CELL = re.compile(r"^# %%.*$", flags=re.MULTILINE)
FENCE = re.compile(r"^(```|:::+)\{", flags=re.MULTILINE)
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)")  # to a file, of a link or a picture
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)")


def twins(folder: Path | None = None) -> list[Path]:
    """The py:percent twins of all chapters, in order."""
    return sorted((folder or ROOT / "notebooks").glob("[0-9]*.py"))


def with_generated_parts(name: str, source: str) -> str:
    """A twin's text with its set-up cell, badge, exercise cards, stubs and solutions as they are made today."""
    source = BADGE.sub(lambda _: badge(name), source)
    head, *cells = re.split(r"(?=^# %%)", source, flags=re.MULTILINE)
    known = exercises()
    return head + "".join(_generated_cell(cell, known) for cell in cells)


def badge(name: str) -> str:
    """The Colab badge: a picture of this book, so that the page loads nothing from elsewhere."""
    return f"[![Open in Colab](../book/_static/colab.svg)]({colab_url(name)})"


def _generated_cell(cell: str, known: dict[str, Exercise]) -> str:
    title, body = cell.split("\n", 1) if "\n" in cell else (cell, "")
    if body.startswith("# Set-up:"):
        return f"{title}\n{setup_cell()}\n\n"
    stub = re.match(r"# Exercise (\d\d-\d+): your code\n", body)
    if stub:
        return f"{title}\n{stub[0]}{exercise_stub(known[stub[1]])}\n\n"
    card = re.search(r"^# \*\*Exercise (\d\d-\d+): .*$", body, flags=re.MULTILINE)
    if card:
        body = body.replace(card[0], f"# {known[card[1]].card()}")
    solution = re.search(r"(# <summary>A solution of (\d\d-\d+)</summary>\n#\n# ```python\n)(.*?)(# ```\n)", body, flags=re.DOTALL)
    if solution:
        lines = "".join(f"# {line}".rstrip() + "\n" for line in exercise_solution(known[solution[2]]).splitlines())
        body = body.replace(solution[0], solution[1] + lines + solution[4])
    return f"{title}\n{body}"


def problems(twin: Path) -> list[str]:
    """What is wrong with one chapter, in sentences; empty when it is in order."""
    import jupytext
    import nbformat

    found, text = [], twin.read_text(encoding="utf8")
    if with_generated_parts(twin.stem, text) != text:
        found.append("generated parts are not up to date")
    notebook = twin.with_suffix(".ipynb")
    if not notebook.is_file():
        return [*found, "has no .ipynb"]
    paired, stored = jupytext.read(twin), nbformat.read(notebook, as_version=4)
    if [_essence(cell) for cell in paired.cells] != [_essence(cell) for cell in stored.cells]:
        found.append("the .ipynb differs from the twin")
    for number, cell in enumerate(stored.cells):
        where = f"cell {number} ({cell.source.splitlines()[0][:50] if cell.source else 'empty'})"
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count):
            found.append(f"{where} has outputs")
        if cell.cell_type == "code" and len(cell.source.splitlines()) > MAX_CELL_LINES:
            found.append(f"{where} has {len(cell.source.splitlines())} lines, more than {MAX_CELL_LINES}")
        if cell.cell_type == "markdown" and FENCE.search(cell.source):
            found.append(f"{where} has a directive that Colab shows raw")
        if cell.cell_type == "markdown":
            found += [f"{where} links to {link}, which is no file" for link in LINK.findall(cell.source)
                      if "/made/" not in link and not (twin.parent / link).exists()]
            found += [f"{where} has a number typed by hand: ... {words} ... Print it in a cell, or write a setting as code"
                      for words in typed_numbers(cell.source)]
    return found


def _essence(cell) -> tuple:
    return cell.cell_type, cell.source, tuple(cell.metadata.get("tags", []))


def sync(twin: Path) -> None:
    """Renew the generated parts of a twin, then its notebook; the ids of unchanged cells stay."""
    from jupytext.cli import jupytext as run_jupytext

    text = twin.read_text(encoding="utf8")
    renewed = with_generated_parts(twin.stem, text)
    if renewed != text:
        twin.write_text(renewed, encoding="utf8")
    run_jupytext(["--quiet", "--to", "ipynb", "--update", str(twin)])


def main() -> int:
    """Renew the first page's diagram and every chapter, and say what is still wrong."""
    for name, picture in page_files().items():
        (ROOT / "book" / "_static" / name).write_text(picture + "\n", encoding="utf8")
    status = 0
    for twin in twins():
        sync(twin)
        for problem in problems(twin):
            print(f"{twin.name}: {problem}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
