"""What the paper reports of itself, for the row beside ours.

Only the abstract was at hand; all else comes from a third party's summary of version 3 and is marked second-hand.  The tasks
are others (LLM benchmarks, LLaMA and Web Questions, SeedTTS, LibriSpeech), so the rows stand side by side, not in a race.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reported:
    """One row: `values` by the name of a column (see `summary.COLUMNS`), and which of them are second-hand."""

    name: str
    values: dict[str, float] = field(default_factory=dict)
    second_hand: tuple[str, ...] = ()


PAPER = (
    Reported("paper: DeepOmni", {"text lost": 0.055, "QA speech": 0.368, "TTS WER": 0.0628, "ASR WER": 0.0821},
             ("QA speech", "TTS WER", "ASR WER")),
    Reported("paper: random experts, best of three", {"QA speech": 0.293}, ("QA speech",)),
    Reported("paper: random experts, worst of three", {"QA speech": 0.194}, ("QA speech",)),
    Reported("paper: MoExtend", {"QA speech": 0.265}, ("QA speech",)),
    Reported("paper: GLM-4-Voice", {"text lost": 0.4432, "QA speech": 0.310}, ("text lost", "QA speech")),
)
"""Relative text drop, spoken QA aloud, English TTS (before DPO) and LibriSpeech test-other."""
SOURCE = "paper arXiv 2506.21864; ~ second-hand, and other tasks than ours"
