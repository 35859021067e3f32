"""Exercises of chapter 15: seconds stay seconds, a pyramid of codes as a table, rows and gradients of several processes, the roof over speed.

Axes: N samples, T steps, B rows.
"""

from __future__ import annotations

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 15-1 --------------------------------------------------------------------------------------------------------------


def as_16_khz(samples, rate, resample):
    """samples (n, channels) at `rate` Hz, resample(waveform, source, target) -> (N,) mono at 16,000 Hz that lasts as many seconds."""
    ### BEGIN SOLUTION
    mono = samples.mean(dim=1)  # (n,)
    return resample(mono, rate, 16_000)  # (N,)
    ### END SOLUTION


def _tone(rate, hertz, seconds=0.5):
    return torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)


def _resample(waveform, source, target):
    from minideeptalk.speech.features import resample

    return resample(waveform, source, target)


def _pitch(waveform):
    return float(torch.fft.rfft(waveform).abs().argmax()) * 16_000 / len(waveform)


def _khz_shape(function):
    waveform = function(torch.stack([_tone(16_000, 200)] * 2, dim=1), 16_000, _resample)
    expect(waveform.ndim == 1, f"Half a second of stereo becomes one row of samples (N,), yours has the shape {tuple(waveform.shape)}.")


def _khz_seconds(function):
    waveform = function(_tone(8_000, 200)[:, None], 8_000, _resample)
    expect(len(waveform) == 8_000, f"Half a second at 8,000 Hz is still half a second at 16,000 Hz, 8,000 samples; yours are {len(waveform)}, which is "
                                   f"{len(waveform) / 16_000:.2f} s. From which rate to which?")


def _khz_pitch(function):
    for rate in (8_000, 48_000):
        pitch = _pitch(function(_tone(rate, 200)[:, None], rate, _resample))
        expect(abs(pitch - 200) < 5, f"A tone of 200 Hz at {rate} Hz has become one of {pitch:.0f} Hz.")


def _khz_alias(function):
    waveform = function(_tone(48_000, 12_000)[:, None], 48_000, _resample)
    level = float(waveform[800:-800].abs().max())
    expect(level < 0.05, f"At 16,000 Hz nobody can write down a tone of 12,000 Hz, so it has to go; yours left something as loud as {level:.2f}. Leaving samples "
                         "out folds high tones down: let `resample` filter them.")


def _khz_channels(function):
    samples = torch.stack([_tone(16_000, 200), torch.zeros(8_000)], dim=1)
    for name, stereo in (("left", samples), ("right", samples.flip(1))):
        level = float(function(stereo, 16_000, _resample).abs().max())
        expect(abs(level - 0.5) < 0.02, f"Somebody speaks on the {name} side only: the mean of both has half the level, 0.50; yours has {level:.2f}.")


def _khz_unharmed(function):
    samples = torch.stack([_tone(8_000, 200)] * 2, dim=1)
    before = samples.clone()
    function(samples, 8_000, _resample)
    expect(torch.equal(samples, before), "Your function changed its input.")


def _khz_as_they_are(samples, rate, resample):
    return samples.mean(dim=1)


def _khz_wrong_way(samples, rate, resample):
    return resample(samples.mean(dim=1), 16_000, rate)


def _khz_leave_out(samples, rate, resample):
    mono = samples.mean(dim=1)
    return mono[:: rate // 16_000] if rate > 16_000 else resample(mono, rate, 16_000)


def _khz_left_only(samples, rate, resample):
    return resample(samples[:, 0], rate, 16_000)


# ---- 15-2 --------------------------------------------------------------------------------------------------------------


def columns_of_pyramid(coarse, middle, fine):
    """Codes (T,), (2T,), (4T,) -> table (T, 7): coarse | middle a b | fine a b c d; each row is what is said in one step."""
    ### BEGIN SOLUTION
    steps = len(coarse)
    return torch.cat([level.reshape(steps, -1) for level in (coarse, middle, fine)], dim=1)  # (T, 7)
    ### END SOLUTION


def _levels(steps=3):
    coarse = torch.arange(steps)
    return coarse, torch.arange(2 * steps) + 100, torch.arange(4 * steps) + 1000


def _columns_shape(function):
    expect(tuple(function(*_levels()).shape) == (3, 7), f"Three steps give a table of (3, 7), yours is {tuple(function(*_levels()).shape)}.")


def _columns_dtype(function):
    expect(torch.is_tensor(function(*_levels())), f"Return a tensor, yours is a {type(function(*_levels())).__name__}.")
    expect(function(*_levels()).dtype == torch.int64, f"Codes are whole numbers (int64), yours are {function(*_levels()).dtype}.")


def _columns_time(function):
    row = sorted(function(*_levels())[1].tolist())
    expect(row == [1, 102, 103, 1004, 1005, 1006, 1007], f"In step 1 are said the codes 1; 102 and 103; 1004 to 1007. Your row 1 holds {row}. Neighbours in time "
                                                         "are neighbours in the list: print `middle.reshape(len(coarse), 2)`.")


def _columns_order(function):
    row = function(*_levels())[0].tolist()
    expect(row == [0, 100, 101, 1000, 1001, 1002, 1003], f"Level by level, coarse to fine, each in the order of time; yours is {row}.")


def _columns_other_length(function):
    expect(tuple(function(*_levels(5)).shape) == (5, 7), "Five steps give five rows. Did you write the number of steps into the code?")


def _columns_transposed(coarse, middle, fine):
    return torch.cat([level.reshape(-1, len(coarse)).T for level in (coarse, middle, fine)], dim=1)


def _columns_as_a_tree(coarse, middle, fine):
    table = columns_of_pyramid(coarse, middle, fine)
    return table[:, [0, 1, 3, 4, 2, 5, 6]]


def _columns_as_floats(coarse, middle, fine):
    table = torch.zeros(len(coarse), 7)
    table[:] = columns_of_pyramid(coarse, middle, fine)
    return table


def _columns_fine_first(coarse, middle, fine):
    return columns_of_pyramid(coarse, middle, fine).flip(1)


# ---- 15-3 --------------------------------------------------------------------------------------------------------------


def rows_of_process(rows, process, processes):
    """Numbers of the rows of a batch that one process trains on; row i and row i + rows / 2 are a pair. `rows` is even."""
    ### BEGIN SOLUTION
    half = rows // 2
    mine = list(range(process, half, processes))
    return mine + [half + row for row in mine]
    ### END SOLUTION


def _rows_shape(function):
    expect(len(function(8, 0, 2)) == 4 and len(function(8, 1, 2)) == 4, "Eight rows for two processes: four for each.")


def _rows_different(function):
    first, second = function(8, 0, 2), function(8, 1, 2)
    both = sorted(set(first) & set(second))
    expect(not both, f"Rows {both} are trained on by both processes: they compute the same gradient twice. What does `process` change?")


def _rows_all(function):
    for rows, processes in ((8, 2), (12, 4), (14, 3)):
        taken = sorted(row for process in range(processes) for row in function(rows, process, processes))
        expect(taken == list(range(rows)), f"{processes} processes have to take every row of {rows} once; together yours took {taken}.")


def _rows_pairs(function):
    for process in range(3):
        mine = function(14, process, 3)
        alone = [row for row in mine if (row + 7) % 14 not in mine]
        expect(not alone, f"Process {process} of 3 has rows {mine}; the partners of {alone} are elsewhere, and a pair that is torn apart cannot be compared.")


def _rows_even(function):
    counts = [len(function(20, process, 4)) for process in range(4)]
    expect(max(counts) - min(counts) <= 2, f"Twenty rows for four processes: {counts}. The slowest decides how long all wait.")


def _rows_same_for_all(rows, process, processes):
    return list(range(rows // processes))


def _rows_in_turn(rows, process, processes):
    return list(range(process, rows, processes))


def _rows_remainder_lost(rows, process, processes):
    share = rows // 2 // processes
    mine = list(range(process * share, (process + 1) * share))
    return mine + [rows // 2 + row for row in mine]


def _rows_rest_to_last(rows, process, processes):
    share = rows // 2 // processes
    mine = list(range(process * share, rows // 2 if process == processes - 1 else (process + 1) * share))
    return mine + [rows // 2 + row for row in mine]


# ---- 15-4 --------------------------------------------------------------------------------------------------------------


def joint_gradient(gradients, counts):
    """Each process's gradient of the mean loss over its own tokens, and how many these were -> the gradient of the mean over all tokens."""
    ### BEGIN SOLUTION
    total = sum(counts)
    return sum(gradient * (count / total) for gradient, count in zip(gradients, counts) if count)
    ### END SOLUTION


def _joint_shape(function):
    gradient = function([torch.ones(2, 3), torch.ones(2, 3)], [4, 4])
    expect(tuple(gradient.shape) == (2, 3), f"The shape of the weight, (2, 3); yours is {tuple(gradient.shape)}.")


def _joint_equal(function):
    gradient = function([torch.ones(2, 3), 3 * torch.ones(2, 3)], [4, 4])
    expect(torch.allclose(gradient.float(), torch.full((2, 3), 2.0)), f"With equally many tokens it is the plain mean, 2; yours is {float(gradient[0, 0]):.2f}.")


def _joint_uneven(function):
    gradient = function([torch.tensor([1.0]), torch.tensor([5.0])], [30, 10])
    expect(abs(float(gradient) - 2.0) < 1e-6, f"Thirty tokens pull by 1 and ten by 5: (30 * 1 + 10 * 5) / 40 = 2, yours is {float(gradient):.2f}. A process with few "
                                              "tokens must not speak as loud as one with many.")


def _joint_three(function):
    gradient = function([torch.tensor([2.0])] * 3, [1, 2, 5])
    expect(abs(float(gradient) - 2.0) < 1e-6, f"All three agree on 2, so the answer is 2, yours is {float(gradient):.2f}. Do your weights sum to 1?")


def _joint_against_autograd(function):
    generator = torch.Generator().manual_seed(3)
    weight, inputs = torch.randn(4, generator=generator, requires_grad=True), torch.randn(9, 4, generator=generator)
    losses = (inputs @ weight).square()
    parts = [torch.autograd.grad(part.mean(), weight, retain_graph=True)[0] for part in losses.split([2, 7])]
    wanted = torch.autograd.grad(losses.mean(), weight)[0]
    expect(torch.allclose(function(parts, [2, 7]).float(), wanted, atol=1e-5), "Nine tokens dealt out as two and seven: not the gradient of all nine.")


def _joint_nothing(function):
    gradient = function([torch.tensor([float("nan")]), torch.tensor([4.0])], [0, 10])
    expect(float(gradient) == 4.0, f"A process without a single token has the mean of nothing, nan; it must not count at all. Yours is {float(gradient)}; nan * 0 is nan.")


def _joint_plain_mean(gradients, counts):
    return torch.stack(list(gradients)).mean(dim=0)


def _joint_sum(gradients, counts):
    return sum(gradient * count for gradient, count in zip(gradients, counts)) / max(counts)


def _joint_poisoned(gradients, counts):
    return sum(gradient * count for gradient, count in zip(gradients, counts)) / sum(counts)


def _joint_inverse(gradients, counts):
    weights = [1 / max(count, 1) for count in counts]
    return sum(gradient * weight for gradient, weight in zip(gradients, weights)) / sum(weights)


# ---- 15-5 --------------------------------------------------------------------------------------------------------------


def under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second):
    """What a token needs and what a machine can do -> tokens a second at best, and what holds it back: "arithmetic" or "memory"."""
    ### BEGIN SOLUTION
    by_arithmetic, by_memory = operations_a_second / operations, bytes_a_second / moved_bytes
    return min(by_arithmetic, by_memory), "arithmetic" if by_arithmetic < by_memory else "memory"
    ### END SOLUTION


def _roof_shape(function):
    answer = function(100.0, 10.0, 1e6, 1e6)
    expect(isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], str), f"A pair of a number and a word, yours is {answer!r}.")


def _roof_arithmetic(function):
    tokens, why = function(100.0, 10.0, 1e6, 1e6)
    expect(abs(tokens - 1e4) < 1e-6, f"A hundred operations a token at a million a second: ten thousand tokens a second, yours are {tokens:g}. Both limits hold at "
                                     "once, and reading goes on while the machine calculates: take neither the better one nor the sum of both times.")
    expect(why == "arithmetic", f"Memory would allow ten times as many, so arithmetic holds it back; you say {why!r}.")


def _roof_memory(function):
    tokens, why = function(100.0, 1_000.0, 1e6, 1e6)
    expect(abs(tokens - 1e3) < 1e-6, f"A thousand bytes a token at a million a second: a thousand tokens a second, yours are {tokens:g}.")
    expect(why == "memory", f"Arithmetic would allow ten times as many, so memory holds it back; you say {why!r}.")


def _roof_ridge(function):
    below, above = function(99.0, 1.0, 100.0, 1.0), function(101.0, 1.0, 100.0, 1.0)
    expect((below[1], above[1]) == ("memory", "arithmetic"), f"A machine of 100 operations for each byte: a token of 99 waits for memory, one of 101 for arithmetic; "
                                                             f"you say {below[1]} and {above[1]}.")


def _roof_best(operations, moved_bytes, operations_a_second, bytes_a_second):
    return max(operations_a_second / operations, bytes_a_second / moved_bytes), under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second)[1]


def _roof_one_after_the_other(operations, moved_bytes, operations_a_second, bytes_a_second):
    seconds = operations / operations_a_second + moved_bytes / bytes_a_second
    return 1 / seconds, under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second)[1]


def _roof_blames_the_other(operations, moved_bytes, operations_a_second, bytes_a_second):
    tokens, why = under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second)
    return tokens, {"memory": "arithmetic", "arithmetic": "memory"}[why]


def _roof_token_alone(operations, moved_bytes, operations_a_second, bytes_a_second):
    tokens, _ = under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second)
    return tokens, "arithmetic" if operations > moved_bytes else "memory"


EXERCISES = (
    Exercise("15-1", "a second is a second", 1, 10, 1, "mean, a function as argument", as_16_khz,
             (_khz_shape, _khz_seconds, _khz_pitch, _khz_alias, _khz_channels, _khz_unharmed),
             (Mutant("taken as they are", _khz_as_they_are, "From which rate to which"),
              Mutant("the wrong way round", _khz_wrong_way, "From which rate to which"),
              Mutant("samples left out", _khz_leave_out, "folds high tones down"),
              Mutant("one ear only", _khz_left_only, "left side only"))),
    Exercise("15-2", "a pyramid in seven columns", 2, 15, 2, "reshape, cat", columns_of_pyramid,
             (_columns_shape, _columns_dtype, _columns_time, _columns_order, _columns_other_length),
             (Mutant("transposed", _columns_transposed, "Neighbours in time"),
              Mutant("in the order of a tree", _columns_as_a_tree, "Level by level"),
              Mutant("as floats", _columns_as_floats, "whole numbers"),
              Mutant("fine first", _columns_fine_first, "Level by level"))),
    Exercise("15-3", "whose rows are these", 2, 15, 2, "range, lists", rows_of_process,
             (_rows_shape, _rows_different, _rows_all, _rows_pairs, _rows_even),
             (Mutant("the same for all", _rows_same_for_all, "the same gradient twice"),
              Mutant("in turn", _rows_in_turn, "torn apart"),
              Mutant("the rest is lost", _rows_remainder_lost, "have to take every row"),
              Mutant("the rest goes to the last", _rows_rest_to_last, "The slowest decides"))),
    Exercise("15-4", "the mean of everybody's tokens", 2, 15, 2, "weighted means", joint_gradient,
             (_joint_shape, _joint_equal, _joint_uneven, _joint_three, _joint_against_autograd, _joint_nothing),
             (Mutant("plain mean", _joint_plain_mean, "must not speak as loud"),
              Mutant("divided by the largest", _joint_sum, "the plain mean, 2"),
              Mutant("poisoned by nothing", _joint_poisoned, "the mean of nothing"),
              Mutant("few tokens speak loudest", _joint_inverse, "must not speak as loud"))),
    Exercise("15-5", "under the roof", 1, 10, 1, "nothing but arithmetic", under_the_roof,
             (_roof_shape, _roof_arithmetic, _roof_memory, _roof_ridge),
             (Mutant("the better limit", _roof_best, "Both limits hold at once"),
              Mutant("one after the other", _roof_one_after_the_other, "sum of both times"),
              Mutant("blames the other", _roof_blames_the_other, "arithmetic holds it back"),
              Mutant("asks the token alone", _roof_token_alone, "a token of 99 waits for memory"))),
)
