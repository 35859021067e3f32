"""Experts are closed for an exam and open afterwards; the control closes as many, by lot."""

import pytest
import torch

from minideeptalk.baselines.routing import keep_to_own_experts
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation import knock_out as module
from minideeptalk.evaluation.kept import LEARNT_FLOOR, kept_of, mean_kept
from minideeptalk.evaluation.knock_out import Exam, experts_by_lot, knock_out
from minideeptalk.experts import Selection
from minideeptalk.records import forgetting

CHOSEN = Selection(((0, 5, 6), (1, 2, 7)), experts=8)


@pytest.fixture
def exam(tiny, monkeypatch):
    """An exam of which only the routing of one text question is reported, as the experts that it reached."""
    monkeypatch.setattr(Exam, "take", lambda self, model: {"reached": reached(tiny, model)})
    return Exam(tiny.builder(), None, tiny.spoken_set())


@torch.no_grad()
def reached(tiny, model):
    batch = tiny.batch(tiny.builder())
    return [set(routing.indices[batch.mask].flatten().tolist()) for routing in model.eval()(**batch.model_inputs()).routing]


def test_no_token_reaches_what_an_exam_closed_and_afterwards_all_are_open_again(tiny, exam):
    model = tiny.model()
    before = reached(tiny, model)
    rows = knock_out(model, exam, CHOSEN, draws=2)
    for row in rows:
        for closed, found in zip(row["experts"], row["reached"]):
            assert len(closed) == row["count"] and not found & set(closed)
    assert rows[0]["reached"] == before == reached(tiny, model)


def test_the_exam_is_taken_whole_without_either_group_and_as_often_as_asked_by_lot(tiny, exam):
    rows = knock_out(tiny.model(), exam, CHOSEN, draws=2)
    assert [(row["closed"], row["count"], row["draw"]) for row in rows] == [
        ("nothing", 0, None), ("audio experts", 3, None), ("text experts", 5, None),
        ("drawn by lot", 3, 0), ("drawn by lot", 3, 1), ("drawn by lot", 5, 0), ("drawn by lot", 5, 1)]
    assert rows[1]["experts"] == [[0, 5, 6], [1, 2, 7]] and rows[2]["experts"] == [[1, 2, 3, 4, 7], [0, 3, 4, 5, 6]]


def test_a_model_that_sets_no_experts_apart_takes_the_exam_once_with_all_of_them(tiny, exam):
    model = tiny.model()
    (row,) = knock_out(model, exam, None, draws=2)
    assert (row["closed"], row["count"], row["experts"]) == ("nothing", 0, [[], []]) and row["reached"] == reached(tiny, model)


def test_a_lot_obeys_its_seed_and_can_hit_every_expert():
    assert experts_by_lot(3, 8, 4, 1) == experts_by_lot(3, 8, 4, 1) != experts_by_lot(3, 8, 4, 2)
    assert {expert for layer in experts_by_lot(40, 8, 2, 0) for expert in layer} == set(range(8))
    assert all(len(set(layer)) == 4 for layer in experts_by_lot(20, 8, 4, 3))


def test_a_model_that_would_go_to_closed_experts_anyway_is_refused(tiny, exam):
    with pytest.raises(LearnerError, match="open routing"):
        knock_out(keep_to_own_experts(tiny.model(), CHOSEN), exam, CHOSEN)


def test_the_exam_asks_every_ability_of_held_out_material(tiny, monkeypatch):
    asked = {}

    def questions(model, builder, examiners, questions):
        asked["questions"] = questions
        return {"spoken_qa_text": 0.5, "spoken_qa_speech": 0.25}

    def texts(model, builder, examiners, texts):
        asked["texts"] = texts
        return 0.75

    monkeypatch.setattr(module, "spoken_questions", questions)
    monkeypatch.setattr(module, "speaking_wer", texts)
    monkeypatch.setattr(module, "text_accuracy", lambda model, builder, split, count: {"add": (split, count)})
    spoken = tiny.spoken_set(6)
    spoken.questions[1].voice = module.HELD_OUT_VOICE.name
    found = Exam(tiny.builder(), None, spoken, text_items=7, questions=3, answers=2).take(tiny.model())
    assert found == {"text_accuracy": {"add": ("test", 7)}, "spoken_qa_text": 0.5, "spoken_qa_speech": 0.25, "tts_wer": 0.75}
    assert asked["questions"] == [spoken.questions[0], *spoken.questions[2:4]]
    assert asked["texts"] == [(reply.words, reply.style) for reply in spoken.replies[:2]]


def test_what_is_kept_leaves_out_guessing_and_what_was_never_learnt():
    assert kept_of({"compare": 0.9, "story": 0.52}, {"compare": 0.7, "story": 0.9}) == pytest.approx({"compare": 0.5})
    assert mean_kept({"add": 0.5, "sort": 1.0}, ["add", "facts"]) == 0.5 and mean_kept({"add": 0.5}, ["facts"]) is None


def test_the_floor_of_a_learnt_skill_is_that_of_the_run_record():
    assert LEARNT_FLOOR == forgetting.LEARNT_FLOOR
