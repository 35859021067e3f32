"""Claims about audio files: any WAV or FLAC becomes 16 kHz mono, and every bad file is explained."""

import numpy as np
import pytest
import soundfile

from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import pitch
from minideeptalk.speech.files import check_output, read_audio, write_audio


def tone(rate=16_000, seconds=1.0, hz=200.0, level=0.3):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_what_is_written_is_read_again(tmp_path, name):
    wave = tone()
    again = read_audio(write_audio(tmp_path / "new" / name, wave))
    assert again.dtype == np.float32
    assert np.abs(again - wave).max() < 1e-4


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_one_second_at_any_rate_is_16000_samples_of_the_same_pitch(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate)
    wave = read_audio(tmp_path / "a.wav")
    assert wave.shape == (16_000,)
    assert pitch(wave).mean == pytest.approx(200, rel=0.01)


def test_two_channels_become_their_mean(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], axis=1), 16_000, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "a.wav"), 0.5 * tone(), atol=1e-6)


def test_values_beyond_full_scale_are_clipped(tmp_path):
    assert np.abs(read_audio(write_audio(tmp_path / "a.wav", tone(level=3.0)))).max() <= 1.0


def write_text(path):
    path.write_text("this is not sound")


def write_mute(path):
    write_audio(path, tone(level=0.0005))


def write_long(path):
    write_audio(path, tone(seconds=20.1))


def write_nan(path):
    soundfile.write(path, np.full(1600, np.nan, dtype=np.float32), 16_000, subtype="FLOAT")


def write_no_samples(path):
    soundfile.write(path, np.zeros(0, dtype=np.float32), 16_000)


@pytest.mark.parametrize(("make", "explanation"), [
    (lambda path: None, "an audio file.*not there.*mistyped"),
    (lambda path: path.mkdir(), "an audio file.*the folder"),
    (lambda path: path.touch(), "0 bytes"),
    (write_text, "a WAV or FLAC file.*ffmpeg"),
    (write_no_samples, "without a single sample"),
    (write_mute, "silence.*microphone"),
    (write_long, "at most 20 s.*20.1 s"),
    (write_nan, "nan or infinity"),
])
def test_a_bad_file_is_explained(tmp_path, make, explanation):
    make(tmp_path / "a.wav")
    with pytest.raises(LearnerError, match=explanation):
        read_audio(tmp_path / "a.wav")


def test_headerless_audio_is_refused_like_any_other_format(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(3200))
    with pytest.raises(LearnerError, match="a WAV or FLAC file"):
        read_audio(tmp_path / "a.raw")


def test_writing_explains_what_it_cannot_write(tmp_path):
    with pytest.raises(LearnerError, match="ends with"):
        write_audio(tmp_path / "a.mp3", tone())
    with pytest.raises(LearnerError, match=r"shape \(N,\)"):
        write_audio(tmp_path / "a.wav", np.zeros((2, 100)))


def test_a_place_without_room_is_explained(tmp_path):
    (tmp_path / "a.wav").symlink_to("/dev/full")
    check_output(tmp_path / "a.wav")  # nothing shows before something is written
    with pytest.raises(LearnerError, match=r"a place where sound can be written.*a\.wav .*a full disk or a missing right"):
        write_audio(tmp_path / "a.wav", tone())


def test_a_place_that_cannot_be_is_told_beforehand_and_nothing_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "b.wav").mkdir()
    for place, explanation in (("file/a.wav", "a file where a folder should be"), ("file/new/a.wav", "a file where a folder should be"),
                               ("b.wav", "the folder .*answer.wav"), ("a.mp3", "ends with")):
        with pytest.raises(LearnerError, match=explanation):
            check_output(tmp_path / place)
    check_output(tmp_path / "new" / "a.wav")
    monkeypatch.setattr("os.access", lambda *_: False)  # whoever runs the tests may have every right
    with pytest.raises(LearnerError, match="a missing right"):
        check_output(tmp_path / "new" / "a.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.wav", "file"]
