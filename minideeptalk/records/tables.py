"""Other shapes of a record's numbers: expert loads for the terminal, and the results as a table for the README."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import abilities, percent
from minideeptalk.records.record import read_record

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def load_table(loads: Sequence[Mapping], selection: Mapping | None) -> str:
    """Load of every expert in percent, stage after stage, a line for each layer and modality; `*` marks audio experts.

    Args:
        loads: `RunRecord.loads`. selection: `RunRecord.selection`, None before there is one.
    """
    chosen = {row["layer"]: set(row["experts"]) for row in selection["audio_experts"]} if selection else {}
    experts = max(len(row["load"]) for row in loads)
    head = f"{'stage':<7}{'layer':>5} {'modality':<9}" + "".join(f"{'e' + str(number):>6}" for number in range(experts))
    lines = [head]
    for row in sorted(loads, key=lambda row: (row["stage"], row["layer"], row["modality"])):
        marked = chosen.get(row["layer"], ())
        cells = (f"{100 * share:.0f}{'*' if number in marked else ' '}" for number, share in enumerate(row["load"]))
        lines.append(f"{row['stage']:<7}{row['layer']:>5} {row['modality']:<9}" + "".join(f"{cell:>6}" for cell in cells))
    rule = "not chosen yet" if not selection else (f"* audio experts, chosen after stage {selection.get('stage', '1')} by "
                                                   f"{selection['formula']}, loads normalised by {selection['normaliser']}")
    return "\n".join([*lines, "", f"percent of the choices of a modality; {rule}"])


def markdown(record: Mapping) -> str:
    """The abilities and the run behind them as a Markdown table: the results in the README are made by this."""
    lines = ["| ability | measured | chance | ceiling |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {row.name} | {row.show(row.value)} | {row.show(row.chance)} | {row.show(row.ceiling)} |" for row in abilities(record)]
    drop, device = record["metrics"]["relative_text_drop"], record["device"]
    lines += [f"| lost of the text skills that after-training covers | {percent(drop['covered'])} | - | - |",
              f"| lost of those whose written text it never repeats | {percent(drop['uncovered'])} | - | - |", "",
              (f"Arm `{record['arm']}`, size `{record['size']}`, seed {record['seed']}: {record['seconds'] / 60:.1f} minutes on "
               f"{device['name']}, {device['threads']} threads; {record['date'][:10]}, commit `{(record['commit'] or 'none')[:10]}`.")]
    return "\n".join(lines)


def fill_results(page: str, record: Mapping) -> str:
    """The page with the table of this record between its two marks.

    Raises:
        LearnerError: when the marks are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise LearnerError(f"a page with {BEGIN} and {END}", "one without")
    return f"{before}{BEGIN}\n{markdown(record)}\n{END}{after}"


if __name__ == "__main__":
    target, source = map(Path, sys.argv[1:])
    target.write_text(fill_results(target.read_text(encoding="utf-8"), read_record(source)), encoding="utf-8")
