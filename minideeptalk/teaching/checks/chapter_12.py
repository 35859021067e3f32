"""Exercises of chapter 12: room for the past, a cross-fade, a stutter foreseen, two rows with one mouth, a penalty for repetition.

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


# ---- 12-2 --------------------------------------------------------------------------------------------------------------


def cross_fade(pieces, overlap):
    """Sounds of which each repeats the last `overlap` samples of the one before, faded one into the other -> one sound."""
    ### BEGIN SOLUTION
    rise = torch.linspace(0, 1, overlap)  # (overlap,)
    whole = pieces[0]
    for piece in pieces[1:]:
        cut = len(whole) - overlap
        seam = whole[cut:] * (1 - rise) + piece[:overlap] * rise
        whole = torch.cat([whole[:cut], seam, piece[overlap:]])
    return whole
    ### END SOLUTION


def _tones():
    """Three pieces of one line that rises, each overlapping the next by 8 samples."""
    line = torch.linspace(0.5, 1, 64)
    return line, [line[:24], line[16:44], line[36:]]


def _fade_shape(function):
    line, pieces = _tones()
    expect(function(pieces, 8).shape == line.shape, f"Three pieces of {[len(piece) for piece in pieces]} samples with two overlaps of 8 make "
                                                    f"{len(line)}, yours are {tuple(function(pieces, 8).shape)}.")


def _fade_same(function):
    line, pieces = _tones()
    found = function(pieces, 8)
    expect(float(found.abs().max()) < 1.01, "Where the pieces overlap the sound is louder than either. The two weights must sum to one everywhere.")
    expect(torch.allclose(found, line, atol=1e-6), "The pieces agree where they overlap, so the whole must be the line that they were cut from. Print the difference.")


def _fade_gradual(function):
    found = function([torch.zeros(10), torch.ones(10)], 5)
    middle = found[5:10]
    expect(bool((middle[1:] >= middle[:-1]).all()) and 0.2 < float(middle[2]) < 0.8,
           f"From a piece of zeros to a piece of ones the seam must rise step by step; yours is {[round(value, 2) for value in middle.tolist()]}.")
    expect(float((found[1:] - found[:-1]).abs().max()) < 0.6, "There is a jump at an end of the seam: the first piece leaves while it is loud, or the second one comes in so.")


def _fade_none(function):
    found = function([torch.zeros(4), torch.ones(3)], 0)
    expect(found.tolist() == [0, 0, 0, 0, 1, 1, 1], f"With an overlap of 0 the pieces just follow each other; yours is {found.tolist()}. `x[-0:]` is all of x.")


def _fade_unharmed(function):
    pieces = [torch.zeros(10), torch.ones(10)]
    function(pieces, 5)
    expect(not pieces[0].any() and bool(pieces[1].all()), "Your function changed its input: a slice of the first piece is still the first piece. Write into a new tensor.")


def _fade_in_place(pieces, overlap):
    whole, rise = pieces[0], torch.linspace(0, 1, overlap)
    for piece in pieces[1:]:
        cut = len(whole) - overlap
        whole[cut:] = whole[cut:] * (1 - rise) + piece[:overlap] * rise
        whole = torch.cat([whole, piece[overlap:]])
    return whole


def _fade_adds(pieces, overlap):
    whole = pieces[0]
    for piece in pieces[1:]:
        cut = len(whole) - overlap
        whole = torch.cat([whole[:cut], whole[cut:] + piece[:overlap], piece[overlap:]])
    return whole


def _fade_cuts(pieces, overlap):
    return torch.cat([pieces[0], *(piece[overlap:] for piece in pieces[1:])])


def _fade_reversed(pieces, overlap):
    rise, whole = torch.linspace(0, 1, overlap), pieces[0]
    for piece in pieces[1:]:
        cut = len(whole) - overlap
        whole = torch.cat([whole[:cut], whole[cut:] * rise + piece[:overlap] * (1 - rise), piece[overlap:]])
    return whole


def _fade_negative_zero(pieces, overlap):
    rise, whole = torch.linspace(0, 1, overlap), pieces[0]
    for piece in pieces[1:]:
        tail = whole[-overlap:]
        whole = torch.cat([whole[:len(whole) - len(tail)], tail * (1 - rise) + piece[:overlap] * rise if overlap else tail[:0], piece[overlap:]])
    return whole


# ---- 12-3 --------------------------------------------------------------------------------------------------------------


def playback(ready, lengths):
    """When each chunk of sound is ready and how long it lasts, in seconds -> two lists: when each begins to sound, and the silence before it."""
    ### BEGIN SOLUTION
    begins, silences, over = [], [], None
    for moment, length in zip(ready, lengths, strict=True):
        start = moment if over is None else max(moment, over)
        silences.append(0.0 if over is None else start - over)
        begins.append(start)
        over = start + length
    return begins, silences
    ### END SOLUTION


READY, LENGTHS = [0.25, 0.5, 2.0, 2.125], [0.5, 0.5, 0.5, 1.0]


def _playback_shape(function):
    begins, silences = function(READY, LENGTHS)
    expect(len(begins) == len(silences) == 4, f"Four chunks, four numbers in each list; yours have {len(begins)} and {len(silences)}.")


def _playback_first(function):
    begins, silences = function(READY, LENGTHS)
    expect(begins[0] == 0.25, f"The first chunk sounds as soon as it is ready, at 0.25; yours at {begins[0]}.")
    expect(silences[0] == 0, f"The wait for the first chunk is latency, not a gap in the sound: 0, yours is {silences[0]}.")


def _playback_queue(function):
    begins, _ = function(READY, LENGTHS)
    expect(begins[1] == 0.75, f"The second chunk is ready at 0.5, but the first still sounds until 0.75; yours begins at {begins[1]}. Two cannot sound at once.")


def _playback_late(function):
    begins, silences = function(READY, LENGTHS)
    expect(begins[2] == 2.0 and silences[2] == 0.75, f"The third is ready at 2.0, when nothing has sounded since 1.25: it begins at 2.0 after 0.75 of silence; "
                                                     f"yours begins at {begins[2]} after {silences[2]}.")


def _playback_shifted(function):
    begins, silences = function(READY, LENGTHS)
    expect(begins[3] == 2.5 and silences[3] == 0, f"The third began late, so it sounds until 2.5, and the fourth follows at once; yours begins at {begins[3]} "
                                                  f"after {silences[3]}. Count from when the chunk before *really* began.")


def _playback_when_ready(ready, lengths):
    return list(ready), playback(ready, lengths)[1]


def _playback_counts_wait(ready, lengths):
    begins, silences = playback(ready, lengths)
    return begins, [begins[0], *silences[1:]]


def _playback_no_stutter(ready, lengths):
    begins = [ready[0] + sum(lengths[:number]) for number in range(len(lengths))]
    return begins, [0.0] * len(begins)


def _playback_as_planned(ready, lengths):
    planned = [ready[0] + sum(lengths[:number]) for number in range(len(lengths))]
    begins = [max(moment, plan) for moment, plan in zip(ready, planned)]
    return begins, [start - plan for start, plan in zip(begins, planned)]


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
    Exercise("12-2", "a cross-fade", 2, 15, 2, "slices, weights", cross_fade,
             (_fade_shape, _fade_same, _fade_gradual, _fade_none, _fade_unharmed),
             (Mutant("adds both", _fade_adds, "sum to one"),
              Mutant("cuts hard", _fade_cuts, "step by step"),
              Mutant("fades the wrong way", _fade_reversed, "step by step"),
              Mutant("fades inside its input", _fade_in_place, "changed its input"),
              Mutant("an overlap of zero takes all", _fade_negative_zero, "`x[-0:]`"))),
    Exercise("12-3", "does it stutter?", 2, 15, 2, "loops", playback,
             (_playback_shape, _playback_first, _playback_queue, _playback_late, _playback_shifted),
             (Mutant("sounds when ready", _playback_when_ready, "Two cannot sound at once"),
              Mutant("counts the wait as a gap", _playback_counts_wait, "latency, not a gap"),
              Mutant("never stutters", _playback_no_stutter, "0.75 of silence"),
              Mutant("keeps to the plan", _playback_as_planned, "*really* began"))),
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
