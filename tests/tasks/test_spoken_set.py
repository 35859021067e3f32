"""Spoken material survives the disk: codes and words exactly, frames to half precision."""

import json

import torch
from safetensors.torch import load_file

from minideeptalk.tasks import SpokenSet


def test_a_set_comes_back_as_it_was_saved(tiny, tmp_path):
    before = tiny.spoken_set()
    before.save(tmp_path / "train")
    after = SpokenSet.load(tmp_path / "train")
    assert [(q.item, q.voice, q.style, q.heard) for q in after.questions] == [(q.item, q.voice, q.style, q.heard) for q in before.questions]
    assert [(r.words, r.style, r.starts) for r in after.replies] == [(r.words, r.style, r.starts) for r in before.replies]
    for old, new in zip(before.questions, after.questions):
        assert new.frames.dtype == torch.float32 and torch.equal(old.frames, new.frames)  # these fit in half precision
    for old, new in zip(before.replies, after.replies):
        assert new.codes.dtype == torch.int64 and torch.equal(old.codes, new.codes)


def test_frames_lose_no_more_than_half_precision(tiny, tmp_path):
    spoken = tiny.spoken_set(questions=2)
    spoken.questions[0].frames = spoken.questions[0].frames + 1e-4
    spoken.save(tmp_path)
    torch.testing.assert_close(SpokenSet.load(tmp_path).questions[0].frames, spoken.questions[0].frames, rtol=2 ** -11, atol=1e-6)


def test_the_files_are_safetensors_and_json(tiny, tmp_path):
    tiny.spoken_set().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"spoken.safetensors", "spoken.json"}
    stored = load_file(tmp_path / "spoken.safetensors")
    assert stored["frames"].dtype == torch.float16 and stored["codes"].dtype == torch.int16
    assert set(json.loads((tmp_path / "spoken.json").read_text())) == {"questions", "replies"}


def test_saving_again_replaces_what_was_there(tiny, tmp_path):
    tiny.spoken_set(questions=8).save(tmp_path)
    tiny.spoken_set(questions=3).save(tmp_path)
    assert len(SpokenSet.load(tmp_path).questions) == 3


def test_a_reply_is_found_by_words_and_style(tiny):
    spoken = tiny.spoken_set()
    reply = spoken.replies[1]
    assert spoken.reply(reply.words, reply.style) is reply and spoken.reply(list(reply.words), reply.style) is reply
    assert spoken.reply(reply.words, "bored") is None and spoken.reply(("no", "such"), "neutral") is None
