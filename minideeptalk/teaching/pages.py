"""What the book's pages need beyond Jupyter Book: plotly figures without kernel or network, one search bar, no thebe.

plotly 6 and newer stores a figure under its own MIME type only, which myst-nb does not know. `PlotlyRenderer` (registered in pyproject.toml)
writes the figure's JSON into the page; `book/_static/figures.js` draws it, follows light and dark, and turns plotly's sliders and
buttons into ones that a keyboard can use. `setup` makes this module a Sphinx extension that ships plotly.js with the pages.
"""

from __future__ import annotations

import json
import shutil
from html import escape
from importlib.util import find_spec
from pathlib import Path

from minideeptalk.teaching.finishing import finish_pages
from minideeptalk.teaching.reference import objects_html

MIME = "application/vnd.plotly.v1+json"
PLOTLY_JS = Path("package_data", "plotly.min.js")
DEFAULT_BACKGROUND = "#E5ECF6"  # marks plotly's own default template, which the page replaces


def figure_html(figure: dict) -> str:
    """The figure as HTML: its JSON, its description for those who do not see it, and an empty place to draw in.

    Args:
        figure: plotly JSON; its alternative text stands in `layout.meta.alt`.

    Raises:
        ValueError: for a figure without alternative text.
    """
    layout = figure.get("layout", {})
    alt = (layout.get("meta") or {}).get("alt") if isinstance(layout.get("meta"), dict) else None
    if not alt:
        raise ValueError("a figure without alternative text: figure.update_layout(meta={'alt': '...'})")
    if layout.get("template", {}).get("layout", {}).get("plot_bgcolor") == DEFAULT_BACKGROUND:
        layout = {key: value for key, value in layout.items() if key != "template"}
    slim = {"data": figure["data"], "layout": layout, "frames": figure.get("frames", [])}
    text = json.dumps(slim, separators=(",", ":")).replace("</", "<\\/")
    height = int(layout.get("height", 420))
    return (f'<figure class="plotly-figure" role="group" aria-label="{escape(alt)}" data-height="{height}">'
            f'<div class="plotly-place" style="min-height:{height}px"></div>'
            f'<script type="application/json">{text}</script><noscript>{escape(alt)}</noscript></figure>')


class PlotlyRenderer:
    """The `myst_nb.mime_renderers` entry point."""

    mime_priority_overrides = (("*", MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline):
        """myst-nb's hook: a list of nodes, or None to leave the output to others."""
        if inline or data.mime_type != MIME:
            return None
        from docutils import nodes

        try:
            html = figure_html(data.content if isinstance(data.content, dict) else json.loads(data.content))
        except ValueError as error:
            from sphinx.util import logging

            logging.getLogger(__name__).warning("%s, cell %s: %s", renderer.renderer.document["source"], data.cell_index, error)
            return []
        return [nodes.raw(text=html, format="html", classes=["output"])]


def plotly_js() -> Path:
    """plotly.js as the installed plotly package ships it, so that page and Python speak the same version."""
    return Path(find_spec("plotly").submodule_search_locations[0]) / PLOTLY_JS


def setup(app):
    """Sphinx extension: the page's script and style, plotly.js beside them, and nothing that asks the network."""
    app.add_js_file("figures.js", loading_method="defer")
    app.add_js_file("tables.js", loading_method="defer")
    app.add_css_file("book.css")
    app.connect("config-inited", _one_search_bar)
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("html-page-context", _add_library_objects)
    app.connect("build-finished", _finish_static, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _one_search_bar(app, config) -> None:
    """Empty the upper bar, which repeats the search. Setting it in `_config.yml` would replace the repository's buttons."""
    config.html_theme_options.update(navbar_start=[], navbar_center=[], navbar_end=[], navbar_persistent=[])


def _drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Jupyter Book adds thebe's scripts twice even when it is off, which is an error in the browser's console."""
    for kind in ("script_files", "css_files"):
        context[kind] = [entry for entry in context.get(kind, []) if not _is_thebe(entry)]


def _add_library_objects(app, pagename, templatename, context, doctree) -> None:
    """Under each chapter, the library objects that it explains; `teaching.reference` makes the way back."""
    folder, _, name = pagename.rpartition("/")
    if folder == "notebooks" and context.get("body"):
        context["body"] += objects_html(name)


def _is_thebe(entry) -> bool:
    words = f"{getattr(entry, 'filename', '')} {getattr(entry, 'attributes', {}).get('body', '')}"
    return "thebe" in words.lower()


def _finish_static(app, error) -> None:
    """Finish the pages; add plotly.js; leave out the forms of MathJax that no page loads."""
    if error is not None or app.builder.format != "html":
        return
    finish_pages(Path(app.outdir))
    static = Path(app.outdir, "_static")
    shutil.copyfile(plotly_js(), static / "plotly.min.js")
    for pattern in ("*svg*.js", "*full*.js", "mml-*.js", "tex-mml-*.js", "latest.js", "node-main.js"):
        for path in (static / "mathjax").glob(pattern):
            path.unlink()
    for folder in ("sre", "output/svg", "input/mml", "input/asciimath"):
        shutil.rmtree(static / "mathjax" / folder, ignore_errors=True)
