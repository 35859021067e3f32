"""Figures inside a page of HTML, with no kernel, no network, and controls that a keyboard reaches."""

from __future__ import annotations

from html import escape
from importlib.resources import files

import plotly.graph_objects as go

from minideeptalk.viz.style import alt_text


def figure_html(figure: go.Figure, name: str, caption: str = "") -> str:
    """One `<figure>`: its data as JSON, its alt text, and a place for its controls.

    The page also needs `plotly_script()`, `figures_css()`, and at its end `figures_script()`, each once.

    Args:
        figure: a figure of this package (it must carry alt text).
        name: id of the element, unique on the page.
        caption: shown below the figure; HTML.
    """
    alt = escape(alt_text(figure), quote=True)
    data = figure.to_json().replace("</", "<\\/")  # the text of a script element must not close it
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (f'<figure class="plotly-figure" id="{name}"><div class="plot" role="img" aria-label="{alt}"></div>'
            f'<div class="controls"></div><script type="application/json">{data}</script>'
            f"<noscript><p>{alt}</p></noscript>{below}</figure>")


def plotly_script() -> str:
    """plotly.js itself as one script element, about 5 MB."""
    from plotly.offline import get_plotlyjs

    return f"<script>{get_plotlyjs()}</script>"


def figures_script() -> str:
    """The script that draws every figure of the page; it stands after the last one."""
    return f"<script>{read_resource('figures.js')}</script>"


def figures_css() -> str:
    """Style of figures, with the page's own ink where it defines `--ink`."""
    return read_resource("figures.css")


def read_resource(name: str) -> str:
    """A text file of this room."""
    return files("minideeptalk.viz").joinpath(name).read_text(encoding="utf-8")
