"""Every arm of the study, and the study that runs them (chapter 14)."""

from minideeptalk.baselines.arms import ARMS, TIERS, find_arm

__all__ = ["ARMS", "TIERS", "find_arm"]
