"""Exercises of chapter 12: room for the past, two rows with one mouth, a penalty for repetition; those of sound stand in `chapter_12_sound`.

Axes: B rows, T new steps, S steps so far, V tokens.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 12-1 --------------------------------------------------------------------------------------------------------------


def remember(buffer, length, new):
    """buffer (B, heads, room, size) of which `length` steps are filled, new (B, heads, T, size) -> the buffer to go on with, its new length."""
    ### BEGIN SOLUTION
    end = length + new.shape[2]
    if end > buffer.shape[2]:
        room = max(end, 2 * buffer.shape[2])
        roomier = buffer.new_empty(*buffer.shape[:2], room, buffer.shape[3])
        roomier[:, :, :length] = buffer[:, :, :length]
        buffer = roomier
    buffer[:, :, length:end] = new
    return buffer, end
    ### END SOLUTION


def _filled(room=6, length=3):
    buffer = torch.full((2, 2, room, 4), float("nan"))
    buffer[:, :, :length] = torch.arange(2 * 2 * length * 4).view(2, 2, length, 4).float()
    return buffer, length, -torch.ones(2, 2, 2, 4)


def _remember_shape(function):
    buffer, length = function(*_filled())
    expect(length == 5, f"Three steps and two new ones are five, yours are {length}.")
    expect(buffer.dim() == 4 and buffer.shape[2] >= 5, f"(B, heads, room, size) with room for 5 steps, yours is {tuple(buffer.shape)}.")


def _remember_steps(function):
    buffer, _ = function(*_filled())
    expect(torch.equal(buffer[:, :, :3], _filled()[0][:, :, :3]), "The first three steps have changed. New steps come *after* what is filled: from `length` on.")
    expect(torch.equal(buffer[:, :, 3:5], _filled()[2]), "Steps 3 and 4 should hold what is new. Print `buffer[0, 0, :, 0]`.")


def _remember_in_place(function):
    for room in (6, 5):  # five steps fit into five places, too
        buffer, length, new = _filled(room)
        there = buffer.data_ptr()
        expect(function(buffer, length, new)[0].data_ptr() == there, "There was room for two more, yet everything was copied. Write into the buffer that you were given.")


def _remember_grows(function):
    buffer, length = function(*_filled(room=4))
    expect(length == 5 and buffer.shape[2] >= 5, "Four places and five steps: a larger buffer is needed.")
    expect(torch.equal(buffer[:, :, :3], _filled()[0][:, :, :3]), "The larger buffer has lost the past: copy the filled steps over.")
    expect(torch.equal(buffer[:, :, 3:5], _filled()[2]), "The larger buffer lacks the new steps: write them after the past here, too.")
    expect(buffer.shape[2] >= 8, f"The room grew from 4 to {buffer.shape[2]}, so the next step copies everything again. Double it.")


def _remember_many(function):
    buffer, _, _ = _filled(room=3, length=1)
    buffer, length = function(buffer, 1, -torch.ones(2, 2, 8, 4))
    expect(length == 9 and buffer.shape[2] >= 9, "Eight new steps for a buffer of three: twice the room is not enough here.")


def _remember_cat(buffer, length, new):
    return torch.cat([buffer[:, :, :length], new], dim=2), length + new.shape[2]


def _remember_at_start(buffer, length, new):
    buffer, end = remember(buffer, length, new)
    buffer[:, :, :new.shape[2]] = new
    return buffer, end


def _remember_forgets(buffer, length, new):
    if length + new.shape[2] > buffer.shape[2]:
        buffer = buffer.new_zeros(*buffer.shape[:2], 2 * buffer.shape[2], buffer.shape[3])
    return remember(buffer, length, new)


def _remember_drops_new(buffer, length, new):
    end = length + new.shape[2]
    if end <= buffer.shape[2]:
        return remember(buffer, length, new)
    bigger = buffer.new_zeros(*buffer.shape[:2], max(end, 2 * buffer.shape[2]), buffer.shape[3])
    bigger[:, :, :length] = buffer[:, :, :length]
    return bigger, end


# ---- 12-4 --------------------------------------------------------------------------------------------------------------


def one_mouth(speaker, writer, wait, end):
    """speaker: the token that the speaking row would choose at each step; writer: the words of the writing row -> the token of each step.

    The speaking row says *when* (any token but `wait`), the writing row says *which*; after its last word comes `end`, and nothing after that.
    """
    ### BEGIN SOLUTION
    said, words = [], list(writer)
    for wish in speaker:
        if wish == wait:
            said.append(wait)
            continue
        said.append(words.pop(0) if words else end)
        if said[-1] == end:
            break
    return said
    ### END SOLUTION


WISHES = ["cat", "-", "-", "dog", "-", ".", "-", "box", "-", "-"]


def _mouth(function, speaker=WISHES, writer=("red", "blue")):
    return list(function(list(speaker), list(writer), "-", "."))


def _mouth_shape(function):
    found = _mouth(function, [wish for wish in WISHES if wish != "."], ("red",) * 9)
    expect(len(found) == len(WISHES) - 1, f"One token a step, {len(WISHES) - 1} as long as there are words to say; yours are {len(found)}.")


def _mouth_words(function):
    found = [token for token in _mouth(function) if token not in "-."]
    expect(found == ["red", "blue"], f"The words are the writing row's, red and blue; yours are {found}.")


def _mouth_times(function):
    found = _mouth(function)
    expect(found[:5] == ["red", "-", "-", "blue", "-"], f"Words begin where the speaking row begins one, at steps 0 and 3; yours are {found}. While it waits the writing row stands still.")


def _mouth_ends(function):
    found = _mouth(function)
    expect(found == ["red", "-", "-", "blue", "-", "."], f"All is said: the next time the speaker would begin a word, the text ends, and nothing comes after; yours are {found}.")


def _mouth_goes_on(function):
    found = _mouth(function, writer=("red", "blue", "green", "pink"))
    expect("green" in found, f"The speaking row wants to end at step 5, but there are words left: it says one instead; yours are {found}.")


def _mouth_unharmed(function):
    writer = ["red", "blue"]
    function(list(WISHES), writer, "-", ".")
    expect(writer == ["red", "blue"], "Your function used up its input. Copy the list of words before you take from it.")


def _mouth_own(speaker, writer, wait, end):
    said = one_mouth(speaker, writer, wait, end)
    return [token if token in (wait, end) else wish for token, wish in zip(said, speaker)]


def _mouth_every_step(speaker, writer, wait, end):
    words = [*writer, *[end] * len(speaker)]
    said = [word if wish != wait else wait for wish, word in zip(speaker, words)]
    return said[:said.index(end) + 1] if end in said else said


def _mouth_stops_early(speaker, writer, wait, end):
    stop = speaker.index(end) if end in speaker else len(speaker)
    return one_mouth(speaker[:stop], writer, wait, end) + [end] * (stop < len(speaker))


def _mouth_last_again(speaker, writer, wait, end):
    words, said = list(writer), []
    for wish in speaker:
        said.append(wait if wish == wait else words.pop(0) if len(words) > 1 else words[0])
    return said


# ---- 12-5 --------------------------------------------------------------------------------------------------------------


def punish(scores, seen, penalty):
    """scores (..., V), seen (..., V) True on tokens already said, penalty at least 1 -> scores (..., V) in which these are less likely."""
    ### BEGIN SOLUTION
    punished = torch.where(scores > 0, scores / penalty, scores * penalty)
    return torch.where(seen, punished, scores)
    ### END SOLUTION


def _scores():
    return torch.tensor([[6.0, 3.0, -1.0, -2.0], [0.5, -4.0, 2.0, 1.0]]), torch.tensor([[True, False, True, False], [False, True, True, False]])


def _punish_shape(function):
    scores, seen = _scores()
    expect(function(scores, seen, 2.0).shape == scores.shape, f"As many scores as before, {tuple(scores.shape)}; yours are {tuple(function(scores, seen, 2.0).shape)}.")


def _punish_others(function):
    scores, seen = _scores()
    expect(torch.equal(function(scores, seen, 2.0)[~seen], scores[~seen]), "A token that was not said has another score now. Only where `seen` is True.")


def _punish_positive(function):
    scores, seen = _scores()
    expect(float(function(scores, seen, 2.0)[0, 0]) == 3.0, f"The score 6 of a token that was said becomes 6 / 2; yours is {float(function(scores, seen, 2.0)[0, 0]):g}.")


def _punish_negative(function):
    scores, seen = _scores()
    found = float(function(scores, seen, 2.0)[0, 2])
    expect(found < -1.0, f"The score -1 became {found:g}: the token is *likelier* than before. Dividing a negative score raises it.")
    expect(found == -2.0, f"The score -1 becomes -1 * 2; yours is {found:g}.")


def _punish_unharmed(function):
    scores, seen = _scores()
    function(scores, seen, 2.0)
    expect(torch.equal(scores, _scores()[0]), "Your function changed its input. `scores[seen] /= penalty` writes into the tensor.")


def _punish_divides(scores, seen, penalty):
    return torch.where(seen, scores / penalty, scores)


def _punish_everyone(scores, seen, penalty):
    return punish(scores, torch.ones_like(seen), penalty)


def _punish_subtracts(scores, seen, penalty):
    return torch.where(seen, scores - penalty, scores)


def _punish_in_place(scores, seen, penalty):
    scores[seen & (scores > 0)] /= penalty
    scores[seen & (scores < 0)] *= penalty
    return scores


EXERCISES = (
    Exercise("12-1", "room for the past", 2, 15, 2, "slices", remember,
             (_remember_shape, _remember_steps, _remember_in_place, _remember_grows, _remember_many),
             (Mutant("copies everything at every step", _remember_cat, "yet everything was copied"),
              Mutant("writes over the past", _remember_at_start, "come *after*"),
              Mutant("grows and forgets", _remember_forgets, "lost the past"),
              Mutant("grows and drops what is new", _remember_drops_new, "lacks the new"),
              Mutant("grows by just enough", lambda buffer, length, new: (_remember_cat if length + new.shape[2] > buffer.shape[2] else remember)(buffer, length, new), "Double it"),
              Mutant("only ever doubles", lambda buffer, length, new: remember(buffer, length, new) if length + new.shape[2] <= 2 * buffer.shape[2] else (torch.cat([buffer] * 2, dim=2), length + new.shape[2]), "not enough here"))),
    Exercise("12-4", "two rows, one mouth", 2, 15, 2, "lists", one_mouth,
             (_mouth_shape, _mouth_words, _mouth_times, _mouth_ends, _mouth_goes_on, _mouth_unharmed),
             (Mutant("says its own words", _mouth_own, "writing row's"),
              Mutant("the writer does not wait", _mouth_every_step, "writing row's"),
              Mutant("ends when the speaker would", _mouth_stops_early, "words left"),
              Mutant("says the last word for ever", _mouth_last_again, "red and blue"))),
    Exercise("12-5", "a penalty for repetition", 1, 10, 1, "torch.where", punish,
             (_punish_shape, _punish_others, _punish_positive, _punish_negative, _punish_unharmed),
             (Mutant("divides negative scores too", _punish_divides, "*likelier*"),
              Mutant("punishes everyone", _punish_everyone, "not said"),
              Mutant("subtracts", _punish_subtracts, "6 / 2"),
              Mutant("writes into its input", _punish_in_place, "changed its input"))),
)
