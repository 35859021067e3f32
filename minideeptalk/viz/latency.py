"""Where the time to the first sound goes, and whether the sound then flows (chapter 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import milliseconds
from minideeptalk.viz.style import BLUE, GREEN, INK, VERMILLION, finish, join_words


def latency_timeline(record: Mapping) -> go.Figure:
    """One bar a part, each starting where the one before ends; lines show the median and the 90th percentile.

    Args:
        record: a run record; `metrics.first_audio_ms.parts` are medians in milliseconds, in order.

    Raises:
        LearnerError: if the parts were not measured.
    """
    measured = record["metrics"]["first_audio_ms"]
    if not measured["parts"]:
        raise LearnerError("the parts of the time to first sound", "none in this record", "latency was not measured")
    return parts_timeline(measured["parts"], measured["p50"], measured["p90"])


def parts_timeline(parts: Mapping[str, float], p50: float | None = None, p90: float | None = None) -> go.Figure:
    """The same from the parts themselves.

    Args:
        parts: milliseconds of each part, in the order in which they happen. p50, p90: of their sum, where they were measured.
    """
    starts, end = [], 0.0
    for length in parts.values():
        starts.append(end)
        end += length
    figure = go.Figure(go.Bar(
        y=list(parts), x=list(parts.values()), base=starts, orientation="h", marker={"color": BLUE}, showlegend=False,
        customdata=list(parts.values()), hovertemplate="%{y}: %{customdata:.0f} ms<extra></extra>"))
    for name, place, colour, dash in (("p50", p50, GREEN, "solid"), ("p90", p90, VERMILLION, "dash")):
        if place is not None:
            _line(figure, place, f"{name} {milliseconds(place)}", list(parts), colour, dash)
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    figure.update_xaxes(title={"text": "ms after the question ends"}, range=[0, 1.06 * max(end, p50 or 0, p90 or 0)])
    words = [f"{name} {milliseconds(length)}" for name, length in parts.items()]
    alt = f"Timeline from the end of the question to the first sound of the answer: {join_words(words)}."
    if p50 is not None:
        alt += f" Half of the answers start within {milliseconds(p50)}, nine in ten within {milliseconds(p90)}."
    return finish(figure, alt, height=150 + 34 * len(parts))


def _line(figure, place, name, parts, colour, dash) -> None:
    figure.add_trace(go.Scatter(x=[place, place], y=[parts[0], parts[-1]], mode="lines", name=name,
                                line={"color": colour, "width": 3, "dash": dash}, hovertemplate=name + "<extra></extra>"))


def playback_figure(situations: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], prefix: str = "", active: int = 0) -> go.Figure:
    """When each chunk of sound is heard: a lane for each way of cutting, a slider through situations; what is blank is silence.

    Args:
        situations: label of the slider -> lane -> chunks as (second at which it begins, seconds that it lasts); the same lanes everywhere.
        prefix: what stands before the slider's label. active: the situation shown at first.

    Raises:
        LearnerError: where situations have different lanes.
    """
    lanes = [list(lanes) for lanes in situations.values()]
    if any(other != lanes[0] for other in lanes):
        raise LearnerError("the same lanes in every situation", str(lanes))
    end = max(start + length for lanes in situations.values() for chunks in lanes.values() for start, length in chunks)
    pictures = [_chunks(lanes) for lanes in situations.values()]
    figure = go.Figure(go.Bar(**pictures[active], orientation="h", showlegend=False, textposition="none",
                              hovertemplate="%{y}: %{text}<extra></extra>"))
    steps = [{"label": label, "method": "restyle", "args": [{name: [values] for name, values in _flat(picture).items()}, [0]]}
             for label, picture in zip(situations, pictures)]
    figure.update_layout(barmode="overlay", bargap=0.35, sliders=[{
        "active": active, "steps": steps, "currentvalue": {"prefix": prefix}, "pad": {"t": 60}, "font": {"color": INK}}])
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, categoryorder="array", categoryarray=lanes[0])
    figure.update_xaxes(title="seconds after the question", range=[0, 1.02 * end])
    return finish(figure, _told(situations, prefix), height=190 + 40 * len(lanes[0]))


def _chunks(lanes) -> dict:
    rows = [(lane, start, length, number) for lane, chunks in lanes.items() for number, (start, length) in enumerate(chunks)]
    return {"y": [lane for lane, *_ in rows], "base": [round(start, 4) for _, start, _, _ in rows], "x": [round(length, 4) for _, _, length, _ in rows],
            "text": [f"chunk {number + 1}, from {start:.2f} s" for _, start, _, number in rows],
            "marker": {"color": [(BLUE, GREEN)[number % 2] for *_, number in rows]}}


def _flat(picture) -> dict:
    return {**{name: picture[name] for name in ("y", "base", "x", "text")}, "marker.color": picture["marker"]["color"]}


def _told(situations, prefix) -> str:
    """What a listener would notice: when it begins, and how long it is silent in between."""
    told = []
    for label, lanes in situations.items():
        words = [f"{lane} begins at {chunks[0][0]:.2f} s and is silent for {_silence(chunks):.2f} s in between" for lane, chunks in lanes.items()]
        told.append(f"{prefix}{label}: {'; '.join(words)}")
    return "Chunks of sound on a time axis, a lane for each way of cutting the answer. " + ". ".join(told) + "."


def _silence(chunks) -> float:
    return max(0.0, chunks[-1][0] + chunks[-1][1] - chunks[0][0] - sum(length for _, length in chunks))  # rounding goes below
