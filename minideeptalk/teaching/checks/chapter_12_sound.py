"""Checks of the exercises of chapter 12 that cut and play sound: `12-2` and `12-3`."""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

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


EXERCISES = (
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
)
