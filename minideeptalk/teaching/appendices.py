"""The pages of the book that are made from what the project knows of itself: status, index of exercises, reference.

`python -m minideeptalk.teaching.appendices` writes them to `book/made/`; building the book does so first.
"""

from __future__ import annotations

from pathlib import Path

from minideeptalk.teaching.chapter import TOLERANCE, Budget, budgets, load_record
from minideeptalk.teaching.checks import Exercise, exercises
from minideeptalk.teaching.lanes_results import lanes_results
from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.reference import FOLDER, chapter_names, reference_pages
from minideeptalk.teaching.speed import speed_page
from minideeptalk.teaching.tables import markdown_table

STATUS = """# Status: what each chapter costs

Every chapter has a budget of processor time and memory, and the build of this book fails when a chapter needs more than
{tolerance} times either.

Time is counted in **units**: the CPU time of a fixed piece of work (a small network, forwards and backwards many times), measured right
before and after the chapter. So a slow machine, or a busy one, does not break a budget, and you can tell what a chapter will take
on yours: the second cell of each chapter prints it. Memory is the largest resident size of the process, notebook and libraries included.

{table}

A chapter's cost is that of its dearest run on the day named beside it, on one thread. The seconds that passed then depend on what else the machine had to
do; the units hardly do.

## Numbers that are watched

Every chapter compares what it measures with a band that its committed record holds, over runs with different seeds.

{bands}

To renew a record: `python -m minideeptalk.teaching.record_chapter NN_name`.
"""

EXERCISES = """# Index of exercises

All exercises of the book, and what they ask of you. Each has nested hints, a check that tells the likely mistake, and a solution in its
chapter. *Mutants* are wrong solutions that readers write: the check has been tried on every one of them and names the mistake.

{tables}

In all: {count} exercises, {points} points, about {hours} hours.
"""


def appendix_pages() -> dict[str, str]:
    """File name and Markdown of every generated page, and of the tables that the page of lanes includes."""
    return {"status.md": status_page(), "exercises.md": exercises_page(), "speed.md": speed_page(), "lanes-results.txt": lanes_results(),
            **reference_pages()}


def status_page() -> str:
    """Cost and budget of every chapter, from `chapters.json` and the chapters' records."""
    rows, bands = [], []
    for name in filter(load_record, chapter_names().values()):
        budget, record = budgets()[name], load_record(name)
        link = f"[{name[:2]} {budget.title}](../../notebooks/{name}.ipynb)"
        rows.append([link, *_cost_cells(budget, record)])
        bands.append([link, str(len(record["values"])), str(record["runs"]), record["torch"], record["date"]])
    return STATUS.format(tolerance=TOLERANCE, table=markdown_table(["chapter", "units of CPU time", "peak MB", "seconds", "measured"], rows),
                         bands=markdown_table(["chapter", "numbers", "runs", "torch", "recorded"], bands))


def _cost_cells(budget: Budget, record: dict) -> list[str]:
    cost, machine = record["cost"], record["machine"]
    return [f"{cost['units']:.0f} of {budget.units:.0f}", f"{cost['peak_mb']:.0f} of {budget.peak_mb:.0f}", f"{cost['seconds']:.0f}",
            f"{cost['date']}, {machine['cores']} cores, {machine['device']}"]


def exercises_page() -> str:
    """Every exercise of every chapter, from their checks."""
    titles, names, tables = budgets(), chapter_names(), []
    known = [exercise for exercise in exercises().values() if exercise.id[:2] in names]
    for number, name in names.items():
        rows = [_exercise_row(exercise) for exercise in known if exercise.id.startswith(number)]
        tables.append(f"## [{number} {titles[name].title}](../../notebooks/{name}.ipynb)\n\n"
                      + markdown_table(["exercise", "kind", "difficulty", "minutes", "points", "needs", "mutants"], rows))
    return EXERCISES.format(tables="\n\n".join(tables), count=len(known), points=sum(exercise.points for exercise in known),
                            hours=round(sum(exercise.minutes for exercise in known) / 60))


def _exercise_row(exercise: Exercise) -> list[str]:
    return [f"{exercise.id} {exercise.title}", exercise.kind, f"{exercise.difficulty} of 5", str(exercise.minutes),
            str(exercise.points), exercise.needs, str(len(exercise.mutants))]


def write_appendices(root: Path = ROOT) -> None:
    """Write the pages that changed and remove those that are no longer made, so that a build sees only what is new."""
    folder, pages = root / FOLDER, appendix_pages()
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf8") != text:
            path.write_text(text, encoding="utf8")


if __name__ == "__main__":
    write_appendices()
