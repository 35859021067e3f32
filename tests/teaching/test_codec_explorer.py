"""The explorer of chapter 02 sends words and recordings through the codec at the depth asked for, and says what is wrong."""

import io

import numpy as np
import pytest
import soundfile

from minideeptalk.codec import PyramidCodec
from minideeptalk.hearing import Judge
from minideeptalk.teaching.codec_explorer import CodecExplorer
from minideeptalk.teaching.samples import sample_clips, shipped_run


@pytest.fixture(scope="module")
def tools():
    return PyramidCodec.load(shipped_run() / "codec"), Judge.load(shipped_run() / "judge")


def test_a_recording_is_shown_before_and_after_with_its_codes(tools):
    explorer = CodecExplorer(*tools)
    explorer.listen_to_file(({"content": sample_clips("reply")[0].path.read_bytes()},))
    assert explorer.page.value.count("<audio") == 3 and "7 of 7 codebooks" in explorer.page.value
    whole = explorer.page.value
    explorer.depth.value = 2
    assert "2 of 7 codebooks" in explorer.page.value and len(explorer.page.value) != len(whole)


def test_typed_words_are_said_and_coded(tools):
    pytest.importorskip("espeakng_loader")
    explorer = CodecExplorer(*tools, words="Red cat")
    explorer.listen()
    assert "“red cat”" in explorer.page.value and len(explorer.show().children) == 5


def test_a_bad_file_gets_a_sentence_and_nothing_is_coded(tools):
    explorer = CodecExplorer(*tools)
    explorer.listen_to_file(({"content": b"no sound"},))
    assert "xpected" in explorer.page.value and explorer.sound is None


def test_what_the_codec_refuses_does_not_stay_loaded(tools):
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(scale=0.1, size=100).astype(np.float32), 16000, format="WAV")
    explorer = CodecExplorer(*tools)
    explorer.listen_to_file(({"content": file.getvalue()},))
    explorer.depth.value = 3  # shows the loaded sound again, if there is one
    assert "xpected" in explorer.page.value and explorer.sound is None


def test_silence_of_another_rate_is_refused_with_a_sentence(tools):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000, dtype=np.float32), 8000, format="WAV")
    explorer = CodecExplorer(*tools)
    explorer.listen_to_file(({"content": file.getvalue()},))
    assert "xpected" in explorer.page.value
