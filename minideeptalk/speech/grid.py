"""Words on the grid of the language model's steps.

A codec code says one thing about a sound and another about the same sound shifted by 40 ms, so a word that may begin
anywhere has many spellings in codes. Here every word begins with a step of 80 ms: one word, one place, few spellings.
"""

from __future__ import annotations

import numpy as np

from minideeptalk.config import SAMPLE_RATE, STEP_SECONDS
from minideeptalk.errors import LearnerError
from minideeptalk.speech.utterance import Span, Utterance

FADE_SECONDS = 0.003  # at each cut, against clicks
LEAD_SECONDS = 0.005  # kept before the first sound of a word, so that its attack is whole
PHONEME_LEAD_SECONDS = 0.012  # fricatives are heard up to 11 ms before espeak-ng reports them
QUIET = 0.004  # root mean square below which a 5 ms window counts as silence
WINDOW = 80  # samples of 5 ms


def place_on_grid(utterance: Utterance, step_seconds: float = STEP_SECONDS) -> Utterance:
    """Cut an utterance into words and let each begin at a multiple of `step_seconds`.

    Args:
        utterance: speech whose words are separated by a short pause (`Synthesizer.speak(..., word_gap=2)`).
        step_seconds: the grid.

    Returns:
        The same words, silence cut from both ends of each, silence added up to the next step; the total length is a
        multiple of `step_seconds`, and every word span starts on one.

    Raises:
        LearnerError: an utterance without word times.
    """
    if not utterance.words:
        raise LearnerError("an utterance with word times", "one without", next_step="make it with Synthesizer.speak")
    step = round(step_seconds * SAMPLE_RATE)
    pieces, words, phonemes, place = [], [], [], 0
    for word, (begin, end) in zip(utterance.words, _word_pieces(utterance)):
        piece = _faded(utterance.waveform[begin:end])
        steps = max(1, -(-len(piece) // step))
        shift = (place - begin) / SAMPLE_RATE
        start = place / SAMPLE_RATE
        words.append(Span(word.symbol, start, start + len(piece) / SAMPLE_RATE))
        phonemes += [Span(p.symbol, max(p.start + shift, start), p.end + shift) for p in utterance.phonemes
                     if word.start - 1e-6 <= p.start < word.end - 1e-6]
        pieces.append(np.pad(piece, (0, steps * step - len(piece))))  # (steps * step,)
        place += steps * step
    return Utterance(np.concatenate(pieces), tuple(words), tuple(phonemes))


def _word_pieces(utterance: Utterance) -> list[tuple[int, int]]:
    """First and last sample of each word, without the silence around it.

    The first phoneme says where to look: between the word's event and its first phoneme may lie the last of the word
    before.
    """
    starts = [word.start for word in utterance.words]
    limits = [*starts[1:], utterance.seconds]
    pieces = []
    for start, limit in zip(starts, limits):
        first = next((p.start for p in utterance.phonemes if start - 1e-6 <= p.start < limit), start)
        begin = max(start, first - PHONEME_LEAD_SECONDS)
        pieces.append(_sounding(utterance.waveform, round(begin * SAMPLE_RATE), round(limit * SAMPLE_RATE)))
    return pieces


def _sounding(waveform: np.ndarray, start: int, limit: int) -> tuple[int, int]:
    """Narrow [start, limit) to the part that sounds; 5 ms before the first sound stay."""
    count = max(1, (limit - start) // WINDOW)
    part = waveform[start : start + count * WINDOW]
    part = np.pad(part, (0, count * WINDOW - len(part)))
    level = np.sqrt((part.reshape(count, WINDOW) ** 2).mean(axis=1))  # (count,)
    loud = np.flatnonzero(level > QUIET)
    if len(loud) == 0:
        return start, limit
    begin = max(start, start + loud[0] * WINDOW - round(LEAD_SECONDS * SAMPLE_RATE))
    return begin, min(limit, start + (loud[-1] + 1) * WINDOW + WINDOW)


def _faded(piece: np.ndarray) -> np.ndarray:
    """Ramp both ends, so that a cut makes no click."""
    piece = piece.astype(np.float32, copy=True)
    length = min(round(FADE_SECONDS * SAMPLE_RATE), len(piece) // 2)
    ramp = np.linspace(0.0, 1.0, length, endpoint=False, dtype=np.float32)
    piece[:length] *= ramp
    piece[len(piece) - length :] *= ramp[::-1]
    return piece
