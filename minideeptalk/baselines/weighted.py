"""Weighted rows for others than the recipe: the text of a step counts as much as its seven codec rows together (chapter 14).

With its first seed the ablation `rows-weighted` spoke much clearer than the recipe.  Does that make a better recipe, or does it help whoever reads
eight rows a step?  The rival and two of our own arms get it, too; all begin from the text model of that ablation.  They were thought of when
its first test result had been seen.
"""

from __future__ import annotations

from dataclasses import replace

from minideeptalk.baselines.ablations import text_as_all_codes
from minideeptalk.baselines.lanes import LANES
from minideeptalk.baselines.lanes_from_sound import LANES_COPIED_FROM_SOUND
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.training.arm import Arm


def weighted(arm: Arm) -> Arm:
    """The arm with weighted rows, at the rates of the arm itself."""
    return replace(arm, name=f"{arm.name}-weighted", choices=text_as_all_codes, rates_of=arm.name,
                   changes=f"as {arm.name}, with text that counts as much as all codec rows of a step")


WEIGHTED = tuple(weighted(arm) for arm in (PUREMOE, LANES, LANES_COPIED_FROM_SOUND))
