"""A probe finds what is there, and neither a control nor a chance line finds more than there is."""

import pytest
import torch

from minideeptalk.evaluation.probes import (
    QUESTIONS,
    Material,
    fit_probe,
    hidden_states,
    next_word_ahead,
    next_word_due,
    probe,
    probe_model,
    style_asked,
)
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import collate


def cloud(count, seed, apart=3.0):
    """Points of three classes around three corners, and their labels; (N, 5)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    return torch.randn(count, 5, generator=generator) + apart * torch.eye(3, 5)[labels], labels


def test_a_probe_separates_what_is_apart_and_its_control_does_not():
    (train, known), (test, wanted) = cloud(300, 0), cloud(200, 1)
    names = ["red", "cat", "box"]
    states = torch.stack([torch.zeros_like(train), train]), torch.stack([torch.zeros_like(test), test])
    nothing, all_of_it = probe(states[0], [names[k] for k in known], states[1], [names[w] for w in wanted])
    assert all_of_it["accuracy"] > 0.9 and abs(all_of_it["control"] - 1 / 3) < 0.15
    assert nothing["accuracy"] == nothing["chance"] and (nothing["classes"], nothing["train_items"], nothing["items"]) == (3, 300, 200)


def test_chance_is_the_commonest_class_of_training_and_unknown_labels_are_missed():
    states = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    (found,) = probe(states, list("aaaabb"), states[:, :4], list("aabz"))
    assert found["chance"] == 0.5 and found["accuracy"] <= 0.75


def test_a_probe_does_not_care_for_the_scale_of_its_states():
    train, known = cloud(200, 0, apart=1.0)
    test, _ = cloud(100, 1, apart=1.0)
    plain, scaled = fit_probe(train, known, 3)(test), fit_probe(train * 100 + 7, known, 3)(test * 100 + 7)
    assert (plain == scaled).float().mean() > 0.98


def test_states_are_those_of_the_model_layer_by_layer(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    material = next_word_ahead(tiny.spoken_set(), builder)
    states = hidden_states(model, builder, material, batch_size=5)
    assert states.shape == (4, len(material.labels), 16)
    with torch.no_grad():
        batch = collate(material.examples, builder.silence)
        last = model(**batch.model_inputs()).hidden[range(len(material.steps)), material.steps]
    torch.testing.assert_close(model.norm(states[-1]), last)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_next_word_is_asked_where_the_one_before_it_begins_and_where_it_is_due(tiny):
    builder = tiny.builder()
    ahead, due = (make(tiny.spoken_set(), builder) for make in (next_word_ahead, next_word_due))
    assert ahead.labels == due.labels
    for example, begins, ends, label in zip(ahead.examples, ahead.steps, due.steps, ahead.labels):
        assert example.elapsed[begins] == 1 and example.elapsed[ends + 1] == 1 and 1 not in example.elapsed[begins + 1:ends + 1]
        assert builder.tokenizer.decode([example.text_target[ends], example.text[ends + 1]]) == [label, label]


def test_the_style_is_asked_after_the_prompt_and_never_of_the_stranger(tiny):
    spoken, builder = tiny.spoken_set(), tiny.builder()
    spoken.questions[0].voice = HELD_OUT_VOICE.name
    material = style_asked(spoken, builder)
    assert material.labels == [question.style for question in spoken.questions[1:]]
    assert all(step == len(example) - 1 for example, step in zip(material.examples, material.steps))


def test_every_question_is_put_to_every_state(tiny):
    rows = probe_model(tiny.model(), tiny.builder(), tiny.spoken_set(24), tiny.spoken_set(12, seed=1), limit=16)
    assert [(row["question"], row["state"]) for row in rows] == [(name, state) for name in QUESTIONS for state in range(4)]
    assert all(row["train_items"] <= 16 and 0 <= row["accuracy"] <= 1 for row in rows)


def test_material_of_prompts_reads_their_last_step(tiny):
    prompts = [tiny.builder().heard_prompt(tiny.frames(count)) for count in (2, 5)]
    assert Material.of_prompts(prompts, ["a", "b"]).steps == [len(prompts[0]) - 1, len(prompts[1]) - 1]


@pytest.mark.parametrize("layout, delay", [("held", "none"), ("aligned", "none"), ("ahead", "stream")])
def test_the_next_word_can_be_asked_in_every_layout(tiny, layout, delay):
    for make in (next_word_ahead, next_word_due):
        material = make(tiny.spoken_set(), tiny.builder(layout=layout, delay=delay))
        assert all(step < len(example) for example, step in zip(material.examples, material.steps))
