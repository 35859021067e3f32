"""How an exercise is checked: a ladder of small asserts whose messages name the likely mistake.

One exercise is one object. Its reference solution is ordinary code with the markers `### BEGIN SOLUTION` and
`### END SOLUTION`; the notebook's stub and its printed solution are made from it (`exercise_stub`, `exercise_solution`), so they cannot
drift apart.  Its mutants are the wrong solutions that learners write; the tests prove that each is caught by more than its shape.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
UNFILLED = "your code here"


class Mistake(AssertionError):
    """What a rung of the ladder found; the message names the likely mistake and one thing to print."""


def expect(condition, message: str) -> None:
    """Raise `Mistake(message)` unless the condition holds."""
    if not bool(condition):
        raise Mistake(message)


@dataclass(frozen=True)
class Mutant:
    """A wrong solution, and a piece of the message it must get."""

    name: str
    function: Callable
    message: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        id: chapter and number, as `04-1`. title, kind (`practice` or `graded`), difficulty (1 to 5), minutes, points, needs: the card.
        reference: the solution. ladder: the rungs, each a function of the student's function, in the order
            shape, dtype, mechanisms, behaviour, gradient. mutants: wrong solutions with the message expected.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    points: int
    needs: str
    reference: Callable
    ladder: tuple[Callable, ...]
    mutants: tuple[Mutant, ...]
    kind: str = "practice"

    def card(self) -> str:
        """The line under the exercise's title."""
        stars = "●" * self.difficulty + "○" * (5 - self.difficulty)
        return (f"**Exercise {self.id}: {self.title}** · {self.kind} · difficulty {stars} ({self.difficulty} of 5) · "
                f"about {self.minutes} minutes · {self.points} point{'s' if self.points > 1 else ''} · needs {self.needs}")


@dataclass(frozen=True)
class Result:
    """Outcome of a check. `passed` is None while the stub is untouched."""

    exercise: str
    passed: bool | None
    message: str

    def __repr__(self) -> str:
        sign = {True: "✓", False: "✗", None: "…"}[self.passed]
        return f"{sign} {self.exercise}: {self.message}"


def run_check(exercise: Exercise, solution: Callable) -> Result:
    """Climb the ladder with the student's function; never raises on a wrong answer."""
    rungs, answers = len(exercise.ladder), []

    @wraps(solution)
    def watched(*given, **named):
        answers.clear()
        answers.append(solution(*given, **named))
        return answers[0]

    for done, rung in enumerate(exercise.ladder):
        answers.clear()
        try:
            rung(watched)
        except Mistake as mistake:
            return Result(exercise.id, False, f"passed {done} of {rungs} steps. {mistake}")
        except Exception as error:  # noqa: BLE001 - say what is wrong, without our frames around it
            if isinstance(error, NotImplementedError) and str(error) == UNFILLED:
                return Result(exercise.id, None, "not filled in yet. Write the body above, run its cell, then run this one again.")
            return Result(exercise.id, False, f"passed {done} of {rungs} steps. {_explained(error, answers)}")
    return Result(exercise.id, True, f"all {rungs} steps passed.")


def _explained(error: Exception, answers: list) -> str:
    """Why a rung broke off: the student's code failed, or it gave an answer with which the rung could not go on."""
    if not answers:
        return f"Your code stopped with {type(error).__name__}: {error}"
    if answers[0] is None:
        return "Your function returned None. Does every way through it end in `return`?"
    return (f"Your function answered with a {type(answers[0]).__name__}, and the check cannot work with it: {error}. The first line of the function "
            "says what to return.")


def exercise_stub(exercise: Exercise) -> str:
    """The code cell that the learner fills in: the reference without what stands between its markers."""
    pattern = re.compile(rf"^([ ]*){BEGIN}\n.*?{END}\n?", flags=re.MULTILINE | re.DOTALL)
    source = pattern.sub(lambda match: f'{match[1]}raise NotImplementedError("{UNFILLED}")\n', _source(exercise))
    return source.rstrip()


def exercise_solution(exercise: Exercise) -> str:
    """The reference without its markers, as the page prints it."""
    return "\n".join(line for line in _source(exercise).splitlines() if line.strip() not in (BEGIN, END)).rstrip()


def _source(exercise: Exercise) -> str:
    return textwrap.dedent(inspect.getsource(exercise.reference))
