"""The tables of the page of lanes: what each arm loses and says, and what it has beyond its rival, from the records of the study."""

from __future__ import annotations

from minideeptalk.baselines.budgets import REFERENCE
from minideeptalk.baselines.evidence import told
from minideeptalk.baselines.intervals import Interval, paired_interval
from minideeptalk.baselines.lanes import LANES, LANES_COVERED
from minideeptalk.baselines.lanes_copied import LANES_COPIED
from minideeptalk.baselines.lanes_from_sound import LANES_COPIED_FROM_SOUND, LANES_FROM_SOUND
from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.baselines.summary import COLUMNS, by_arm, committed_records, mean_of, values_of
from minideeptalk.baselines.weighted import WEIGHTED
from minideeptalk.teaching.tables import markdown_table

NAMES = {"text lost": "text lost", "QA text": "asked aloud, answered in text", "QA speech": "answered aloud", "TTS WER": "word errors, unseen texts",
         "ASR WER": "word errors of what was heard", "style": "style given back"}
"""The columns of the study's table that stand here, and what the page calls them."""
SHOWN = [column for column in COLUMNS if column.name in NAMES]
PUREMOE_WEIGHTED, *LANES_WEIGHTED = WEIGHTED
RIVALS = {**{arm.name: PUREMOE.name for arm in (LANES, LANES_COVERED, LANES_FROM_SOUND, LANES_COPIED, LANES_COPIED_FROM_SOUND)},
          **{arm.name: PUREMOE_WEIGHTED.name for arm in LANES_WEIGHTED}}
"""Every arm with lanes, and the model without them that reads the same rows and trains everything."""
PAGE = """Percent of the test split at `nano`, means over seeds with 95 % t intervals; less is better of losses and errors, more of the rest. *Learn* is how many
parameters speech trains, in millions.

{means}

The same beside the rival with the same rows, in points, paired by seed; a star is sure of its sign.

{pairs}
"""


def lanes_results() -> str:
    """Markdown: rivals, recipe and all lanes, then every arm with lanes less its rival."""
    arms = by_arm(committed_records())
    means = [(arm, str(len(arms[arm])), f"{next(iter(arms[arm].values()))['budget']['trainable'] / 1e6:.2f}",
              *(_cell(mean_of(arms[arm], column)) for column in SHOWN)) for arm in (REFERENCE, PUREMOE.name, PUREMOE_WEIGHTED.name, *RIVALS)]
    pairs = [(arm, rival, *(_cell(paired_interval(values_of(arms[arm], column), values_of(arms[rival], column)), signed=True) for column in SHOWN))
             for arm, rival in RIVALS.items()]
    heads = [NAMES[column.name] for column in SHOWN]
    return PAGE.format(means=markdown_table(("arm", "seeds", "learn", *heads), means), pairs=markdown_table(("arm", "rival", *heads), pairs))


def _cell(interval: Interval | None, signed: bool = False) -> str:
    star = " \\*" if signed and interval is not None and interval.sure_of_sign else ""
    return (told(interval, signed) + star).replace(" ", "&nbsp;")
