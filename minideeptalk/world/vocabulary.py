"""Every word of the mini world, in groups that say what a word is for.

One token is one word. Speech then never outlasts its text: the text row of a step can run ahead of the 80 ms of
sound that belongs to it, as in the paper's models. Words that are spoken were chosen to sound different: there is no
`to` beside `two`, no `for` beside `four`, no `read` beside `red`. A few pairs are one sound apart (ten and ben, hat and
cat, one and what): close enough to be a test of hearing, far enough for every voice to keep them apart.
"""

from __future__ import annotations

from minideeptalk.world.numbers import NUMBER_WORDS

NAMES = ("leo", "mia", "ben", "anna", "tom", "ruby", "oscar", "david", "julia", "victor")
OBJECTS = ("hat", "key", "cup", "box", "ball", "lamp", "ring", "drum", "spoon", "chair")
ANIMALS = ("cat", "dog", "bird", "horse", "fish")
COLOURS = ("red", "blue", "green", "yellow", "black")
LIST_WORDS = OBJECTS + ANIMALS + COLOURS  # what reverse and count list

# What user voices say around the words above.
QUESTION_WORDS = ("what", "is", "plus", "say", "backwards", "which", "more", "or", "person", "thing", "animal", "color")

# From here on: text only, never spoken.
PLACES = (
    "park", "school", "bank", "farm", "garden", "market", "museum", "station", "hotel", "bridge",
    "tower", "church", "shop", "library", "theater", "harbor", "castle", "zoo", "mill", "lake",
)
CITIES = (
    "paris", "london", "rome", "oslo", "tokyo", "cairo", "lima", "delhi", "madrid", "berlin",
    "vienna", "athens", "dublin", "prague", "lisbon", "moscow", "havana", "nairobi", "sydney", "toronto",
)
PLURALS = {"cat": "cats", "dog": "dogs", "bird": "birds", "horse": "horses", "girl": "girls", "boy": "boys"}
VERBS = {"run": "runs", "sleep": "sleeps", "sing": "sings", "jump": "jumps", "play": "plays", "swim": "swims"}
PREPOSITIONS = ("near", "behind", "under", "beside")
STORY_WORDS = (
    "loves", "likes", "hates", "fears", "comes", "returns", "leaves", "vanishes",
    "then", "so", "laughs", "weeps", "smiles", "cries",
)
TEXT_QUESTION_WORDS = ("where", "the", "has", "of", "city", "in", "a", "tell", "me", "sort", "count")
INSTRUCTIONS = ("transcribe", "speak", "answer", "style")  # for task prompts; no text skill uses them

SPEAKABLE = NUMBER_WORDS[1:] + NAMES + LIST_WORDS  # `zero` is never spoken


def spoken_words() -> tuple[str, ...]:
    """All words that may occur in spoken questions or answers: what an ear of this world has to know."""
    return SPEAKABLE + QUESTION_WORDS


def _without_repeats(*groups) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for group in groups for word in group))


WORLD_WORDS = _without_repeats(
    NUMBER_WORDS, NAMES, LIST_WORDS, QUESTION_WORDS, PLACES, CITIES,
    PLURALS, PLURALS.values(), VERBS, VERBS.values(), PREPOSITIONS, STORY_WORDS, TEXT_QUESTION_WORDS, INSTRUCTIONS,
)
