"""Figures of many arms: every stop of a slider shows other data, intervals are drawn, and the words tell what the picture says."""

import json

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz import alt_text, difference_figure, forgetting_map, front_figure, rival_curves
from minideeptalk.viz.study import Difference, RatePath, Spot, View, rate_figure, wrapped

STAGES = ("0", "1", "2.1", "2.2", "3")
NUMBERS = {"recipe": 1, "full": 2, "lazy": 3}


def views():
    first = [Spot("recipe", "ours", 0.6, 0.9, 0.02, 0.03, True), Spot("full", "rivals", 0.7, 0.5, 0.05, 0.1, True), Spot("lazy", "rivals", 0.1, 0.4)]
    other = [Spot("recipe", "ours", 0.3, 0.9, 0.02, 0.03, True), Spot("full", "rivals", 0.2, 0.5), Spot("lazy", "rivals", 0.1, 0.4)]
    return [View("in text", "answers in text", first), View("aloud", "answers aloud", other)]


def curves():
    def line(end):
        return [(0, 1.0, 0.0), (1, 1.0, 0.01), (4, end, 0.05)]
    return {arm: {"covered": line(0.9), "uncovered": line(end)} for arm, end in (("recipe", 0.8), ("full", 0.3), ("lazy", 0.95))}


def tables():
    return {"text kept": [Difference("full-tuning-of-everything", -0.3, 0.1, 5, True), Difference("lazy", 0.02, 0.1, 5, False)],
            "answers": [Difference("full-tuning-of-everything", 0.1, 0.02, 5, True), Difference("lazy", -0.2, None, 1, False)]}


KEPT = {stage: {"recipe": {"add": 1.0, "sort": 0.8}, "full": {"add": 0.9, "sort": 0.1 * place}} for place, stage in enumerate(("1", "3"))}
FIGURES = {
    "front": lambda: front_figure(views(), NUMBERS, "text kept", "speech: "), "differences": lambda: difference_figure(tables(), "recipe"),
    "curves": lambda: rival_curves(curves(), "recipe", STAGES), "map": lambda: forgetting_map(KEPT, ["add", "sort"], ["add"]),
}
EACH = pytest.mark.parametrize("name", FIGURES)


@EACH
def test_every_stop_of_the_slider_shows_other_data(name):
    figure = FIGURES[name]()
    stops = [json.dumps(step.args[0]) for step in figure.layout.sliders[0].steps]
    assert len(stops) > 1 and len(set(stops)) == len(stops)


@EACH
def test_the_picture_is_plain_json_told_in_words_and_as_wide_as_the_page(name):
    figure = FIGURES[name]()
    assert "bdata" not in figure.to_json() and len(alt_text(figure)) > 60 and alt_text(figure).endswith(".")
    assert "width" not in json.loads(figure.to_json())["layout"]


def test_the_number_of_a_spot_stands_away_from_its_neighbours():
    close = [Spot("recipe", "ours", 0.50, 0.50), Spot("full", "rivals", 0.51, 0.50), Spot("lazy", "rivals", 0.1, 0.1)]
    _, ours, rivals = front_figure([View("in text", "answers in text", close)], NUMBERS, "text kept", "speech: ").data
    assert "left" in ours.textposition[0] and "right" in rivals.textposition[0]


@EACH
def test_the_first_stop_is_what_is_drawn(name):
    """A reader who comes back to where the slider began sees the picture of the beginning again."""
    figure = FIGURES[name]()
    slider = figure.layout.sliders[0]
    values = slider.steps[slider.active].args[0]
    places = slider.steps[slider.active].args[1] if slider.steps[slider.active].method == "restyle" else range(len(figure.data))
    key = "z" if "z" in values else "x"
    for place, wanted in zip(places, values[key]):
        assert json.loads(json.dumps(list(figure.data[place][key]))) == json.loads(json.dumps(list(wanted)))


def test_arms_on_the_front_are_bold_joined_and_named():
    figure = front_figure(views(), NUMBERS, "text kept", "speech: ")
    line, ours, rivals = figure.data
    assert list(line.x) == [0.6, 0.7] and list(ours.text) == ["<b>1</b>"] and list(rivals.text) == ["<b>2</b>", "3"]
    assert list(rivals.error_y.array) == [0.1, 0]
    assert "in text: recipe (60 %, 90 %) and full (70 %, 50 %)" in alt_text(figure)


def test_a_path_of_rates_is_a_line_whose_large_numbered_marker_is_the_rate_taken():
    paths = [RatePath("recipe", "ours", [(0.2, 1.0), (0.5, 0.9), (0.4, 0.7)], 1), RatePath("full", "rivals", [(0.3, 0.8), (0.7, 0.2)], 1),
             RatePath("lazy", "rivals", [(0.1, 1.0), (0.2, 0.9)], 0)]
    figure = rate_figure(paths, NUMBERS, "speech", "text kept")
    lines = {trace.customdata[0].split("<br>")[0]: trace for trace in figure.data}
    assert [lines["1 recipe"].x, lines["1 recipe"].y] == [(0.2, 0.5, 0.4), (1.0, 0.9, 0.7)] and lines["1 recipe"].text == ("", "1", "")
    assert lines["3 lazy"].text == ("3", "") and lines["3 lazy"].marker.size[0] > lines["3 lazy"].marker.size[1]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["ours", "rivals"]
    assert all(f"{path.name} from {percent(path.points[0][0])}, {percent(path.points[0][1])} to" in alt_text(figure) for path in paths)


def test_views_of_other_arms_are_refused():
    first, second = views()
    with pytest.raises(LearnerError, match="same arms"):
        front_figure([first, View("aloud", "answers aloud", second.spots[:2])], NUMBERS, "text kept", "")


def test_sure_differences_are_filled_and_unsure_ones_open():
    sure, unsure = difference_figure(tables(), "recipe").data
    assert list(sure.y) == [wrapped("full-tuning-of-everything")] and list(unsure.y) == ["lazy"]
    assert sure.marker.symbol == "circle" and unsure.marker.symbol == "circle-open"
    assert "text kept: surely better none; surely worse full-tuning-of-everything" in alt_text(difference_figure(tables(), "recipe"))


def test_a_long_name_is_broken_after_a_hyphen():
    assert wrapped("full-tuning-of-everything") == "full-tuning-of-<br>everything" and wrapped("lazy") == "lazy"
    assert wrapped("deeptalk-by-token-importance").replace("<br>", "") == "deeptalk-by-token-importance"


def test_the_rival_of_the_slider_has_a_band_and_the_reference_stays():
    figure = rival_curves(curves(), "recipe", STAGES)
    step = figure.layout.sliders[0].steps[1]
    assert step.label == "lazy" and list(step.args[1]) == [3, 4, 8, 9]
    assert [figure.data[place].name for place in (4, 9)] == ["the rival of the slider"] * 2
    assert step.args[0]["y"][3] == [1.0, 1.0, 0.95] and max(step.args[0]["y"][2]) == pytest.approx(1.01)
    with pytest.raises(LearnerError, match="a rival"):
        rival_curves({"recipe": curves()["recipe"]}, "recipe", STAGES)


def test_the_map_stars_covered_families_and_names_the_worst():
    figure = forgetting_map(KEPT, ["add", "sort"], ["add"])
    assert list(figure.data[0].x) == ["add*", "sort"] and figure.layout.sliders[0].active == 1
    assert "full keeps least of sort, 10 %" in alt_text(figure)
