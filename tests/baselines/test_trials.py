"""A trial is judged on the validation split and on covered text alone."""

from types import SimpleNamespace

import pytest

from minideeptalk.baselines import trials
from minideeptalk.training.arm import ALIGNED
from minideeptalk.world import FAMILIES, Tokenizer


def test_a_trial_sees_validation_items_of_covered_families_and_scores_the_mean_of_three(tiny, monkeypatch):
    seen, spoken, size = [], tiny.spoken_set(4), tiny.size()
    model, builder = tiny.model(), tiny.builder()
    monkeypatch.setattr(trials, "partner", lambda *_: SimpleNamespace(model=model, builder=builder, decoder=None))
    monkeypatch.setattr(trials, "answers_right", lambda model, builder, examples: [True] * 3 + [False])
    monkeypatch.setattr(trials, "speaking_wer", lambda model, builder, examiners, texts, decoder: 0.4)
    monkeypatch.setattr(trials, "family_accuracy", lambda model, builder, items: seen.append(items) or 0.9)
    recipe = SimpleNamespace(arm=ALIGNED, size=size, tokenizer=Tokenizer())
    found = trials.validate_trial(recipe, model, SimpleNamespace(ear=None, codec=None, judge=None, style_judge=None), spoken)
    assert seen == [FAMILIES[name].items("validation", size.world.validation_items, 0) for name in size.world.covered]
    assert found == {"spoken_qa_text": 0.75, "said": pytest.approx(0.6), "covered_text": pytest.approx(0.9), "score": pytest.approx(0.75)}
