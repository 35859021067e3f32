"""A run record as a plain table for the terminal: `minideeptalk record show`."""

from __future__ import annotations

from collections.abc import Mapping

from minideeptalk.records.abilities import abilities, percent


def show(record: Mapping) -> str:
    """The record as text, at most 100 columns wide: what ran, what it can do, what it forgot.

    Args:
        record: a validated run record (dict).
    """
    return "\n\n".join([_head(record), _abilities(record), _families(record), *_tail(record)])


def _head(record: Mapping) -> str:
    budget, device = record["budget"], record["device"]
    rows = [
        ("arm", f"{record['arm']}   size {record['size']}   seed {record['seed']}"),
        ("when", f"{record['date']}   commit {(record['commit'] or 'none')[:10]}"),
        ("where", f"{device['name']}, {device['threads']} threads"),
        ("took", f"{record['seconds']:.0f} s, {_or_dash(record['peak_memory_mb'], '{:.0f} MB')}"),
        ("budget", (f"{budget['updates']} updates, {budget['tokens']} tokens, {budget['trainable']} parameters trained, "
                    f"{budget['active']} active")),
    ]
    return "\n".join(f"{name:<8}{text}" for name, text in rows)


def _abilities(record: Mapping) -> str:
    lines = [f"{'ability':<44}{'measured':>10}{'chance':>10}{'ceiling':>10}"]
    for ability in abilities(record):
        lines.append(f"{ability.name:<44}{ability.show(ability.value):>10}{ability.show(ability.chance):>10}"
                     f"{ability.show(ability.ceiling):>10}")
    return "\n".join(lines)


def _families(record: Mapping) -> str:
    text, chance = record["metrics"]["text_accuracy"], record["metrics"]["chance"]["text_accuracy"]
    drop = record["metrics"]["relative_text_drop"]
    by_family = drop.get("by_family", {})
    lines = [f"{'text skill':<20}{'before':>10}{'after':>10}{'chance':>10}{'lost':>10}"]
    for family, before in text["before"].items():
        columns = (before, text["after"][family], chance[family], by_family.get(family))
        lines.append(f"{family:<20}" + "".join(f"{percent(value):>10}" for value in columns))
    lines += [f"{'mean, ' + name:<50}{percent(drop[name]):>10}" for name in ("all", "covered", "uncovered")]
    return "\n".join(lines)


def _tail(record: Mapping) -> list[str]:
    missing = [f"not measured  {name}: {reason}" for name, reason in record["not_measured"].items()]
    notes = [f"note  {note}" for note in record["notes"]]
    return ["\n".join(missing + notes)] if missing or notes else []


def _or_dash(value, form: str) -> str:
    return "-" if value is None else form.format(value)
