"""Batch-parallel decoding: the words are those of the written answer, the timing is the speaker's, and nothing else changes."""

import pytest
import torch

from minideeptalk.inference.decoding import SpokenDecoder, answer_in_text, speak
from minideeptalk.inference.parallel import ParallelDecoder, in_writing
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import AudioToken
from tests.inference.helpers import Rereading, Scripted, endless, prompts, same

RECIPES = pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("aligned", "level"), ("held", "none")])


@RECIPES
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.0, seed=3, text=Sampling())], ids=["greedy", "codes by chance"])
def test_the_words_are_those_of_the_written_answer(tiny, layout, delay, sampling):
    choices = {"layout": layout, "delay": delay}
    model, builder = endless(tiny.model(**choices).eval()), tiny.builder(**choices)
    asked = prompts(builder, tiny)
    written = answer_in_text(model, builder, [in_writing(prompt, builder) for prompt in asked], max_words=18)
    spoken = speak(model, builder, asked, sampling, max_frames=10, decoder=ParallelDecoder)
    alone = speak(model, builder, asked, sampling, max_frames=10)
    for answer, other, reference in zip(spoken, alone, written):
        assert len(answer.words) >= 5 and answer.words == reference.words[:len(answer.words)]
        assert other.words != reference.words[:len(other.words)]  # without the second row these random models say something else


def test_in_writing_takes_the_trigger_away_and_nothing_else(tiny):
    builder = tiny.builder()
    heard = builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)
    assert torch.equal(in_writing(heard, builder).codes, builder.heard_prompt(tiny.frames(3)).codes)
    assert heard.codes[-1, 0] == 8 + AudioToken.ANSWER and in_writing(heard, builder).text == heard.text


@pytest.mark.parametrize("layout, delay", [("aligned", "none"), ("held", "none")])
def test_the_speaking_row_says_when_and_the_writing_row_says_which(tiny, layout, delay):
    builder = tiny.builder(layout=layout, delay=delay)
    red, cat, box, hat = builder.tokenizer.encode(("red", "cat", "box", "hat"))
    wait, end, other = builder.wait, builder.end, 99
    speaking = [box, wait, hat, wait, end, wait]  # begins words at steps 0 and 2, wants to end at step 4
    writing = [red, cat, other, end, other, other]  # reads its own words at steps 1 and 3; in between it stands still
    words = [torch.tensor(pair) for pair in zip(speaking, writing)]
    codes = [torch.full((2, 7), step % 8) for step in range(6)]
    model = Scripted(builder, words, codes)
    answer = speak(model, builder, [builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)], decoder=ParallelDecoder)[0]
    assert answer.words == ["red", "cat"] and answer.starts == [0, 2] and answer.finished and len(answer.codes) == 4
    goes_on = [inputs["attention_mask"] is None or bool(inputs["attention_mask"][1, -1]) for inputs in model.seen[1:5]]
    assert goes_on == [True, False, True, False]
    assert [int(inputs["text"][1, -1]) for inputs in (model.seen[1], model.seen[3])] == [red, cat]
    assert len(model.seen[-1]["text"]) == 1  # the text has ended: the writing row is gone


def test_with_all_text_ahead_each_step_says_one_word_and_the_writing_row_leaves_at_its_end(tiny):
    builder = tiny.builder(layout="ahead", delay="none")
    red, cat, box = builder.tokenizer.encode(("red", "cat", "box"))
    rows = [(box, red), (box, cat), (box, builder.end), (box,), (box,), (box,), (box,)]
    eoa = 8 + AudioToken.EOA
    codes = [torch.full((len(row), 7), eoa if step == 5 else 1) for step, row in enumerate(rows)]
    model = Scripted(builder, [torch.tensor(row) for row in rows], codes)
    answer = speak(model, builder, [builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)], decoder=ParallelDecoder)[0]
    assert answer.words == ["red", "cat"] and answer.finished and len(answer.codes) == 4
    assert [len(inputs["text"]) for inputs in model.seen] == [2, 2, 2, 1, 1, 1]
    assert [inputs["text"][:, -1].tolist() for inputs in model.seen[1:4]] == [[red, red], [cat, cat], [builder.end]]


def test_speech_does_not_end_before_its_text(tiny):
    """The first stream wants to stop at once; there are two words to say."""
    builder = tiny.builder(layout="held", delay="none")
    red, cat = builder.tokenizer.encode(("red", "cat"))
    words = [torch.tensor(pair) for pair in ((red, red), (red, cat), (red, builder.end), (red, red))]
    codes = [torch.full((2, 7), 8 + AudioToken.EOA)] * 4
    prompt = builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)
    assert speak(Scripted(builder, words, codes), builder, [prompt], decoder=ParallelDecoder)[0].words == ["red", "cat"]
    assert speak(Scripted(builder, words, codes), builder, [prompt])[0].words != ["red", "cat"]


@RECIPES
def test_a_model_that_thinks_alike_in_both_rows_answers_as_without_the_second(tiny, layout, delay):
    """A script told to both rows: the trigger changes nothing, so neither does batch-parallel decoding."""
    builder = tiny.builder(layout=layout, delay=delay)
    example = builder.answer_aloud(tiny.frames(3), tiny.answer(("red", "cat", "box")))
    start = len(builder.heard_prompt(tiny.frames(3))) - 1
    codes = [step.clamp(min=0).expand(2, 7) for step in example.code_target[start:]]
    own = [token if token >= 0 else builder.wait for token in example.text_target[start:]]
    said = [token for token in own if token != builder.wait] + [builder.wait] * len(own)
    begun = [sum(token != builder.wait for token in own[:step]) for step in range(len(own))]
    words = [torch.tensor([token, said[number]]) for token, number in zip(own, begun)]
    prompt = [builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)]
    one, two = (speak(Scripted(builder, words, codes), builder, prompt, decoder=decoder)[0] for decoder in (SpokenDecoder, ParallelDecoder))
    assert same(one, two) and one.words == ["red", "cat", "box"] and one.finished


@RECIPES
def test_with_a_cache_or_without_together_or_alone(tiny, layout, delay):
    choices = {"layout": layout, "delay": delay}
    model, builder = endless(tiny.model(**choices).eval()), tiny.builder(**choices)
    asked = prompts(builder, tiny)
    cached, uncached = (ParallelDecoder(reader, builder, asked) for reader in (model, Rereading(model)))
    for _ in range(7):
        cached.step()
        uncached.step()
    assert torch.equal(cached.text, uncached.text) and torch.equal(cached.codes, uncached.codes)
    together = speak(model, builder, asked, max_frames=8, decoder=ParallelDecoder)
    alone = [speak(model, builder, [prompt], max_frames=8, decoder=ParallelDecoder)[0] for prompt in asked]
    assert all(same(one, other) for one, other in zip(together, alone))
