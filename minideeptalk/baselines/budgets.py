"""Was it a fair race? Reads the records of a study and names each difference of budget that nobody declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

REFERENCE = "deeptalk-aligned"
COMPARED = {"updates": "updates", "speech_tokens": "speech tokens", "text_tokens": "text tokens", "active": "parameters"}
TOLERANCE = 0.04
"""Relative: a merged stage rounds its batch, by up to half an example in 17 (3 %), and lengths are drawn (under 1 % at half the updates)."""


def after_alignment(record: Mapping) -> dict[str, int]:
    """Updates and tokens of all stages after 0, and the parameters at work in a step."""
    return {name: record["budget"][name] for name in COMPARED}


def undeclared(records: Iterable[Mapping], reference: str = REFERENCE) -> list[str]:
    """Differences from the reference arm of the same size, scale and seed that the record does not declare, a sentence each.

    A declaration is a line of `budget.declared` that begins with what differs: "text tokens: replays all families".

    Args:
        records: run records; those that no study made are passed over.
    """
    groups: dict[tuple, list[Mapping]] = {}
    for record in records:
        if "study" in record["config"]:
            groups.setdefault((record["size"], record["config"]["study"]["scale"], record["seed"]), []).append(record)
    faults = []
    for group in groups.values():
        standard = next((record for record in group if record["arm"] == reference), None)
        if standard is None:
            faults.append(f"{group[0]['arm']} and others, seed {group[0]['seed']}: no run of {reference} to compare with")
            continue
        for record in group:
            faults += [f"{record['arm']}, seed {record['seed']}: {fault}" for fault in _differences(record, standard)]
    return faults


def _differences(record: Mapping, standard: Mapping) -> Iterable[str]:
    declared = tuple(record["budget"].get("declared", ()))
    mine, theirs = after_alignment(record), after_alignment(standard)
    for field, words in COMPARED.items():
        if abs(mine[field] - theirs[field]) > TOLERANCE * theirs[field] and not any(line.startswith(words) for line in declared):
            yield f"{mine[field]:,} {words}, the reference had {theirs[field]:,}"
    trials = [len(run["budget"].get("learning_rate_trials", ())) for run in (record, standard)]
    if trials[0] != trials[1] and not any(line.startswith("trials of the learning rate") for line in declared):
        yield f"{trials[0]} trials of the learning rate, the reference had {trials[1]}"
