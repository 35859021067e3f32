"""What was forgotten: over the stages, and family by family (chapters 05 and 10)."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.style import BLUE, INK, MARKERS, VERMILLION, covered_families, finish, join_words, stages_in_order

PREFIX = "text_accuracy/"
GROUPS = (("covered", BLUE, "solid"), ("uncovered", VERMILLION, "dash"))  # by the text of after-training


def forgetting_curve(record: Mapping) -> go.Figure:
    """Text accuracy of each family over the stages; thick lines are the means of covered and uncovered families.

    Each stage is drawn equally wide, whatever its number of updates.

    Args:
        record: a run record; its `curves` hold `text_accuracy/<family>`.

    Raises:
        LearnerError: if the record has no such curves.
    """
    rows = [row for row in record["curves"] if row["name"].startswith(PREFIX)]
    if not rows:
        raise LearnerError("curves named text_accuracy/<family>", "none in this record",
                           "evaluation during training was off")
    stages = stages_in_order(rows)
    series = _series(rows, stages)
    figure = go.Figure()
    covered = covered_families(record)
    for (label, colour, dash), members in zip(GROUPS, _split(series, covered), strict=True):
        if members:
            figure.add_trace(_mean_line(label, [series[family] for family in members], colour, dash))
        for family in members:
            figure.add_trace(_family_line(family, series[family], colour, dash, MARKERS[list(series).index(family) % len(MARKERS)]))
    figure.update_xaxes(range=[-0.05, len(stages) + 0.05], tickvals=[place + 0.5 for place in range(len(stages))],
                        ticktext=[stage.replace("-", "<br>") for stage in stages], showgrid=False, tickangle=0)
    for boundary in range(1, len(stages)):
        figure.add_vline(x=boundary, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_yaxes(range=[0, 1.03], tickformat=".0%", title={"text": "text answers right"})
    return finish(figure, _curve_alt(series, stages, covered), height=520)


def forgetting_by_family(record: Mapping) -> go.Figure:
    """Each text skill before and after: an open and a filled marker joined by a line, and a tick for chance.

    Args:
        record: a run record with `metrics.text_accuracy` and `metrics.chance`.
    """
    text, chance = record["metrics"]["text_accuracy"], record["metrics"]["chance"]["text_accuracy"]
    measured = [family for family in text["before"] if text["before"][family] is not None and text["after"][family] is not None]
    order = sorted(measured, key=lambda family: text["before"][family] - text["after"][family])
    figure = go.Figure()
    covered = covered_families(record)
    for (label, colour, dash), group in zip(GROUPS, _split(order, covered), strict=True):
        if group:
            figure.add_traces(_dumbbells(label, group, text, colour, dash))
    figure.add_trace(go.Scatter(x=[chance[family] for family in order], y=order, mode="markers", name="chance",
                                marker={"symbol": "line-ns-open", "size": 14, "color": INK, "line": {"width": 2}},
                                hovertemplate="%{y}: chance %{x:.0%}<extra></extra>"))
    figure.update_xaxes(range=[-0.03, 1.03], tickformat=".0%", title={"text": "text answers right"})
    figure.update_yaxes(categoryorder="array", categoryarray=order, type="category")
    words = [f"{family} from {percent(text['before'][family])} to {percent(text['after'][family])}" for family in reversed(order)]
    alt = f"Text skills before and after learning to speak, the largest loss first: {join_words(words)}."
    return finish(figure, alt, height=170 + 30 * len(order))


def _series(rows: list[Mapping], stages: list[str]) -> dict[str, list[tuple[float, float]]]:
    """(position, accuracy) of each family; a stage is one unit wide."""
    longest = {stage: max(row["step"] for row in rows if row["stage"] == stage) or 1 for stage in stages}
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        place = stages.index(row["stage"]) + row["step"] / longest[row["stage"]]
        series.setdefault(row["name"].removeprefix(PREFIX), []).append((place, row["value"]))
    return {family: sorted(points) for family, points in series.items()}


def _split(families, covered) -> tuple[list[str], list[str]]:
    return [family for family in families if family in covered], [family for family in families if family not in covered]


def _family_line(family, points, colour, dash, marker) -> go.Scatter:
    return go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], name=family, mode="lines+markers", opacity=0.7,
                      line={"color": colour, "width": 1, "dash": dash}, marker={"symbol": marker, "size": 7},
                      hovertemplate=family + " %{y:.0%}<extra></extra>")


def _mean_line(label, members, colour, dash) -> go.Scatter:
    places = sorted({x for points in members for x, _ in points})
    means = []
    for place in places:
        values = [y for points in members for x, y in points if x == place]
        means.append(sum(values) / len(values))
    return go.Scatter(x=places, y=means, name=f"mean {label}", mode="lines", line={"color": colour, "width": 4, "dash": dash},
                      hovertemplate=f"mean {label} " + "%{y:.0%}<extra></extra>")


def _dumbbells(label, families, text, colour, dash) -> list[go.Scatter]:
    before, after = [text["before"][family] for family in families], [text["after"][family] for family in families]
    ways_x = [value for start, end in zip(before, after, strict=True) for value in (start, end, None)]
    ways_y = [value for family in families for value in (family, family, None)]
    return [
        go.Scatter(x=ways_x, y=ways_y, mode="lines", line={"color": colour, "width": 3, "dash": dash}, hoverinfo="skip", showlegend=False),
        go.Scatter(x=before, y=families, mode="markers", name=f"before, {label}",
                   marker={"symbol": "circle-open", "size": 12, "color": colour, "line": {"width": 2}},
                   hovertemplate="%{y}: before %{x:.0%}<extra></extra>"),
        go.Scatter(x=after, y=families, mode="markers", name=f"after, {label}", marker={"symbol": "circle", "size": 12, "color": colour},
                   hovertemplate="%{y}: after %{x:.0%}<extra></extra>"),
    ]


def _curve_alt(series, stages, covered) -> str:
    ends = []
    for (label, _, _), members in zip(GROUPS, _split(series, covered), strict=True):
        if members:
            best = sum(max(y for _, y in series[family]) for family in members) / len(members)
            last = sum(series[family][-1][1] for family in members) / len(members)
            ends.append(f"families {label} by after-training reach {percent(best)} on average and end at {percent(last)}")
    return f"Lines of text accuracy by family over the stages {join_words(stages)}: {' ; '.join(ends).replace(' ;', ';')}."
