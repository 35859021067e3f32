"""A second opinion on every answer, worked out from the words of the question and nothing else."""

ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
        "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def value(text: str) -> int:
    """The number that a text spells: `forty two` is 42."""
    return sum(ONES.index(word) if word in ONES else 20 + 10 * TENS.index(word) for word in text.split())


def spell(number: int) -> str:
    return next(text for text in ONES + TENS + [f"{ten} {one}" for ten in TENS for one in ONES[1:10]] if value(text) == number)


def add(question: str) -> str:
    first, second = question.removeprefix("what is ").split(" plus ")
    return spell(value(first) + value(second))


KINDS = {
    "person": "leo mia ben anna tom ruby oscar david julia victor", "thing": "hat key cup box ball lamp ring drum spoon chair",
    "animal": "cat dog bird horse fish", "color": "red blue green yellow black",
}


def lookup(question: str) -> str:
    told, asked = question.split(" which ")
    return next(word for word in told.split() if word in KINDS[asked].split())


def repeat(question: str) -> str:
    return question.removeprefix("say ")


def reverse(question: str) -> str:
    return " ".join(reversed(question.removeprefix("say ").removesuffix(" backwards").split()))


def compare(question: str) -> str:
    return max(question.removeprefix("which is more ").split(" or "), key=value)


def sort(question: str) -> str:
    return " ".join(sorted(question.removeprefix("sort ").split(), key=value))


def count(question: str) -> str:
    counted, words = question.removeprefix("count ").split(" in ")
    return spell(words.split().count(counted))


def facts(question: str, table: dict) -> str:
    words = set(question.split())
    return next(city for (name, place), city in table.items() if {name, place} <= words)


def grammar_is_right(question: str, verb: str) -> bool:
    subject_is_plural = question.split()[1].endswith("s")
    return subject_is_plural != verb.endswith("s")


def story_is_right(question: str, ending: str) -> bool:
    words = question.split()
    likes_it = words[1] in ("loves", "likes")
    is_there = words[-3] in ("comes", "returns")
    return (ending in ("laughs", "smiles")) == (likes_it == is_there)
