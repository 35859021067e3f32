"""Recordings of people: public corpora through torchaudio's classes, and any folder of files with transcripts (chapter 15).

Everything comes out as 16 kHz mono, and how many *seconds* it lasts is compared with what the file itself says: a sample rate that is
taken for another gives sound that plays, at the wrong speed. Nothing is downloaded unless `download=True` says so.
torchaudio's own reader needs the package torchcodec since 2.9; so its classes find the files and words, and soundfile reads the sound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.speech.files import read_audio
from minideeptalk.world.numbers import number_words

DIGIT_NAMES = "{words}_{speaker}_{take}"  # 7_jackson_32.wav, as the Free Spoken Digit Dataset names its files
LONGEST_SECONDS = 40.0  # LibriSpeech has utterances of 35 s
RATE_DEVIATION = 0.01  # seconds that resampling may add or take, by rounding to whole samples
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Recording:
    """One recorded utterance; the sound stays on disk until it is asked for.

    Args:
        path: WAV or FLAC, at any rate. words: what is said, in lower case, numbers below 100 spelt. speaker: a name or number, or "".
        sample_rate: what the corpus says its rate is; None where it says nothing.
    """

    path: Path
    words: str
    speaker: str = ""
    sample_rate: int | None = None

    @property
    def seconds(self) -> float:
        """Duration, from the file's header.

        Raises:
            LearnerError: if it is no sound that can be read.
        """
        try:
            header = soundfile.info(self.path)
        except soundfile.LibsndfileError as error:
            raise LearnerError(f"a sound file at {self.path}", str(error), "the download was cut off, or the file moved",
                               "fetch the corpus again") from error
        return header.frames / header.samplerate

    def waveform(self) -> np.ndarray:
        """The sound: (N,) float32 at 16 kHz, mono.

        Raises:
            LearnerError: as `files.read_audio`, and where rate or duration are not what they should be.
        """
        waveform = read_audio(self.path, LONGEST_SECONDS)  # (N,); first, since it explains what is wrong with a file
        header = soundfile.info(self.path)
        if self.sample_rate not in (None, header.samplerate):
            raise LearnerError(f"{self.path.name} at {self.sample_rate} Hz, as its corpus says", f"{header.samplerate} Hz",
                               "somebody converted the files", "fetch the corpus again")
        same_seconds(len(waveform) / SAMPLE_RATE, header.frames / header.samplerate, self.path.name)
        return waveform


def same_seconds(got: float, expected: float, name: str) -> None:
    """Raise a `LearnerError` unless two durations in seconds agree to a hundredth: the check against sample rates taken for one another."""
    if abs(got - expected) > RATE_DEVIATION:
        raise LearnerError(f"{expected:.2f} s of sound in {name}", f"{got:.2f} s",
                           f"a sample rate taken for another: {got / max(expected, 1e-9):.3g} times as long",
                           "resample from the rate that the file's header names")


def librispeech(root: str | Path, subset: str = "dev-clean", download: bool = False) -> list[Recording]:
    """LibriSpeech: sentences from audio books, 16 kHz FLAC (`torchaudio.datasets.LIBRISPEECH`).

    Args:
        root: folder that holds, or will hold, `LibriSpeech/`. subset: for instance `dev-clean` (337 MB) or `train-clean-100`.
        download: fetch it from openslr.org if it is not there.

    Raises:
        LearnerError: when it is not there and was not to be downloaded.
    """
    from torchaudio.datasets import LIBRISPEECH

    corpus = _open(LIBRISPEECH, root, download, url=subset)
    return [Recording(Path(root, "LibriSpeech", path), plain_words(words), str(speaker), rate)
            for path, rate, words, speaker, *_ in _metadata(corpus)]


def speech_commands(root: str | Path, subset: str | None = "testing", download: bool = False) -> list[Recording]:
    """Speech Commands: single words by many people, a second each, 16 kHz WAV (`torchaudio.datasets.SPEECHCOMMANDS`).

    Args:
        root: folder that holds, or will hold, `SpeechCommands/`. subset: training, validation, testing, or None for all.
        download: fetch it (2.3 GB) if it is not there.

    Raises:
        LearnerError: when it is not there and was not to be downloaded.
    """
    from torchaudio.datasets import SPEECHCOMMANDS

    corpus = _open(SPEECHCOMMANDS, root, download, subset=subset)
    return [Recording(Path(root, "SpeechCommands", path), words, speaker, rate) for path, rate, words, speaker, *_ in _metadata(corpus)]


def ljspeech(root: str | Path, download: bool = False) -> list[Recording]:
    """LJSpeech: one voice, 24 hours of sentences, 22.05 kHz WAV (`torchaudio.datasets.LJSPEECH`); the normalised transcripts.

    Args:
        root: folder that holds, or will hold, `LJSpeech-1.1/`. download: fetch it (2.6 GB) if it is not there.

    Raises:
        LearnerError: when it is not there and was not to be downloaded.
    """
    from torchaudio.datasets import LJSPEECH

    _open(LJSPEECH, root, download)
    folder = Path(root, "LJSpeech-1.1")
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    return [Recording(folder / "wavs" / f"{name}.wav", plain_words(words), "lj", 22_050) for name, _, words in rows]


def _open(corpus: type, root: str | Path, download: bool, **choices):
    try:
        return corpus(root, download=download, **choices)
    except (RuntimeError, FileNotFoundError) as error:
        raise LearnerError(f"{corpus.__name__} in {root}", "no such corpus there", str(error).split(". ")[0],
                           "give its folder, or download=True (it is large)") from None


def _metadata(corpus) -> Iterator[tuple]:
    return (corpus.get_metadata(number) for number in range(len(corpus)))


def folder_of_recordings(folder: str | Path, transcripts: str | Path | None = None, names: str = DIGIT_NAMES) -> list[Recording]:
    """Any folder of WAV or FLAC files, with their words in a JSON file or in their names.

    Args:
        folder: where the sounds are.
        transcripts: a JSON file: `{"file.wav": "the words"}`, or a list of objects with `file`, `words` and, if known, `speaker` or
            `voice` (as `data_samples/clips.json`). None takes `transcripts.json` of the folder, or else the names of the files.
        names: how a file's name without its ending is built, from `{words}` and, if you like, `{speaker}` and other fields.

    Raises:
        LearnerError: for a folder without sounds, transcripts that are no such JSON, a transcript without a sound, or a name that does
            not fit the pattern.

    Example:
        >>> from minideeptalk.speech.corpora import words_in_name
        >>> words_in_name("7_jackson_32", "{words}_{speaker}_{take}")
        {'words': 'seven', 'speaker': 'jackson', 'take': '32'}
    """
    folder = Path(folder)
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".wav", ".flac")) if folder.is_dir() else []
    if not files:
        raise LearnerError("a folder with WAV or FLAC files", f"none in {folder}", "another folder, or files of another kind",
                           "convert them: ffmpeg -i in.mp3 -ar 16000 -ac 1 out.wav")
    card = Path(transcripts) if transcripts else folder / "transcripts.json"
    if transcripts or card.is_file():
        return _by_card(folder, card)
    found = [(path, words_in_name(path.stem, names)) for path in files]
    return [Recording(path, fields["words"], fields.get("speaker", "")) for path, fields in found]


def _by_card(folder: Path, card: Path) -> list[Recording]:
    if not card.is_file():
        raise LearnerError("a JSON file with transcripts", f"no file {card}")
    rows = _rows(card)
    silent = [row["file"] for row in rows if not (folder / row["file"]).is_file()]
    if silent:
        raise LearnerError(f"a sound for each transcript of {card.name}", f"none for {', '.join(silent[:3])}",
                           "names changed, or some files are missing")
    return [Recording(folder / row["file"], plain_words(row["words"]), str(row.get("speaker", row.get("voice", "")))) for row in rows]


def _rows(card: Path) -> list[dict]:
    """The entries of a file of transcripts, each with `file` and `words`."""
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LearnerError(f"JSON in {card}", str(error), "a comma after the last entry, a missing quote, or letters that are not UTF-8",
                           "mend that place, or check the file: python -m json.tool") from error
    rows = [{"file": file, "words": words} for file, words in content.items()] if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise LearnerError(f"an object or a list in {card}", json.dumps(rows))
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("file", "words")):
            raise LearnerError(f"text as `file` and `words` of each entry of {card}", f"{json.dumps(row)} as entry {number}",
                               "a name left out or mistyped, or a number without quotes", 'write {"file": "a.wav", "words": "red cat"}')
    return rows


def words_in_name(stem: str, names: str) -> dict[str, str]:
    """The fields of a file's name; its words in plain form.

    Raises:
        LearnerError: when the name does not fit, or the pattern has no `{words}`.
    """
    if "{words}" not in names:
        raise LearnerError("a pattern with {words}", repr(names))
    parts = FIELD.split(names)  # text and names of fields in turn
    pattern = "".join(f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
    match = re.fullmatch(pattern, stem)
    if match is None:
        raise LearnerError(f"a file name like {names}", repr(stem), "another naming, or a stray file",
                           "pass names=..., or write the words into transcripts.json")
    return {**match.groupdict(), "words": plain_words(match["words"])}


def plain_words(text: str) -> str:
    """Lower case, single spaces, numbers below 100 spelt: `Say 42` becomes `say forty two`."""
    words = re.sub(r"[^\w']+|_+", " ", text.lower()).split()
    return " ".join(" ".join(number_words(int(word))) if word.isdecimal() and int(word) < 100 else word for word in words)
