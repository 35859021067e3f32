"""How differently two kinds of token use the experts: the Jensen-Shannon distance of their loads.

Axes: L layers with experts, E experts.
"""

from __future__ import annotations

import numpy as np

from minideeptalk.experts.loads import ExpertLoads


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of two distributions, in bits.

    It is 0 where both are the same and 1 where no expert serves both.  For two kinds of token counted alike it is also the
    mutual information of kind and expert, the *specialisation* of chapter 04.

    Args:
        first, second: (..., E), each summing to 1 over experts.

    Returns:
        (...) float64.

    Source: Lin (1991), "Divergence measures based on the Shannon entropy"; chapter 07.
    """
    middle = (first + second) / 2  # (..., E)
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def _relative_entropy(distribution: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence in bits; an expert without probability adds nothing."""
    safe = np.where(distribution > 0, distribution, 1.0)
    return (distribution * np.log2(safe / np.where(distribution > 0, reference, 1.0))).sum(axis=-1)


def modality_distance(loads: ExpertLoads) -> np.ndarray:
    """Jensen-Shannon *distance* of audio load and text load in every layer: the root of the divergence, from 0 to 1.

    Args:
        loads: what a `LoadRecorder` counted on both modalities.

    Returns:
        (L,) float64.
    """
    audio, text = loads.share("share")  # (L, E), (L, E)
    return np.sqrt(np.maximum(jensen_shannon(audio, text), 0.0))
