"""Every number of a record is the one that was measured, on the split that it claims."""

from types import SimpleNamespace

import pytest

from minideeptalk.training import run
from minideeptalk.training.stages import speech_stages
from minideeptalk.world import FAMILIES

SPEECH = {"recognition": {"asr_wer": 0.11, "ear_wer": 0.12}, "speaking": {"trained": 0.31, "unseen": 0.32, "codec_wer": 0.33},
          "questions": {"spoken_qa_text": 0.21, "spoken_qa_speech": 0.22, "text_beside_speech": 0.23, "typed": 0.24, "chance": 0.25, "by_family": {}},
          "stranger": {"asr_wer": 0.41}, "style": {"recognised": 0.51, "mirrored": 0.52, "ceiling": 0.53}}


def test_the_metrics_of_a_record_are_what_was_measured_on_the_test_split(tiny, monkeypatch):
    asked = {}
    monkeypatch.setattr(run, "evaluate_speech", lambda model, builder, examiners, train, test, *_: asked.update(train=train, test=test) or SPEECH)
    monkeypatch.setattr(run, "text_accuracy", lambda model, builder, split, count: asked.update(text=(split, count)) or dict.fromkeys(FAMILIES, 0.8))
    monkeypatch.setattr(run, "_latency", lambda *_: {"parts": {}, "p50": 61.0, "p90": 62.0, "real_time_factor": 0.63, "runs": 4})
    curves = [{"name": f"text_accuracy/{name}", "stage": stage, "step": 2, "value": value}
              for stage, value in (("0", 0.9), ("1", 0.5), ("3", 0.8)) for name in FAMILIES]
    recipe = SimpleNamespace(size=tiny.size(), parts=SimpleNamespace(curves=curves))
    found = run._measure(recipe, SimpleNamespace(model=None, builder=None), None, None, {split: split for split in ("train", "validation", "test")})
    assert asked == {"train": "train", "test": "test", "text": ("test", tiny.size().evaluation.text_items)}
    assert set(found["text_accuracy"]["before"].values()) == {0.9} and set(found["text_accuracy"]["after"].values()) == {0.8}
    assert found["relative_text_drop"]["by_family"]["add"] == pytest.approx(0.1 / (0.9 - FAMILIES["add"].chance))
    assert [found[name] for name in ("asr_wer", "ear_wer", "spoken_qa_text", "spoken_qa_speech", "codec_wer")] == [0.11, 0.12, 0.21, 0.22, 0.33]
    assert found["tts_wer"] == {"trained": 0.31, "unseen": 0.32} and found["style_accuracy"] == SPEECH["style"]
    assert found["ceiling"] == {"spoken_qa_text": 0.24} and found["chance"]["spoken_qa_text"] == found["chance"]["spoken_qa_speech"] == 0.25
    assert found["extra"] == {"held_out_voice": SPEECH["stranger"], "real_time_factor": 0.63, "text_beside_speech": 0.23}


def test_the_budget_of_a_record_is_the_sum_of_all_stages_after_0(tiny):
    stages = speech_stages(tiny.size())
    by_stage = {code: {"updates": n, "tokens": 100 * n, "speech_tokens": 10 * n, "trainable": 1} for n, code in enumerate(("0", "1", "2.1", "2.2", "3"), 1)}
    recipe = SimpleNamespace(size=tiny.size(), arm=SimpleNamespace(stages=lambda size: stages, declared=("x",)), parts=SimpleNamespace(budget=by_stage))
    budget = run._budget(recipe, tiny.model())
    assert (budget["updates"], budget["tokens"], budget["speech_tokens"], budget["text_tokens"]) == (14, 1400, 140, 1260)
    assert budget["declared"] == ["x"] and budget["by_stage"] is by_stage
