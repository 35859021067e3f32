"""Exercises of chapter 13: a confusion table, matched loudness, pitch of a frame, and whether a score may be luck.

Axes: C styles, N samples or answers.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 13-1 --------------------------------------------------------------------------------------------------------------


def confusion_table(asked, found, names):
    """Styles asked and found (equally long lists) and the C names -> counts (C, C): row asked in, column found."""
    ### BEGIN SOLUTION
    table = torch.zeros(len(names), len(names), dtype=torch.long)
    for one, other in zip(asked, found):
        if other in names:
            table[names.index(one), names.index(other)] += 1
    return table
    ### END SOLUTION


STYLES = ["neutral", "happy", "sad"]
ASKED = ["happy", "happy", "happy", "sad", "sad", "neutral", "happy"]
FOUND = ["happy", "sad", "sad", "sad", "neutral", "neutral", "mumbled"]


def _table_shape(function):
    table = function(ASKED, FOUND, STYLES)
    expect(tuple(table.shape) == (3, 3), f"Three styles make a table of 3 by 3; yours is {tuple(table.shape)}.")


def _table_dtype(function):
    table = function(ASKED, FOUND, STYLES)
    expect(not torch.as_tensor(table).is_floating_point(), "Counts are whole numbers. Divide later, when you know by what.")


def _table_diagonal(function):
    table = torch.as_tensor(function(ASKED, FOUND, STYLES))
    expect(table.diagonal().tolist() == [1, 1, 1], f"One answer of each style is right: the diagonal is 1, 1, 1, yours {table.diagonal().tolist()}.")


def _table_direction(function):
    table = torch.as_tensor(function(ASKED[:6], FOUND[:6], STYLES))
    expect(int(table[1, 2]) == 2, f"Two happy questions were taken for sad: row happy, column sad is 2, yours is {int(table[1, 2])}. Did rows and columns change places?")


def _table_others(function):
    table = torch.as_tensor(function(ASKED, FOUND, STYLES))
    expect(int(table.sum()) == 6, f"“mumbled” is no style, so it is in no column: 6 of 7 answers are counted, yours are {int(table.sum())}.")


def _table_empty(function):
    table = torch.as_tensor(function(["sad"], ["sad"], STYLES))
    expect(table.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]], "A style that nobody asked for keeps its row, full of zeros, or the tables of two systems do not match.")


def _table_transposed(asked, found, names):
    return confusion_table(asked, found, names).T


def _table_shares(asked, found, names):
    table = confusion_table(asked, found, names).float()
    return table / table.sum(dim=1, keepdim=True).clamp(min=1)


def _table_right_only(asked, found, names):
    return confusion_table(asked, found, names) * torch.eye(len(names), dtype=torch.long)


def _table_last_for_others(asked, found, names):
    return confusion_table(asked, [name if name in names else names[-1] for name in found], names)


# ---- 13-2 --------------------------------------------------------------------------------------------------------------


def match_loudness(waveform, target_db):
    """waveform (N,), N a multiple of 320 -> scaled so that the mean power of its sounding frames is `target_db` dB."""
    ### BEGIN SOLUTION
    power = waveform.reshape(-1, 320).square().mean(dim=1)  # (F,) frames of 20 ms
    sounding = power[power >= power.max() * 10 ** (-40 / 10)]  # pauses are more than 40 dB below the loudest frame
    level = 10 * torch.log10(sounding.mean())
    return waveform * 10 ** ((target_db - level) / 20)
    ### END SOLUTION


def _speechlike(gain=0.1, pause=True):
    generator = torch.Generator().manual_seed(3)
    sound = gain * torch.randn(3200, generator=generator)
    sound[:320] *= 3  # one loud frame
    sound[-320:] *= 0.1 if pause else 1.0  # and a soft one, which still counts
    return torch.cat([sound, 1e-4 * torch.randn(6400, generator=generator)]) if pause else sound  # a pause is never quite silent


def _level(waveform):
    return float(10 * torch.log10(waveform[:3200].square().mean()))


def _loudness_shape(function):
    result = function(_speechlike(), -23.0)
    expect(tuple(result.shape) == (9600,), f"As long as it was, (9600,); yours is {tuple(result.shape)}.")


def _loudness_level(function):
    found = _level(function(_speechlike(pause=False), -23.0))
    expect(abs(found + 23) < 0.01, f"Without any pause the level should be -23 dB, yours is {found:.2f}. A gain works on amplitude, so it is 10 to the power of dB / 20; "
                                   "and mean power is not the peak.")


def _loudness_pause(function):
    found = _level(function(_speechlike(), -23.0))
    expect(abs(found + 23) < 0.01, f"With silence behind the speech, the speech itself comes out at {found:.2f} dB and not -23. Leave pauses out, frames more than 40 dB below the loudest one (a room is never quite silent), or a slow speaker is made louder.")


def _loudness_form(function):
    sound = _speechlike()
    result = function(sound, -30.0)
    ratio = result[:3200] / sound[:3200]
    expect(bool((ratio - ratio[0]).abs().max() < 1e-4), "One gain for the whole clip. A gain for each frame flattens the melody of loudness, which is style too.")


def _loudness_unharmed(function):
    sound = _speechlike()
    function(sound, -30.0)
    expect(torch.equal(sound, _speechlike()), "Your function changed the waveform that it was given. `*=` writes into it.")


def _loudness_over(waveform, target_db, share):
    power = waveform.reshape(-1, 320).square().mean(dim=1)
    return waveform * 10 ** ((target_db - 10 * torch.log10(power[power >= power.max() * share].mean())) / 20)


def _loudness_peak(waveform, target_db):
    return waveform / waveform.abs().max() * 10 ** (target_db / 20)


def _loudness_with_pauses(waveform, target_db):
    return waveform * 10 ** ((target_db - 10 * torch.log10(waveform.square().mean())) / 20)


def _loudness_without_zeros(waveform, target_db):
    power = waveform.reshape(-1, 320).square().mean(dim=1)
    return waveform * 10 ** ((target_db - 10 * torch.log10(power[power > 0].mean())) / 20)


def _loudness_power_gain(waveform, target_db):
    gain = match_loudness(waveform, target_db)[0] / waveform[0]
    return waveform * gain**2


def _loudness_by_frame(waveform, target_db):
    power = waveform.reshape(-1, 320).square().mean(dim=1, keepdim=True).clamp(min=1e-12)
    return (waveform.reshape(-1, 320) / power.sqrt() * 10 ** (target_db / 20)).reshape(-1)


def _loudness_in_place(waveform, target_db):
    waveform *= match_loudness(waveform, target_db)[0] / waveform[0]
    return waveform


# ---- 13-3 --------------------------------------------------------------------------------------------------------------


def pitch_of_frame(frame, rate, lowest, highest):
    """frame (N,), samples a second, range in Hz -> pitch in Hz, from the first lag that resembles nearly best."""
    ### BEGIN SOLUTION
    frame = frame - frame.mean()
    lags = np.arange(int(rate / highest), int(rate / lowest) + 1)
    likeness = []
    for lag in lags:
        here, later = frame[:-lag], frame[lag:]
        likeness.append((here * later).sum() / np.sqrt((here**2).sum() * (later**2).sum() + 1e-12))
    likeness = np.array(likeness)  # one for each lag
    for place in range(1, len(lags) - 1):
        is_peak = likeness[place - 1] <= likeness[place] > likeness[place + 1]
        if is_peak and likeness[place] >= 0.9 * likeness.max():
            return rate / lags[place]
    return rate / lags[likeness.argmax()]
    ### END SOLUTION


def _hum(hz, offset=0.0):
    """60 ms of a voice: a tone with two overtones, the first of them stronger than itself."""
    time = np.arange(960) / 16_000
    return 0.3 * np.sin(2 * np.pi * hz * time) + 0.5 * np.sin(4 * np.pi * hz * time + 0.4) + 0.2 * np.sin(6 * np.pi * hz * time) + offset


def _pitch_shape(function):
    found = function(_hum(200.0), 16_000, 60.0, 500.0)
    expect(np.ndim(found) == 0, "One number, the pitch of the frame.")


def _pitch_unit(function):
    found = float(function(_hum(100.0), 16_000, 60.0, 500.0))
    expect(abs(found - 100) < 3 or abs(found - 160) > 3, "That is the lag, 160 samples. How many such periods fit into a second?")


def _pitch_range(function):
    found = float(function(_hum(200.0), 16_000, 60.0, 500.0))
    expect(60 <= found <= 500, f"Outside the range that was asked for: {found:.0f} Hz. At lag 0 everything resembles itself; begin at rate / highest.")


def _pitch_octave(function):
    for hz in (110.0, 16_000 / 80.5, 320.0):  # the second has no lag of its own, but two of its periods have
        found = float(function(_hum(hz), 16_000, 60.0, 500.0))
        expect(abs(found - hz) < 0.05 * hz, f"A voice of {hz:.0f} Hz is measured as {found:.0f} Hz. Two periods resemble as well as one: take the *first* peak that is nearly best.")


def _pitch_tone(function):
    time = np.arange(960) / 16_000
    found = float(function(0.5 * np.sin(2 * np.pi * 100.0 * time), 16_000, 60.0, 500.0))
    expect(abs(found - 100) < 3, f"A plain tone of 100 Hz is measured as {found:.0f} Hz. On the way *up* to a peak the likeness is nearly best, too; go on to the peak.")


def _pitch_offset(function):
    found = float(function(_hum(200.0, offset=3.0), 16_000, 60.0, 500.0))
    expect(abs(found - 200) < 10, f"With a constant added, the pitch becomes {found:.0f} Hz. A constant resembles itself at every lag: take the mean off first.")


def _pitch_lag(frame, rate, lowest, highest):
    return rate / pitch_of_frame(frame, rate, lowest, highest)


def _pitch_from_zero(frame, rate, lowest, highest):
    frame = frame - frame.mean()
    likeness = [(frame[: len(frame) - lag] * frame[lag:]).sum() for lag in range(int(rate / lowest) + 1)]
    return rate / (int(np.argmax(likeness)) + 1)


def _pitch_longest(frame, rate, lowest, highest):
    best, pitch = -1.0, 0.0
    for lag in range(int(rate / highest), int(rate / lowest) + 1):
        here, later = frame[:-lag] - frame.mean(), frame[lag:] - frame.mean()
        likeness = (here * later).sum() / np.sqrt((here**2).sum() * (later**2).sum() + 1e-12)
        if likeness >= best - 0.02:
            best, pitch = max(best, likeness), rate / lag
    return pitch


def _likeness_of(frame, lags):
    return np.array([(frame[:-lag] * frame[lag:]).sum() / np.sqrt((frame[:-lag] ** 2).sum() * (frame[lag:] ** 2).sum() + 1e-12) for lag in lags])


def _pitch_best(frame, rate, lowest, highest):
    lags = range(int(rate / highest), int(rate / lowest) + 1)
    return rate / lags[int(np.argmax(_likeness_of(frame - frame.mean(), lags)))]


def _pitch_slope(frame, rate, lowest, highest):
    lags = range(int(rate / highest), int(rate / lowest) + 1)
    likeness = _likeness_of(frame - frame.mean(), lags)
    return rate / lags[int(np.argmax(likeness >= 0.9 * likeness.max()))]


def _pitch_with_offset(frame, rate, lowest, highest):
    lags = range(int(rate / highest), int(rate / lowest) + 1)
    likeness = _likeness_of(frame, lags)
    for place in range(1, len(likeness) - 1):
        if likeness[place - 1] <= likeness[place] > likeness[place + 1] and likeness[place] >= 0.9 * likeness.max():
            return rate / lags[place]
    return rate / lags[0]


# ---- 13-4 --------------------------------------------------------------------------------------------------------------


def chance_of_luck(right, total, chance):
    """Right answers, questions, chance of each guess -> probability that a guesser gets at least so many right."""
    ### BEGIN SOLUTION
    return sum(math.comb(total, count) * chance**count * (1 - chance) ** (total - count) for count in range(right, total + 1))
    ### END SOLUTION


def _luck_shape(function):
    found = function(3, 10, 0.25)
    expect(isinstance(found, (int, float)), f"One plain number, yours is a {type(found).__name__}.")


def _luck_sure(function):
    found = function(0, 1, 0.25)
    expect(abs(found - 1) < 1e-9, f"At least none right is certain: 1, yours is {found:.3f}. “At least” counts all that is better, too.")


def _luck_includes(function):
    found = function(2, 2, 0.25)
    expect(abs(found - 0.0625) < 1e-9, f"Two right of two by guessing: 0.25 times 0.25, yours is {found:.4f}. “At least two” contains two.")


def _luck_tail(function):
    found = function(30, 100, 0.25)
    expect(abs(found - 0.1495410) < 1e-4, f"30 right of 100 with a chance of a quarter happens to a guesser with probability 0.1495, yours is {found:.4f}. "
                                          "Count in how many ways the right ones can be spread, and add up to the end.")


def _luck_chance(function):
    found = function(3, 4, 0.5)
    expect(abs(found - 0.3125) < 1e-9, f"With two styles, 3 of 4 right: 0.3125, yours is {found:.4f}. The chance is an argument.")


def _luck_exactly(right, total, chance):
    return math.comb(total, right) * chance**right * (1 - chance) ** (total - right)


def _luck_more_than(right, total, chance):
    return chance_of_luck(right + 1, total, chance)


def _luck_one_way(right, total, chance):
    return sum(chance**count * (1 - chance) ** (total - count) for count in range(right, total + 1))


def _luck_quarter(right, total, chance):
    return chance_of_luck(right, total, 0.25)


EXERCISES = (
    Exercise("13-1", "who is taken for whom", 1, 10, 1, "lists, indexing", confusion_table,
             (_table_shape, _table_dtype, _table_diagonal, _table_direction, _table_others, _table_empty),
             (Mutant("rows and columns changed", _table_transposed, "change places"),
              Mutant("shares instead of counts", _table_shares, "whole numbers"),
              Mutant("right answers alone", _table_right_only, "taken for sad"),
              Mutant("others in the last column", _table_last_for_others, "mumbled"))),
    Exercise("13-2", "as loud as the others", 2, 15, 2, "decibels, boolean masks", match_loudness,
             (_loudness_shape, _loudness_level, _loudness_pause, _loudness_form, _loudness_unharmed),
             (Mutant("peak instead of power", _loudness_peak, "not the peak"),
              Mutant("pauses counted", _loudness_with_pauses, "Leave pauses out"),
              Mutant("only exact silence left out", _loudness_without_zeros, "Leave pauses out"),
              Mutant("20 for 10 in the threshold", lambda waveform, target_db: _loudness_over(waveform, target_db, 1e-2), "Leave pauses out"),
              Mutant("power for amplitude", _loudness_power_gain, "dB / 20"),
              Mutant("a gain for each frame", _loudness_by_frame, "One gain"),
              Mutant("writes into its input", _loudness_in_place, "changed the waveform"))),
    Exercise("13-3", "how high is this voice", 3, 25, 3, "autocorrelation", pitch_of_frame,
             (_pitch_shape, _pitch_unit, _pitch_range, _pitch_octave, _pitch_tone, _pitch_offset),
             (Mutant("the lag itself", _pitch_lag, "the lag, 160"),
              Mutant("from lag zero", _pitch_from_zero, "Outside the range"),
              Mutant("the longest lag", _pitch_longest, "the *first* peak"),
              Mutant("the best lag", _pitch_best, "the *first* peak"),
              Mutant("up the slope", _pitch_slope, "go on to the peak"),
              Mutant("with its constant", _pitch_with_offset, "take the mean off"))),
    Exercise("13-4", "may it be luck", 2, 15, 2, "binomial distribution", chance_of_luck,
             (_luck_shape, _luck_includes, _luck_sure, _luck_tail, _luck_chance),
             (Mutant("exactly so many", _luck_exactly, "counts all that is better"),
              Mutant("more than so many", _luck_more_than, "contains two"),
              Mutant("one order only", _luck_one_way, "spread"),
              Mutant("always four styles", _luck_quarter, "is an argument"))),
)
