"""The reference pages of the book, made from the library's own docstrings: a page a room, and from every object a link to its chapters.

The way back, a list of library objects at the end of each chapter, is `objects_html`; `teaching.pages` puts it there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

from minideeptalk.teaching.chapter import budgets
from minideeptalk.teaching.library import LibraryObject, Module, modules
from minideeptalk.teaching.project import ROOT

FOLDER = Path("book", "made")  # generated before each build, never committed
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Examples):$")
SPECIAL = re.compile(r"([$\[\]{}|\\]|(?<![a-z0-9])_|_(?![a-z0-9]))")
CODE = re.compile(r"(`+[^`]+`+)")


def chapter_names() -> dict[str, str]:
    """Two-digit number -> notebook name of every chapter in the book's contents."""
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf8")
    return {name[:2]: name for name in sorted(budgets()) if f"notebooks/{name}" in contents}


def reference_pages() -> dict[str, str]:
    """File name and Markdown of each page: `api-model.md` and so on."""
    rooms: dict[str, list[Module]] = {}
    for module in modules():
        rooms.setdefault(module.room, []).append(module)
    return {f"api-{room}.md": room_page(room, members) for room, members in rooms.items()}


def room_page(room: str, members: Iterable[Module]) -> str:
    """Markdown of one room's page."""
    words = f"What lives in `minideeptalk.{room}`, with links to the chapters that explain it."
    return f"# {room}\n\n{words}\n\n" + "\n\n".join(map(_module, members)) + "\n"


def _module(module: Module) -> str:
    objects = "\n\n".join(map(_object, module.objects))
    return f"(minideeptalk.{module.name})=\n## {module.name}\n\n{docstring_markdown(module.docstring)}\n\n{objects}"


def _object(entry: LibraryObject) -> str:
    members = "\n\n".join(_member(member) for member in entry.members)
    head = f"({entry.target})=\n### {escaped(entry.name)}\n\n```python\n{entry.signature}\n```"
    return "\n\n".join([head, docstring_markdown(entry.docstring), _chapter_links(entry.chapters), members]).rstrip()


def _member(member: LibraryObject) -> str:
    words = docstring_markdown(member.docstring)
    signature = re.sub(r"\s+", " ", member.signature).replace("( ", "(").replace(", )", ")")
    first, *rest = words.splitlines()
    return "\n".join([f"`.{signature}`", "", f": {first}", *(f"  {line}".rstrip() for line in rest)])


def _chapter_links(numbers: tuple[str, ...]) -> str:
    names, titles = chapter_names(), budgets()
    links = [f"[{number} {titles[names[number]].title}](../../notebooks/{names[number]}.ipynb)" if number in names
             else f"chapter {number}" for number in numbers]
    return "Explained in: " + ", ".join(links) + "."


def docstring_markdown(docstring: str) -> str:
    """A docstring of this project (Google's sections, `>>>` examples) as Markdown."""
    blocks, lines = [], docstring.splitlines()
    while lines:
        line = lines.pop(0)
        title = SECTION.match(line)
        body = _indented(lines) if title else _to_blank(lines) if line.startswith(">>>") else []
        if title and title[1] in ("Returns", "Yields"):  # one entry, however many lines it takes
            body = body[:1] + [f" {more.strip()}" for more in body[1:]]
        if title and title[1].startswith("Example"):
            blocks += ["", "```python", *body, "```", ""]
        elif title:
            blocks += ["", f"**{title[1]}**", "", *_entries(body), ""]
        elif line.startswith(">>>"):
            blocks += ["", "```python", line, *body, "```", ""]
        elif line.startswith("|"):
            blocks.append(escaped(line).replace("\\|", "|"))
        else:
            blocks.append(escaped(line) if line.strip() and not line.startswith("    ") else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)).strip()


def _to_blank(lines: list[str]) -> list[str]:
    """Take the rest of an example, with what it prints, off `lines`."""
    block = []
    while lines and lines[0].strip():
        block.append(lines.pop(0))
    return block


def _indented(lines: list[str]) -> list[str]:
    """Take the indented block that begins here off `lines`, and give it without its indentation."""
    block = []
    while lines and (lines[0].startswith("    ") or (not lines[0].strip() and lines[1:2] and lines[1].startswith("    "))):
        block.append(lines.pop(0).removeprefix("    "))
    return block


def _entries(body: list[str]) -> list[str]:
    """One bullet for each entry of a section; lines that stand further in go on with theirs."""
    return [f"  {escaped(line.strip())}" if line.startswith(" ") else f"- {escaped(line)}" for line in body if line.strip()]


def escaped(text: str) -> str:
    """Text in which Markdown finds emphasis and code, but no formula, link, role or element."""
    parts = CODE.split(text)
    return "".join(part if number % 2 else SPECIAL.sub(r"\\\1", part).replace("<", "&lt;") for number, part in enumerate(parts))


def anchor(dotted: str) -> str:
    """The id that a page gives to a library object."""
    return re.sub(r"[^a-z0-9]+", "-", dotted.lower()).strip("-")


def objects_of(chapter: str) -> list[LibraryObject]:
    """Library objects that name this chapter (two digits) as theirs."""
    return [entry for module in modules() for entry in module.objects if chapter in entry.chapters]


def objects_html(name: str, folder: str = "notebooks") -> str:
    """The list of library objects under the chapter `name`, as HTML for a page that lies in `folder`."""
    by_module: dict[str, list[LibraryObject]] = {}
    for entry in objects_of(name[:2]):
        by_module.setdefault(entry.module, []).append(entry)
    rows = "".join(f"<li><code>{escape(module)}</code>: {', '.join(_link(entry, folder) for entry in entries)}</li>"
                   for module, entries in by_module.items())
    words = "Code of the library that belongs to this chapter:"
    return f'<section id="library-objects"><h2>In the library</h2><p>{words}</p><ul>{rows}</ul></section>'


def _link(entry: LibraryObject, folder: str) -> str:
    page = os.path.relpath(FOLDER / f"api-{entry.module.split('.')[0]}.html", folder)
    return f'<a href="{page}#{anchor(entry.target)}">{escape(entry.name)}</a>'
