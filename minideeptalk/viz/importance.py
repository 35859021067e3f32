"""Is load importance?  Figures from a finding of kind `load-and-importance` (chapters 08 and 14).

Every builder takes the finding and returns a figure with alt text; `correlation_rows` returns head, rows and caption for a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.style import BLUE, GREEN, INK, MARKERS, PALETTE, PURPLE, VERMILLION, finish, join_words

RULES = {"lowest importance": (VERMILLION, "solid", "square"), "lowest load": (BLUE, "dash", "circle"),
         "highest load": (PURPLE, "dot", "diamond"), "drawn by lot": (GREEN, "dashdot", "x")}


def _models(record: Mapping, profile: str) -> list[Mapping]:
    if profile not in record["result"]["profiles"]:
        raise LearnerError(f"a profile out of {join_words(record['result']['profiles'])}", repr(profile))
    return record["result"]["models"]


def load_against_importance(record: Mapping, profile: str = "covered") -> go.Figure:
    """Points, one an expert: share of the layer's text load against the rise of the loss without it; a slider moves over the models."""
    models, steps, told = _models(record, profile), [], []
    for model in models:
        found = model["profiles"][profile]
        mean = sum(found["correlation"]) / len(found["correlation"])
        told.append(f"{model['name']} {mean:+.2f}")
        steps.append({"label": model["name"], "value": model["name"], "method": "restyle", "args": [{"x": found["load"], "y": found["rise"]}]})
    first = models[0]["profiles"][profile]
    figure = go.Figure([go.Scatter(x=load, y=rise, mode="markers", name=f"layer {layer}", text=[f"expert {expert}" for expert in range(len(load))],
                                   marker={"symbol": MARKERS[layer % len(MARKERS)], "color": PALETTE[layer % len(PALETTE)], "size": 9},
                                   hovertemplate=f"layer {layer}, " + "%{text}: load %{x:.1%}, rise %{y:.3f} nats<extra></extra>")
                        for layer, (load, rise) in enumerate(zip(first["load"], first["rise"]), start=1)])
    figure.update_xaxes(title={"text": "share of the layer's text load"}, tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(title={"text": "rise of the text loss, nats"})
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": "text model: "}, "pad": {"t": 60}, "font": {"color": INK}}])
    return finish(figure, f"Experts as points, text load to the right, importance upwards, for {len(models)} text models. "
                          f"Mean rank correlation over layers: {join_words(told)}.", height=460)


def correlation_figure(record: Mapping, profile: str = "covered") -> go.Figure:
    """Rank correlation of load and importance for each model and layer, beside what random orders reach and how reliable importance is."""
    models, chance = _models(record, profile), record["result"]["by_chance"]
    names = [model["name"].replace(", ", "<br>") for model in models]
    figure = go.Figure()
    figure.add_hrect(y0=-chance, y1=chance, fillcolor=INK, opacity=0.15, line_width=0)
    for value, name, colour, mark in (("correlation", "load and importance", VERMILLION, "square"), ("reliability", "importance on two halves", BLUE, "circle-open")):
        points = [(name_, layer, number) for name_, model in zip(names, models) for layer, number in enumerate(model["profiles"][profile][value], start=1)]
        figure.add_trace(go.Scatter(x=[point[0] for point in points], y=[point[2] for point in points], mode="markers", name=name,
                                    text=[f"layer {point[1]}" for point in points], marker={"color": colour, "symbol": mark, "size": 10},
                                    hovertemplate=name + ", %{x}, %{text}: %{y:.2f}<extra></extra>"))
    figure.update_yaxes(range=[-1.05, 1.05], title={"text": "rank correlation"})
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names, tickangle=-60, tickfont={"size": 11})
    told = [f"{model['name']} {join_words(f'{value:+.2f}' for value in model['profiles'][profile]['correlation'])}" for model in models]
    return finish(figure, f"Points of the rank correlation of text load and importance, layer by layer: {'; '.join(told)}. "
                          f"Random orders stay within {chance:.2f} in 95 % of cases.", height=480)


def mean_kept(record: Mapping, row: Mapping, skills: str, profile: str = "covered") -> float | None:
    """Mean share of text that is left: of the `profiled` skills, of the `held out` ones, or of `all`."""
    chosen = {"profiled": record["result"]["profiles"][profile], "held out": record["result"]["held_out"], "all": list(row["kept"])}
    if skills not in chosen:
        raise LearnerError(f"skills out of {join_words(chosen)}", repr(skills))
    values = [row["kept"][family] for family in chosen[skills] if family in row["kept"]]
    return sum(values) / len(values) if values else None


def closing_means(record: Mapping, rule: str, skills: str, profile: str, models: Sequence[Mapping]) -> dict[int, list[float]]:
    """Text kept by number of closed experts: one value for each model and draw."""
    found: dict[int, list[float]] = {}
    for model in models:
        for row in model["profiles"][profile]["closing"]:
            value = mean_kept(record, row, skills, profile)
            if row["rule"] == rule and value is not None:
                found.setdefault(row["closed"], []).append(value)
    return found


def by_balance(record: Mapping) -> dict[str, list[Mapping]]:
    """The models by weight of their balance loss; the shipped one stands alone."""
    groups: dict[str, list[Mapping]] = {}
    for model in record["result"]["models"]:
        groups.setdefault("shipped" if model["shipped"] else f"balance {model['balance_weight']:g}", []).append(model)
    return groups


def closing_figure(record: Mapping, skills: str = "all", profile: str = "covered") -> go.Figure:
    """Lines of text kept against the number of experts closed in every layer, by rule; a slider moves over the balance weights.

    A line is the mean over seeds and draws; whiskers reach from the worst to the best of them.

    Args:
        skills: `profiled`, `held out`, or `all`. profile: which text the rules have seen.
    """
    _models(record, profile)
    groups, steps, told, reach = by_balance(record), [], [], [1.0]
    for name, models in groups.items():
        lines = [closing_means(record, rule, skills, profile, models) for rule in RULES]
        means = [[sum(values) / len(values) for values in line.values()] for line in lines]
        whiskers = [{"type": "data", "array": [max(values) - mean for values, mean in zip(line.values(), row)], "thickness": 1,
                     "arrayminus": [mean - min(values) for values, mean in zip(line.values(), row)]} for line, row in zip(lines, means)]
        reach += [value for line in lines for values in line.values() for value in values]
        steps.append({"label": name, "value": name, "method": "restyle", "args": [{"x": [list(line) for line in lines], "y": means, "error_y": whiskers}]})
        told.append(f"{name}, {list(lines[0])[-1]} closed: {join_words(f'{rule} {percent(row[-1])}' for rule, row in zip(RULES, means))}")
    start = steps[0]["args"][0]
    figure = go.Figure([go.Scatter(x=start["x"][number], y=start["y"][number], error_y=start["error_y"][number], name=rule, mode="lines+markers",
                                   line={"color": colour, "dash": dash}, marker={"symbol": mark, "size": 9, "color": colour},
                                   hovertemplate=rule + ", %{x} closed: %{y:.0%} kept<extra></extra>")
                        for number, (rule, (colour, dash, mark)) in enumerate(RULES.items())])
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": "text model: "}, "pad": {"t": 60}, "font": {"color": INK}}])
    figure.update_xaxes(title={"text": "experts closed in every layer"}, dtick=1)
    figure.update_yaxes(tickformat=".0%", title={"text": f"text kept, {skills} skills"}, range=[min(reach) - 0.05, max(reach) + 0.05])
    return finish(figure, f"Lines of text kept when experts are closed, by rule, {skills} skills. {'. '.join(told)}.", height=480)


def correlation_rows(record: Mapping, profile: str = "covered") -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
    """Head, rows and caption: for each balance weight how even the load is, how load and importance agree, and text kept with a quarter closed."""
    _models(record, profile)
    rows = []
    for name, models in by_balance(record).items():
        means = [_mean([value for model in models for value in model["profiles"][profile][key]]) for key in ("evenness", "correlation", "reliability")]
        quarter = len(models[0]["profiles"][profile]["load"][0]) // 4
        closed = [closing_means(record, rule, "all", profile, models).get(quarter) for rule in ("lowest importance", "lowest load", "drawn by lot")]
        rows.append((name, f"{means[0]:.3f}", f"{means[1]:+.2f}", f"{means[2]:+.2f}", *("-" if values is None else percent(_mean(values)) for values in closed)))
    head = ("text model", "evenness of load", "load and importance", "importance, two halves", "kept, least important closed", "kept, least busy closed", "kept, by lot")
    return head, rows, "Rank correlations and text kept with a quarter of the experts of each layer closed, means over layers, seeds and draws"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
