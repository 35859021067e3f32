"""Reference and appendices: every public object is there with its words and its chapters, and what is generated follows the sources."""

import re

import pytest

from minideeptalk.teaching.appendices import appendix_pages, write_appendices
from minideeptalk.teaching.checks import exercises
from minideeptalk.teaching.library import mentioned, modules, read_module
from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.reference import anchor, chapter_names, docstring_markdown, objects_of, reference_pages

SOURCE = '''
"""A module (chapter 07)."""

class Ear:
    """Hears.

    Args:
        width: of a *frame*.
            It goes on here.

    Example:
        >>> Ear(2).width
        2

    Source: chapter 03.
    """

    def __init__(self, width: int, names: dict[str, int] | None = None, *, mark: str = ","):
        self.width = width

    def listen(self, sound):
        """Words of a sound (N,)."""

def deaf():
    """Hears [nothing] for $5."""

def _hidden():
    pass
'''


@pytest.fixture
def module():
    return read_module("hearing.invented", SOURCE)


def test_public_objects_are_found_with_their_signatures(module):
    ear, deaf = module.objects
    assert ear.signature == "Ear(width: int, names: dict[str, int] | None=None, *, mark: str=',')"
    assert [member.signature for member in ear.members] == ["listen(sound)"]
    assert deaf.path == "minideeptalk.hearing.invented.deaf"


def test_an_object_belongs_to_the_chapter_that_it_names_or_else_its_module(module):
    assert [entry.chapters for entry in module.objects] == [("03",), ("07",)]
    assert mentioned("see chapters 05 to 07, and chapter 12") == ("05", "06", "07", "12")
    assert mentioned("(chapters 05, 10 and 13)") == ("05", "10", "13")


def test_a_docstring_becomes_markdown(module):
    ear, deaf = module.objects
    assert docstring_markdown(ear.docstring).split("\n\n") == [
        "Hears.", "**Args**", "- width: of a *frame*.\n  It goes on here.", "```python\n>>> Ear(2).width\n2\n```", "Source: chapter 03."]
    assert docstring_markdown(deaf.docstring) == r"Hears \[nothing\] for \$5."


def test_every_public_object_stands_on_the_page_of_its_room():
    pages = reference_pages()
    for module in modules():
        for entry in module.objects:
            assert f"({entry.target})=" in pages[f"api-{module.room}.md"]


def test_anchors_are_unique():
    paths = [entry.target for module in modules() for entry in module.objects] + [f"minideeptalk.{module.name}" for module in modules()]
    assert len({anchor(path) for path in paths}) == len(paths)


def test_every_chapter_explains_something_in_the_library():
    assert [number for number in chapter_names() if not objects_of(number)] == []


def test_the_status_page_names_every_chapter_and_the_index_every_exercise():
    pages, chapters = appendix_pages(), chapter_names()
    assert all(f"notebooks/{name}.ipynb" in pages["status.md"] for name in chapters.values())
    listed = re.findall(r"^\| (\d\d-\d+) ", pages["exercises.md"], flags=re.MULTILINE)
    assert listed == [name for name in sorted(exercises()) if name[:2] in chapters]


def test_pages_that_did_not_change_are_not_written_again(tmp_path):
    stale = tmp_path / "book" / "made" / "api-attic.md"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    write_appendices(tmp_path)
    written = {path: path.stat().st_mtime_ns for path in stale.parent.iterdir()}
    write_appendices(tmp_path)
    assert stale not in written and {path: path.stat().st_mtime_ns for path in stale.parent.iterdir()} == written


def test_generated_pages_are_not_committed():
    assert "/book/made/" in (ROOT / ".gitignore").read_text(encoding="utf8").splitlines()


def test_what_an_example_prints_stands_in_its_block():
    assert docstring_markdown("Adds.\n\n>>> add(1, 2)\n3\n\nSlowly.").splitlines()[2:6] == ["```python", ">>> add(1, 2)", "3", "```"]
