"""One teacher-forced pass measures what greedy decoding would say, and a choice is scored with its own prefix."""

from dataclasses import replace

import pytest
import torch

from minideeptalk.config import size_config
from minideeptalk.evaluation.text_skills import answer_scores, answers_right, family_accuracy, text_accuracy
from minideeptalk.inference.decoding import answer_in_text
from minideeptalk.model import AudioToken
from minideeptalk.tasks import collate
from minideeptalk.training.loop import train_stage
from minideeptalk.training.stages import pretrain_stage
from minideeptalk.world import FAMILIES


def half_learnt(tiny):
    """Twenty items of which a model has learnt half by heart, and that model."""
    items = [item for family in FAMILIES.values() for item in family.items("train", 2, 0)]
    model, builder = tiny.model(width=32), tiny.builder()
    batch = collate([builder.chat(item.question, item.answer) for item in items[::2]], builder.silence)
    stage = replace(pretrain_stage(size_config("nano")), updates=60, learning_rate=1e-2)
    train_stage(model, stage, lambda step: batch, seed=0, show_progress=False)
    return model, builder, items


def decoded(model, builder, items):
    answers = answer_in_text(model, builder, [builder.text_prompt(item.question) for item in items])
    return [answer.finished and tuple(answer.words) == item.answer for answer, item in zip(answers, items)]


def test_teacher_forced_exact_match_is_exact_match_of_greedy_decoding(tiny):
    model, builder, items = half_learnt(tiny)
    forced = answers_right(model, builder, [builder.chat(item.question, item.answer) for item in items])
    assert forced == decoded(model, builder, items)
    assert forced[::2] == [True] * 10 and not all(forced)  # both outcomes occur


def test_the_end_belongs_to_the_answer(tiny):
    """The right words without an end, or with more words after them, are not the answer."""
    model, builder, items = half_learnt(tiny)
    longest = max(items[::2], key=lambda item: len(item.answer))
    assert answers_right(model, builder, [builder.chat(longest.question, longest.answer)]) == [True]
    assert answers_right(model, builder, [builder.chat(longest.question, longest.answer[:-1])]) == [False]
    assert answers_right(model, builder, [builder.chat(longest.question, (*longest.answer, "red"))]) == [False]


def test_heard_questions_are_measured_the_same_way(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    prompts = [builder.heard_prompt(tiny.frames(3 + n, n), AudioToken.TRANSCRIBE) for n in range(4)]
    said = [tuple(answer.words) for answer in answer_in_text(model, builder, prompts, max_words=3)]
    examples = [builder.recognise(tiny.frames(3 + n, n), words) for n, words in enumerate(said)]
    for example in examples:
        example.text_target[-1] = -100  # a random model does not end by itself
    assert answers_right(model, builder, examples) == [True] * 4
    examples[2].text_target[-2] = builder.wait
    assert answers_right(model, builder, examples) == [True, True, False, True]


@torch.no_grad()
@pytest.mark.parametrize("size", [1, 3, 200])
def test_results_do_not_depend_on_how_the_examples_are_batched(tiny, size):
    model, builder, items = tiny.model(), tiny.builder(), [family.items("test", 1, 0)[0] for family in FAMILIES.values()]
    examples = [builder.chat(item.question, item.answer) for item in items]
    together = answer_scores(model, builder, examples)
    assert answer_scores(model, builder, examples, batch_size=size) == pytest.approx(together, abs=1e-4)


@torch.no_grad()
def test_a_score_is_the_log_probability_of_the_answer_word_by_word(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    prompt, answer = builder.text_prompt(("say", "red", "cat")), tiny.tokenizer.encode(["red", "cat", "<end>"])
    by_hand, text = 0.0, list(prompt.text)
    for word in answer:
        by_hand += model.text_logits(model(torch.tensor([text])).hidden[0, -1]).log_softmax(dim=0)[word].item()
        text.append(word)
    assert answer_scores(model, builder, [builder.chat(("say", "red", "cat"), ("red", "cat"))]) == pytest.approx([by_hand], abs=1e-4)


def test_a_choice_is_right_when_the_right_answer_is_likelier_each_under_its_own_words(tiny):
    """Turning right and wrong around turns the accuracy around: each answer is scored in a pass of its own."""
    choice = next(family for family in FAMILIES.values() if family.kind == "choice")
    items = choice.items("train", 30, 0)
    model, builder = tiny.model(), tiny.builder()
    turned = [replace(item, answer=item.wrong, wrong=item.answer) for item in items]
    right = family_accuracy(model, builder, items)
    assert 0 < right < 1 and family_accuracy(model, builder, turned) == pytest.approx(1 - right)


def test_text_accuracy_has_every_family_and_uses_the_split_that_it_is_told(tiny):
    model, builder = tiny.model(), tiny.builder()
    accuracy = text_accuracy(model, builder, "test", count=3)
    assert list(accuracy) == list(FAMILIES) and all(0 <= value <= 1 for value in accuracy.values())
    model, builder, _ = half_learnt(tiny)
    assert text_accuracy(model, builder, "train", count=2)["repeat"] > text_accuracy(model, builder, "test", count=2)["repeat"]


def test_measuring_changes_no_weight_and_leaves_no_gradient(tiny):
    model, builder = tiny.model(), tiny.builder()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    text_accuracy(model, builder, "test", count=2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
