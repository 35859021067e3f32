"""A conversation is one reading of all its turns: with the memory kept, or with everything read again each time."""

import pytest
import torch

from minideeptalk.inference.conversation import Conversation, after_a_turn
from minideeptalk.inference.parallel import in_writing
from minideeptalk.model import AudioToken
from tests.inference.helpers import Rereading, endless, same

RECIPES = pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("aligned", "level"), ("held", "none")])


def turns(builder, tiny):
    """Typed, heard and answered aloud, heard and answered in writing, typed again."""
    return [builder.text_prompt(("say", "red", "cat")), builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER),
            builder.heard_prompt(tiny.frames(5, 1)), builder.text_prompt(("say", "red", "cat"))]


@RECIPES
@pytest.mark.parametrize("parallel", [True, False], ids=["two rows", "one row"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_conversation_with_a_memory_equals_one_that_reads_everything_again(tiny, layout, delay, parallel, ends):
    choices = {"layout": layout, "delay": delay}
    model, builder = tiny.model(seed=2, **choices), tiny.builder(**choices)
    if not ends:
        endless(model)  # the answer is cut off at its longest, with its second row still there
    remembering, rereading = (Conversation(reader, builder, parallel=parallel) for reader in (model, Rereading(model)))
    for prompt in turns(builder, tiny):
        assert same(remembering.ask(prompt), rereading.ask(prompt))
    aloud = [answer.codes is not None for _, answer in remembering.turns]
    assert aloud == [False, True, False, False] and len(remembering.memory.place) == 1


def test_the_second_row_gives_a_spoken_answer_its_words(tiny):
    """The words are those of the written answer, given all that was said before."""
    model, builder = endless(tiny.model()), tiny.builder()
    typed, heard = turns(builder, tiny)[:2]
    aloud, in_text = Conversation(model, builder), Conversation(model, builder)
    for talk in (aloud, in_text):
        talk.ask(typed)
    spoken, written = aloud.ask(heard), in_text.ask(in_writing(heard, builder))
    count = min(len(spoken.words), len(written.words))
    assert count >= 5 and spoken.words[:count] == written.words[:count]


def test_the_turns_before_are_read_once_and_they_matter(tiny):
    model, builder = endless(tiny.model()), tiny.builder()
    seen = []
    model.register_forward_pre_hook(lambda module, args, inputs: seen.append(inputs["text"].shape[1]), with_kwargs=True)
    talk = Conversation(model, builder)
    first, later = turns(builder, tiny)[:2]
    talk.ask(first)
    begun = len(seen)
    second = talk.ask(later)
    assert seen[begun] == len(later) + 1 and set(seen[begun + 1:]) == {1}  # the new prompt, after one step that closes the old answer
    assert not same(second, Conversation(model, builder).ask(later))  # the same question without a past


def test_a_new_turn_begins_after_an_end_that_is_silent(tiny):
    builder = tiny.builder()
    prompt = builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)
    following = after_a_turn(prompt, builder)
    assert following.text == [builder.end, *prompt.text] and len(following) == len(prompt) + 1
    assert (following.codes[0] == builder.silence).all() and torch.equal(following.codes[1:], prompt.codes)
    assert following.text[following.frame_start] == builder.audio == prompt.text[prompt.frame_start]


def test_each_conversation_has_a_memory_of_its_own(tiny):
    model, builder = tiny.model(), tiny.builder()
    one, two = Conversation(model, builder), Conversation(model, builder)
    one.ask(turns(builder, tiny)[0])
    assert same(two.ask(turns(builder, tiny)[1]), Conversation(model, builder).ask(turns(builder, tiny)[1]))


@pytest.mark.parametrize("trigger", list(AudioToken), ids=lambda trigger: trigger.name)
def test_the_trigger_alone_says_whether_the_answer_is_spoken(tiny, trigger):
    """A transcript and the name of a style are written, though their prompts have a trigger too."""
    builder = tiny.builder()
    talk = Conversation(tiny.model(), builder)
    spoken = trigger.name.startswith("SAY_") or trigger.name in ("ANSWER", "MIRROR")
    assert (talk.ask(builder.heard_prompt(tiny.frames(3), trigger)).codes is not None) == spoken
