"""Exercises of chapter 00: how long an answer sounds, where the waiting goes, and how answers are scored."""

from __future__ import annotations

from itertools import pairwise

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 00-1 --------------------------------------------------------------------------------------------------------------


def sound_of_steps(steps, longest_delay):
    """Steps of the model, steps that its slowest stream lags -> (seconds of sound, samples at 16 kHz)."""
    ### BEGIN SOLUTION
    frames = max(0, steps - longest_delay)  # the last streams finish this much later
    return frames * 0.08, frames * 1280
    ### END SOLUTION


def _steps_shape(sound):
    answer = sound(20, 3)
    expect(isinstance(answer, tuple) and len(answer) == 2, f"Return two numbers as a tuple, `return seconds, samples`; yours is {answer!r}.")


def _steps_samples(sound):
    _, samples = sound(20, 0)
    expect(isinstance(samples, int), f"Samples are counted, so a whole number: yours is {samples!r}.")


def _steps_seconds(sound):
    seconds, samples = sound(25, 0)
    expect(abs(seconds - 2) < 1e-9, f"A step is 80 milliseconds, so 25 steps without any delay last 2 seconds; yours last {seconds!r}.")
    expect(samples == 32000, f"Two seconds at 16,000 samples a second are 32000 samples, yours are {samples}. Which sample rate?")


def _steps_delay(sound):
    seconds, samples = sound(28, 3)
    expect(abs(seconds - 2) < 1e-9 and samples == 32000,
           f"With a longest delay of 3, the first 3 steps complete no frame: 28 steps give 25 frames, 2 seconds. Yours are {seconds!r}. "
           "Print how many frames you count.")


def _steps_nothing(sound):
    expect(tuple(sound(2, 3)) == (0, 0), f"While all streams still wait there is no sound, and time is not negative: yours is {sound(2, 3)!r}.")


def _steps_without_delay(steps, longest_delay):
    return steps * 0.08, steps * 1280


def _steps_other_rate(steps, longest_delay):
    frames = max(0, steps - longest_delay)
    return frames * 0.08, frames * 1764


def _steps_negative(steps, longest_delay):
    return (steps - longest_delay) * 0.08, (steps - longest_delay) * 1280


def _steps_as_rate(steps, longest_delay):
    frames = max(0, steps - longest_delay)
    return frames / 80, frames * 1280


# ---- 00-2 --------------------------------------------------------------------------------------------------------------


def timeline(parts):
    """Dict from part to milliseconds, in order -> list of (part, start, end), end to end."""
    ### BEGIN SOLUTION
    rows, now = [], 0.0
    for name, length in parts.items():
        rows.append((name, now, now + length))
        now += length
    return rows
    ### END SOLUTION


PARTS = {"encode": 30.0, "prefill": 12.0, "lead and delay": 55.0, "codec": 5.0}


def _timeline_shape(function):
    rows = function(dict(PARTS))
    expect(isinstance(rows, list) and len(rows) == 4 and all(len(row) == 3 for row in rows), f"One (part, start, end) for each part, yours is {rows!r}.")


def _timeline_order(function):
    names = [row[0] for row in function(dict(PARTS))]
    expect(names == list(PARTS), f"Keep the order in which things happen: {list(PARTS)}, yours is {names}. A dict keeps it by itself.")


def _timeline_lengths(function):
    for name, start, end in function(dict(PARTS)):
        expect(abs(end - start - PARTS[name]) < 1e-9, f"{name!r} takes {PARTS[name]} ms, yours takes {end - start:g}. The third number is an end.")


def _timeline_joins(function):
    rows = function(dict(PARTS))
    expect(rows[0][1] == 0, f"The first part starts at 0, yours at {rows[0][1]}.")
    for before, after in pairwise(rows):
        expect(abs(after[1] - before[2]) < 1e-9, f"{after[0]!r} cannot start before {before[0]!r} has ended at {before[2]:g} ms; yours starts "
                                                 f"at {after[1]:g}. Keep the time that has passed in a variable.")


def _timeline_unharmed(function):
    parts = dict(PARTS)
    function(parts)
    expect(parts == PARTS, "Your function changed its input. Count in a variable of your own.")


def _timeline_all_at_once(parts):
    return [(name, 0.0, length) for name, length in parts.items()]


def _timeline_lengths_as_ends(parts):
    return [(name, start, length) for (name, start, end), length in zip(timeline(parts), parts.values())]


def _timeline_longest_first(parts):
    return timeline(dict(sorted(parts.items(), key=lambda part: -part[1])))


# ---- 00-3 --------------------------------------------------------------------------------------------------------------


def score(replies):
    """List of (skill, right answer, given answer or None if refused) -> dict from skill to share right."""
    ### BEGIN SOLUTION
    right, asked = {}, {}
    for skill, wanted, given in replies:
        asked[skill] = asked.get(skill, 0) + 1
        right[skill] = right.get(skill, 0) + (given == wanted)
    return {skill: right[skill] / asked[skill] for skill in asked}
    ### END SOLUTION


def _replies():
    return [("add", "forty two", "forty two"), ("add", "sixty", "sixty one"), ("add", "nine", "nine"), ("add", "ten", None),
            ("repeat", "red cat", "cat red"), ("repeat", "box", "box")]


def _score_shape(function):
    answer = function([("add", "nine", "nine"), ("repeat", "box", "box")])
    expect(isinstance(answer, dict) and set(answer) == {"add", "repeat"}, f"One number for each skill: keys add and repeat, yours are {answer!r}.")


def _score_shares(function):
    answer = function([("add", "nine", "nine"), ("add", "ten", "one"), ("repeat", "box", "box")])
    expect(answer["add"] == 0.5 and answer["repeat"] == 1, f"One of two sums is right, and the one list: add 0.5 and repeat 1, yours are {answer}. "
                                                           "Divide by the questions of the same skill.")


def _score_refused(function):
    share = function([("add", "sixty", "sixty one"), ("add", "ten", "ten")])["add"]
    expect(share == 0.5, f"'sixty one' is not 'sixty': one of two is right, yours is {share:.3g}. Compare with ==, not with `in`.")
    answer = function(_replies())
    expect(abs(answer["add"] - 0.5) < 1e-9, f"Of four sums two are right, one is wrong and one was refused: 0.5, yours is {answer['add']:.3g}. "
                                            "A refusal is honest, but it is no answer: it counts below the line.")


def _score_whole(function):
    answer = function(_replies())
    expect(abs(answer["repeat"] - 0.5) < 1e-9, f"'cat red' is not 'red cat': half of the lists are right, yours is {answer['repeat']:.3g}. "
                                               "An answer is right when all its words are, in their order.")
    share = function([("add", "sixty one", "sixty"), ("add", "ten", "ten")])["add"]
    expect(share == 0.5, f"'sixty' is not 'sixty one': one of two is right, yours is {share:.3g}. A part of the answer is no answer; compare with ==, not with `in`.")


def _score_never(function):
    answer = function([("count", "two", None), ("count", "one", "three")])
    expect(answer.get("count") == 0, f"A skill without any right answer has the score 0 and does not vanish; yours are {answer}.")


def _score_without_refusals(replies):
    return score([reply for reply in replies if reply[2] is not None] or replies)


def _score_any_order(replies):
    return score([(skill, sorted(wanted.split()), sorted(given.split()) if given else None) for skill, wanted, given in replies])


def _score_over_all(replies):
    return {skill: sum(given == wanted for name, wanted, given in replies if name == skill) / len(replies) for skill, _, _ in replies}


def _score_drops_zero(replies):
    return {skill: share for skill, share in score(replies).items() if share}


EXERCISES = (
    Exercise("00-1", "from steps to seconds", 1, 5, 1, "nothing but arithmetic", sound_of_steps,
             (_steps_shape, _steps_samples, _steps_seconds, _steps_delay, _steps_nothing),
             (Mutant("delay forgotten", _steps_without_delay, "longest delay"),
              Mutant("another sample rate", _steps_other_rate, "Which sample rate"),
              Mutant("negative time", _steps_negative, "not negative"),
              Mutant("divides by 80", _steps_as_rate, "80 milliseconds"))),
    Exercise("00-2", "where the waiting goes", 1, 5, 1, "dict, loop", timeline,
             (_timeline_shape, _timeline_order, _timeline_lengths, _timeline_joins, _timeline_unharmed),
             (Mutant("all at once", _timeline_all_at_once, "cannot start before"),
              Mutant("lengths as ends", _timeline_lengths_as_ends, "third number is an end"),
              Mutant("longest first", _timeline_longest_first, "Keep the order"))),
    Exercise("00-3", "a fair score", 1, 10, 1, "dict, loop", score,
             (_score_shape, _score_shares, _score_refused, _score_whole, _score_never),
             (Mutant("refusals left out", _score_without_refusals, "below the line"),
              Mutant("order ignored", _score_any_order, "in their order"),
              Mutant("divided by all", _score_over_all, "same skill"),
              Mutant("zeros dropped", _score_drops_zero, "does not vanish"))),
)
