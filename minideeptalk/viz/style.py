"""One look for every figure: palette, template, alt text.

Colours are four of the eight that Okabe and Ito (2008, "Color Universal Design") chose to stay apart under every common
colour blindness, those four that reach a contrast of 3 to 1 on white *and* on a dark page. Line style and marker always
repeat what colour says. Heat maps use cividis, made for the same purpose (Nunez, Anderton and Renslow, 2018).

Backgrounds are transparent and no figure sets a width, so the page decides both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import plotly.graph_objects as go

from minideeptalk.errors import LearnerError

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE)
INK = "#767676"  # the one grey that is readable on white and on a dark page; `figures.css` replaces it where a page loads that
GRID = "rgba(128, 128, 128, 0.25)"
HEAT = "Cividis"
TRANSPARENT = "rgba(0, 0, 0, 0)"
MARKERS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "hexagon", "bowtie", "pentagon", "hourglass")


def template() -> go.layout.Template:
    """The template that every figure of the book and of the report uses."""
    axis = {"gridcolor": GRID, "linecolor": GRID, "zerolinecolor": GRID, "ticks": "", "automargin": True,
            "title": {"standoff": 8}}
    return go.layout.Template(layout={
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "font": {"color": INK, "size": 13, "family": "system-ui, sans-serif"},
        "colorway": list(PALETTE),
        "margin": {"l": 8, "r": 12, "t": 28, "b": 8},
        "xaxis": axis,
        "yaxis": axis,
        "legend": {"orientation": "h", "xref": "container", "x": 0, "xanchor": "left", "yref": "container", "y": 0, "yanchor": "bottom",
                   "font": {"size": 11}},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#202020", "font": {"color": "#ffffff"}},
        "coloraxis": {"colorscale": HEAT},
    })


def finish(figure: go.Figure, alt: str, height: int) -> go.Figure:
    """Give a figure the common look, its height in pixels and its alt text; the width stays the page's."""
    figure.update_layout(template=template(), height=height, autosize=True, meta={"alt": alt},
                         autotypenumbers="strict")  # a slider's step lets plotly guess an axis anew, and stages "0" and "2.1" are no numbers
    return figure


def alt_text(figure: go.Figure | Mapping) -> str:
    """What a reader who cannot see the figure should hear: what it shows and what it says.

    Args:
        figure: a figure of this package, or its JSON as a dict.

    Raises:
        LearnerError: if the figure carries none.
    """
    meta = figure.layout.meta if isinstance(figure, go.Figure) else figure.get("layout", {}).get("meta")
    if not isinstance(meta, Mapping) or not meta.get("alt"):
        raise LearnerError("a figure with alt text", "none", "it was not made by minideeptalk.viz",
                           "end its builder with style.finish(figure, alt, height)")
    return meta["alt"]


def join_words(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def stage_code(stage: str) -> str:
    """The paper's number of a stage: `2.1` of `2.1-audio-experts`; other names stay whole."""
    return stage.split("-")[0] if stage[:1].isdigit() else stage


def stages_in_order(rows: Iterable[Mapping]) -> list[str]:
    """Stages of curve or load rows, in the order in which the run met them."""
    return list(dict.fromkeys(row["stage"] for row in rows))


def covered_families(record: Mapping) -> tuple[str, ...]:
    """Text skills that after-training covers, as the run's config says."""
    return tuple(record["config"].get("world", {}).get("covered", ()))
