import copy
import json

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.viz import (
    abilities_table,
    alt_text,
    figure_html,
    forgetting_by_family,
    forgetting_curve,
    forgetting_table,
    latency_timeline,
    routing_heat_map,
)
from minideeptalk.viz.style import INK, PALETTE, TRANSPARENT, join_words

BUILDERS = (forgetting_curve, forgetting_by_family, routing_heat_map, latency_timeline)
WHITE, NIGHT = "#ffffff", "#121212"


def luminance(colour):
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", PALETTE)
def test_every_colour_stands_out_on_a_light_and_on_a_dark_page(colour):
    assert contrast(colour, WHITE) >= 3
    assert contrast(colour, NIGHT) >= 3


def test_text_is_readable_on_white_and_nearly_so_on_dark_even_without_the_page_style():
    assert contrast(INK, WHITE) >= 4.5
    assert contrast(INK, NIGHT) >= 4


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_page_decides_width_and_background(builder, record):
    layout = json.loads(builder(record).to_json())["layout"]
    assert "width" not in layout
    assert layout["autosize"] is True
    assert layout["template"]["layout"]["paper_bgcolor"] == layout["template"]["layout"]["plot_bgcolor"] == TRANSPARENT


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_figure_can_be_told_in_words(builder, record):
    figure = builder(record)
    assert len(alt_text(figure)) > 60
    assert alt_text(json.loads(figure.to_json())) == alt_text(figure)
    assert alt_text(figure).endswith(".")


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_figure_is_plain_json_without_packed_arrays(builder, record):
    assert "bdata" not in builder(record).to_json()  # plotly 5, and the check that compares data, read lists


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_figure_leaves_the_record_alone(builder, record):
    before = copy.deepcopy(record)
    builder(record)
    assert record == before


def test_a_figure_without_words_is_refused():
    with pytest.raises(LearnerError, match="alt text"):
        alt_text({"layout": {}})


def test_the_curve_shows_each_family_and_the_means_of_both_groups(record):
    traces = {trace.name: trace for trace in forgetting_curve(record).data}
    assert {"add", "sort", "mean covered", "mean uncovered"} <= set(traces)
    assert traces["mean covered"].line.dash != traces["mean uncovered"].line.dash
    last = [row["value"] for row in record["curves"] if row["name"] == "text_accuracy/sort"][-1]
    assert traces["sort"].y[-1] == last
    assert traces["sort"].x[-1] == 5  # five stages, each one unit wide


def test_a_mean_is_the_mean(record):
    traces = {trace.name: trace for trace in forgetting_curve(record).data}
    expected = sum(traces[family].y[-1] for family in ("add", "lookup", "repeat")) / 3
    assert traces["mean covered"].y[-1] == pytest.approx(expected)


def test_families_are_told_apart_by_marker_as_well_as_by_colour(record):
    markers = [trace.marker.symbol for trace in forgetting_curve(record).data if trace.mode == "lines+markers"]
    assert len(set(markers)) == len(markers) == 10


def test_the_largest_loss_comes_first(record):
    assert alt_text(forgetting_by_family(record)).split(": ")[1].startswith("reverse from 96 % to 67 %")


def test_every_stop_of_the_slider_shows_other_data(record):
    steps = routing_heat_map(record).layout.sliders[0].steps
    maps = [json.dumps(step.args[0]["z"]) for step in steps]
    assert [step.label for step in steps] == ["1", "2.1", "2.2", "3"]
    assert len(set(maps)) == len(maps)


def test_shares_sum_to_one_whatever_the_unit_of_the_load(record):
    for row in record["loads"]:
        row["load"] = [value * 2 for value in row["load"]]  # a load that counts both choices of top-2
    for trace in routing_heat_map(record).data[:2]:
        for layer in trace.z:
            assert sum(layer) == pytest.approx(1)


def test_two_heat_maps_of_one_record_share_their_colours(record):
    first, last = routing_heat_map(record, ["1-align"]), routing_heat_map(record, ["3-joint"])
    assert first.layout.coloraxis.cmax == last.layout.coloraxis.cmax
    assert not first.layout.sliders


def test_an_arm_without_selection_has_no_dots(record):
    record["selection"] = None
    assert [trace.type for trace in routing_heat_map(record).data] == ["heatmap", "heatmap"]


def test_latency_parts_follow_each_other(record):
    bars = latency_timeline(record).data[0]
    assert list(bars.base) == pytest.approx([sum(bars.x[:place]) for place in range(len(bars.x))])


@pytest.mark.parametrize(("builder", "field"), [(forgetting_curve, "curves"), (routing_heat_map, "loads")])
def test_what_was_not_recorded_is_said(builder, field, record):
    record[field] = []
    with pytest.raises(LearnerError, match="none in this record"):
        builder(record)


def test_an_unknown_stage_is_named(record):
    with pytest.raises(LearnerError, match="4-dpo"):
        routing_heat_map(record, ["4-dpo"])


def test_the_table_sets_chance_and_ceiling_beside_the_value(record):
    table = abilities_table(record)
    assert 'data-column="measured">43 %<' in table
    assert 'data-column="chance">10 %<' in table
    assert 'data-column="ceiling">93 %<' in table
    assert table.count("<tr") == 10


def test_the_table_says_why_a_value_is_missing(record):
    record["metrics"]["style_accuracy"] = {"recognised": None, "mirrored": None, "ceiling": None}
    record["not_measured"] = {"metrics.style_accuracy": "no <style> judge"}
    assert "Not measured: no &lt;style&gt; judge." in abilities_table(record)


def test_the_forgetting_table_names_every_family(record):
    table = forgetting_table(record)
    assert all(f">{family} " in table for family in record["metrics"]["text_accuracy"]["before"])


def test_json_inside_a_page_cannot_close_its_element(record):
    record["loads"][0]["stage"] = "</script><b>"
    html = figure_html(routing_heat_map(record), "map")
    assert html.count("</script>") == 1


@pytest.mark.parametrize(("words", "text"), [([], "none"), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_words_are_joined_as_people_do(words, text):
    assert join_words(words) == text
