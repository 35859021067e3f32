"""A grid of sounds behind two sliders: every clip stands in the page, in the order of rows, and wrong shapes are explained."""

import re

import numpy as np
import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.sound_grid import SoundGrid
from minideeptalk.viz import AudioClip

TONE = np.sin(np.arange(4000) / 9).astype(np.float32) / 3


def grid(rows=("cold", "hot"), columns=("few", "some", 'all </script> "x"')):
    clips = [[AudioClip(f"{row}, {column}", TONE * (1 + place) / 9, f"words {row}") for place, column in enumerate(columns)] for row in rows]
    return SoundGrid(clips, rows, columns, ("temperature", "tokens drawn from"), active=(1, 2))


def test_every_clip_is_there_row_after_row_without_a_script_too():
    titles = re.findall(r"<strong>(.*?)</strong>", grid()._repr_html_())
    assert titles[:2] == ["cold, few", "cold, some"] and len(titles) == 6 and titles[3] == "hot, few"


def test_both_ranges_reach_every_clip_and_have_names():
    page = grid()._repr_html_()
    ranges = re.findall(r'<input type="range" min="0" max="(\d)" value="(\d)" aria-label="([^"]+)"', page)
    assert ranges == [("1", "1", "Sound, temperature"), ("2", "2", "Sound, tokens drawn from")]


def test_a_label_cannot_end_the_script():
    script = re.search(r"<script>(.*)", grid()._repr_html_(), flags=re.DOTALL)[1]
    assert script.count("</script>") == 1 and '\\"x\\"' in script


def test_clips_that_do_not_fit_the_labels_are_refused():
    with pytest.raises(LearnerError, match="one for each pair"):
        SoundGrid(grid().clips, ("cold",), ("few", "some"), ("a", "b"))
