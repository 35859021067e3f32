"""Where tokens go, before and after each stage: distances between the load maps of a run (chapters 07 and 14).

Axes: L layers with experts, E experts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from minideeptalk.errors import LearnerError
from minideeptalk.experts import jensen_shannon


def load_maps(rows: Iterable[Mapping]) -> dict[str, dict[str, dict[int, np.ndarray]]]:
    """Rows of a record's `loads` as shares (E,) by stage, modality and layer.

    Raises:
        LearnerError: where there are none.
    """
    maps: dict[str, dict[str, dict[int, np.ndarray]]] = {}
    for row in rows:
        load = np.asarray(row["load"], dtype=np.float64)  # (E,)
        maps.setdefault(row["stage"], {}).setdefault(row["modality"], {})[row["layer"]] = load / load.sum()
    if not maps:
        raise LearnerError("loads by stage, layer and modality", "none", "the load recorder was off")
    return maps


def load_distances(rows: Iterable[Mapping]) -> list[dict]:
    """Jensen-Shannon distance of audio load and text load: 0 where both use the experts alike, 1 where they share none.

    Returns:
        rows of `stage`, `layer` and `distance`.
    """
    return [{"stage": stage, "layer": layer, "distance": distance(maps["audio"][layer], text)}
            for stage, maps in load_maps(rows).items() for layer, text in maps["text"].items()]


def load_shifts(rows: Iterable[Mapping]) -> list[dict]:
    """How far the load map of each modality has moved since the first stage and since the stage before.

    Returns:
        rows of `stage`, `layer`, `modality`, `since_start` and `since_before`, distances from 0 to 1.
    """
    maps = load_maps(rows)
    stages = list(maps)
    return [{"stage": stage, "layer": layer, "modality": modality,
             "since_start": distance(maps[stages[0]][modality][layer], load), "since_before": distance(maps[earlier][modality][layer], load)}
            for earlier, stage in pairwise(stages) for modality, layers in maps[stage].items() for layer, load in layers.items()]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root of the Jensen-Shannon divergence of two shares (E,)."""
    return float(np.sqrt(max(jensen_shannon(first, second), 0.0)))
