"""Chapters: each notebook equals its twin, opens alike everywhere, has the bones of a chapter, and holds nothing that Colab shows raw."""

import ast
import builtins
import dis
import re
import types

import nbformat
import pytest

from minideeptalk.teaching.chapter import TOLERANCE, Budget, budgets, load_record
from minideeptalk.teaching.checks import exercise_solution, exercises
from minideeptalk.teaching.diagram import SystemDiagram, page_files
from minideeptalk.teaching.notebooks import problems, twins, with_generated_parts
from minideeptalk.teaching.project import ROOT, colab_url
from minideeptalk.teaching.setup_cell import setup_cell

TWINS = twins()
BONES = ["After this chapter you can", "## Build it", "## Run it small", "## What goes wrong", "## Exercises", "## What this run has shown",
         "## References"]


def read(twin):
    return nbformat.read(twin.with_suffix(".ipynb"), as_version=4)


def words(twin):
    return "\n".join(cell.source for cell in read(twin).cells if cell.cell_type == "markdown")


def bound_names(tree):
    """Every name that a cell gives a value, a definition or an import."""
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    imported = {(alias.asname or alias.name).split(".")[0] for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    return stored | defined | imported


def global_names(code):
    """Every global name that code looks up, in its functions too."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}.union(*map(global_names, inner))


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.stem)
class TestEachChapter:
    def test_it_is_in_order(self, twin):
        assert problems(twin) == []

    def test_its_set_up_cell_is_the_generated_one(self, twin):
        code = [cell.source for cell in read(twin).cells if cell.cell_type == "code"]
        assert code[0] == setup_cell()
        assert code[1].startswith(f'chapter = open_chapter("{twin.stem}"')
        assert code[-1] == "chapter.footer()"

    def test_it_has_a_budget_and_a_record(self, twin):
        assert isinstance(budgets()[twin.stem], Budget)
        assert load_record(twin.stem)["values"]

    def test_its_recorded_cost_is_within_its_budget(self, twin):
        budget, cost = budgets()[twin.stem], load_record(twin.stem)["cost"]
        assert cost["units"] <= TOLERANCE * budget.units and cost["peak_mb"] <= TOLERANCE * budget.peak_mb, \
            "renew it: python -m minideeptalk.teaching.record_chapter --cost " + twin.stem

    def test_it_has_the_bones_of_a_chapter_in_order(self, twin):
        places = [words(twin).find(bone) for bone in BONES]
        assert -1 not in places and places == sorted(places), dict(zip(BONES, places, strict=True))

    def test_it_has_a_badge_one_title_and_three_exercises(self, twin):
        text = words(twin)
        assert colab_url(twin.stem) in text
        assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
        own = [name for name in exercises() if name.startswith(twin.stem[:2])]
        assert len(own) >= 3
        for name in own:
            assert exercises()[name].card() in text
            assert f"A solution of {name}" in text

    def test_its_solutions_use_nothing_that_it_does_not_have(self, twin):
        """A solution is pasted into the notebook, so a module that the library's file imports is not enough."""
        trees = [ast.parse(re.sub(r"^[!%].*$", "", cell.source, flags=re.MULTILINE)) for cell in read(twin).cells if cell.cell_type == "code"]
        known = set(dir(builtins)).union(*map(bound_names, trees))
        for name, exercise in exercises().items():
            if name.startswith(twin.stem[:2]):
                missing = global_names(compile(exercise_solution(exercise), name, "exec")) - known
                assert not missing, f"the solution of {name} needs {missing}"

    def test_every_picture_in_its_text_has_alternative_text(self, twin):
        assert "![](" not in words(twin)


def test_every_chapter_is_in_the_contents():
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf8")
    assert [twin.stem for twin in TWINS if f"notebooks/{twin.stem}" not in contents] == []


def test_a_stale_part_is_noticed(tmp_path):
    text = TWINS[0].read_text(encoding="utf8")
    stale = text.replace("describe_machine()", "describe_nothing()")
    assert with_generated_parts(TWINS[0].stem, stale) == text
    copy = tmp_path / TWINS[0].name
    copy.write_text(stale, encoding="utf8")
    assert "generated parts are not up to date" in problems(copy)


def test_the_first_page_shows_the_diagram_of_today():
    for name, picture in page_files().items():
        assert (ROOT / "book" / "_static" / name).read_text(encoding="utf8").strip() == picture


def test_the_diagram_lights_known_parts_only_and_says_which():
    assert "Lit here: router." in SystemDiagram(("router",)).svg()
    with pytest.raises(KeyError, match="no such part"):
        SystemDiagram(("flux capacitor",))
