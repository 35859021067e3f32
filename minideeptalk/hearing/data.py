"""What is said aloud: questions of the spoken families, short answers, and foreign speech that the ear should refuse.

In answers every word is drawn into many contexts, because a word met in few sentences is learnt as part of those sentences.
Splits are by combination: no text of two or more answer words occurs in two splits.
"""

from __future__ import annotations

import random

from minideeptalk.config import STYLES, SizeConfig
from minideeptalk.speech.corpus import Request
from minideeptalk.speech.voices import ASSISTANT_VOICE, USER_VOICES
from minideeptalk.world import FAMILIES, Item, speaking_text, split_of
from minideeptalk.world.vocabulary import CITIES, PLACES, STORY_WORDS

FAMILY_SHARE = 0.35  # of the answers, the part that answers a question; the rest are random word lists


def question_items(config: SizeConfig, split: str, count: int, seed: int) -> list[Item]:
    """Items of the spoken families, in turn.

    Args:
        config: reserved for families that a size leaves out; every size speaks all spoken families today.
        split: train, validation or test.
        count: how many.
        seed: same seed, same items.
    """
    spoken = [family for family in FAMILIES.values() if family.spoken]
    each = -(-count // len(spoken))
    columns = [family.items(split, each, seed) for family in spoken]
    rows = [item for row in zip(*columns, strict=True) for item in row]
    return rows[:count]


def answer_requests(
    config: SizeConfig, split: str, count: int, seed: int, on_grid: bool = True, family_share: float = FAMILY_SHARE
) -> list[Request]:
    """Answers of one to four words in the assistant's voice and all styles.

    Args:
        config: see `question_items`.
        split: train, validation or test.
        count: how many.
        seed: same seed, same requests.
        on_grid: each word begins on a step of 80 ms; False for natural timing.
        family_share: part of the texts that answer a question of a spoken family; 0 for random word lists only.
    """
    rng = random.Random(f"answers-{split}-{seed}")
    answers = iter(_family_answers(config, split, round(count * family_share), seed))
    texts = []
    for index in range(count):
        # spread the answers evenly among the word lists
        due = int((index + 1) * family_share) > int(index * family_share)
        text = next(answers, None) if due else None
        texts.append(text or speaking_text(rng, split))
    manners = _manners([ASSISTANT_VOICE.name], count, rng)
    return [Request(text, voice, style, on_grid) for text, (voice, style) in zip(texts, manners, strict=True)]


def foreign_requests(count: int, seed: int) -> list[Request]:
    """Speech the ear cannot know: places, cities and verbs that no spoken text of the world contains, in user voices.

    The ear's threshold is chosen on it; it is never trained on.
    """
    rng = random.Random(f"foreign-{seed}")
    texts = [tuple(rng.sample(PLACES + CITIES + STORY_WORDS, rng.randint(1, 5))) for _ in range(count)]
    manners = _manners([voice.name for voice in USER_VOICES], count, rng)
    return [Request(text, voice, style, False) for text, (voice, style) in zip(texts, manners, strict=True)]


def _family_answers(config: SizeConfig, split: str, count: int, seed: int) -> list[tuple[str, ...]]:
    """Answers whose own text belongs to the split (one word always does), so that no test text is trained by the way."""
    answers = [item.answer for item in question_items(config, split, 2 * count, seed + 1)]
    return [text for text in answers if len(text) == 1 or split_of("speaking", text) == split][:count]


def _manners(voices: list[str], count: int, rng: random.Random) -> list[tuple[str, str]]:
    """`count` pairs of voice and style, each pair equally often, in random order."""
    pairs = [(voice, style) for voice in voices for style in STYLES]
    manners = [pairs[index % len(pairs)] for index in range(count)]
    rng.shuffle(manners)
    return manners
