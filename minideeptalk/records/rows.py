"""From arrays of expert load and from a selection to the plain rows of a record."""

from __future__ import annotations

from collections.abc import Sequence

LOAD_ORDER = ("audio", "text")  # rows of `ExpertLoads.share()`


def load_rows(stage: str, shares, first_layer: int = 1) -> list[dict]:
    """Rows for `RunRecord.loads`.

    Args:
        stage: the stage after which the loads were recorded, e.g. `1-align`.
        shares: (2, L, E) load of each expert, audio first, as `ExpertLoads.share("share")` gives it.
        first_layer: number of the first layer with experts; the paper's layer 0 is dense.
    """
    return [{"stage": stage, "layer": first_layer + depth, "modality": modality, "load": [float(value) for value in layer]}
            for modality, layers in zip(LOAD_ORDER, shares, strict=True) for depth, layer in enumerate(layers)]


def curve_rows(stage: str, step: int, values: dict[str, float], prefix: str = "") -> list[dict]:
    """Rows for `RunRecord.curves`: several values of one moment.

    Args:
        stage: name of the stage. step: updates inside it, 0 is its start.
        values: value by name, e.g. accuracy by family.
        prefix: stands before each name; `text_accuracy/` for the forgetting curve.
    """
    return [{"name": prefix + name, "stage": stage, "step": int(step), "value": float(value)} for name, value in values.items()]


def selection_entry(audio_experts: Sequence[Sequence[int]], formula: str, normaliser: str | None, stage: str,
                    first_layer: int = 1, reason: str = "") -> dict:
    """`RunRecord.selection` from the audio experts of each layer, formula and normaliser of a `Selection`."""
    rows = [{"layer": first_layer + depth, "experts": [int(expert) for expert in chosen]} for depth, chosen in enumerate(audio_experts)]
    return {"formula": formula, "normaliser": normaliser, "stage": stage, "audio_experts": rows, "reason": reason}
