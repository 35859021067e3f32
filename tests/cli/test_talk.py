"""`talk`: answers aloud or typed, admits what it cannot make out, and explains what it cannot use."""

import json

import numpy as np
import pytest
import soundfile
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.inference.talk import open_talker
from minideeptalk.inference.talker import NOT_UNDERSTOOD
from minideeptalk.speech.files import write_audio


def test_a_spoken_question_is_answered_in_text_and_sound(command, run, question, tmp_path):
    status, out, _ = command("talk", run, "--audio", question, "--out", tmp_path / "answer.wav", "--json")
    reply = json.loads(out)
    assert status == 0 and reply["understood"] is True
    assert soundfile.info(reply["audio"]).samplerate == 16_000
    assert reply["seconds"] == pytest.approx(soundfile.info(reply["audio"]).duration)


def test_a_question_at_another_rate_is_resampled(command, run, question, tmp_path):
    samples, _ = soundfile.read(question)
    soundfile.write(tmp_path / "fast.flac", np.repeat(samples, 3)[:, None].repeat(2, axis=1), 48_000)
    assert command("talk", run, "--audio", tmp_path / "fast.flac")[0] == 0


def test_what_it_cannot_make_out_it_does_not_guess(command, run, question, tmp_path):
    from minideeptalk.hearing.ear import Ear

    ear = Ear.load(run / "ear")
    ear.threshold.fill_(2.0)  # surer than sure: nothing passes
    ear.save(run / "ear")
    status, out, _ = command("talk", run, "--audio", question, "--out", tmp_path / "answer.wav", "--json")
    reply = json.loads(out)
    assert status == 0 and reply["understood"] is False and reply["text"] == NOT_UNDERSTOOD
    assert reply["audio"] is None and not (tmp_path / "answer.wav").exists()


def test_the_answer_is_plain_unless_it_shall_mirror_the_style(command, run, question, monkeypatch):
    from minideeptalk.inference.talker import Talker

    asked, answer = [], Talker.answer
    monkeypatch.setattr(Talker, "answer", lambda talker, waveform, trigger, sampling: asked.append(trigger.name) or answer(talker, waveform))
    for words in ((), ("--mirror",)):
        assert command("talk", run, "--audio", question, *words)[0] == 0
    assert asked == ["ANSWER", "MIRROR"]


def test_every_knob_reaches_the_decoder(command, run, question, monkeypatch):
    from minideeptalk.inference.parallel import ParallelDecoder
    from minideeptalk.inference.sampling import Sampling
    from minideeptalk.inference.talker import Talker

    seen, answer = [], Talker.answer
    monkeypatch.setattr(Talker, "answer", lambda talker, waveform, trigger, sampling: seen.append(
        (sampling, talker.decoder is ParallelDecoder)) or answer(talker, waveform))
    for words in ((), ("--temperature", 0.7, "--top-k", 5, "--top-p", 0.9, "--repetition-penalty", 1.2, "--seed", 3, "--one-row")):
        assert command("talk", run, "--audio", question, *words)[0] == 0
    assert seen == [(Sampling(), True), (Sampling(0.7, 5, 0.9, 1.2, 3), False)]


def test_a_stage_that_was_not_trained_is_explained(command, run, question):
    status, _, err = command("talk", run, "--audio", question, "--stage", "4-dpo")
    assert status == 2 and "stages/4-dpo" in err and err.count("\n") == 1


def test_a_waveform_in_the_shape_of_torchaudio_is_explained(run):
    talker = open_talker(run)
    for hear in (talker.listen, talker.answer):
        with pytest.raises(LearnerError, match=r"shape \(N,\), got shape \(1, 16000\).*pass waveform\[0\]"):
            hear(torch.zeros(1, 16_000))


def test_a_typed_question_is_answered_in_text(command, run):
    status, out, _ = command("talk", run, "--text", "what is forty two plus seven", "--json")
    assert status == 0 and json.loads(out)["audio"] is None


def test_the_seed_decides_an_answer_by_chance(command, run, question):
    answers = [command("talk", run, "--audio", question, "--temperature", 1, "--seed", seed)[1] for seed in (1, 1)]
    assert answers[0] == answers[1]


def bad_audio(tmp_path, kind):
    path = tmp_path / f"{kind}.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "silent":
        write_audio(path, np.zeros(16_000))
    elif kind == "too long":
        write_audio(path, np.full(16_000 * 21, 0.1))
    elif kind == "no sound at all":
        path.write_text("these are words, not sound")
    return path


@pytest.mark.parametrize("kind, says", [("missing", "not there"), ("empty", "0 bytes"), ("silent", "silence"), ("too long", "21.0 s"),
                                        ("no sound at all", "WAV or FLAC")])
def test_unusable_audio_is_explained_in_one_line(command, run, tmp_path, kind, says):
    status, out, err = command("talk", run, "--audio", bad_audio(tmp_path, kind))
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1


@pytest.mark.parametrize("damaged", ["stages/3-joint/model.safetensors", "ear/ear.safetensors", "codec/codec.safetensors", "ear/ear.json",
                                     "stages/3-joint/config.json"])
def test_a_broken_checkpoint_is_named(command, run, question, damaged):
    content = (run / damaged).read_bytes()
    (run / damaged).write_bytes(content[:len(content) // 2])
    status, _, err = command("talk", run, "--audio", question)
    named = damaged.removesuffix("/model.safetensors").removesuffix("/config.json")  # of a stage its folder is named
    assert status == 2 and err.count("\n") == 1 and "readable checkpoint" in err and named in err


@pytest.mark.parametrize("words, says", [
    (("--text", ""), "at least one word"), (("--text", "  "), "at least one word"),
    ((), "one question"), (("--audio", "QUESTION", "--text", "hat"), "one question"), (("--text", "what is a spaceship"), "spaceship"),
    (("--text", "hat", "--out", "a.wav"), "typed"), (("--text", "hat", "--mirror"), "typed"), (("--audio", "QUESTION", "--out", "a.mp3"), ".wav or .flac"),
    (("--audio", "QUESTION", "--temperature", "-1"), "temperature"), (("--audio", "QUESTION", "--temperature", "warm"), "invalid float"),
])
def test_a_command_that_cannot_be_meant_is_explained(command, run, question, words, says):
    status, _, err = command("talk", run, *(question if word == "QUESTION" else word for word in words))
    assert status == 2 and says in err and err.count("\n") == 1


def test_an_output_that_cannot_be_written_is_told_before_the_model_is_opened(command, tmp_path, question):
    (tmp_path / "file").write_text("in the way")
    status, out, err = command("talk", tmp_path / "no run", "--audio", question, "--out", tmp_path / "file" / "x.wav")
    assert (status, out, err.count("\n")) == (2, "", 1) and "a file where a folder should be" in err


def test_a_full_disk_is_explained_in_one_line(command, run, question, tmp_path):
    (tmp_path / "x.wav").symlink_to("/dev/full")
    status, out, err = command("talk", run, "--audio", question, "--out", tmp_path / "x.wav")
    assert (status, out, err.count("\n")) == (2, "", 1) and "x.wav" in err and "a full disk" in err


def test_a_folder_without_a_run_is_explained(command, tmp_path, question):
    status, _, err = command("talk", tmp_path, "--audio", question)
    assert status == 2 and "stages/3-joint" in err and err.count("\n") == 1


def test_the_words_of_a_typed_answer_follow_the_knobs_too(command, run):
    answers = {command("talk", run, "--text", "what is forty two plus seven", "--temperature", 5, "--seed", seed)[1] for seed in range(3)}
    assert len(answers) > 1
