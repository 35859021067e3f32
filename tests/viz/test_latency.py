"""The parts of the wait follow each other, and chunks of sound stand where they are heard, with their silences told in words."""

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.viz.latency import parts_timeline, playback_figure
from minideeptalk.viz.style import alt_text

PARTS = {"encode": 4.0, "prefill": 6.0, "codec": 10.0}
SITUATIONS = {"fast": {"small": [(0.1, 0.5), (0.6, 0.5)], "whole": [(0.4, 1.0)]},
              "slow": {"small": [(0.2, 0.5), (1.0, 0.5)], "whole": [(1.5, 1.0)]}}


def test_each_part_begins_where_the_one_before_ends():
    bars = parts_timeline(PARTS).data[0]
    assert list(bars.base) == [0, 4, 10] and list(bars.x) == [4, 6, 10] and list(bars.y) == list(PARTS)


def test_percentiles_are_lines_where_they_were_measured():
    assert len(parts_timeline(PARTS).data) == 1
    figure = parts_timeline(PARTS, 18.0, 31.0)
    assert [trace.x[0] for trace in figure.data[1:]] == [18.0, 31.0] and figure.layout.xaxis.range[1] > 31
    assert "nine in ten within 31 ms" in alt_text(figure)


def test_chunks_stand_where_they_sound_in_every_situation():
    figure = playback_figure(SITUATIONS, "machine: ", active=1)
    bars, steps = figure.data[0], figure.layout.sliders[0].steps
    assert list(bars.y) == ["small", "small", "whole"] and list(bars.base) == [0.2, 1.0, 1.5] and list(bars.x) == [0.5, 0.5, 1.0]
    assert steps[0].args[0]["base"] == [[0.1, 0.6, 0.4]] and steps[0].args[0]["text"][0][1] == "chunk 2, from 0.60 s"
    assert [step.label for step in steps] == list(SITUATIONS)
    assert figure.layout.xaxis.range[1] >= 2.5


def test_silence_between_chunks_is_told_in_words():
    told = alt_text(playback_figure(SITUATIONS, "machine: "))
    assert "machine: slow: small begins at 0.20 s and is silent for 0.30 s in between" in told
    assert "fast: small begins at 0.10 s and is silent for 0.00 s" in told


def test_situations_with_other_lanes_are_refused():
    with pytest.raises(LearnerError, match="same lanes"):
        playback_figure({"fast": SITUATIONS["fast"], "slow": {"whole": [(0, 1)]}})
