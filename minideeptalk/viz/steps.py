"""Experts at work, one step after the other: which of them the router gives each token to (chapter 07)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from minideeptalk.viz.style import HEAT, INK, VERMILLION, finish, join_words

CELL, GAP = 20, 3  # pixels of the live grid


def routing_by_step(labels: Sequence[str], weights: np.ndarray, audio_experts: Sequence[Sequence[int]] = (), first_layer: int = 1) -> go.Figure:
    """Gate weights of one step as a heat map of layers by experts; a slider moves through the steps.

    Args:
        labels: (T,) what each step is, for instance the word that is heard or written.
        weights: (T, L, E) gate weights, 0 where an expert was not chosen.
        audio_experts: for each layer the audio experts, marked with rings; empty draws none.
    """
    layers, experts = weights.shape[1:]
    rows = list(range(first_layer, first_layer + layers))
    pictures = weights.round(3).tolist()
    figure = go.Figure(go.Heatmap(
        z=pictures[0], x=list(range(experts)), y=rows, zmin=0, zmax=float(weights.max()), colorscale=HEAT, xgap=2, ygap=2,
        colorbar={"thickness": 12, "title": {"text": "gate<br>weight"}}, hovertemplate="layer %{y}, expert %{x}: %{z:.2f}<extra></extra>"))
    spots = [(expert, row) for row, chosen in zip(rows, audio_experts) for expert in chosen]
    if spots:
        figure.add_scatter(x=[expert for expert, _ in spots], y=[row for _, row in spots], mode="markers", name="audio expert", hoverinfo="skip",
                           showlegend=True, marker={"symbol": "circle", "size": 8, "color": "#ffffff", "line": {"color": "#000000", "width": 1.5}})
    slider = [{"label": label, "method": "restyle", "args": [{"z": [picture]}, [0]]} for label, picture in zip(labels, pictures, strict=True)]
    figure.update_layout(sliders=[{"active": 0, "steps": slider, "currentvalue": {"prefix": "step: "}, "pad": {"t": 60}, "font": {"color": INK}}])
    figure.update_xaxes(title="expert", showgrid=False, dtick=2 if experts > 12 else 1, range=[-0.5, experts - 0.5])
    figure.update_yaxes(title="layer", autorange="reversed", tickvals=rows, showgrid=False)
    return finish(figure, _alt(labels, weights, rows), height=170 + 60 * layers)


def _alt(labels, weights, rows) -> str:
    first, last = (_by_layer(map(np.flatnonzero, step), rows[0]) for step in (weights[0], weights[-1]))
    return (f"Heat map of {len(rows)} layers by {weights.shape[2]} experts; a slider moves through {len(labels)} steps. At the first step, "
            f"{labels[0]}, the chosen experts are {first}. At the last, {labels[-1]}, they are {last}.")


def _by_layer(experts: Iterable[Sequence[int]], first_layer: int) -> str:
    """Some experts of each layer, in words."""
    return "; ".join(f"layer {layer}: {join_words(map(str, some))}" for layer, some in enumerate(experts, start=first_layer))


def grid_svg(label: str, weights: np.ndarray, audio_experts: Sequence[Sequence[int]] = (), first_layer: int = 1) -> str:
    """One step as a small SVG, for live explorers: a cell for each layer and expert, as bright as its gate weight (L, E)."""
    layers, experts = weights.shape
    width, height = 70 + experts * (CELL + GAP), 24 + layers * (CELL + GAP)
    cells = []
    for layer in range(layers):
        top = 22 + layer * (CELL + GAP)
        cells.append(f'<text x="0" y="{top + 15}" font-size="12" fill="currentColor">layer {first_layer + layer}</text>')
        for expert in range(experts):
            ring = layer < len(audio_experts) and expert in audio_experts[layer]
            stroke, thick = (VERMILLION, 2) if ring else (INK, 0.7)
            cells.append(f'<rect x="{60 + expert * (CELL + GAP)}" y="{top}" width="{CELL}" height="{CELL}" rx="4" fill="#e69f00" '
                         f'fill-opacity="{min(1.0, float(weights[layer, expert]) * 1.4):.2f}" stroke="{stroke}" stroke-width="{thick}"/>')
    numbers = "".join(f'<text x="{60 + expert * (CELL + GAP) + CELL / 2}" y="14" font-size="11" text-anchor="middle" fill="currentColor">'
                      f"{expert}</text>" for expert in range(experts))
    told = f"{label}. Chosen experts, {_by_layer(map(np.flatnonzero, weights), first_layer)}."
    if any(map(len, audio_experts)):
        told += f" Ringed, {_by_layer(audio_experts, first_layer)}."
    return (f'<p style="margin:0 0 4px"><strong>{escape(label)}</strong></p><svg viewBox="0 0 {width} {height}" width="{width}" role="img" '
            f'style="max-width:100%;height:auto" aria-label="{escape(told)}">{numbers}{"".join(cells)}</svg>')
