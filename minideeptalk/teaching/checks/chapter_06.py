"""Exercises of chapter 06: delay, undelay, the word that is held, and the loss of eight streams.

Axes: F frames, T steps, Q codec streams, V words, C codes.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

IGNORE = -100

# ---- 06-1 --------------------------------------------------------------------------------------------------------------


def shift_streams(codes, lags, fill):
    """codes (F, Q), one lag a stream, what stands in the corners -> (F + longest lag, Q)."""
    ### BEGIN SOLUTION
    frames = len(codes)
    shifted = torch.full((frames + max(lags), codes.shape[1]), fill)
    for stream, lag in enumerate(lags):
        shifted[lag:lag + frames, stream] = codes[:, stream]
    return shifted
    ### END SOLUTION


LAGS = [1, 2, 2, 4]


def _frames():
    """Five frames of four streams; a code's tens say its frame and its units its stream."""
    return 10 * torch.arange(1, 6)[:, None] + torch.arange(4)  # (5, 4)


def _shifted_by_hand(codes, lags, fill):
    """Cell by cell: the independent implementation that the rungs compare with."""
    table = codes.tolist()
    rows = [[table[step - lag][stream] if 0 <= step - lag < len(table) else fill for stream, lag in enumerate(lags)]
            for step in range(len(table) + max(lags))]
    return torch.tensor(rows)


def _shift_shape(shift):
    answer = shift(_frames(), LAGS, -1)
    expect(torch.is_tensor(answer), f"Return a tensor, yours is a {type(answer).__name__}.")
    expect(answer.shape == (9, 4),
           f"Five frames and a longest lag of four make (9, 4), yours is {tuple(getattr(answer, 'shape', ()))}. Print your shape.")


def _shift_dtype(shift):
    expect(shift(_frames(), LAGS, -1).dtype == torch.int64, "Codes are whole numbers: keep int64. Print your dtype.")


def _shift_down(shift):
    answer = shift(_frames(), LAGS, -1)
    expect(answer[1, 0] == 10, f"Stream 0 lags one step, so its first code, 10, stands at step 1; there you have {int(answer[1, 0])}. A lag moves "
                               "a stream to *later* steps. Print your table.")


def _shift_corners(shift):
    answer = shift(_frames(), LAGS, -1)
    outside = [int(answer[0, 0]), int(answer[3, 3]), int(answer[8, 0])]
    expect(outside == [-1, -1, -1], f"Before a stream begins and after it has ended stands `fill`; yours has {outside} there. Did the codes "
                                    "come in again on the other side?")


def _shift_each(shift):
    answer, hand = shift(_frames(), LAGS, -1), _shifted_by_hand(_frames(), LAGS, -1)
    odd = [stream for stream in range(4) if not torch.equal(answer[:, stream], hand[:, stream])]
    expect(not odd, f"Stream {odd[:1]} is not where its own lag puts it. Each stream has a lag of its own: lags[stream]. Print your table.")


def _shift_zero(shift):
    answer = shift(_frames(), [0, 0, 0, 0], -1)
    expect(torch.equal(answer, _frames()), "With all lags zero nothing should change. Slices that end with a minus sign fail there.")


def _shift_unharmed(shift):
    codes = _frames()
    shift(codes, LAGS, -1)
    expect(torch.equal(codes, _frames()), "Your function changed its input. Write into a tensor of your own.")


def _shift_rolls(codes, lags, fill):
    padded = torch.cat([codes, codes.new_full((max(lags), codes.shape[1]), fill)])
    for stream, lag in enumerate(lags):
        padded[:, stream] = torch.cat([codes, codes])[:len(padded), stream].roll(lag)
    return padded


def _shift_up(codes, lags, fill):
    return shift_streams(codes.flip(0), lags, fill).flip(0)


def _shift_by_number(codes, lags, fill):
    return shift_streams(codes, [*range(1, codes.shape[1]), max(lags)], fill)


def _shift_fills_zero(codes, lags, fill):
    return shift_streams(codes, lags, 0)


# ---- 06-2 --------------------------------------------------------------------------------------------------------------


def frames_of(shifted, lags):
    """Delayed streams (T, Q), one lag a stream -> whole frames (T - longest lag, Q)."""
    ### BEGIN SOLUTION
    frames = len(shifted) - max(lags)
    return torch.stack([shifted[lag:lag + frames, stream] for stream, lag in enumerate(lags)], dim=1)
    ### END SOLUTION


def _frames_shape(undo):
    answer = undo(_shifted_by_hand(_frames(), LAGS, -1), LAGS)
    expect(isinstance(answer, torch.Tensor) and answer.shape == (5, 4), f"Nine steps and a longest lag of four hold five whole frames: (5, 4), "
                                                                        f"yours is {tuple(getattr(answer, 'shape', ()))}.")


def _frames_clean(undo):
    answer = undo(_shifted_by_hand(_frames(), LAGS, -1), LAGS)
    expect(not bool((answer == -1).any()), "The filling of the corners is still in your frames. Each stream begins at its own lag. Print your table.")


def _frames_together(undo):
    answer = undo(_shifted_by_hand(_frames(), LAGS, -1), LAGS)
    expect(torch.equal(answer[:, :1] // 10, answer[:, 1:2] // 10) and torch.equal(answer[:, :1] // 10, answer[:, 3:] // 10),
           "One frame of yours holds codes of different frames: the tens of a row should be equal. That is the mistake you can hear. "
           "Print your table.")


def _frames_first(undo):
    answer = undo(_shifted_by_hand(_frames(), LAGS, -1), LAGS)
    expect(torch.equal(answer, _frames()), f"The first frame should be [10, 11, 12, 13], yours is {answer[0].tolist()}. Are you a step late?")


def _frames_round_trip(undo):
    for lags in ([1, 1, 1, 1], [1, 2, 3, 4], [0, 0, 0, 0], [3, 1, 2, 0]):
        answer = undo(_shifted_by_hand(_frames(), lags, -1), lags)
        expect(answer.shape == (5, 4) and torch.equal(answer, _frames()), f"Delayed by {lags} and undone, the codes are not what they were.")


def _frames_growing(undo):
    answer = undo(_shifted_by_hand(_frames(), LAGS, -1)[:6], LAGS)
    expect(answer.shape == (2, 4) and torch.equal(answer, _frames()[:2]), "After six steps of decoding two frames are whole. Count from the steps "
                                                                          "that there are.")


def _frames_cut(shifted, lags):
    return shifted[max(lags):].clone()


def _frames_not_at_all(shifted, lags):
    return shifted[:len(shifted) - max(lags)].clone()


def _frames_reversed(shifted, lags):
    return frames_of(shifted, lags[::-1])


def _frames_late(shifted, lags):
    return frames_of(shifted, lags).roll(-1, dims=0)


# ---- 06-3 --------------------------------------------------------------------------------------------------------------


def hold(words, starts, steps):
    """Words, the step at which each starts (the first at 0), number of steps -> two lists: the word of each step, and its count from 1."""
    ### BEGIN SOLUTION
    begins = dict(zip(starts, words, strict=True))
    row, counts = [], []
    for step in range(steps):
        row.append(begins[step] if step in begins else row[-1])
        counts.append(1 if step in begins else counts[-1] + 1)
    return row, counts
    ### END SOLUTION


SAID = (("leo", "leo", "hat"), (0, 3, 5), 8)


def _hold_shape(function):
    row, counts = function(*SAID)
    expect(len(row) == len(counts) == 8, f"Eight steps need eight words and eight counts, yours are {len(row)} and {len(counts)}.")


def _hold_row(function):
    row, _ = function(*SAID)
    expect(row == ["leo"] * 5 + ["hat"] * 3, f"A word stays in its row until the next one starts: leo five times, hat three times. Yours is {row}.")


def _hold_from_one(function):
    _, counts = function(*SAID)
    expect(counts[0] == 1, f"The step at which a word starts counts as 1, yours as {counts[0]}. Zero is kept for steps in which nothing sounds.")


def _hold_restarts(function):
    _, counts = function(*SAID)
    expect(counts[5:] == [1, 2, 3], f"With the word hat the count starts again: 1, 2, 3. Yours goes {counts[5:]}.")


def _hold_same_word(function):
    _, counts = function(*SAID)
    expect(counts[:5] == [1, 2, 3, 1, 2], f"Leo is said twice, so the count starts again at step 3: 1, 2, 3, 1, 2. Yours goes {counts[:5]}. A new "
                                          "word is known by its start and not by its letters.")


def _hold_unharmed(function):
    words, starts = ["leo", "hat"], [0, 2]
    function(words, starts, 5)
    expect(words == ["leo", "hat"] and starts == [0, 2], "Your function changed its input. Make new lists instead.")


def _hold_waits(words, starts, steps):
    row = ["<wait>"] * steps
    for word, start in zip(words, starts):
        row[start] = word
    return row, hold(words, starts, steps)[1]


def _hold_from_zero(words, starts, steps):
    row, counts = hold(words, starts, steps)
    return row, [count - 1 for count in counts]


def _hold_never_restarts(words, starts, steps):
    return hold(words, starts, steps)[0], list(range(1, steps + 1))


def _hold_by_letters(words, starts, steps):
    row, counts = hold(words, starts, steps)[0], []
    for step, word in enumerate(row):
        counts.append(counts[-1] + 1 if step and row[step - 1] == word else 1)
    return row, counts


# ---- 06-4 --------------------------------------------------------------------------------------------------------------


def spoken_loss(text_logits, text_targets, code_logits, code_targets):
    """(T, V), (T,), (T, Q, C), (T, Q), targets -100 where nothing is asked -> text loss + mean of the Q codec losses."""
    ### BEGIN SOLUTION
    text = F.cross_entropy(text_logits, text_targets, ignore_index=-100)
    streams = [F.cross_entropy(code_logits[:, stream], code_targets[:, stream], ignore_index=-100)
               for stream in range(code_targets.shape[1])]
    return text + torch.stack(streams).mean()
    ### END SOLUTION


def _answer_of_streams():
    """Six steps, three streams whose targets begin and end at different steps, and differ in number."""
    generator = torch.Generator().manual_seed(4)
    text_logits, code_logits = torch.randn(6, 5, generator=generator), torch.randn(6, 3, 4, generator=generator)
    text_targets = torch.tensor([IGNORE, 3, 1, IGNORE, IGNORE, IGNORE])
    code_targets = torch.full((6, 3), IGNORE)
    code_targets[2:, 0], code_targets[3:5, 1], code_targets[4:5, 2] = torch.tensor([1, 0, 3, 2]), torch.tensor([2, 2]), torch.tensor([0])
    return text_logits, text_targets, code_logits, code_targets


def _mean_nats(logits, targets):
    """Mean cross-entropy of the asked rows with plain Python numbers."""
    nats = [math.log(sum(math.exp(value) for value in row)) - row[target]
            for row, target in zip(logits.double().tolist(), targets.tolist(), strict=True) if target != IGNORE]
    return sum(nats) / len(nats)


def _parts():
    text_logits, text_targets, code_logits, code_targets = _answer_of_streams()
    return _mean_nats(text_logits, text_targets), [_mean_nats(code_logits[:, stream], code_targets[:, stream]) for stream in range(3)]


def _spoken_shape(loss):
    value = loss(*_answer_of_streams())
    expect(isinstance(value, torch.Tensor) and value.shape == (), "Return one number as a tensor without dimensions. Print value.shape.")


def _spoken_number(loss):
    value = loss(*_answer_of_streams()).item()
    expect(math.isfinite(value), f"Your loss is {value}. A mean over no step at all is not a number: which mask is empty?")


def _spoken_value(loss):
    value, (text, streams) = loss(*_answer_of_streams()).item(), _parts()
    audio = sum(streams) / 3
    likely = {(text + sum(streams)) / 4: "You average all streams alike. Here the text counts whole: text + mean of the codec streams.",
              text + sum(streams): "You add the codec streams up. Take their mean, or the sound outweighs the text.",
              audio: "Where is the text?"}
    for wrong, sentence in likely.items():
        expect(abs(value - wrong) > 1e-4, sentence)
    expect(abs(value - text - audio) < 1e-4,
           f"Text gives {text:.4g} and the streams {', '.join(f'{nats:.4g}' for nats in streams)}; together {text + audio:.4g}, yours is "
           f"{value:.4g}. Each stream is a mean over its own steps first, and only then comes the mean over streams: a stream with few "
           "targets counts as much as one with many.")


def _spoken_corners(loss):
    text_logits, text_targets, code_logits, code_targets = _answer_of_streams()
    changed = code_logits.clone()
    changed[code_targets == IGNORE] += torch.tensor([3.0, -2.0, 0.0, 1.0])
    first, second = (loss(text_logits, text_targets, logits, code_targets).item() for logits in (code_logits, changed))
    expect(abs(first - second) < 1e-5, "Scores at a corner, where a stream has not begun or has ended, changed your loss. Leave such cells out.")


def _spoken_unharmed(loss):
    inputs = _answer_of_streams()
    loss(*inputs)
    expect(torch.equal(inputs[3], _answer_of_streams()[3]), "Your function changed its input. Do not write into the targets.")


def _spoken_gradient(loss):
    text_logits, text_targets, code_logits, code_targets = _answer_of_streams()
    text_logits.requires_grad_(), code_logits.requires_grad_()
    value = loss(text_logits, text_targets, code_logits, code_targets)
    expect(value.requires_grad, "No gradient can flow back to the heads. Did you detach, or rebuild a tensor from numbers?")
    value.backward()
    expect(all(code_logits.grad[:, stream].abs().sum() > 0 for stream in range(3)), "A codec stream got no gradient. Print code_logits.grad.")


def _spoken_pooled(text_logits, text_targets, code_logits, code_targets):
    return (F.cross_entropy(text_logits, text_targets, ignore_index=IGNORE)
            + F.cross_entropy(code_logits.flatten(0, 1), code_targets.flatten(), ignore_index=IGNORE))


def _spoken_eight_alike(text_logits, text_targets, code_logits, code_targets):
    streams = [F.cross_entropy(code_logits[:, stream], code_targets[:, stream]) for stream in range(code_targets.shape[1])]
    return torch.stack([F.cross_entropy(text_logits, text_targets), *streams]).mean()


def _spoken_sum(text_logits, text_targets, code_logits, code_targets):
    text = F.cross_entropy(text_logits, text_targets)
    return text + len(code_targets[0]) * (spoken_loss(text_logits, text_targets, code_logits, code_targets) - text)


def _spoken_corners_count(text_logits, text_targets, code_logits, code_targets):
    return spoken_loss(text_logits, text_targets, code_logits, code_targets.clamp(min=0))


def _spoken_detached(text_logits, text_targets, code_logits, code_targets):
    return spoken_loss(text_logits.detach(), text_targets, code_logits.detach(), code_targets)


EXERCISES = (
    Exercise("06-1", "the staircase", 2, 10, 2, "slices", shift_streams,
             (_shift_shape, _shift_dtype, _shift_down, _shift_corners, _shift_each, _shift_zero, _shift_unharmed),
             (Mutant("rolls around", _shift_rolls, "on the other side"),
              Mutant("moves up", _shift_up, "later"),
              Mutant("lag by number", _shift_by_number, "a lag of its own"),
              Mutant("fills with zero", _shift_fills_zero, "`fill`"))),
    Exercise("06-2", "back to frames", 2, 10, 2, "slices, stack", frames_of,
             (_frames_shape, _frames_clean, _frames_together, _frames_first, _frames_round_trip, _frames_growing),
             (Mutant("cuts the head off", _frames_cut, "still in your frames"),
              Mutant("does nothing", _frames_not_at_all, "still in your frames"),
              Mutant("lags in the wrong order", _frames_reversed, "in your frames"),
              Mutant("one step late", _frames_late, "a step late"))),
    Exercise("06-3", "the word that sounds", 1, 10, 1, "lists", hold,
             (_hold_shape, _hold_row, _hold_from_one, _hold_restarts, _hold_same_word, _hold_unharmed),
             (Mutant("waits instead", _hold_waits, "until the next one starts"),
              Mutant("counts from zero", _hold_from_zero, "counts as 1"),
              Mutant("never starts again", _hold_never_restarts, "starts again"),
              Mutant("compares letters", _hold_by_letters, "not by its letters"))),
    Exercise("06-4", "the loss of eight streams", 3, 20, 3, "cross_entropy, masks", spoken_loss,
             (_spoken_shape, _spoken_number, _spoken_value, _spoken_corners, _spoken_unharmed, _spoken_gradient),
             (Mutant("all codes in one mean", _spoken_pooled, "over its own steps first"),
              Mutant("eight alike", _spoken_eight_alike, "all streams alike"),
              Mutant("streams added up", _spoken_sum, "outweighs the text"),
              Mutant("corners count", _spoken_corners_count, "over its own steps first"),
              Mutant("detached", _spoken_detached, "No gradient"))),
)
