"""Style is measured on the test split, in trained voices; probes learn on the training split."""

from types import SimpleNamespace

import torch

from minideeptalk.baselines import style_study
from minideeptalk.baselines.style_study import confusion
from minideeptalk.speech.voices import HELD_OUT_VOICE


def test_rows_are_what_was_asked_and_columns_what_was_found():
    table = confusion(["happy", "happy", "sad"], ["sad", "happy", "other"])
    assert table == [[0] * 4, [0, 1, 1, 0], [0] * 4, [0] * 4]


def test_questions_are_of_the_test_split_and_probes_learn_on_the_training_split(tiny, tmp_path, monkeypatch):
    sets = {"train": tiny.spoken_set(8), "test": tiny.spoken_set(6, seed=1)}
    sets["test"].questions[0].voice = HELD_OUT_VOICE.name
    asked, probes = [], []
    judge = SimpleNamespace(transcribe=lambda sounds: [""] * len(sounds), classify=lambda sounds: ["sad"] * len(sounds), decode=lambda codes: codes)
    record = {"arm": "x", "seed": 0, "commit": None, "date": "", "budget": {"updates": 1}}
    fakes = {"read_record": lambda folder: record, "open_run": lambda folder: SimpleNamespace(builder=None),
             "_spoken": lambda folder: folder, "named": lambda talker, questions: asked.append(questions) or ["sad"] * len(questions),
             "in_the_askers_style": lambda talker, frames: asked.append(frames) or [SimpleNamespace(words=["a"], codes=torch.zeros(1, 7))] * len(frames),
             "voice_of": lambda sounds, words: {}, "probed": lambda talker, train, test, seed: probes.append((train, test)) or {}, "examples": lambda talker: []}
    for name, fake in fakes.items():
        monkeypatch.setattr(style_study, name, fake)
    monkeypatch.setattr(style_study.Tools, "load", lambda folder: SimpleNamespace(codec=judge, judge=judge, style_judge=judge))
    monkeypatch.setattr(style_study.SpokenSet, "load", lambda folder: sets[folder.name])
    found = style_study.style_of_run(tmp_path, probe_items=5)
    known = sets["test"].questions[1:]
    assert asked[0][0] is known[0].frames and len(asked[0]) == 5 and asked[1] == known
    assert probes == [(sets["train"].questions[:5], known)] and found["items"] == 5
