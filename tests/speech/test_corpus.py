"""Claims about a corpus: the same requests give the same bytes, whatever happens on the way."""

import pickle
import time

import numpy as np
import pytest

from minideeptalk.config import STEP_SECONDS
from minideeptalk.errors import LearnerError
from minideeptalk.speech import corpus as corpus_module
from minideeptalk.speech.corpus import Corpus, Request, build_corpus, fingerprint
from minideeptalk.speech.synthesis import is_available

needs_espeak = pytest.mark.skipif(not is_available(), reason="espeakng-loader is not installed")

REQUESTS = [
    Request(("forty", "two"), "assistant", "happy", on_grid=True),
    Request(("what", "is", "six", "plus", "seven"), "amy", "sad"),
    Request(("red", "cat", "box"), "assistant", "neutral", on_grid=True),
    Request(("say", "hat", "key"), "tony", "angry"),
    Request(("leo",), "assistant", "sad", on_grid=True),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_corpus(REQUESTS, tmp_path_factory.mktemp("speech"), workers=1, progress=False)


@needs_espeak
def test_two_builds_more_than_a_second_apart_have_the_same_hash(built, tmp_path):
    time.sleep(1.1)  # espeak-ng seeds itself from the clock, in seconds
    assert build_corpus(REQUESTS, tmp_path, workers=1, progress=False).sha256 == built.sha256


@needs_espeak
def test_the_number_of_workers_does_not_change_a_byte(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus_module, "SHARD_SIZE", 2)
    one = build_corpus(REQUESTS, tmp_path / "one", workers=1, progress=False)
    three = build_corpus(REQUESTS, tmp_path / "three", workers=3, progress=False)
    assert one.sha256 == three.sha256
    assert all(np.array_equal(one.waveform(i), three.waveform(i)) for i in range(len(REQUESTS)))


@needs_espeak
def test_an_interrupted_build_goes_on_and_ends_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus_module, "SHARD_SIZE", 2)
    whole = build_corpus(REQUESTS, tmp_path, workers=2, progress=False)
    (whole.folder / "corpus.json").unlink()
    (whole.folder / "shard-0001.json").unlink()
    kept = (whole.folder / "shard-0000.safetensors").stat().st_mtime_ns
    again = build_corpus(REQUESTS, tmp_path, workers=2, progress=False)
    assert again.sha256 == whole.sha256
    assert (again.folder / "shard-0000.safetensors").stat().st_mtime_ns == kept


@needs_espeak
def test_a_corpus_that_exists_is_not_made_again_and_leaves_no_scraps(built, monkeypatch):
    monkeypatch.setattr(corpus_module, "_make_shard", None)
    assert build_corpus(REQUESTS, built.folder.parent, progress=False).sha256 == built.sha256
    assert sorted(file.name for file in built.folder.iterdir()) == [
        "corpus.json", "shard-0000.json", "shard-0000.safetensors"]


@needs_espeak
def test_each_utterance_knows_its_words_and_its_length_in_seconds(built):
    assert len(built) == len(REQUESTS)
    assert sum(built.duration(i) for i in range(len(built))) == pytest.approx(built.seconds)
    for index, request in enumerate(REQUESTS):
        assert built.request(index) == request
        assert tuple(word.symbol for word in built.words(index)) == request.words
        assert len(built.waveform(index)) / 16_000 == pytest.approx(built.duration(index))
        assert built.waveform(index).dtype == np.float32
        if request.on_grid:
            steps = np.array([*built.word_steps(index), built.duration(index)]) / STEP_SECONDS
            assert np.allclose(steps, steps.round())


@needs_espeak
def test_a_corpus_travels_to_another_process(built):
    other = pickle.loads(pickle.dumps(built))
    assert np.array_equal(other.waveform(1), built.waveform(1))


@needs_espeak
def test_the_index_ends_where_the_corpus_ends(built):
    assert np.array_equal(built.waveform(-1), built.waveform(len(built) - 1))
    with pytest.raises(IndexError, match="corpus of 5"):
        built.waveform(5)


def test_the_fingerprint_changes_with_order_and_content():
    assert fingerprint(REQUESTS) == fingerprint(list(REQUESTS))
    assert fingerprint(REQUESTS) != fingerprint(REQUESTS[::-1])
    assert fingerprint(REQUESTS) != fingerprint(REQUESTS[:-1])


@needs_espeak
def test_a_word_without_sound_is_named_by_the_process_that_met_it(tmp_path):
    with pytest.raises(LearnerError, match="can be pronounced"):
        build_corpus([Request(("...",), "amy")], tmp_path, progress=False)


def test_bad_requests_are_explained(tmp_path, monkeypatch):
    with pytest.raises(LearnerError, match="at least one request"):
        build_corpus([], tmp_path)
    with pytest.raises(LearnerError, match="a voice out of"):
        Request(("hat",), "nobody")
    with pytest.raises(LearnerError, match="at least one word"):
        Request((), "amy")
    with pytest.raises(LearnerError, match="corpus.json"):
        Corpus(tmp_path)
    monkeypatch.setattr(corpus_module, "find_spec", lambda name: None)
    with pytest.raises(LearnerError, match=r"pip install minideeptalk\[speech\]"):
        build_corpus(REQUESTS, tmp_path)
