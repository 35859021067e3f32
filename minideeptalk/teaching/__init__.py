"""What the book and its exercises need: the set-up cell, notebook pairing, checks, and the build of the pages."""

from minideeptalk.teaching.chapter import Chapter, open_chapter
from minideeptalk.teaching.checks import check
from minideeptalk.teaching.machine import describe_machine

__all__ = ["Chapter", "check", "describe_machine", "open_chapter"]
