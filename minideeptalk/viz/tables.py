"""Tables for a page: what the run can do, and what it forgot."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from minideeptalk.records.abilities import abilities, percent
from minideeptalk.viz.style import covered_families

EMPTY = ' class="empty"'  # cards on a narrow page leave such a cell out


def abilities_table(record: Mapping) -> str:
    """HTML table of the measured abilities: value, chance, ceiling, and a sentence on what it means.

    Args:
        record: a run record.

    Returns:
        One `<table class="abilities">`; each cell carries its column's name in `data-column`, so that a narrow page can
        show rows as cards.
    """
    rows = []
    for ability in abilities(record):
        better = "lower is better" if ability.lower_is_better else "higher is better"
        meaning = escape(ability.meaning)
        if ability.value is None:
            meaning += f" <em>Not measured: {escape(_reason(record, 'metrics.' + ability.field))}.</em>"
        rows.append(_row(f"{escape(ability.name)} <small>{better}</small>",
                         [("measured", ability.show(ability.value)), ("chance", ability.show(ability.chance)),
                          ("ceiling", ability.show(ability.ceiling)), ("what it means", meaning)]))
    return _table("abilities", "Measured abilities, with chance and ceiling beside each", ("ability", "measured", "chance", "ceiling", "what it means"), rows)


def forgetting_table(record: Mapping) -> str:
    """HTML table of each text skill, with its mark if after-training covers it: before, after, chance, and the share lost.

    Args:
        record: a run record.
    """
    metrics, covered, rows = record["metrics"], covered_families(record), []
    text, drop = metrics["text_accuracy"], metrics["relative_text_drop"]
    for family, before in text["before"].items():
        lost = drop.get("by_family", {}).get(family)
        rows.append(_row(f"{escape(family)} <small>{'covered' if family in covered else ''}</small>", [
            ("before", percent(before)), ("after", percent(text["after"][family])),
            ("chance", percent(metrics["chance"]["text_accuracy"][family])), ("lost", percent(lost))]))
    return _table("forgetting", "Text skills before and after learning to speak; the text of after-training holds the covered ones",
                  ("skill", "before", "after", "chance", "lost"), rows)


def _reason(record: Mapping, name: str) -> str:
    reasons = record["not_measured"]
    fitting = [reason for key, reason in reasons.items() if name == key or name.startswith(key + ".")]
    return fitting[0].rstrip(".") if fitting else "no reason given"


def _row(head: str, cells: list[tuple[str, str]]) -> str:
    inner = "".join(f'<td role="cell" data-column="{name}"{EMPTY if value == "-" else ""}>{value}</td>' for name, value in cells)
    return f'<tr role="row"><th scope="row" role="rowheader">{head}</th>{inner}</tr>'


def _table(kind: str, caption: str, columns: tuple[str, ...], rows: list[str]) -> str:
    # Explicit roles: a table that a narrow page lays out as cards would lose its meaning for a screen reader.
    heads = "".join(f'<th scope="col" role="columnheader">{column}</th>' for column in columns)
    return (f'<table class="{kind}" role="table"><caption>{caption}</caption><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
            f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>')
