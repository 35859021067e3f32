"""Pairs are takes of the same written words, ranked against the requested text, drawn from the training split, made once."""

import random
from types import SimpleNamespace

import pytest
import torch

from minideeptalk.config import WorldConfig
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.inference.decoding import Answer
from minideeptalk.tasks import IGNORE, TaskSampler
from minideeptalk.training import preferences
from minideeptalk.training.preferences import (
    PreferencePlan,
    Preferences,
    Request,
    Take,
    draw_requests,
    is_usable,
    load_preferences,
    make_preferences,
    pair_batch,
    rank,
    save_preferences,
)
from minideeptalk.world.speaking import speaking_split


def sampler(tiny):
    return TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())


def take(error, frames=6, seed=0):
    return Take((0, 2), error, torch.randint(0, 8, (frames, 7), generator=torch.Generator().manual_seed(seed)))


class Listener:
    """A judge that hears the words whose places the first codes of a take name: code n is the n-th word, 7 is silence."""

    step_samples = 1280
    words = ("red", "cat", "box", "hat", "leo", "mia", "four")

    def decode(self, codes):
        return codes

    def transcribe(self, sounds):
        return [" ".join(self.words[code] for code in sound[:, 0].tolist() if code < 7) for sound in sounds]


def says(words, codes):
    return Answer(list(words), torch.tensor(codes)[:, None].expand(-1, 7), list(range(len(words))), True)


def test_requests_are_texts_and_questions_of_the_training_split(tiny):
    drawn = draw_requests(sampler(tiny), PreferencePlan(aloud=0.5), 60, random.Random(0))
    read, answered = [r for r in drawn if r.question is None], [r for r in drawn if r.question is not None]
    assert len(read) > 15 and len(answered) > 15
    assert all(speaking_split(request.words) == "train" for request in read) and len({request.style for request in read}) == 4
    questions = tiny.spoken_set().questions
    assert all(questions[request.question].item.answer == request.words for request in answered)
    assert all(request.question != len(questions) - 1 for request in answered)  # the one whose answer was never synthesised


@pytest.mark.parametrize("errors, expected", [((0.5, 0.0, 1.0), (0.0, 1.0)), ((0.5, 0.5), None), ((), None), ((0.2,), None),
                                              ((0.0, 0.0), None)])
def test_the_fewest_errors_win_and_equal_takes_make_no_pair(errors, expected):
    for right in (True, False):
        pair = rank(Request(("red", "cat"), "sad"), [take(error) for error in errors], right)
        assert expected == (None if pair is None else (pair.chosen.error, pair.rejected.error))


def test_a_take_with_an_error_is_chosen_only_where_that_is_asked_for():
    request, takes = Request(("red", "cat"), "sad"), [take(1.0), take(0.5), take(0.5, seed=1)]
    assert rank(request, takes) is None
    pair = rank(request, takes, right=False)
    assert (pair.chosen.error, pair.rejected.error) == (0.5, 1.0) and pair.chosen is takes[1]


@pytest.mark.parametrize("change, usable", [({}, True), ({"words": ["red"]}, False), ({"finished": False}, False),
                                            ({"starts": [1, 2]}, False), ({"starts": [0, 6]}, False), ({"codes": torch.zeros(0, 7)}, False)])
def test_a_take_must_write_the_requested_words_and_fit_an_example(change, usable):
    answer = Answer(**({"words": ["red", "cat"], "codes": torch.zeros(6, 7), "starts": [0, 2], "finished": True} | change))
    assert is_usable(answer, Request(("red", "cat"), "sad"), "held") is usable
    assert is_usable(answer, Request(("red", "cat"), "sad"), "ahead") is (usable or "starts" in change)


def test_a_part_ranks_by_what_the_judge_hears_against_what_was_asked_for(tiny, monkeypatch):
    """Three takes of "red cat box": one is heard as asked, one lost a word, one wrote other words and is not compared."""
    request = Request(("red", "cat", "box"), "sad")
    rounds = iter([says(request.words, [0, 1, 7, 7]), says(request.words, [0, 1, 2, 7]), says(("red", "cat", "hat"), [0, 1, 3, 7])])
    monkeypatch.setattr(preferences, "draw_requests", lambda *arguments: [request])
    monkeypatch.setattr(preferences, "speak", lambda *arguments, **more: [next(rounds)])
    plan = PreferencePlan(requests=1, part=1, temperatures=(0.8,) * 3)
    found = preferences.sample_part(tiny.model(), sampler(tiny), Examiners(Listener(), Listener(), None), plan, "key")
    assert [(pair.chosen.error, pair.rejected.error) for pair in found.pairs] == [(0.0, pytest.approx(1 / 3))]
    assert found.counts == {"requests": 1, "takes": 3, "usable": 2, "error": pytest.approx(1 / 6), "never right": 0}


def test_a_request_that_no_take_gets_right_is_counted(tiny, monkeypatch):
    request = Request(("red", "cat", "box"), "sad")
    rounds = iter([says(request.words, [0, 1, 7, 7]), says(request.words, [0, 7, 7, 7])])
    monkeypatch.setattr(preferences, "draw_requests", lambda *arguments: [request])
    monkeypatch.setattr(preferences, "speak", lambda *arguments, **more: [next(rounds)])
    plan = PreferencePlan(requests=1, part=1, temperatures=(0.0, 0.8))
    found = preferences.sample_part(tiny.model(), sampler(tiny), Examiners(Listener(), Listener(), None), plan, "key")
    assert found.pairs == [] and found.counts["never right"] == 1


def test_takes_of_one_request_differ_in_their_chance(tiny, monkeypatch):
    seeds = []
    monkeypatch.setattr(preferences, "speak", lambda model, builder, prompts, sampling, **more: seeds.append(sampling) or [
        Answer() for _ in prompts])
    plan = PreferencePlan(requests=2, part=2, temperatures=(0.0, 0.3, 0.8))
    preferences.sample_part(tiny.model(), sampler(tiny), Examiners(Listener(), Listener(), None), plan, "key")
    assert len({sampling.seed for sampling in seeds}) == 3
    assert [sampling.temperature for sampling in seeds] == [0.0, 0.3, 0.8]
    assert all(sampling.text.temperature == 0 for sampling in seeds)


def test_parts_that_were_made_are_read_and_not_made_again(tiny, tmp_path, monkeypatch):
    made = []

    def sample_part(model, sampler, examiners, plan, key):
        made.append((key, plan.part))
        pair = rank(Request(("red", "cat"), "sad"), [take(0.0, seed=len(made)), take(1.0, frames=5, seed=len(made) + 9)])
        return Preferences([pair], {"requests": plan.part, "takes": 6 * plan.part, "usable": plan.part, "error": 0.5, "never right": 1})

    monkeypatch.setattr(preferences, "sample_part", sample_part)
    first = make_preferences(None, None, None, tmp_path, PreferencePlan(requests=5, part=2), seed=3, progress=False)
    assert made == [("3-0", 2), ("3-1", 2), ("3-2", 1)] and first.counts == {"requests": 5, "takes": 30, "usable": 5, "error": 0.5,
                                                                                    "never right": 3}
    (tmp_path / "part-001" / "pairs.json").unlink()  # as an interruption leaves a part
    again = make_preferences(None, None, None, tmp_path, PreferencePlan(requests=5, part=2), seed=3, progress=False)
    assert made[3:] == [("3-1", 2)] and len(again.pairs) == 3
    fewer = make_preferences(None, None, None, tmp_path, PreferencePlan(requests=3, part=2), seed=3, progress=False)
    assert made[4:] == [("3-1", 1)] and fewer.counts["requests"] == 3  # a whole part is of use to another plan, a part of it is not
    more = make_preferences(None, None, None, tmp_path, PreferencePlan(requests=6, part=2), seed=3, progress=False)
    assert made[5:] == [("3-1", 2), ("3-2", 2)] and more.counts["requests"] == 6


def test_what_was_saved_comes_back(tmp_path):
    pairs = [rank(Request(("red", "cat"), "sad", question), [take(0.0, 6, 1), take(0.5, 4, 2)]) for question in (None, 7)]
    save_preferences(Preferences(pairs, {"requests": 2}), tmp_path)
    loaded = load_preferences(tmp_path)
    assert loaded.pairs == pairs and loaded.counts == {"requests": 2}
    assert all(torch.equal(getattr(one, name).codes, getattr(other, name).codes)
               for one, other in zip(loaded.pairs, pairs) for name in ("chosen", "rejected"))
    assert {path.name for path in tmp_path.iterdir()} == {"codes.safetensors", "pairs.json"}
    save_preferences(Preferences([], {}), tmp_path / "none")
    assert load_preferences(tmp_path / "none").pairs == []


def test_a_batch_holds_the_chosen_takes_and_then_the_rejected_ones_of_the_same_requests(tiny):
    pairs = [rank(Request(words, "sad"), [take(0.0, 6, seed), take(0.5, 4, seed + 50)])
             for seed, words in enumerate([("red", "cat"), ("leo", "hat"), ("mia", "box")])]
    batch = pair_batch(pairs, sampler(tiny), 8, "key")
    assert len(batch.text) == 16
    prompt = 5  # <user> say word word <assistant>
    assert torch.equal(batch.text[:8, :prompt], batch.text[8:, :prompt])
    frames = (batch.code_target[..., 0] != IGNORE).sum(dim=1)
    assert frames[:8].tolist() == [7] * 8 and frames[8:].tolist() == [5] * 8  # and one EOA each
    assert torch.equal(pair_batch(pairs, sampler(tiny), 8, "key").text, batch.text)


@pytest.mark.parametrize("numbers", [{"requests": 0}, {"temperatures": (0.8,)}, {"part": 0}])
def test_a_plan_without_pairs_is_explained(numbers):
    with pytest.raises(LearnerError, match="two takes"):
        PreferencePlan(**numbers)


def test_the_same_key_asks_for_the_same(tiny, monkeypatch):
    heard = []
    monkeypatch.setattr(preferences, "speak", lambda model, builder, prompts, sampling, **more: heard.append(
        ([prompt.text for prompt in prompts], sampling)) or [Answer() for _ in prompts])
    for key in ("a", "a", "b"):
        preferences.sample_part(SimpleNamespace(config=tiny.config()), sampler(tiny), Examiners(Listener(), Listener(), None),
                                PreferencePlan(requests=4, part=4, temperatures=(0.8, 0.8)), key)
    assert heard[:2] == heard[2:4] and heard[:2] != heard[4:]
