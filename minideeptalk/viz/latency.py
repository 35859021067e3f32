"""Where the time to the first sound goes (chapter 12)."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import milliseconds
from minideeptalk.viz.style import BLUE, GREEN, VERMILLION, finish, join_words


def latency_timeline(record: Mapping) -> go.Figure:
    """One bar a part, each starting where the one before ends; lines show the median and the 90th percentile.

    Args:
        record: a run record; `metrics.first_audio_ms.parts` are medians in milliseconds, in order.

    Raises:
        LearnerError: if the parts were not measured.
    """
    measured = record["metrics"]["first_audio_ms"]
    parts = measured["parts"]
    if not parts:
        raise LearnerError("the parts of the time to first sound", "none in this record", "latency was not measured")
    starts, end = [], 0.0
    for length in parts.values():
        starts.append(end)
        end += length
    figure = go.Figure(go.Bar(
        y=list(parts), x=list(parts.values()), base=starts, orientation="h", marker={"color": BLUE}, showlegend=False,
        customdata=list(parts.values()), hovertemplate="%{y}: %{customdata:.0f} ms<extra></extra>"))
    for name, colour, dash in (("p50", GREEN, "solid"), ("p90", VERMILLION, "dash")):
        if measured[name] is not None:
            _line(figure, measured[name], f"{name} {milliseconds(measured[name])}", list(parts), colour, dash)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(title={"text": "ms after the question ends"}, range=[0, 1.06 * max(end, measured["p50"] or 0, measured["p90"] or 0)])
    words = [f"{name} {milliseconds(length)}" for name, length in parts.items()]
    alt = (f"Timeline from the end of the question to the first sound of the answer: {join_words(words)}. "
           f"Half of the answers start within {milliseconds(measured['p50'])}, nine in ten within {milliseconds(measured['p90'])}.")
    return finish(figure, alt, height=150 + 34 * len(parts))


def _line(figure, place, name, parts, colour, dash) -> None:
    figure.add_trace(go.Scatter(x=[place, place], y=[parts[0], parts[-1]], mode="lines", name=name,
                                line={"color": colour, "width": 3, "dash": dash}, hovertemplate=name + "<extra></extra>"))
