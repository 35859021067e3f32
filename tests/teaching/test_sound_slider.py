"""Sounds behind a slider: every clip stands in the page with its words, and the script knows them all."""

import re

import numpy as np

from minideeptalk.teaching.sound_slider import SoundSlider
from minideeptalk.viz import AudioClip

TONE = np.sin(np.arange(8000) / 9).astype(np.float32) / 3


def slider(labels=("one", 'two </script> "quoted"')):
    clips = [AudioClip(f"clip {number}", TONE * (number + 1) / 3, f"words {number}") for number in range(len(labels))]
    return SoundSlider(clips, labels, "depth: ", active=1)._repr_html_()


def test_every_clip_is_there_without_a_script_too():
    page = slider()
    assert page.count("<audio") == 2 and "“words 0”" in page and "“words 1”" in page


def test_the_range_reaches_every_clip_and_has_a_name():
    page = slider(("a", "b", "c"))
    assert 'max="2"' in page and 'value="1"' in page and 'aria-label="Sound, depth"' in page


def test_a_label_cannot_end_the_script():
    script = re.search(r"<script>(.*)", slider(), flags=re.DOTALL)[1]
    assert script.count("</script>") == 1 and '\\"quoted\\"' in script


def test_two_sliders_on_a_page_have_different_names_and_a_rebuilt_one_has_the_same():
    names = [re.search(r'id="([^"]+)"', page)[1] for page in (slider(), slider(), slider(("a", "b", "c")))]
    assert names[0] == names[1] != names[2]
