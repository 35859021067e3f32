"""Figures in the page: alternative text is demanded, the default template is left out, JSON cannot break out of its script."""

import re

import plotly.graph_objects as go
import pytest

from minideeptalk.teaching.pages import figure_html, plotly_js
from minideeptalk.viz.style import finish


def figure(**layout):
    return go.Figure(go.Scatter(y=[1, 2]), layout=layout).to_plotly_json()


def plain(fig):
    import json

    return json.loads(json.dumps(fig, default=lambda value: value.to_plotly_json() if hasattr(value, "to_plotly_json") else list(value)))


def test_a_figure_without_alternative_text_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        figure_html(plain(figure()))


def test_a_figure_carries_its_description_and_no_default_template():
    html = figure_html(plain(figure(meta={"alt": 'a "line"'}, template="plotly")))
    assert 'aria-label="a &quot;line&quot;"' in html
    assert "E5ECF6" not in html


def test_a_figure_of_the_library_keeps_its_template_and_height():
    html = figure_html(plain(finish(go.Figure(), "nothing", height=333).to_plotly_json()))
    assert 'data-height="333"' in html and '"template"' in html


def test_text_in_a_figure_cannot_end_the_script():
    html = figure_html(plain(figure(meta={"alt": "x"}, title={"text": "</script><b>"})))
    assert len(re.findall("</script>", html)) == 1


def test_plotly_js_comes_from_the_installed_plotly():
    assert plotly_js().is_file()
