"""Text to speech with espeak-ng, called through its C interface, which reports when each word and phoneme begins.

The library comes in the wheel `espeakng-loader`. Two traps of reproducing it. Its random numbers are seeded from the
clock, so a seed is set here. And it keeps other state between calls, so the same sentence said twice differs in its
bytes even with the same seed: only the same sequence of calls in a fresh process repeats (see `corpus.py`).
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.speech.loudness import normalise_loudness
from minideeptalk.speech.resampling import resample_numpy
from minideeptalk.speech.utterance import Span, Utterance
from minideeptalk.speech.voices import ASSISTANT_VOICE, Style, Voice, find_style, find_voice

# Constants of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 0x0001, 0x0002, 0x8000
CHARACTERS_UTF8 = 1
RATE, VOLUME, PITCH, RANGE, WORD_GAP = 1, 2, 3, 4, 7
EVENT_LIST_END, EVENT_WORD, EVENT_END, EVENT_PHONEME = 0, 1, 5, 7

SEED = 1
KEEP_SILENCE_SECONDS = 0.01  # what the trim leaves before the first and after the last sound


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_milliseconds", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@lru_cache(maxsize=1)
def _load_library() -> tuple[ctypes.CDLL, int]:
    """The initialised library and its sample rate. espeak-ng is one per process, hence the cache."""
    try:
        import espeakng_loader
    except ImportError:
        raise LearnerError("the package espeakng-loader", "an installation without it",
                           cause="speech synthesis is an optional extra",
                           next_step="pip install minideeptalk[speech]") from None
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
                                     ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
    data_path = str(espeakng_loader.get_data_path()).encode()  # passed on: the compiled-in path is the builder's
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT)
    if rate <= 0:
        raise LearnerError("espeak-ng to start", f"error {rate}", cause=f"its data are missing at {data_path.decode()}",
                           next_step="pip install --force-reinstall espeakng-loader")
    library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))  # otherwise the clock decides
    return library, rate


def is_available() -> bool:
    """Whether espeak-ng can be loaded here."""
    try:
        _load_library()
    except (LearnerError, OSError):
        return False
    return True


class Synthesizer:
    """Speaks words in a voice and a style.

    Example:
        >>> from minideeptalk.speech.synthesis import Synthesizer
        >>> utterance = Synthesizer().speak("forty two", style="happy")
        >>> [word.symbol for word in utterance.words]
        ['forty', 'two']

    Raises:
        LearnerError: when espeak-ng is not installed.
    """

    def __init__(self):
        self._library, self.native_rate = _load_library()
        self._chunks: list[bytes] = []
        self._events: list[tuple[int, int, int, str]] = []  # type, text position, sample, phoneme
        self._callback = _Callback(self._receive)  # held here: a collected callback crashes the process
        self._espeak_voice = ""

    def _receive(self, samples, count, events) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != EVENT_LIST_END:
            event = events[index]
            name = event.id.string.decode("utf-8", "ignore") if event.type == EVENT_PHONEME else ""
            self._events.append((event.type, event.text_position, event.sample, name))
            index += 1
        return 0

    def speak(self, words: str | tuple[str, ...] | list[str], voice: str | Voice = ASSISTANT_VOICE,
              style: str | Style = "neutral", word_gap: int = 0) -> Utterance:
        """Synthesise words.

        Args:
            words: a sequence of words, or text that is split at spaces.
            voice: a `Voice` or its name.
            style: a `Style` or its name.
            word_gap: pause between words in units of 10 ms (at the default rate of espeak-ng).

        Returns:
            The utterance at 16 kHz, trimmed to 10 ms of silence at both ends, its sounding part at -23 dBFS.

        Raises:
            LearnerError: no words, an unknown voice or style, or a word that espeak-ng gives no sound.
        """
        words = tuple(words.split()) if isinstance(words, str) else tuple(words)
        if not words:
            raise LearnerError("at least one word", "none", next_step="pass a text such as 'forty two'")
        self._set_up(find_voice(voice), find_style(style), word_gap)
        self._chunks.clear()
        self._events.clear()
        text = " ".join(words).encode() + b"\0"
        self._library.espeak_Synth(text, len(text), 0, 1, 0, CHARACTERS_UTF8, None, None)
        native = np.frombuffer(b"".join(self._chunks), dtype=np.int16).astype(np.float32) / 32768  # (N_native,)
        if not native.any():
            raise LearnerError("words that can be pronounced", repr(" ".join(words)),
                               cause="espeak-ng made no sound of it", next_step="spell numbers and signs as words")
        waveform = resample_numpy(native, self.native_rate, SAMPLE_RATE)  # (N,)
        spoken, phonemes = self._spans(words, len(native))
        return _trim(Utterance(normalise_loudness(waveform), spoken, phonemes))

    def _set_up(self, voice: Voice, style: Style, word_gap: int) -> None:
        self._library.espeak_SetSynthCallback(self._callback)
        if self._espeak_voice != voice.espeak:
            if self._library.espeak_SetVoiceByName(voice.espeak.encode()) != 0:
                raise LearnerError("an espeak-ng voice", repr(voice.espeak),
                                   next_step="take a language and a variant, such as en-us+f3")
            self._espeak_voice = voice.espeak
        pitch = min(99, round(style.pitch * voice.pitch_scale))
        settings = {RATE: round(style.rate * voice.rate_scale), PITCH: pitch, RANGE: style.range,
                    VOLUME: style.volume, WORD_GAP: word_gap}
        for parameter, value in settings.items():
            self._library.espeak_SetParameter(parameter, value, 0)

    def _spans(self, words: tuple[str, ...], length: int) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Words and phonemes with start and end in seconds, from espeak-ng's events."""
        marks = [(sample, name) for kind, _, sample, name in self._events if kind == EVENT_PHONEME]
        ends = [sample for sample, _ in marks[1:]] + [length]
        rate = self.native_rate
        phonemes = tuple(Span(name, sample / rate, end / rate) for (sample, name), end in zip(marks, ends) if name)
        starts = _word_starts(words, [(position, sample) for kind, position, sample, _ in self._events
                                      if kind == EVENT_WORD], length)
        limits = [*(start / rate for start in starts[1:]), length / rate]
        spans = []
        for word, start, limit in zip(words, (start / rate for start in starts), limits):
            inside = [phoneme for phoneme in phonemes if start - 1e-6 <= phoneme.start < limit - 1e-6]
            spans.append(Span(word, start, min(inside[-1].end, limit) if inside else limit))
        return tuple(spans), phonemes


def _word_starts(words: tuple[str, ...], events: list[tuple[int, int]], length: int) -> list[int]:
    """Start sample of each word. espeak-ng says two words as one at times; those share the time by letters."""
    positions, place = [], 1  # espeak-ng counts characters from 1
    for word in words:
        positions.append(place)
        place += len(word) + 1
    known = dict(reversed(events))  # the first event of a position wins
    starts: list[int | None] = [known.get(position) for position in positions]
    if starts[0] is None:
        starts[0] = 0
    for index, start in enumerate(starts):
        if start is None:
            following = next((i for i in range(index, len(starts)) if starts[i] is not None), len(starts))
            limit = starts[following] if following < len(starts) else length
            letters = sum(len(word) for word in words[index - 1 : following])
            starts[index] = round(starts[index - 1] + (limit - starts[index - 1]) * len(words[index - 1]) / letters)
    return starts


def _trim(utterance: Utterance, threshold: float = 0.004, window: int = 80) -> Utterance:
    """Cut silence at both ends but for 10 ms; times move along. The threshold is -48 dBFS, 25 dB below speech."""
    frames = len(utterance.waveform) // window
    level = np.sqrt((utterance.waveform[: frames * window].reshape(frames, window) ** 2).mean(axis=1))  # (frames,)
    loud = np.flatnonzero(level > threshold)
    if len(loud) == 0:
        return utterance
    keep = round(KEEP_SILENCE_SECONDS * SAMPLE_RATE)
    begin = max(0, loud[0] * window - keep)
    end = min(len(utterance.waveform), (loud[-1] + 1) * window + keep)
    shift, last = begin / SAMPLE_RATE, (end - begin) / SAMPLE_RATE

    def moved(span: Span) -> Span:
        return Span(span.symbol, *(min(max(time - shift, 0.0), last) for time in (span.start, span.end)))

    return Utterance(utterance.waveform[begin:end].copy(), tuple(map(moved, utterance.words)),
                     tuple(map(moved, utterance.phonemes)))
