"""The tables of the page of lanes: what each arm loses and says, and what it has beyond its rival, from the records of the study."""

from __future__ import annotations

from collections.abc import Mapping

from minideeptalk.baselines.budgets import REFERENCE
from minideeptalk.baselines.evidence import told
from minideeptalk.baselines.intervals import Interval, interval_of, paired_interval
from minideeptalk.baselines.lanes import LANES, LANES_COVERED
from minideeptalk.baselines.lanes_copied import LANES_COPIED
from minideeptalk.baselines.lanes_from_sound import LANES_COPIED_FROM_SOUND, LANES_FROM_SOUND
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.summary import COLUMNS, Column, by_arm, committed_records, values_of
from minideeptalk.baselines.weighted import WEIGHTED
from minideeptalk.teaching.tables import markdown_table

NAMES = {"text lost": "text kept", "QA text": "answers, text", "QA speech": "answers, aloud", "TTS WER": "words clear", "style": "style"}
"""The columns of the study's table that stand here, and what the page calls them, as chapter 14 does."""
LESS = ("text lost", "TTS WER")
"""Of these less is better, so the page shows what is left of one."""
SHOWN = [column for column in COLUMNS if column.name in NAMES]
PUREMOE_WEIGHTED, *LANES_WEIGHTED = WEIGHTED
RIVALS = {**{arm.name: PUREMOE.name for arm in (LANES, LANES_COVERED, LANES_FROM_SOUND, LANES_COPIED, LANES_COPIED_FROM_SOUND)},
          **{arm.name: PUREMOE_WEIGHTED.name for arm in LANES_WEIGHTED}}
"""Every arm with lanes, and the model that weighs its rows alike and trains everything."""
PAGE = """Percent of the test split at `nano`, means over seeds with 95 % t intervals, more is better. *Learn* is how many parameters speech trains, in millions;
*answers* are those to spoken questions; *words clear* is one less the word error rate of unseen texts.

{means}

The same beside the rival with the same rows, in points, paired by seed; a star is sure of its sign.

{pairs}
"""


def lanes_results() -> str:
    """Markdown: rivals, recipe and all lanes, then every arm with lanes less its rival."""
    arms = by_arm(committed_records())
    means = [(arm, str(len(arms[arm])), f"{next(iter(arms[arm].values()))['budget']['trainable'] / 1e6:.2f}",
              *(_cell(interval_of(_ability(arms[arm], column).values())) for column in SHOWN))
             for arm in (REFERENCE, PUREMOE.name, PUREMOE_WEIGHTED.name, *RIVALS)]
    pairs = [(arm, rival, *(_cell(paired_interval(_ability(arms[arm], column), _ability(arms[rival], column)), signed=True) for column in SHOWN))
             for arm, rival in RIVALS.items()]
    heads = [NAMES[column.name] for column in SHOWN]
    return PAGE.format(means=markdown_table(("arm", "seeds", "learn", *heads), means), pairs=markdown_table(("arm", "rival", *heads), pairs))


def _ability(runs: Mapping[int, Mapping], column: Column) -> dict[int, float]:
    return {seed: 1 - value if column.name in LESS else value for seed, value in values_of(runs, column).items()}


def _cell(interval: Interval | None, signed: bool = False) -> str:
    star = " \\*" if signed and interval is not None and interval.sure_of_sign else ""
    return told(interval, signed) + star
