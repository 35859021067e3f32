"""What was forgotten: over the stages, family by family, and by every rival (chapters 05 and 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.study import wrapped
from minideeptalk.viz.style import BLUE, HEAT, INK, MARKERS, VERMILLION, covered_families, finish, join_words, stages_in_order

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


# ---- rivals ------------------------------------------------------------------------------------------------------------

Curve = Sequence[tuple[float, float, float | None]]  # place on the axis, mean, half-width of its interval


def rival_curves(curves: Mapping[str, Mapping[str, Curve]], reference: str, stages: Sequence[str]) -> go.Figure:
    """Text kept over the stages, for covered families above and uncovered ones below: one arm and a rival, each with its band.

    Thin lines are all other arms; a slider chooses the rival.

    Args:
        curves: by arm, `covered` and `uncovered`: points at the places of the stages that the arm has.
        reference: the arm that always shows. stages: names of the places 0, 1, 2 and so on.

    Raises:
        LearnerError: where the reference or any rival is missing.
    """
    rivals = [arm for arm in curves if arm != reference]
    if reference not in curves or not rivals:
        raise LearnerError(f"curves of {reference} and of a rival", ", ".join(curves) or "none")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1,
                           subplot_titles=[f"{group} skills" for group, _, _ in GROUPS])
    for row, (group, _, _) in enumerate(GROUPS, start=1):
        figure.add_trace(_thin_lines([curves[arm][group] for arm in rivals], row == 1), row=row, col=1)
        for arm, colour, dash in ((reference, BLUE, "solid"), (rivals[0], VERMILLION, "dash")):
            name = arm if arm == reference else "the rival of the slider"
            figure.add_traces(_band_and_line(curves[arm][group], name, colour, dash, row == 1), rows=row, cols=1)
    steps = [{"label": arm, "method": "restyle", "args": [_of_rival(curves[arm]), [3, 4, 8, 9]]} for arm in rivals]
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": "rival: "}, "pad": {"t": 60}, "font": {"color": INK}}])
    figure.update_xaxes(tickvals=list(range(len(stages))), ticktext=list(stages), range=[-0.1, len(stages) - 0.9])
    figure.update_xaxes(title={"text": "after stage"}, row=2, col=1)
    lowest = min(mean - (half or 0.0) for arm in curves.values() for group in arm.values() for _, mean, half in group)
    figure.update_yaxes(tickformat=".0%", range=[min(0.0, lowest) - 0.03, 1.08])
    figure.update_yaxes(title={"text": "text kept"}, row=2, col=1)
    return finish(figure, _rivals_alt(curves, reference), height=600)


def _thin_lines(lines: Sequence[Curve], named: bool) -> go.Scatter:
    xs = [value for line in lines for value in (*(x for x, _, _ in line), None)]
    ys = [value for line in lines for value in (*(y for _, y, _ in line), None)]
    return go.Scatter(x=xs, y=ys, mode="lines", line={"color": INK, "width": 0.8}, opacity=0.5, hoverinfo="skip", name="all other arms",
                      showlegend=named)


def _band_and_line(line: Curve, name: str, colour: str, dash: str, named: bool) -> list[go.Scatter]:
    xs, ys = _outline(line)
    red, green, blue = (int(colour[place:place + 2], 16) for place in (1, 3, 5))
    return [go.Scatter(x=xs, y=ys, fill="toself", mode="lines", line={"width": 0}, fillcolor=f"rgba({red},{green},{blue},0.2)", hoverinfo="skip",
                       showlegend=False),
            go.Scatter(x=[x for x, _, _ in line], y=[y for _, y, _ in line], mode="lines+markers", name=name, showlegend=named,
                       line={"color": colour, "width": 3, "dash": dash}, marker={"size": 8, "symbol": "circle" if dash == "solid" else "square"},
                       hovertemplate="%{y:.1%}<extra></extra>")]


def _outline(line: Curve) -> tuple[list[float], list[float]]:
    """A closed band from mean minus to mean plus half-width; without intervals it has no width."""
    there, back = [(x, y + (half or 0)) for x, y, half in line], [(x, y - (half or 0)) for x, y, half in reversed(line)]
    return [x for x, _ in there + back], [y for _, y in there + back]


def _of_rival(groups: Mapping[str, Curve]) -> dict[str, list]:
    """x and y of band and line of both panels, as a slider sets them."""
    found = {"x": [], "y": []}
    for group, _, _ in GROUPS:
        xs, ys = _outline(groups[group])
        found["x"] += [xs, [x for x, _, _ in groups[group]]]
        found["y"] += [ys, [y for _, y, _ in groups[group]]]
    return found


def _rivals_alt(curves: Mapping[str, Mapping[str, Curve]], reference: str) -> str:
    ends = {arm: " and ".join(f"{percent(groups[group][-1][1])} of {group}" for group, _, _ in GROUPS) for arm, groups in curves.items()}
    told = "; ".join(f"{arm} {words}" for arm, words in ends.items() if arm != reference)
    return (f"Two panels of text kept over the stages, covered and uncovered families, with bands over seeds; a slider chooses the rival. "
            f"At the end {reference} keeps {ends[reference]} families. The others: {told}.")


def forgetting_map(kept: Mapping[str, Mapping[str, Mapping[str, float]]], families: Sequence[str], covered: Sequence[str]) -> go.Figure:
    """Who keeps which family: a heat map of arms by families, and a slider over the stages.

    Args:
        kept: by stage, by arm, by family: share of what stage 0 could do. An arm without a stage has an empty row there.
        families: columns, in this order. covered: which of them after-training repeats; their names get a star.
    """
    stages, arms = list(kept), list(next(iter(kept.values())))
    maps = {stage: [[kept[stage].get(arm, {}).get(family) for family in families] for arm in arms] for stage in stages}
    labels = [f"{family}*" if family in covered else family for family in families]
    figure = go.Figure(go.Heatmap(z=maps[stages[-1]], x=labels, y=[wrapped(arm) for arm in arms], zmin=0, zmax=1, colorscale=HEAT, xgap=1, ygap=1,
                                  colorbar={"orientation": "h", "thickness": 10, "tickformat": ".0%", "y": 1.0, "yanchor": "bottom", "len": 0.9,
                                            "title": {"text": "kept of what stage 0 could do", "side": "top"}},
                                  hovertemplate="%{y}, %{x}: %{z:.0%}<extra></extra>"))
    steps = [{"label": stage, "method": "restyle", "args": [{"z": [maps[stage]]}, [0]]} for stage in stages]
    figure.update_layout(margin={"t": 80}, sliders=[{"active": len(stages) - 1, "steps": steps, "currentvalue": {"prefix": "after stage "},
                                                     "pad": {"t": 80}, "font": {"color": INK}}])
    figure.update_xaxes(showgrid=False, tickangle=-60)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, tickfont={"size": 11})
    worst = {arm: min(kept[stages[-1]][arm].items(), key=lambda pair: pair[1]) for arm in arms if kept[stages[-1]].get(arm)}
    told = "; ".join(f"{arm} keeps least of {family}, {percent(value)}" for arm, (family, value) in worst.items())
    return finish(figure, f"Heat map of {len(arms)} arms by {len(families)} text skills; a slider chooses the stage. At the end: {told}.",
                  height=260 + 30 * len(arms))
