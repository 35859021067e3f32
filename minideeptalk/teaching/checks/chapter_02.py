"""Exercises of chapter 02: the rate of a pyramid, coding what is left, entries in use, and a seam that nobody hears.

Axes: T steps, Q codebooks, K entries, D width, N samples.
"""

from __future__ import annotations

import math

import torch

from minideeptalk.teaching.checks.framework import Exercise, Mutant, expect

# ---- 02-1 --------------------------------------------------------------------------------------------------------------


def bits_per_second(entries, codes_per_step, step_seconds=0.08):
    """Size of a codebook, codes in a step, length of a step -> bits a second."""
    ### BEGIN SOLUTION
    bits_of_a_code = math.log2(entries)
    return codes_per_step * bits_of_a_code / step_seconds
    ### END SOLUTION


def _rate_shape(rate):
    answer = rate(256, 7)
    expect(isinstance(answer, (int, float)), f"Return one number, yours is {answer!r}.")


def _rate_one(rate):
    expect(abs(rate(2, 1, 1.0) - 1) < 1e-9, f"One code out of two entries, once a second, is a coin toss a second: 1 bit. Yours is {rate(2, 1, 1.0):.4g}. "
                                            "Which logarithm did you take?")


def _rate_entries(rate):
    expect(abs(rate(256, 1, 1.0) - 8) < 1e-9, f"256 entries need 8 bits, as a byte does; yours needs {rate(256, 1, 1.0):.4g}. Print math.log2(256).")
    expect(abs(rate(100, 1, 1.0) - 6.643856) < 1e-3, f"100 entries are 6.64 bits, yours are {rate(100, 1, 1.0):.4g}. A fraction of a bit counts: do not round.")


def _rate_codes(rate):
    expect(abs(rate(128, 7, 1.0) - 49) < 1e-9, f"Seven codes of 7 bits are 49 bits, yours are {rate(128, 7, 1.0):.4g}. The bits of the codes add up.")


def _rate_time(rate):
    expect(abs(rate(128, 7) - 612.5) < 1e-6, f"A step of 0.08 s comes 12.5 times a second, so seven codes of 7 bits make 612.5 bits a second; yours are "
                                             f"{rate(128, 7):.4g}. All seven codes belong to the same step.")


def _rate_natural(entries, codes_per_step, step_seconds=0.08):
    return codes_per_step * math.log(entries) / step_seconds


def _rate_of_entries(entries, codes_per_step, step_seconds=0.08):
    return codes_per_step * entries / 2 / step_seconds


def _rate_product(entries, codes_per_step, step_seconds=0.08):
    return math.log2(entries * codes_per_step) / step_seconds


def _rate_per_frame(entries, codes_per_step, step_seconds=0.08):
    return codes_per_step * math.log2(entries) * (50 if step_seconds == 0.08 else 1 / step_seconds)


# ---- 02-2 --------------------------------------------------------------------------------------------------------------


def code_what_is_left(vectors, codebooks):
    """vectors (T, D), Q codebooks (K, D) -> codes (T, Q) and what no codebook described (T, D)."""
    ### BEGIN SOLUTION
    rest, columns = vectors, []
    for codebook in codebooks:
        codes = torch.cdist(rest, codebook).argmin(dim=1)  # (T,)
        rest = rest - codebook[codes]  # (T, D)
        columns.append(codes)
    return torch.stack(columns, dim=1), rest  # (T, Q), (T, D)
    ### END SOLUTION


def _some_vectors():
    generator = torch.Generator().manual_seed(8)
    books = [scale * torch.randn(6, 5, generator=generator) for scale in (2.0, 1.0, 0.5)]
    return 2 * torch.randn(9, 5, generator=generator), books


def _coded_by_hand(vectors, codebooks):
    """With plain Python numbers: the independent implementation that the rungs compare with."""
    rows, rests = [], []
    for vector in vectors.tolist():
        row = []
        for codebook in codebooks:
            distances = [sum((a - b) ** 2 for a, b in zip(vector, entry)) for entry in codebook.tolist()]
            best = min(range(len(distances)), key=distances.__getitem__)
            vector = [a - b for a, b in zip(vector, codebook[best].tolist())]
            row.append(best)
        rows.append(row)
        rests.append(vector)
    return torch.tensor(rows), torch.tensor(rests)


def _coding_shape(code):
    vectors, books = _some_vectors()
    answer = code(vectors, books)
    expect(isinstance(answer, tuple) and len(answer) == 2, "Return two tensors, `codes, rest`. Print type(answer).")
    expect(answer[0].shape == (9, 3), f"codes should be (T, Q) = (9, 3), yours is {tuple(answer[0].shape)}. torch.stack(columns, dim=1)?")
    expect(answer[1].shape == (9, 5), f"rest should be (T, D) = (9, 5), yours is {tuple(answer[1].shape)}.")


def _coding_dtype(code):
    codes, rest = code(*_some_vectors())
    expect(codes.dtype == torch.int64 and rest.is_floating_point(), f"codes are int64 and the rest floats, yours are {codes.dtype} and {rest.dtype}.")


def _coding_first(code):
    vectors, books = _some_vectors()
    expect(torch.equal(code(vectors, books)[0][:, 0], _coded_by_hand(*_some_vectors())[0][:, 0]),
           "The first code of a vector is the entry at the smallest distance. Print torch.cdist(vectors, codebooks[0])[0].")


def _coding_next(code):
    vectors, books = _some_vectors()
    expect(torch.equal(code(vectors, books)[0], _coded_by_hand(*_some_vectors())[0]),
           "The later codes are wrong. The second codebook describes what the first one left, not the vector itself, and it sees the rest of its own "
           "nearest entry. Print the rest after the first codebook.")


def _coding_rest(code):
    vectors, books = _some_vectors()
    codes, rest = code(vectors, books)
    total = rest + sum(book[codes[:, column]] for column, book in enumerate(books))
    expect(torch.allclose(total, _some_vectors()[0], atol=1e-5), "Entries and rest should add up to the vectors: that is all that decoding does. "
                                                      "Print rest + the sum of the entries.")


def _coding_unharmed(code):
    vectors, books = _some_vectors()
    code(vectors, books)
    expect(torch.equal(vectors, _some_vectors()[0]), "Your function changed its input. `rest -= ...` writes into `vectors`; make a new tensor.")


def _coding_same_vector(vectors, codebooks):
    codes = torch.stack([torch.cdist(vectors, book).argmin(dim=1) for book in codebooks], dim=1)
    return codes, vectors - sum(book[codes[:, column]] for column, book in enumerate(codebooks))


def _coding_farthest(vectors, codebooks):
    rest, columns = vectors, []
    for book in codebooks:
        columns.append(torch.cdist(rest, book).argmax(dim=1))
        rest = rest - book[columns[-1]]
    return torch.stack(columns, dim=1), rest


def _coding_in_place(vectors, codebooks):
    columns = []
    for book in codebooks:
        columns.append(torch.cdist(vectors, book).argmin(dim=1))
        vectors -= book[columns[-1]]
    return torch.stack(columns, dim=1), vectors


def _coding_last_rest(vectors, codebooks):
    codes, _ = code_what_is_left(vectors, codebooks)
    return codes, vectors - codebooks[-1][codes[:, -1]]


# ---- 02-3 --------------------------------------------------------------------------------------------------------------


def entries_in_use(codes, entries):
    """codes (T,) and the size of the codebook K -> effective number of entries in use, 1 to K."""
    ### BEGIN SOLUTION
    shares = torch.bincount(codes, minlength=entries).double() / len(codes)  # (K,)
    used = shares[shares > 0]
    entropy = -(used * used.log()).sum()
    return entropy.exp().item()
    ### END SOLUTION


def _use_shape(use):
    answer = use(torch.tensor([0, 1, 2, 3]), 8)
    expect(isinstance(answer, float), f"Return one float, yours is {answer!r}. `.item()`?")


def _use_one(use):
    answer = use(torch.tensor([5, 5, 5, 5]), 8)
    expect(math.isfinite(answer), f"An entry without any code has the share 0, and 0 times log 0 is {answer}. Leave the empty ones out of the sum.")
    expect(abs(answer - 1) < 1e-4, f"One entry does all the work: that is 1 entry in use, yours is {answer:.4g}. exp of the entropy, not the entropy.")


def _use_even(use):
    answer = use(torch.arange(8).repeat(3), 8)
    expect(abs(answer - 8) < 1e-3, f"Eight entries used alike are 8 in use, yours are {answer:.4g}. exp undoes a natural logarithm.")


def _use_uneven(use):
    answer = use(torch.tensor([0] * 97 + [1, 2, 3]), 8)
    expect(abs(answer - 1.1818) < 1e-3, f"97 of 100 codes are the same, so only about 1.18 entries are in use, yours are {answer:.4g}. An entry that is used "
                                        "once in a while hardly counts.")


def _use_sizes(use):
    codes = torch.tensor([0, 0, 1, 3])
    expect(abs(use(codes, 4) - use(codes, 64)) < 1e-4, "Entries that nobody uses change nothing, however large the codebook is. Divide by the "
                                                       "number of codes.")


def _use_unharmed(use):
    codes = torch.tensor([3, 1, 2, 1])
    use(codes, 4)
    expect(codes.tolist() == [3, 1, 2, 1], "Your function changed its input.")


def _use_counts(codes, entries):
    return float(len(codes.unique()))


def _use_entropy(codes, entries):
    return math.log(entries_in_use(codes, entries))


def _use_base_two(codes, entries):
    return math.exp(math.log2(entries_in_use(codes, entries)))


def _use_all_shares(codes, entries):
    shares = torch.bincount(codes, minlength=entries).double() / len(codes)
    return (-(shares * shares.log()).sum()).exp().item()


# ---- 02-4 --------------------------------------------------------------------------------------------------------------


def cross_fade(before, after, overlap):
    """Two pieces (N,), (M,) whose last and first `overlap` samples are the same moment -> one (N + M - overlap,)."""
    ### BEGIN SOLUTION
    rise = torch.sin(0.5 * torch.pi * torch.linspace(0, 1, overlap)).square()  # (overlap,) from 0 to 1
    seam = before[-overlap:] * (1 - rise) + after[:overlap] * rise
    return torch.cat([before[:-overlap], seam, after[overlap:]])
    ### END SOLUTION


def _fade_shape(fade):
    answer = fade(torch.ones(50), torch.ones(70), 20)
    expect(torch.is_tensor(answer), f"Return a tensor, yours is a {type(answer).__name__}.")
    expect(answer.shape == (100,), "50 and 70 samples that share 20 make (100,), "
                                                               f"yours is {tuple(getattr(answer, 'shape', ()))}.")


def _fade_ends(fade):
    answer = fade(torch.full((50,), 2.0), torch.full((70,), 5.0), 20)
    expect(torch.equal(answer[:30], torch.full((30,), 2.0)) and torch.equal(answer[50:], torch.full((50,), 5.0)),
           "Outside of the overlap nothing changes: before it stands the first piece, after it the second. Print the answer for pieces of all 2 and all 5.")


def _fade_sum(fade):
    answer = fade(torch.ones(50), torch.ones(70), 20)
    expect(torch.allclose(answer, torch.ones(100), atol=1e-5),
           f"Two equal pieces should give the same sound again, yours goes down to {answer.min():.3g} and up to {answer.max():.3g}. The two weights of a "
           "sample add up to one.")


def _fade_direction(fade):
    seam = fade(torch.zeros(40), torch.ones(40), 21)[19:40]
    expect(bool((seam.diff() >= -1e-6).all()) and seam[0] < 0.05 and seam[-1] > 0.95,
           f"Over the overlap the second piece comes up from 0 to 1, yours goes from {seam[0]:.3g} to {seam[-1]:.3g}. Which piece gets the rising weight?")


def _fade_slowly(fade):
    seam = fade(torch.zeros(60), torch.ones(60), 40)[20:60]
    expect(float(seam.diff().abs().max()) < 0.15, f"The largest step inside the overlap is {float(seam.diff().abs().max()):.3g}, and a step is a click. Move little "
                                                  "from sample to sample.")


def _fade_unharmed(fade):
    before, after = torch.ones(30), torch.zeros(30)
    fade(before, after, 10)
    expect(torch.equal(before, torch.ones(30)) and torch.equal(after, torch.zeros(30)), "Your function changed its input. Build a new tensor.")


def _fade_hard_cut(before, after, overlap):
    return torch.cat([before[: len(before) - overlap // 2], after[overlap - overlap // 2:]])[: len(before) + len(after) - overlap]


def _fade_to_the_middle_of_neither(before, after, overlap):
    rise = torch.linspace(0, 1, overlap)
    seam = before[-overlap:] * (1 - rise).square() + after[:overlap] * rise.square()
    return torch.cat([before[:-overlap], seam, after[overlap:]])


def _fade_backwards(before, after, overlap):
    rise = torch.linspace(1, 0, overlap)
    seam = before[-overlap:] * (1 - rise) + after[:overlap] * rise
    return torch.cat([before[:-overlap], seam, after[overlap:]])


def _fade_writes(before, after, overlap):
    rise = torch.linspace(0, 1, overlap)
    before[-overlap:] = before[-overlap:] * (1 - rise) + after[:overlap] * rise
    return torch.cat([before, after[overlap:]])


EXERCISES = (
    Exercise("02-1", "bits a second", 1, 10, 1, "a logarithm", bits_per_second,
             (_rate_shape, _rate_one, _rate_entries, _rate_codes, _rate_time),
             (Mutant("natural logarithm", _rate_natural, "Which logarithm"),
              Mutant("whole bits", lambda entries, codes, seconds=0.08: codes * (entries - 1).bit_length() / seconds, "do not round"),
              Mutant("entries for bits", _rate_of_entries, "as a byte does"),
              Mutant("log of the product", _rate_product, "add up"),
              Mutant("fifty a second", _rate_per_frame, "same step"))),
    Exercise("02-2", "code what is left", 2, 15, 2, "cdist, argmin, stack", code_what_is_left,
             (_coding_shape, _coding_dtype, _coding_first, _coding_next, _coding_rest, _coding_unharmed),
             (Mutant("codes the vector again", _coding_same_vector, "what the first one left"),
              Mutant("the farthest entry", _coding_farthest, "smallest distance"),
              Mutant("writes into its input", _coding_in_place, "changed its input"),
              Mutant("rest of the last only", _coding_last_rest, "add up to the vectors"))),
    Exercise("02-3", "entries in use", 2, 15, 2, "bincount, logarithm", entries_in_use,
             (_use_shape, _use_one, _use_even, _use_uneven, _use_sizes, _use_unharmed),
             (Mutant("counts distinct codes", _use_counts, "hardly counts"),
              Mutant("entropy itself", _use_entropy, "not the entropy"),
              Mutant("two kinds of logarithm", _use_base_two, "natural logarithm"),
              Mutant("log of zero", _use_all_shares, "empty ones"))),
    Exercise("02-4", "a seam that nobody hears", 2, 20, 2, "slices, linspace", cross_fade,
             (_fade_shape, _fade_ends, _fade_sum, _fade_direction, _fade_slowly, _fade_unharmed),
             (Mutant("a hard cut", _fade_hard_cut, "click"),
              Mutant("weights that do not add up", _fade_to_the_middle_of_neither, "add up to one"),
              Mutant("faded backwards", _fade_backwards, "rising weight"),
              Mutant("writes into its input", _fade_writes, "changed its input"))),
)
