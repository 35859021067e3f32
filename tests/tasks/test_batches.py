"""A batch is padded on the right and depends on its key alone; spoken material is drawn only where it was synthesised."""

import pytest
import torch

from minideeptalk import tasks
from minideeptalk.config import WorldConfig
from minideeptalk.experts.recorder import Modality
from minideeptalk.tasks import IGNORE, TaskSampler, collate
from minideeptalk.training.stages import SPEECH_TASKS
from minideeptalk.world import FAMILIES, mixture, split_of

MIXTURE = {**SPEECH_TASKS, "covered_text": 2.0, "all_text": 1.0}


def sampler(tiny, spoken=True, split="train", **choices):
    return TaskSampler(tiny.builder(**choices), WorldConfig(), tiny.spoken_set() if spoken else None, split)


def same(one, other):
    """Whether two batches are equal in every tensor."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in vars(one)]
    return all((a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs)


# ---- padding -----------------------------------------------------------------------------------------------------------


def test_rows_keep_what_they_were_and_padding_stands_on_the_right(tiny):
    builder = tiny.builder()
    examples = [builder.chat(("say", "red"), ("red",)), builder.answer_aloud(tiny.frames(3), tiny.answer())]
    batch = collate(examples, builder.silence)
    longest = max(len(example) for example in examples)
    assert batch.text.shape == (2, longest) and batch.codes.shape == batch.code_target.shape == (2, longest, 7)
    for row, example in enumerate(examples):
        length = len(example)
        assert batch.text[row, :length].tolist() == example.text
        assert batch.text_target[row].tolist() == example.text_target + [IGNORE] * (longest - length)
        assert batch.mask[row].tolist() == [True] * length + [False] * (longest - length)
    assert (batch.modality[~batch.mask] == Modality.PADDING).all()
    assert (batch.codes[0] == builder.silence).all() and (batch.code_target[0] == IGNORE).all()  # the chat is silent
    assert torch.equal(batch.frames[1, 2:5], tiny.frames(3))
    assert batch.frame_mask.sum() == 3 and batch.frame_mask[1, 2:5].all()


def test_a_batch_of_text_alone_carries_nothing_else(tiny):
    batch = collate([tiny.builder().chat(("say", "red"), ("red",))], tiny.builder().silence)
    assert batch.codes is None and batch.code_target is None and batch.frames is None and batch.elapsed is None


def test_only_the_layout_that_holds_words_counts_their_steps(tiny):
    for layout, counted in (("held", True), ("aligned", False), ("ahead", False)):
        builder = tiny.builder(layout=layout)
        batch = collate([builder.speak(("red",), "sad", tiny.answer(("red",))), builder.chat(("say",), ("red",))], builder.silence)
        assert (batch.elapsed is not None) is counted
    batch = tiny.batch(tiny.builder())
    assert (batch.elapsed[0] == 0).all() and batch.elapsed.max() >= 2


# ---- drawing -----------------------------------------------------------------------------------------------------------


def test_a_batch_depends_on_its_key_alone(tiny):
    fresh, used = sampler(tiny), sampler(tiny)
    for number in range(5):
        used.batch(MIXTURE, 6, f"earlier-{number}")
    torch.manual_seed(99)
    assert same(used.batch(MIXTURE, 16, "0-3-17"), fresh.batch(MIXTURE, 16, "0-3-17"))
    assert not same(fresh.batch(MIXTURE, 16, "0-3-17"), fresh.batch(MIXTURE, 16, "0-3-18"))


def test_drawing_does_not_disturb_the_random_state_of_the_model(tiny):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    sampler(tiny).batch(MIXTURE, 8, "key")
    assert torch.equal(torch.rand(1), expected)


def test_tasks_come_in_the_proportion_of_their_weights(tiny):
    drawn = sampler(tiny)
    names = []
    for name, draw in drawn.draws.items():
        drawn.draws[name] = lambda rng, name=name, draw=draw: (names.append(name), draw(rng))[1]
    drawn.batch({"recognise": 3.0, "covered_text": 1.0}, 800, "key")
    assert set(names) == {"recognise", "covered_text"}
    assert 0.70 < names.count("recognise") / 800 < 0.80


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_text_is_drawn_from_the_samplers_split_and_after_training_repeats_the_covered_families_only(tiny, split, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.sampler, "mixture", lambda rng, *wanted: (asked.append(wanted), mixture(rng, *wanted))[1])
    drawn, world = sampler(tiny, spoken=False, split=split), WorldConfig()
    drawn.batch({"covered_text": 1.0}, 1, "key")
    drawn.batch({"all_text": 1.0}, 1, "key")
    assert asked == [(split, world.covered), (split, (*FAMILIES, *world.drawn_more))]
    assert set(world.covered) < set(FAMILIES)


def test_a_question_whose_answer_was_never_synthesised_is_never_answered_aloud(tiny):
    spoken = tiny.spoken_set()
    silent = spoken.questions[-1]
    assert spoken.reply(silent.item.answer, silent.style) is None
    drawn = TaskSampler(tiny.builder(), WorldConfig(), spoken)
    assert len(drawn.answerable) == len(spoken.questions) - 1 and silent not in drawn.answerable
    for number in range(10):
        drawn.batch({"answer_aloud": 1.0, "mirror": 1.0}, 8, str(number))


def test_mirroring_uses_the_askers_style_and_answering_the_neutral_one(tiny):
    spoken = tiny.spoken_set()
    drawn = TaskSampler(tiny.builder(), WorldConfig(), spoken)
    question = drawn.answerable[1]
    assert question.style == "happy"
    drawn.answerable = [question]
    for task, style in (("mirror", "happy"), ("answer_aloud", "neutral")):
        reply = spoken.reply(question.item.answer, style)
        batch = drawn.batch({task: 1.0}, 1, "key")
        first = int((batch.code_target[0] != IGNORE).any(dim=-1).nonzero()[0])
        assert torch.equal(batch.code_target[0, first:first + len(reply.codes)], reply.codes)


def test_questions_of_the_set_are_of_the_training_split(tiny):
    """The invented set keeps the rule that the real one keeps."""
    for question in tiny.spoken_set().questions:
        assert split_of(question.item.family, question.item.combination) == "train"
