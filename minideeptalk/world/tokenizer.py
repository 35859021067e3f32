"""Words to token ids and back. The ids of the specials are fixed: other rooms and saved checkpoints rely on them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from minideeptalk.config import STYLES
from minideeptalk.errors import LearnerError
from minideeptalk.world.vocabulary import WORLD_WORDS

SPECIALS = ("<pad>", "<user>", "<assistant>", "<end>", "<audio>", "<wait>")


class Tokenizer:
    """A word-level tokenizer: specials, then the speaking styles, then the words of the world.

    `<audio>` stands for one step of sound in the text row, `<wait>` fills the text row while sound goes on (the
    paper's text padding). A token is a word because one token leaves per 80 ms step and the text must keep ahead of
    the speech (chapter 01).

    Args:
        words: the tokens after the specials; the default is the whole world.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.decode(tokenizer.encode("forty two"))
    ['forty', 'two']
    """

    def __init__(self, words: Sequence[str] = STYLES + WORLD_WORDS):
        self.words: tuple[str, ...] = SPECIALS + tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            repeated = sorted({word for word in self.words if self.words.count(word) > 1})
            raise LearnerError("words that differ", f"{repeated} more than once")
        self.pad, self.user, self.assistant, self.end, self.audio, self.wait = range(len(SPECIALS))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: str | Iterable[str]) -> list[int]:
        """Token ids of words; a string is split at its spaces.

        Raises:
            LearnerError: for a word outside the world; the message names words that look like it.
        """
        words = words.split() if isinstance(words, str) else words
        try:
            return [self._ids[word] for word in words]
        except KeyError as error:
            raise self._unknown(error.args[0]) from None

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of token ids, specials included.

        Raises:
            LearnerError: for an id that no word has.
        """
        found = []
        for index in ids:
            if not 0 <= index < len(self.words):
                raise LearnerError(f"token ids from 0 to {len(self.words) - 1}", str(int(index)),
                                   "ids of another vocabulary, or of a codec row")
            found.append(self.words[index])
        return found

    def _unknown(self, word: str) -> LearnerError:
        near = difflib.get_close_matches(str(word).lower(), self.words, n=3, cutoff=0.6)
        hint = f"words like it: {', '.join(near)}" if near else "numbers are spelled (forty two), all words are lower case"
        return LearnerError(f"one of the {len(self.words)} words of this world", repr(word), next_step=hint)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON."""
        Path(path).write_text(json.dumps({"specials": SPECIALS, "words": self.words[len(SPECIALS):]}, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read what `save` wrote.

        Raises:
            LearnerError: if the file is missing or is no vocabulary of this library.
        """
        try:
            content = json.loads(Path(path).read_text())
            specials, words = tuple(content["specials"]), content["words"]
        except FileNotFoundError:
            raise LearnerError("a saved vocabulary", f"no file {path}") from None
        except (ValueError, KeyError, TypeError):
            raise LearnerError("a vocabulary in JSON with `specials` and `words`", f"something else in {path}") from None
        if specials != SPECIALS:
            raise LearnerError(f"the specials {SPECIALS}", f"{specials}", "the file comes from another version")
        return cls(words)
