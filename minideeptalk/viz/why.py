"""Why text is forgotten, from a finding of kind `why`: knocked-out experts, drifted weights, loads, probes, frames (chapter 14).

Every builder takes the finding (`records.read_finding`, or `teaching.findings.book_finding`) and returns a figure with alt text; `*_rows`
return head, rows and caption for a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.style import BLUE, GREEN, INK, MARKERS, PALETTE, PURPLE, VERMILLION, finish, join_words

LOT = "drawn by lot"
GROUPS = ("all", "covered", "uncovered")
SPEECH_SIDE = ("audio embedding", "adapter", "audio heads")  # stage 0 does not train these: what they moved from is random
LOOKS = ((INK, ""), (VERMILLION, "/"), (PURPLE, "."), (BLUE, "\\"), (GREEN, "x"))  # colour and pattern of a bar


# ---- knocked-out experts -----------------------------------------------------------------------------------------------


def conditions(record: Mapping) -> dict[str, list[Mapping]]:
    """Rows of the exam by what was closed in every layer: `none`, `4 audio`, `4 by lot`, `12 text`, `12 by lot`.

    Raises:
        LearnerError: for a run that sets no experts apart, so that none were closed.
    """
    rows = record["result"]["knock_out"]
    if len(rows) == 1:
        raise LearnerError("exams with experts closed", f"none of {record['result']['run']['arm']}", "this arm sets no experts apart", "look at its drift, loads and probes")
    found = {"none": [row for row in rows if row["closed"] == "nothing"]}
    for kind in ("audio", "text"):
        own = [row for row in rows if row["closed"] == f"{kind} experts"]
        count = own[0]["count"]
        found[f"{count} {kind}"] = own
        found[f"{count} by lot"] = [row for row in rows if row["closed"] == LOT and row["count"] == count]
    return found


def kept(record: Mapping, row: Mapping, group: str) -> float:
    """Mean share of the text skills of stage 0 that is left: of `all`, of the `covered` or of the `uncovered` ones."""
    covered = record["result"]["covered"]
    values = [value for family, value in row["kept"].items() if group == "all" or (family in covered) is (group == "covered")]
    return sum(values) / len(values)


def abilities_of(record: Mapping, row: Mapping) -> dict[str, float]:
    """What a bar of `knock_out_figure` shows; more is better in each."""
    return {**{f"{group} text": kept(record, row, group) for group in GROUPS}, "QA in text": row["spoken_qa_text"],
            "QA aloud": row["spoken_qa_speech"], "words said": max(0.0, 1 - row["tts_wer"])}


def knock_out_figure(record: Mapping) -> go.Figure:
    """Bars of every ability with experts closed at test time; of draws the mean, with a whisker from the worst to the best.

    Text is what is left of the text model of stage 0, before it learnt to speak.
    """
    figure, told = go.Figure(), []
    for (name, rows), (colour, pattern) in zip(conditions(record).items(), LOOKS):
        found = [abilities_of(record, row) for row in rows]
        means = {ability: sum(values[ability] for values in found) / len(found) for ability in found[0]}
        above = [max(values[ability] for values in found) - mean for ability, mean in means.items()]
        below = [mean - min(values[ability] for values in found) for ability, mean in means.items()]
        whisker = {"type": "data", "array": above, "arrayminus": below, "visible": len(found) > 1, "color": INK}
        figure.add_trace(go.Bar(y=list(means), x=list(means.values()), name=f"closed: {name}", error_x=whisker, orientation="h",
                                marker={"color": colour, "pattern": {"shape": pattern, "size": 5}},
                                hovertemplate="%{y}, closed " + name + ": %{x:.0%}<extra></extra>"))
        told.append(f"{name} closed: {join_words(f'{ability} {percent(mean)}' for ability, mean in means.items())}")
    figure.update_layout(barmode="group", legend={"y": 1, "yanchor": "top", "yref": "container", "traceorder": "normal"}, margin={"t": 90})
    figure.update_xaxes(tickformat=".0%", title={"text": "text left, answers<br>and words right"}, rangemode="tozero").update_yaxes(autorange="reversed")
    return finish(figure, f"Bars of six abilities of the finished model with experts closed and nothing trained. {'. '.join(told)}.", height=640)


def knock_out_by_family(record: Mapping) -> go.Figure:
    """Heat map: the share of each text skill that is left, skill by what was closed; draws are averaged."""
    groups = conditions(record)
    families = list(record["result"]["knock_out"][0]["kept"])
    covered = record["result"]["covered"]
    shares = [[sum(row["kept"][family] for row in rows) / len(rows) for rows in groups.values()] for family in families]
    figure = go.Figure(go.Heatmap(
        z=shares, x=[name.replace(" ", "<br>", 1) for name in groups], y=[f"{family} (covered)" if family in covered else family for family in families],
        coloraxis="coloraxis", xgap=2, ygap=2, text=[[percent(value) for value in row] for row in shares], texttemplate="%{text}",
        hovertemplate="%{y}<br>%{x}: %{z:.0%} left<extra></extra>"))
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "colorbar": {"orientation": "h", "y": -0.24, "yanchor": "top", "thickness": 12,
                                                                        "tickformat": ".0%", "title": {"text": "left", "side": "top"}}})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=0, title={"text": "experts closed in every layer"})
    worst = {name: min(families, key=lambda family: shares[families.index(family)][number]) for number, name in enumerate(groups)}
    told = [f"with {name} closed {family} loses most, {percent(shares[families.index(family)][number])} is left"
            for number, (name, family) in enumerate(worst.items())]
    return finish(figure, f"Heat map of what is left of {len(families)} text skills when experts are closed: {'; '.join(told)}.", height=260 + 34 * len(families))


def knock_out_rows(record: Mapping) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
    """Head, rows and caption of the exam: one row a condition, draws as `mean (worst to best)`."""
    head, rows = ("closed in every layer",), []
    for name, members in conditions(record).items():
        found = [abilities_of(record, row) for row in members]
        head = ("closed in every layer", *found[0])
        rows.append((name, *(_spread([values[ability] for values in found]) for ability in found[0])))
    return head, rows, "Abilities of the finished model with experts closed at test time; of draws the mean, the worst and the best"


def _spread(values: Sequence[float]) -> str:
    mean = percent(sum(values) / len(values))
    return mean if len(values) == 1 else f"{mean} ({percent(min(values))} to {percent(max(values))})"


# ---- weights and loads -------------------------------------------------------------------------------------------------


def drift_figure(record: Mapping) -> go.Figure:
    """Heat map of the relative change of every group of weights, by stage; a slider chooses since when."""
    rows = record["result"]["drift"]
    stages, groups = (list(dict.fromkeys(row[name] for row in rows)) for name in ("stage", "group"))
    tables = {since: [[next(row[since] for row in rows if (row["stage"], row["group"]) == (stage, group)) for stage in stages] for group in groups]
              for since in ("since_before", "since_start")}
    words = {since: [[_amount(value) for value in line] for line in table] for since, table in tables.items()}
    figure = go.Figure(go.Heatmap(z=tables["since_before"], x=[f"stage {stage}" for stage in stages], y=groups, coloraxis="coloraxis", xgap=2, ygap=2,
                                  text=words["since_before"], texttemplate="%{text}", hovertemplate="%{y}, %{x}: moved by %{z:.3f}<extra></extra>"))
    steps = [{"label": label, "value": label, "method": "restyle", "args": [{"z": [tables[since]], "text": [words[since]]}]}
             for since, label in (("since_before", "stage before"), ("since_start", "text model"))]
    figure.update_layout(coloraxis={"cmin": 0, "cmax": 1, "showscale": False}, sliders=[
        {"active": 0, "steps": steps, "currentvalue": {"prefix": "since the "}, "pad": {"t": 40}, "font": {"color": INK}}])
    figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(showgrid=False)
    still = {stage: [group for group, line in zip(groups, tables["since_before"]) if line[number] == 0] for number, stage in enumerate(stages)}
    moved = {stage: max(groups, key=lambda group: tables["since_before"][groups.index(group)][number]) for number, stage in enumerate(stages)}
    told = [f"in stage {stage} most moved: {moved[stage]}, still: {join_words(still[stage])}" for stage in stages]
    return finish(figure, f"Heat map of how far each group of weights moved in each stage: {'; '.join(told)}.", height=190 + 30 * len(groups))


def drift_beside_figure(records: Sequence[Mapping]) -> go.Figure:
    """Bars of how far each group has moved from the text model when a run is over, one colour a run; groups of the speech side are left out.

    Args:
        records: findings of at most four runs, each with the number of its updates; a run that sets no experts apart has them in one group.
    """
    figure, told, groups = go.Figure(), [], {}
    for record, (colour, pattern) in zip(records, LOOKS[1:], strict=False):
        run, rows = record["result"]["run"], record["result"]["drift"]
        moved = {row["group"]: row["since_start"] for row in rows if row["stage"] == rows[-1]["stage"] and row["group"] not in SPEECH_SIDE}
        name = f"{run['arm']}, {run['updates']:,} updates"
        figure.add_trace(go.Bar(y=list(moved), x=list(moved.values()), name=name, orientation="h", text=[_amount(value) for value in moved.values()],
                                textposition="outside", cliponaxis=False, marker={"color": colour, "pattern": {"shape": pattern, "size": 5}},
                                hovertemplate=name + ", %{y}: moved by %{x:.3f}<extra></extra>"))
        told.append(f"{name}: {join_words(f'{group} {_amount(value)}' for group, value in moved.items())}")
        groups |= moved
    figure.update_layout(barmode="group")
    figure.update_xaxes(title={"text": "moved from the text model"}).update_yaxes(autorange="reversed", categoryorder="array", categoryarray=list(groups))
    return finish(figure, f"Bars of how far each group of weights that text passes through has moved in the end. {'. '.join(told)}.", height=150 + 42 * len(groups))


def _amount(value: float) -> str:
    return "0" if value == 0 else f"{value:.2f}" if value >= 0.01 else "<0.01"


def load_distance_figure(record: Mapping) -> go.Figure:
    """Lines over the stages, one a layer: Jensen-Shannon distance of audio load and text load."""
    rows, figure, told = record["result"]["load_distance"], go.Figure(), []
    for number, layer in enumerate(dict.fromkeys(row["layer"] for row in rows)):
        line = [row for row in rows if row["layer"] == layer]
        figure.add_trace(go.Scatter(x=[f"after {row['stage']}" for row in line], y=[row["distance"] for row in line], name=f"layer {layer}",
                                    mode="lines+markers", marker={"symbol": MARKERS[number % len(MARKERS)], "size": 9, "color": PALETTE[number % len(PALETTE)]},
                                    hovertemplate=f"layer {layer}, " + "%{x}: %{y:.2f}<extra></extra>"))
        told.append(f"layer {layer} from {line[0]['distance']:.2f} to {line[-1]['distance']:.2f}")
    figure.update_yaxes(range=[0, 1.02], title={"text": "distance of audio and text"}).update_xaxes(type="category")
    return finish(figure, f"Lines of the distance between audio load and text load over the stages: {join_words(told)}.", height=360)


def load_shift_rows(record: Mapping) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
    """Head, rows and caption: how far each modality's load map moved in each stage, as means over layers."""
    rows = record["result"]["load_shift"]
    stages = list(dict.fromkeys(row["stage"] for row in rows))

    def mean(stage: str, modality: str) -> str:
        values = [row["since_before"] for row in rows if (row["stage"], row["modality"]) == (stage, modality)]
        return f"{sum(values) / len(values):.2f}"

    return (("stage", "text load moved", "audio load moved"), [(stage, mean(stage, "text"), mean(stage, "audio")) for stage in stages],
            "Jensen-Shannon distance between the load maps before and after each stage, mean over layers; 0 is no change, 1 a different set of experts")


# ---- probes and frames -------------------------------------------------------------------------------------------------


def probe_figure(record: Mapping) -> go.Figure:
    """Lines over the layers of what a linear probe reads off the hidden state, by stage, with chance and control; a slider chooses what is looked for."""
    rows = record["result"]["probes"]
    questions, stages = (list(dict.fromkeys(row[name] for row in rows)) for name in ("question", "stage"))
    states = sorted({row["state"] for row in rows})

    def curve(question: str, stage: str, value: str) -> list[float]:
        return [next(row[value] for row in rows if (row["question"], row["stage"], row["state"]) == (question, stage, state)) for state in states]

    curves = {question: [*(curve(question, stage, "accuracy") for stage in stages), curve(question, stages[-1], "control"), curve(question, stages[-1], "chance")]
              for question in questions}
    looks = [*((f"after stage {stage}", colour, "solid", mark) for stage, colour, mark in zip(stages, PALETTE, MARKERS)),
             ("shuffled labels", INK, "dot", "x"), ("commonest class", INK, "dash", "cross")]
    places = ["embedding", *(f"layer {state - 1}" for state in states[1:])]
    figure = go.Figure([go.Scatter(x=places, y=values, name=name, mode="lines+markers", line={"color": colour, "dash": dash},
                                   marker={"symbol": mark, "size": 8, "color": colour}, hovertemplate=name + ", %{x}: %{y:.0%}<extra></extra>")
                        for values, (name, colour, dash, mark) in zip(curves[questions[0]], looks)])
    figure.update_layout(sliders=[{"active": 0, "currentvalue": {"prefix": "looked for: "}, "pad": {"t": 50, "r": 50}, "font": {"color": INK},
                                   "steps": [{"label": question, "value": question, "method": "restyle", "args": [{"y": curves[question]}]} for question in questions]}])
    figure.update_layout(legend={"y": 1, "yanchor": "top", "yref": "container"}, margin={"t": 80})
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title={"text": "held-out examples right"}).update_xaxes(type="category")
    told = [f"{question}: {percent(max(curve(question, stages[-1], 'accuracy')))} at best after stage {stages[-1]}, {percent(max(curve(question, stages[0], 'accuracy')))} "
            f"after stage {stages[0]}, chance {percent(curves[question][-1][-1])}" for question in questions]
    return finish(figure, f"Lines of what a linear probe reads off the hidden states, by layer. {'; '.join(told)}.", height=470)


def within_frame_figure(record: Mapping) -> go.Figure:
    """Bars for each codec stream: loss of the model alone, with the codes chosen earlier in the frame, and with those of other frames."""
    rows = record["result"]["within_frame"]
    names = {"own": "the model alone", "chained": "and earlier codes of the frame", "control": "and codes of other frames"}
    figure = go.Figure([go.Bar(x=[str(row["stream"]) for row in rows], y=[row[key] for row in rows], name=name,
                               marker={"color": colour, "pattern": {"shape": pattern, "size": 5}}, hovertemplate="stream %{x}, " + name + ": %{y:.2f} nats<extra></extra>")
                        for (key, name), (colour, pattern) in zip(names.items(), LOOKS[1:])])
    figure.update_layout(barmode="group").update_yaxes(title={"text": "loss on held-out speech, nats"})
    figure.update_xaxes(type="category", title={"text": "codec stream"})
    own, chained = (sum(row[key] for row in rows) / len(rows) for key in ("own", "chained"))
    return finish(figure, f"Bars of the loss of each codec stream. On average {own:.2f} nats by the model alone, {chained:.2f} nats when the codes "
                          "chosen earlier in the same frame are known.", height=380)
