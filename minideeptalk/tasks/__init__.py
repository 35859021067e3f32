"""Tasks: what an example is, spoken material, and how examples become a batch (chapters 01 and 06)."""

from minideeptalk.tasks.batch import Batch, collate
from minideeptalk.tasks.examples import IGNORE, Example, ExampleBuilder, SpokenAnswer
from minideeptalk.tasks.sampler import TaskSampler
from minideeptalk.tasks.spoken import SpokenQuestion, SpokenReply, SpokenSet

__all__ = ["IGNORE", "Batch", "Example", "ExampleBuilder", "SpokenAnswer", "SpokenQuestion", "SpokenReply",
           "SpokenSet", "TaskSampler", "collate"]
