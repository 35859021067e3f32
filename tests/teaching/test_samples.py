"""The shipped samples: every clip of the card exists, and the record beside the checkpoints is the book's."""

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.records import committed, read_record
from minideeptalk.speech.files import read_audio
from minideeptalk.teaching import samples
from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.samples import bench_record, book_record, sample_clips, samples_folder
from minideeptalk.world import FAMILIES


def test_question_clips_have_an_answer_and_a_skill_and_can_be_read():
    questions = sample_clips("question")
    assert {clip.family for clip in questions} == {name for name, family in FAMILIES.items() if family.spoken}
    assert all(clip.answer for clip in questions)
    assert all(clip.words and clip.path.is_file() for clip in questions + sample_clips("reply"))
    assert 8_000 < len(read_audio(questions[0].path)) < 128_000


def test_the_record_beside_the_checkpoints_is_the_one_of_the_book():
    committed = ROOT / "book" / "records" / "nano-deeptalk-aligned.json"
    assert book_record() == read_record(committed) == read_record(samples_folder() / "nano" / "record.json")


def test_a_record_that_the_book_does_not_have_is_missed_and_not_replaced_by_another():
    with pytest.raises(LearnerError):
        book_record("nano-nobody")


def test_a_benchmark_that_was_not_taken_has_no_record_and_one_that_was_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "records_folder", lambda: tmp_path)
    assert bench_record("talk", "mini") is None
    (tmp_path / "bench-talk-mini-1.json").write_text('{"size": "mini"}')
    assert bench_record("talk", "mini") == {"size": "mini"} and bench_record("talk", "nano") is None


def test_without_a_checkout_the_records_are_those_that_were_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(committed, "__file__", str(tmp_path / "minideeptalk" / "records" / "committed.py"))
    monkeypatch.setattr(committed, "files", lambda package: tmp_path / package)
    assert committed.records_folder() == tmp_path / "minideeptalk.book_records"

    def not_installed(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(committed, "files", not_installed)
    with pytest.raises(LearnerError):
        committed.records_folder()
