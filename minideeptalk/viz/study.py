"""Many runs in one picture: the front of two abilities, arms at several rates, and differences from one arm, each with its interval (chapter 14).

Who computed the intervals is not known here: the figures take means and half-widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import dist

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.style import BLUE, GREEN, INK, PURPLE, VERMILLION, finish, join_words

LOOKS = ((BLUE, "square"), (GREEN, "diamond"), (PURPLE, "triangle-up"), (VERMILLION, "circle"), (INK, "x"))
"""Colour and marker of each kind, in the order in which kinds are met."""
PLACES = {"top right": (1, 1), "bottom right": (1, -1), "top left": (-1, 1), "bottom left": (-1, -1)}
"""Where the number of a spot may stand, and in which direction from it."""


@dataclass(frozen=True)
class Spot:
    """One arm in one view of a front.

    Args:
        name: of the arm. kind: arms of one kind share a colour and a marker.
        x, y: two abilities, more is better. x_half, y_half: half-widths of their intervals, None where there is none.
        on_front: whether nobody beats it on both.
    """

    name: str
    kind: str
    x: float
    y: float
    x_half: float | None = None
    y_half: float | None = None
    on_front: bool = False


@dataclass(frozen=True)
class View:
    """One stop of a front's slider: its name, what the x-axis shows there, and a spot for each arm."""

    label: str
    x_title: str
    spots: Sequence[Spot]


def front_figure(views: Sequence[View], numbers: Mapping[str, int], y_title: str, prefix: str) -> go.Figure:
    """Two abilities of every arm with intervals; arms on the front are joined and numbered, a slider chooses the view.

    Args:
        views: what the slider visits; every view has the same arms. numbers: of the arms, as the table beside it has them.
        y_title: of the ordinate. prefix: stands before the label of the view.

    Raises:
        LearnerError: where there is no view, or one has other arms than the first.
    """
    if not views or any({spot.name for spot in view.spots} != {spot.name for spot in views[0].spots} for view in views):
        raise LearnerError("views of the same arms", f"{len(views)} views that differ", "an arm was measured in some of them only")
    kinds = list(dict.fromkeys(spot.kind for spot in views[0].spots))
    figure = go.Figure()
    figure.add_scatter(mode="lines", name="front", line={"color": INK, "dash": "dot", "width": 2}, hoverinfo="skip")
    for kind, (colour, symbol) in zip(kinds, LOOKS, strict=False):
        figure.add_scatter(mode="markers+text", name=kind, textfont={"size": 13, "color": colour},
                           marker={"color": colour, "symbol": symbol, "size": 10, "opacity": 0.9},
                           error_x=_error(colour), error_y=_error(colour), hovertemplate="%{customdata}<extra></extra>")
    first, *_ = shown = [_restyled(view, kinds, numbers) for view in views]
    for number, trace in enumerate(figure.data):
        trace.update({key: values[number] for key, values in first.items() if not key.startswith("error") and values[number] is not None})
        for axis in ("error_x", "error_y"):
            trace[axis].array = first[f"{axis}.array"][number]
    steps = [{"label": view.label, "method": "update", "args": [values, {"xaxis.title.text": view.x_title, "xaxis.range": _reach([view], "x")}]}
             for view, values in zip(views, shown)]
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": prefix}, "pad": {"t": 90}, "font": {"color": INK}}])
    figure.update_xaxes(title={"text": views[0].x_title}, tickformat=".0%", range=_reach(views[:1], "x"))
    figure.update_yaxes(title={"text": y_title}, tickformat=".0%", range=_reach(views, "y"))
    return finish(figure, _front_alt(views, y_title), height=540)


def _error(colour: str) -> dict:
    return {"type": "data", "array": [], "visible": True, "color": colour, "thickness": 1.2, "width": 2}


def _restyled(view: View, kinds: Sequence[str], numbers: Mapping[str, int]) -> dict[str, list]:
    """What changes from view to view, a list with an entry for each trace: first the line of the front, then the kinds."""
    line = sorted((spot for spot in view.spots if spot.on_front), key=lambda spot: spot.x)
    found = {"x": [[spot.x for spot in line]], "y": [[spot.y for spot in line]], "text": [None], "customdata": [None], "textposition": [None],
             "error_x.array": [[]], "error_y.array": [[]]}
    places = _places(view)
    for kind in kinds:
        spots = [spot for spot in view.spots if spot.kind == kind]
        found["textposition"].append([places[spot.name] for spot in spots])
        found["x"].append([spot.x for spot in spots])
        found["y"].append([spot.y for spot in spots])
        found["text"].append([f"<b>{numbers[spot.name]}</b>" if spot.on_front else str(numbers[spot.name]) for spot in spots])
        found["customdata"].append([f"{numbers[spot.name]} {spot.name}<br>{percent(spot.x)}, {percent(spot.y)}" for spot in spots])
        found["error_x.array"].append([spot.x_half or 0 for spot in spots])
        found["error_y.array"].append([spot.y_half or 0 for spot in spots])
    return found


def _places(view: View, across: float = 0.02, up: float = 0.035) -> dict[str, str]:
    """For the number of each spot the place that lies farthest from all other spots and numbers.

    Args:
        across, up: how far a number stands from its spot, in parts of the axes.
    """
    (left, right), (low, high) = _reach([view], "x"), _reach([view], "y")
    at = {spot.name: ((spot.x - left) / (right - left), (spot.y - low) / (high - low)) for spot in view.spots}
    numbers, chosen = {}, {}
    for name, (x, y) in at.items():
        others = [*(place for other, place in at.items() if other != name), *numbers.values()]
        free = {place: min((dist((x + east * across, y + north * up), other) for other in others), default=1) for place, (east, north) in PLACES.items()}
        chosen[name] = max(free, key=free.get)
        east, north = PLACES[chosen[name]]
        numbers[name] = (x + east * across, y + north * up)
    return chosen


def _reach(views: Sequence[View], axis: str) -> list[float]:
    """From the lowest to the highest mean of any view, with a margin for half of the intervals."""
    values = [getattr(spot, axis) for view in views for spot in view.spots]
    margin = 0.12 * (max(values) - min(values)) + 0.02
    return [min(values) - margin, max(values) + margin]


def _front_alt(views: Sequence[View], y_title: str) -> str:
    told = []
    for view in views:
        best = sorted((spot for spot in view.spots if spot.on_front), key=lambda spot: spot.x)
        told.append(f"{view.label}: {join_words(f'{spot.name} ({percent(spot.x)}, {percent(spot.y)})' for spot in best)}")
    return (f"Points of {len(views[0].spots)} arms with intervals, {views[0].x_title} to the right and {y_title} upwards; a slider chooses the view. "
            f"On the front, from left to right, {'; '.join(told)}.")


# ---- rates -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RatePath:
    """One arm at several learning rates.

    Args:
        name: of the arm. kind: arms of one kind share a colour and a marker.
        points: (speech learnt, text kept) from the lowest rate to the highest. taken: which of them the study went on with.
    """

    name: str
    kind: str
    points: Sequence[tuple[float, float]]
    taken: int


def rate_figure(paths: Sequence[RatePath], numbers: Mapping[str, int], x_title: str, y_title: str) -> go.Figure:
    """A line for each arm through the rates that were tried, a large numbered marker where the study went on.

    Args:
        numbers: of the arms, as the table beside it has them.
    """
    kinds = list(dict.fromkeys(path.kind for path in paths))
    looks = dict(zip(kinds, LOOKS, strict=False))
    places = _places(View("", "", [Spot(path.name, path.kind, *path.points[path.taken]) for path in paths]))
    figure = go.Figure()
    for path in sorted(paths, key=lambda path: kinds.index(path.kind)):
        colour, symbol = looks[path.kind]
        marks = [place == path.taken for place in range(len(path.points))]
        figure.add_scatter(
            x=[x for x, _ in path.points], y=[y for _, y in path.points], mode="lines+markers+text", name=path.kind, legendgroup=path.kind,
            showlegend=all(trace.name != path.kind for trace in figure.data), line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": [11 if mark else 5 for mark in marks], "color": colour}, textfont={"size": 13, "color": colour},
            text=[str(numbers[path.name]) if mark else "" for mark in marks], textposition=places[path.name],
            customdata=[f"{numbers[path.name]} {path.name}<br>{percent(x)}, {percent(y)}" for x, y in path.points], hovertemplate="%{customdata}<extra></extra>")
    everything = [View("", "", [Spot(path.name, path.kind, *point) for path in paths for point in path.points])]
    figure.update_xaxes(title={"text": x_title}, tickformat=".0%", range=_reach(everything, "x"))
    figure.update_yaxes(title={"text": y_title}, tickformat=".0%", range=_reach(everything, "y"))
    told = "; ".join(f"{path.name} from {percent(path.points[0][0])}, {percent(path.points[0][1])} to {percent(path.points[-1][0])}, {percent(path.points[-1][1])}"
                     for path in paths)
    return finish(figure, f"{len(paths)} lines, one an arm, each through the rates that were tried, from the lowest to the highest; {x_title} to the right, {y_title} "
                          f"upwards, a large marker at the rate that was taken. {told}.", height=560)


# ---- differences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """How far an arm lies from the arm that all are compared with.

    Args:
        mean, half: of the difference; half is None for one seed. pairs: seeds of both. sure: whether it is sure of its sign.
    """

    name: str
    mean: float
    half: float | None
    pairs: int
    sure: bool


def difference_figure(tables: Mapping[str, Sequence[Difference]], reference: str) -> go.Figure:
    """Paired differences of every arm from one, in percentage points, with intervals; a slider chooses what was measured.

    Filled markers are sure of their sign, open ones are not; to the right is better for every measure.

    Args:
        tables: rows by the name of the measure, in the same order of arms. reference: the arm they are compared with.
    """
    first = next(iter(tables.values()))
    names = [wrapped(row.name) for row in first]
    figure = go.Figure()
    for sure, name, symbol in ((True, "sure of its sign", "circle"), (False, "not sure, or too few seeds", "circle-open")):
        figure.add_scatter(mode="markers", name=name, marker={"symbol": symbol, "size": 10, "color": BLUE if sure else VERMILLION,
                                                              "line": {"width": 2}},
                           error_x=_error(BLUE if sure else VERMILLION), customdata=[],
                           hovertemplate="%{y}: %{x:+.1f} points, %{customdata} pairs<extra></extra>")
    shown = {measure: _two_groups(rows) for measure, rows in tables.items()}
    for number, trace in enumerate(figure.data):
        start = next(iter(shown.values()))
        trace.update(x=start["x"][number], y=start["y"][number], customdata=start["customdata"][number])
        trace.error_x.array = start["error_x.array"][number]
    figure.add_vline(x=0, line={"color": INK, "width": 1.5})
    reaches = {measure: _points_range(rows) for measure, rows in tables.items()}
    steps = [{"label": measure, "method": "update", "args": [values, {"xaxis.range": reaches[measure]}]} for measure, values in shown.items()]
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": "measure: "}, "pad": {"t": 80}, "font": {"color": INK}}])
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1], tickfont={"size": 11}, range=[-0.7, len(names) - 0.3])
    figure.update_xaxes(title={"text": f"points better than<br>{reference}"}, range=next(iter(reaches.values())), zeroline=False)
    return finish(figure, _difference_alt(tables, reference), height=190 + 30 * len(names))


def wrapped(name: str, width: int = 16) -> str:
    """A long name over several lines, broken after hyphens, so that a phone has room for the plot."""
    lines = [""]
    for piece in name.replace("-", "-\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "<br>".join(lines)


def _two_groups(rows: Sequence[Difference]) -> dict[str, list]:
    groups = [[row for row in rows if row.sure], [row for row in rows if not row.sure]]
    return {"x": [[100 * row.mean for row in group] for group in groups], "y": [[wrapped(row.name) for row in group] for group in groups],
            "error_x.array": [[100 * (row.half or 0) for row in group] for group in groups],
            "customdata": [[row.pairs for row in group] for group in groups]}


def _points_range(rows: Sequence[Difference]) -> list[float]:
    """Wide enough for every mean and for intervals up to the widest mean; what reaches further is cut off."""
    widest = max(abs(row.mean) for row in rows)
    ends = [row.mean + sign * min(row.half or 0, max(widest, 0.1)) for row in rows for sign in (-1, 1)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    return [100 * low - 2, 100 * high + 2]


def _difference_alt(tables: Mapping[str, Sequence[Difference]], reference: str) -> str:
    told = []
    for measure, rows in tables.items():
        better = [row.name for row in rows if row.sure and row.mean > 0]
        worse = [row.name for row in rows if row.sure and row.mean < 0]
        told.append(f"{measure}: surely better {join_words(better)}; surely worse {join_words(worse)}")
    return f"Differences of {len(next(iter(tables.values())))} arms from {reference} with intervals; a slider chooses the measure. {'. '.join(told)}."
