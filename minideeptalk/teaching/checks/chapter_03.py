"""Exercises of chapter 03: when each word was said, the best path of a known text, errors of a corpus, and hidden patches.

Axes: B batch, T frames, V labels (blank is 0), F features.
"""

from __future__ import annotations

from itertools import product

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 03-1 --------------------------------------------------------------------------------------------------------------


def word_spans(path, frame_seconds):
    """path, a label for each frame with 0 for blank -> list of (label, start, end), in seconds."""
    ### BEGIN SOLUTION
    spans, previous = [], 0
    for frame, label in enumerate(path):
        if label != 0 and label == previous:
            spans[-1] = (label, spans[-1][1], (frame + 1) * frame_seconds)
        elif label != 0:
            spans.append((label, frame * frame_seconds, (frame + 1) * frame_seconds))
        previous = label
    return spans
    ### END SOLUTION


def _spans_shape(spans):
    answer = spans([0, 4, 0], 1.0)
    expect(isinstance(answer, list) and len(answer) == 1 and len(answer[0]) == 3, f"One (label, start, end) for each word, yours is {answer!r}.")


def _spans_one(spans):
    label, start, end = spans([0, 0, 4, 0], 1.0)[0]
    expect((label, start) == (4, 2.0), f"Label 4 stands in the third frame, which begins at 2 s; yours is {label} at {start} s.")
    expect(end == 3.0, f"The third frame ends at 3 s, where the fourth begins; yours ends at {end} s. The end of frame t is (t + 1) frames.")


def _spans_repeats(spans):
    answer = spans([4, 4, 4, 0, 7], 1.0)
    expect([tuple(span) for span in answer] == [(4, 0.0, 3.0), (7, 4.0, 5.0)],
           f"Repeats are one word that lasts longer: [(4, 0, 3), (7, 4, 5)], yours is {answer}. Look at the label of the frame before.")
    answer = spans([4, 4, 7, 0], 1.0)
    expect([tuple(span) for span in answer] == [(4, 0.0, 2.0), (7, 2.0, 3.0)],
           f"Another label begins another word, with or without a blank between: [(4, 0, 2), (7, 2, 3)], yours is {answer}.")


def _spans_doubled(spans):
    answer = spans([4, 0, 4], 1.0)
    expect(len(answer) == 2, f"A blank between two equal labels makes two words, as in 'two two'; yours is {answer}. What is the previous label after a blank?")


def _spans_seconds(spans):
    _, start, end = spans([0, 5, 5], 0.04)[0]
    expect(abs(start - 0.04) < 1e-9 and abs(end - 0.12) < 1e-9, f"With frames of 0.04 s the word lasts from 0.04 to 0.12 s, yours from {start} to {end}.")


def _spans_without_blank(path, frame_seconds):
    kept = [(frame, label) for frame, label in enumerate(path) if label != 0]
    spans = []
    for frame, label in kept:
        if spans and spans[-1][0] == label:
            spans[-1] = (label, spans[-1][1], (frame + 1) * frame_seconds)
        else:
            spans.append((label, frame * frame_seconds, (frame + 1) * frame_seconds))
    return spans


def _spans_by_blanks(path, frame_seconds):
    return [(path[round(start / frame_seconds)], start, end) for _, start, end in word_spans([min(label, 1) for label in path], frame_seconds)]


def _spans_short(path, frame_seconds):
    return [(label, start, end - frame_seconds) for label, start, end in word_spans(path, frame_seconds)]


def _spans_each_frame(path, frame_seconds):
    return [(label, frame * frame_seconds, (frame + 1) * frame_seconds) for frame, label in enumerate(path) if label != 0]


def _spans_in_frames(path, frame_seconds):
    return [(label, start / frame_seconds, end / frame_seconds) for label, start, end in word_spans(path, frame_seconds)]


# ---- 03-2 --------------------------------------------------------------------------------------------------------------


def best_path_of(log_probabilities, target):
    """log_probabilities (T, V) and the labels that were said -> the likeliest path (T,) that reads as them."""
    ### BEGIN SOLUTION
    states = [0] + [part for label in target for part in (label, 0)]  # blank, label, blank, label, blank
    score = torch.full((len(states),), -torch.inf)
    score[:2] = log_probabilities[0, states[:2]]
    arrows = []
    for frame in log_probabilities[1:]:
        options = torch.full((3, len(states)), -torch.inf)  # stay, come from the state before, skip a blank
        options[0] = score
        options[1, 1:] = score[:-1]
        for state in range(2, len(states)):
            if states[state] != 0 and states[state] != states[state - 2]:
                options[2, state] = score[state - 2]
        best, came_from = options.max(dim=0)  # (S,), (S,)
        score = best + frame[states]
        arrows.append(came_from)
    state = len(states) - 1 if len(states) == 1 or score[-1] >= score[-2] else len(states) - 2
    path = [state]
    for came_from in reversed(arrows):
        path.append(path[-1] - int(came_from[path[-1]]))
    return torch.tensor([states[state] for state in reversed(path)])
    ### END SOLUTION


def _frames(frames=6, labels=3, seed=2):
    return 2 * torch.randn(frames, labels, generator=torch.Generator().manual_seed(seed))


def _read(path):
    """What a path reads as."""
    return [label for place, label in enumerate(path) if label != 0 and (place == 0 or path[place - 1] != label)]


def _best_of_all(log_probabilities, target):
    """Every path there is, one by one: the independent implementation that the rungs compare with."""
    frames, labels = log_probabilities.shape
    fitting = [path for path in product(range(labels), repeat=frames) if _read(path) == list(target)]
    return max(fitting, key=lambda path: sum(log_probabilities[place, label].item() for place, label in enumerate(path)))


def _path_shape(find):
    answer = find(_frames().log_softmax(-1), [1, 2])
    expect(torch.is_tensor(answer), f"Return a tensor, yours is a {type(answer).__name__}: torch.tensor(path).")
    expect(answer.shape == (6,), f"One label for each of 6 frames, shape (6,), yours is {tuple(answer.shape)}.")
    expect(answer.dtype == torch.int64, "Labels are whole numbers, int64.")


def _path_reads(find):
    loud = torch.tensor([0.0, 4.0, 0.0]).expand(6, 3)  # every frame would rather be label 1
    for scores, target in ((_frames(), [1, 2]), (_frames(), [2]), (_frames(), [1, 1]), (loud, [1, 1])):
        path = find(scores.log_softmax(-1), target).tolist()
        expect(_read(path) == target, f"Your path {path} reads as {_read(path)} and not as {target}. Between two equal labels there must be a blank, so that "
                                      "step may not be skipped.")


def _path_is_best(find):
    for seed in range(8):
        for target in ([1, 2], [2, 1], [1, 1], [2, 1, 2]):
            scores = _frames(seed=seed).log_softmax(-1)
            ours, best = find(scores, target).tolist(), list(_best_of_all(scores, target))
            worth = [sum(scores[place, label].item() for place, label in enumerate(path)) for path in (ours, best)]
            expect(worth[0] > worth[1] - 1e-4,
                   f"For the target {target} the path {best} is likelier than yours, {ours}. A path may begin with a blank or with the first label, end with the "
                   "last label or a blank, and step over a blank between different labels.")


def _path_unharmed(find):
    scores = _frames().log_softmax(-1)
    find(scores, [1, 2])
    expect(torch.equal(scores, _frames().log_softmax(-1)), "Your function changed its input.")


def _path_by_states(log_probabilities, target, skip=True, doubles=False, free_start=True, free_end=True):
    """The search with some of its rules left out."""
    states = [0] + [part for label in target for part in (label, 0)]
    paths = {0: (log_probabilities[0, 0].item(), [0])}
    if free_start:
        paths[1] = (log_probabilities[0, states[1]].item(), [1])
    for frame in log_probabilities[1:]:
        reached = {}
        for state in range(len(states)):
            before = [state, state - 1]
            if skip and state >= 2 and states[state] != 0 and (doubles or states[state] != states[state - 2]):
                before.append(state - 2)
            options = [paths[place] for place in before if place in paths]
            if options:
                score, path = max(options)
                reached[state] = (score + frame[states[state]].item(), [*path, state])
        paths = reached
    ends = (len(states) - 1, len(states) - 2) if free_end else (len(states) - 1,)
    path = max(paths[end] for end in ends if end in paths)[1]
    return torch.tensor([states[state] for state in path])


def _path_no_skip(log_probabilities, target):
    return _path_by_states(log_probabilities, target, skip=len(target) > 2)


def _path_doubles(log_probabilities, target):
    return _path_by_states(log_probabilities, target, doubles=True)


def _path_blank_first(log_probabilities, target):
    return _path_by_states(log_probabilities, target, free_start=False)


def _path_blank_last(log_probabilities, target):
    return _path_by_states(log_probabilities, target, free_end=False)


# ---- 03-3 --------------------------------------------------------------------------------------------------------------


def corpus_error_rate(references, hypotheses):
    """Two lists of lists of words -> words wrong, missing or added in all of them, divided by the words asked for."""
    ### BEGIN SOLUTION
    errors = 0
    for reference, hypothesis in zip(references, hypotheses):
        row = list(range(len(hypothesis) + 1))  # to make the first words of the hypothesis out of nothing
        for place, wanted in enumerate(reference, start=1):
            before, row[0] = row[0], place
            for column, heard in enumerate(hypothesis, start=1):
                cheapest = min(before + (wanted != heard), row[column] + 1, row[column - 1] + 1)
                before, row[column] = row[column], cheapest
        errors += row[-1]
    return errors / sum(len(reference) for reference in references)
    ### END SOLUTION


def _rate_of(function, *pairs):
    references, hypotheses = zip(*((reference.split(), hypothesis.split()) for reference, hypothesis in pairs))
    return function(list(references), list(hypotheses))


def _error_shape(function):
    answer = _rate_of(function, ("red cat", "red cat"))
    expect(isinstance(answer, (int, float)) and not isinstance(answer, bool), f"Return one number, yours is {answer!r}.")


def _error_none(function):
    expect(_rate_of(function, ("red cat", "red cat"), ("ten", "ten")) == 0, "Everything was heard right, so the rate is 0.")


def _error_kinds(function):
    for said, heard, kind in (("red cat box", "red dog box", "one wrong word"), ("red cat box", "red box", "one missing word"),
                              ("red cat box", "red red cat box", "one added word")):
        answer = _rate_of(function, (said, heard))
        expect(abs(answer - 1 / 3) < 1e-9, f"“{heard}” for “{said}” is {kind} in three: 1/3, yours is {answer:.3g}. A wrong, a missing and an added word cost one "
                                           "each, wherever they stand.")
    answer = _rate_of(function, ("red cat", "cat red"))
    expect(abs(answer - 1) < 1e-9, f"“cat red” for “red cat” needs two repairs of two words, a rate of 1; yours is {answer:.3g}. It is not enough that all words are there.")


def _error_pooled(function):
    answer = _rate_of(function, ("ten", "two"), ("say red cat box fish", "say red cat box fish"))
    expect(abs(answer - 1 / 6) < 1e-9, f"One error in six words is 1/6, yours is {answer:.3g}. Add up errors and words over all pairs and divide once, or short "
                                       "utterances count too much.")


def _error_above_one(function):
    answer = _rate_of(function, ("ten", "red cat box"))
    expect(abs(answer - 3) < 1e-9, f"Three words heard where one was said are three errors in one word: a rate of 3. Yours is {answer:.3g}. It may exceed 1, and "
                                   "the words that were asked for stand below the line.")


def _error_empty(function):
    answer = _rate_of(function, ("red cat", ""), ("ten", "ten"))
    expect(abs(answer - 2 / 3) < 1e-9, f"Nothing heard means that every word is missing: 2 of 3, yours is {answer:.3g}.")


def _error_position(references, hypotheses):
    errors = sum(sum(a != b for a, b in zip(r, h)) + abs(len(r) - len(h)) for r, h in zip(references, hypotheses))
    return errors / sum(map(len, references))


def _error_bag_of_words(references, hypotheses):
    shared = [sum(min(r.count(word), h.count(word)) for word in set(r)) for r, h in zip(references, hypotheses)]
    return sum(max(len(r), len(h)) - both for r, h, both in zip(references, hypotheses, shared)) / sum(map(len, references))


def _error_mean_of_rates(references, hypotheses):
    return sum(corpus_error_rate([r], [h]) for r, h in zip(references, hypotheses)) / len(references)


def _error_wrong_costs_two(references, hypotheses):
    """Without substitutions: a wrong word is one missing and one added."""
    errors = 0
    for reference, hypothesis in zip(references, hypotheses):
        common = [[0] * (len(hypothesis) + 1) for _ in range(len(reference) + 1)]
        for i, wanted in enumerate(reference):
            for j, heard in enumerate(hypothesis):
                common[i + 1][j + 1] = common[i][j] + 1 if wanted == heard else max(common[i][j + 1], common[i + 1][j])
        errors += len(reference) + len(hypothesis) - 2 * common[-1][-1]
    return errors / sum(map(len, references))


def _error_capped(references, hypotheses):
    return min(1.0, corpus_error_rate(references, hypotheses))


# ---- 03-4 --------------------------------------------------------------------------------------------------------------


def hide_patches(mel, first, frames, lowest, bands):
    """mel (B, T, F); four lists of B whole numbers -> a copy in which row b has lost its own stretch and its own band."""
    ### BEGIN SOLUTION
    hidden = mel.clone()
    for row in range(len(mel)):
        hidden[row, first[row] : first[row] + frames[row]] = 0  # a stretch of time, all frequencies
        hidden[row, :, lowest[row] : lowest[row] + bands[row]] = 0  # a band of frequencies, all the time
    return hidden
    ### END SOLUTION


PATCHES = ([1, 4], [2, 3], [0, 3], [1, 2])


def _some_mel():
    return 1 + torch.rand(2, 9, 6, generator=torch.Generator().manual_seed(6))


def _hide_shape(hide):
    answer = hide(_some_mel(), *PATCHES)
    expect(torch.is_tensor(answer) and answer.shape == (2, 9, 6), f"The shape stays (B, T, F) = (2, 9, 6), yours is {tuple(getattr(answer, 'shape', ()))}.")


def _hide_unharmed(hide):
    mel = _some_mel()
    hide(mel, *PATCHES)
    expect(torch.equal(mel, _some_mel()), "Your function changed its input, and the next epoch would find the holes still there. Begin with mel.clone().")


def _hide_time(hide):
    answer = hide(_some_mel(), [1, 4], [2, 3], [0, 0], [0, 0])
    expect(bool((answer[0, 1:3] == 0).all()) and bool((answer[1, 4:7] == 0).all()),
           "Frames 1 and 2 of the first row and 4 to 6 of the second should be zero at every frequency. Each row has its own patch, and `frames` are lengths, not ends. Print (answer == 0)[:, :, 0].")


def _hide_band(hide):
    answer = hide(_some_mel(), [0, 0], [0, 0], [0, 3], [1, 2])
    expect(bool((answer[0, :, 0] == 0).all()) and bool((answer[1, :, 3:5] == 0).all()),
           "Band 0 of the first row and bands 3 and 4 of the second should be zero at all times, not only where a stretch is hidden too. "
           "Print (answer == 0)[:, 0].")


def _hide_rest(hide):
    answer, mel = hide(_some_mel(), *PATCHES), _some_mel()
    kept = torch.ones(2, 9, 6, dtype=torch.bool)
    kept[0, 1:3] = kept[1, 4:7] = False
    kept[0, :, 0] = kept[1, :, 3:5] = False
    expect(torch.equal(answer[kept], mel[kept]) and not answer[~kept].any(), "Something else was hidden, or moved. `frames` and `bands` are lengths, not ends.")


def _hide_in_place(mel, first, frames, lowest, bands):
    for row in range(len(mel)):
        mel[row, first[row] : first[row] + frames[row]] = 0
        mel[row, :, lowest[row] : lowest[row] + bands[row]] = 0
    return mel


def _hide_same_for_all(mel, first, frames, lowest, bands):
    return hide_patches(mel, [first[0]] * len(mel), [frames[0]] * len(mel), [lowest[0]] * len(mel), [bands[0]] * len(mel))


def _hide_overlap_only(mel, first, frames, lowest, bands):
    hidden = mel.clone()
    for row in range(len(mel)):
        if bands[row]:
            hidden[row, first[row] : first[row] + frames[row], lowest[row] : lowest[row] + bands[row]] = 0
        else:
            hidden[row, first[row] : first[row] + frames[row]] = 0
    return hidden


def _hide_ends(mel, first, frames, lowest, bands):
    lengths = [[end - start for start, end in zip(starts, ends)] for starts, ends in ((first, frames), (lowest, bands))]
    return hide_patches(mel, first, lengths[0], lowest, lengths[1])


EXERCISES = (
    Exercise("03-1", "when each word was said", 2, 15, 2, "a loop", word_spans,
             (_spans_shape, _spans_one, _spans_repeats, _spans_doubled, _spans_seconds),
             (Mutant("blanks thrown away first", _spans_without_blank, "two words"),
              Mutant("a new word after blanks only", _spans_by_blanks, "another word, with or without"),
              Mutant("ends a frame early", _spans_short, "end of frame t"),
              Mutant("a word for each frame", _spans_each_frame, "one word that lasts longer"),
              Mutant("frames for seconds", _spans_in_frames, "0.04"))),
    Exercise("03-2", "the best path of a known text", 4, 40, 4, "dynamic programming", best_path_of,
             (_path_shape, _path_reads, _path_is_best, _path_unharmed),
             (Mutant("never skips a blank", _path_no_skip, "step over a blank"),
              Mutant("skips between equal labels", _path_doubles, "must be a blank"),
              Mutant("must begin with a blank", _path_blank_first, "begin with a blank or"),
              Mutant("must end with a blank", _path_blank_last, "end with the"))),
    Exercise("03-3", "errors of a corpus", 3, 25, 3, "dynamic programming", corpus_error_rate,
             (_error_shape, _error_none, _error_kinds, _error_pooled, _error_above_one, _error_empty),
             (Mutant("compares places", _error_position, "wherever they stand"),
              Mutant("a bag of words", _error_bag_of_words, "all words are there"),
              Mutant("mean of the rates", _error_mean_of_rates, "count too much"),
              Mutant("a wrong word costs two", _error_wrong_costs_two, "one wrong word"),
              Mutant("capped at one", _error_capped, "may exceed 1"))),
    Exercise("03-4", "hidden patches", 2, 15, 2, "slices", hide_patches,
             (_hide_shape, _hide_unharmed, _hide_time, _hide_band, _hide_rest),
             (Mutant("writes into its input", _hide_in_place, "mel.clone"),
              Mutant("one patch for the whole batch", _hide_same_for_all, "its own patch"),
              Mutant("only where both meet", _hide_overlap_only, "not only where"),
              Mutant("lengths for ends", _hide_ends, "lengths, not ends"))),
)
