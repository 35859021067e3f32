"""Other shapes of a record's numbers: expert loads for the terminal, and the results as a table for the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minideeptalk.records.abilities import abilities, percent


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
    return "\n".join([*lines, "", f"percent of the tokens of a modality; {rule}"])


def markdown(record: Mapping) -> str:
    """The abilities and the run behind them as a Markdown table: the results in the README are made by this."""
    lines = ["| ability | measured | chance | ceiling |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {row.name} | {row.show(row.value)} | {row.show(row.chance)} | {row.show(row.ceiling)} |" for row in abilities(record)]
    drop, device = record["metrics"]["relative_text_drop"], record["device"]
    lines += [f"| lost of the text skills that after-training covers | {percent(drop['covered'])} | - | - |",
              f"| lost of those that it never mentions | {percent(drop['uncovered'])} | - | - |", "",
              (f"Arm `{record['arm']}`, size `{record['size']}`, seed {record['seed']}: {record['seconds'] / 60:.1f} minutes on "
               f"{device['name']}, {device['threads']} threads; {record['date'][:10]}, commit `{(record['commit'] or 'none')[:10]}`.")]
    return "\n".join(lines)
