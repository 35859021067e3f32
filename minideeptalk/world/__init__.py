"""The mini world: ten text skills, their words, and splits in which what is tested was never trained (chapter 01)."""

from minideeptalk.world.families import CHANCE, FAMILIES, data_hash, describe, mixture, split_of
from minideeptalk.world.family import Family, Item
from minideeptalk.world.numbers import number_value, number_words
from minideeptalk.world.skills_text import fact_table
from minideeptalk.world.speaking import speaking_text
from minideeptalk.world.splits import SPLITS
from minideeptalk.world.tokenizer import SPECIALS, Tokenizer
from minideeptalk.world.vocabulary import SPEAKABLE, WORLD_WORDS, spoken_words

__all__ = [
    "CHANCE", "FAMILIES", "SPEAKABLE", "SPECIALS", "SPLITS", "WORLD_WORDS", "Family", "Item", "Tokenizer", "data_hash", "describe",
    "fact_table", "mixture", "number_value", "number_words", "speaking_text", "split_of", "spoken_words",
]
