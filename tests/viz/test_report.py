import base64
import io
import re
import wave

import numpy as np
import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.viz import AudioClip, write_report

TONE = np.sin(np.arange(16000) * 0.1).astype(np.float32) * 0.5
CLIPS = (
    AudioClip("The question", TONE, "what is two plus two", "the voice", role="question"),
    AudioClip("The answer", torch.tensor(TONE), "four", "the word", role="answer", heard="for"),
    AudioClip("Codec copy", TONE * 0.5, "what is two plus two", "the roughness"),
)


def page(record, folder, clips=CLIPS):
    return write_report(record, folder, clips).read_text(encoding="utf-8")


def without_scripts(html):
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_report_is_one_file_that_asks_for_no_other(record, tmp_path):
    html = page(record, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    addresses = re.findall(r'(?:src|href|action|poster)\s*=\s*"([^"]*)"', without_scripts(html))
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in html.split("</style>")[0]
    assert html.count("plotly.js v") == 1


def test_question_and_answer_open_the_page_with_words_and_sound(record, tmp_path):
    opening = page(record, tmp_path).split("</header>")[0].split("<body>")[1]
    assert opening.index("what is two plus two") < opening.index("four")
    assert opening.count("<audio") == 2
    assert "The judge heard:</b> for" in opening


def test_a_clip_carries_its_sound_and_its_words(record, tmp_path):
    html = page(record, tmp_path)
    sounds = re.findall(r'src="data:audio/wav;base64,([^"]+)"', html)
    assert len(sounds) == 3
    with wave.open(io.BytesIO(base64.b64decode(sounds[1]))) as file:
        assert (file.getframerate(), file.getnframes() / file.getframerate()) == (16000, 1.0)
        samples = np.frombuffer(file.readframes(16000), "<i2") / 32767
    assert np.abs(samples - TONE).max() < 1e-4
    assert html.count("Listen for:") == 3


def test_a_file_goes_in_as_it_is(record, tmp_path):
    (tmp_path / "clip.flac").write_bytes(b"fLaC and more")
    html = page(record, tmp_path, [AudioClip("A file", tmp_path / "clip.flac", "words")])
    assert f"data:audio/flac;base64,{base64.b64encode(b'fLaC and more').decode()}" in html


def test_silence_is_named(record, tmp_path):
    assert "This clip is silent." in page(record, tmp_path, [AudioClip("Nothing", TONE * 0, "")])


@pytest.mark.parametrize("source", [np.zeros(0), np.zeros((2, 100)), "missing.wav", __file__])
def test_a_clip_that_cannot_play_is_refused_and_nothing_is_written(source, record, tmp_path):
    with pytest.raises(LearnerError):
        write_report(record, tmp_path, [AudioClip("Broken", source, "words")])
    assert not list(tmp_path.iterdir())


def test_a_broken_record_makes_no_report(record, tmp_path):
    del record["metrics"]["asr_wer"]
    with pytest.raises(LearnerError, match="asr_wer"):
        write_report(record, tmp_path)


def test_words_of_a_record_are_never_markup(record, tmp_path):
    record["arm"] = "<img src=x>"
    record["notes"] = ["<script>alert(1)</script>"]
    html = page(record, tmp_path, [AudioClip("<b>title</b>", TONE, "<i>words</i>")])
    assert "<img" not in html
    assert "<script>alert" not in html
    assert "<b>title" not in html
    assert "<i>words" not in html


def test_the_page_tells_what_was_lost_family_by_family(record, tmp_path):
    text = without_scripts(page(record, tmp_path)).replace("\u00a0", " ")
    assert "took 16 % of the text ability on average: 3.1 % of the skills that after-training practises and 21 %" in text
    assert "It hurt compare most (53 %)" in text


def test_hardware_seconds_and_versions_are_there(record, tmp_path):
    text = without_scripts(page(record, tmp_path))
    for words in ("An invented CPU, 2 threads", "255 seconds", "torch 2.11.0", "a" * 40, "1,350 updates"):
        assert words in text


def test_what_was_not_measured_leaves_a_page_that_says_so(record, tmp_path):
    metrics = record["metrics"]
    metrics["relative_text_drop"] = {"all": None, "covered": None, "uncovered": None}
    metrics["first_audio_ms"] = {"parts": {}, "p50": None, "p90": None}
    record.update(curves=[], loads=[], selection=None, peak_memory_mb=None, not_measured={
        "metrics.relative_text_drop": "no text test", "metrics.first_audio_ms": "no sound", "selection": "one bank of experts",
        "peak_memory_mb": "unknown system"})
    text = without_scripts(page(record, tmp_path, ()))
    for words in ("was not measured in this run", "Expert loads were not recorded", "Not measured: no sound"):
        assert words in text
    assert "<audio" not in text


def test_every_id_is_used_once(record, tmp_path):
    names = re.findall(r'\sid="([^"]+)"', without_scripts(page(record, tmp_path)))
    assert len(names) == len(set(names))


def test_every_figure_has_its_words(record, tmp_path):
    html = page(record, tmp_path)
    assert len(re.findall(r'role="img" aria-label="[^"]{60,}"', html)) == html.count('<figure class="plotly-figure"') == 6
