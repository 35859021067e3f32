"""What chapters show beside figures: sounds that can be read, tables that a phone and a screen reader understand."""

import base64
import io
import re

import numpy as np
import soundfile

from minideeptalk.teaching.sounds import LONGEST_SECONDS, Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import AudioClip


def test_a_waveform_becomes_a_sound_without_loss_with_its_words_beside_it():
    wave = np.sin(np.arange(16000) / 20).astype(np.float32) / 2
    page = Sounds([AudioClip("the <answer>", wave, "forty two", "listen")])._repr_html_()
    assert 'aria-label="the &lt;answer&gt;: forty two"' in page and "“forty two”" in page
    packed = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    samples, rate = soundfile.read(io.BytesIO(packed))
    assert rate == 16000 and np.abs(samples - wave).max() < 1e-4 and len(packed) < 2 * len(wave)


def test_a_sound_is_never_longer_than_a_page_can_bear():
    page = Sounds([AudioClip("long", np.zeros(16000 * 60, dtype=np.float32), "")])._repr_html_()
    packed = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    assert len(soundfile.read(io.BytesIO(packed))[0]) == LONGEST_SECONDS * 16000
    assert "stops after 8 of 60 seconds" in page


def test_each_cell_of_a_table_carries_the_name_of_its_column():
    page = Table(("skill", "chance"), [("add", "1 in 88")], "Skills")._repr_html_()
    assert '<td role="cell" data-column="chance">1 in 88</td>' in page and '<th scope="row" role="rowheader">add</th>' in page
    assert "<caption>Skills</caption>" in page
