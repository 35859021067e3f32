"""Checks of the exercises, one module a chapter or two, and the framework they share."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.checks.framework import Exercise, Mistake, Mutant, Result, exercise_solution, exercise_stub, run_check

__all__ = ["Exercise", "Mistake", "Mutant", "Result", "check", "exercise_solution", "exercise_stub", "exercises", "run_check"]


def exercises() -> dict[str, Exercise]:
    """Every exercise of the book by id."""
    names = sorted(module.name for module in iter_modules(__path__) if module.name.startswith("chapter_"))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return dict(sorted((exercise.id, exercise) for module in modules for exercise in module.EXERCISES))


def check(exercise_id: str, solution: Callable) -> Result:
    """Check a solution and say what to look at next.

    Args:
        exercise_id: as on the exercise's card, for instance `04-1`.
        solution: the function you wrote.

    Returns:
        the `Result`, which prints itself as one line.

    Raises:
        LearnerError: for an exercise that does not exist, or something that cannot be called.
    """
    known = exercises()
    if exercise_id not in known:
        raise LearnerError(f"an exercise out of {', '.join(known)}", repr(exercise_id))
    if not callable(solution):
        raise LearnerError("a function", type(solution).__name__, "a call instead of a name", f"write check('{exercise_id}', name)")
    return run_check(known[exercise_id], solution)
