"""Exercises: the reference passes, each mutant is caught by more than its shape, a stub fails politely, the checks are fast."""

import math
import time

import pytest
import torch

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


@pytest.mark.parametrize("name, solution, says", [
    ("07-1", lambda *_: None, "end in `return`"), ("12-3", lambda *_: 0.5, "answered with a float"),
    ("02-3", lambda codes, entries: torch.bincount(codes.float()), "stopped with NotImplementedError"),
])
def test_an_answer_that_a_rung_cannot_work_with_is_no_crash_of_the_students_code_and_no_empty_stub(name, solution, says):
    result = check(name, solution)
    assert result.passed is False and says in result.message


def test_right_answers_in_another_form_pass():
    def use_in_single_precision(codes, entries):
        shares = torch.bincount(codes, minlength=entries) / len(codes)
        used = shares[shares > 0]
        return (-(used * used.log()).sum()).exp().item()

    def rate_to_the_very_end(update, updates, peak, warmup=0.03):
        warm = max(1, round(warmup * updates))
        progress = (update - warm) / max(1, updates - 1 - warm)
        return peak * (update + 1) / warm if update < warm else peak * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)

    def front_from_the_right(points):
        return ALL["14-3"].reference(points)[::-1]

    def load_in_double_precision(*given):
        return ALL["04-3"].reference(*given).double()

    for name, solution in (("02-3", use_in_single_precision), ("05-2", rate_to_the_very_end), ("14-3", front_from_the_right), ("04-3", load_in_double_precision)):
        assert check(name, solution).passed, check(name, solution)
