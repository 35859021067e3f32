"""Exercises: the reference passes, each mutant is caught by more than its shape, a stub fails politely, the checks are fast."""

import time

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.checks import check, exercise_solution, exercise_stub, exercises, run_check

ALL = exercises()
MUTANTS = [(name, mutant) for name, exercise in ALL.items() for mutant in exercise.mutants]


@pytest.mark.parametrize("name", ALL)
def test_the_reference_passes_in_under_two_seconds(name):
    start = time.process_time()
    result = check(name, ALL[name].reference)
    assert result.passed, result
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=[f"{name} {mutant.name}" for name, mutant in MUTANTS])
def test_each_mutant_is_caught_after_the_shape_with_its_message(name, mutant):
    exercise = ALL[name]
    exercise.ladder[0](mutant.function)  # the shape alone must not catch it
    result = run_check(exercise, mutant.function)
    assert result.passed is False
    assert mutant.message in result.message


@pytest.mark.parametrize("name", ALL)
def test_an_unfilled_stub_fails_politely(name):
    namespace = {}
    exec(exercise_stub(ALL[name]), namespace)  # noqa: S102 - our own source
    result = check(name, namespace[ALL[name].reference.__name__])
    assert result.passed is None
    assert "not filled in yet" in repr(result)


@pytest.mark.parametrize("name", ALL)
def test_stub_and_solution_come_from_the_reference(name):
    stub, solution = exercise_stub(ALL[name]), exercise_solution(ALL[name])
    assert "SOLUTION" not in stub + solution
    assert "NotImplementedError" in stub and "NotImplementedError" not in solution
    assert stub.splitlines()[0] == solution.splitlines()[0]


@pytest.mark.parametrize("name", ALL)
def test_every_exercise_has_a_card_and_three_mutants_or_more(name):
    exercise = ALL[name]
    assert 1 <= exercise.difficulty <= 5 and exercise.minutes > 0 and exercise.points > 0
    assert len(exercise.mutants) >= 3 and len(exercise.ladder) >= 4


def test_a_check_explains_its_own_misuse():
    with pytest.raises(LearnerError, match="04-1"):
        check("99-9", len)
    with pytest.raises(LearnerError, match="a function"):
        check("04-1", 3)


def test_a_solution_that_crashes_gets_a_line_and_no_traceback():
    result = check("04-1", lambda logits, k, renormalise: 1 / 0)
    assert result.passed is False and "ZeroDivisionError" in result.message
