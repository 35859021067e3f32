"""Decoding with a cache is the model without one, a batch is its rows, and the decoder feeds the model what training fed it."""

from itertools import pairwise

import pytest
import torch

from minideeptalk.inference.decoding import SpokenDecoder, answer_in_text, speak, speak_in_steps
from minideeptalk.inference.memory import left_padded
from minideeptalk.model import AudioToken
from minideeptalk.tasks import IGNORE, collate
from tests.inference.helpers import Rereading, Scripted, endless, prompts, same

RECIPES = pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("aligned", "level"), ("held", "none"), ("held", "stream")])


# ---- written answers ---------------------------------------------------------------------------------------------------


def test_written_answers_with_a_cache_equal_those_without(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    cached, uncached = (answer_in_text(reader, builder, prompts(builder, tiny), max_words=8) for reader in (model, Rereading(model)))
    assert all(same(one, other) and len(one.words) > 3 for one, other in zip(cached, uncached))


def test_a_batch_of_unequal_questions_is_answered_as_each_alone(tiny):
    model, builder = tiny.model().eval(), tiny.builder()
    together = answer_in_text(model, builder, prompts(builder, tiny), max_words=8)
    alone = [answer_in_text(model, builder, [prompt], max_words=8)[0] for prompt in prompts(builder, tiny)]
    assert all(same(one, other) for one, other in zip(together, alone))
    assert len({tuple(answer.words) for answer in together}) == 3


def test_an_answer_ends_at_its_end_and_the_others_go_on(tiny):
    """A model that says <end> to the first row at once, and to the second after two words."""
    builder = tiny.builder()
    script = [[builder.end, 20], [21, 22], [23, builder.end], [24, 25]]
    model = Scripted(builder, [torch.tensor(row) for row in script])
    first, second = answer_in_text(model, builder, [builder.text_prompt(("say", "red"))] * 2)
    assert first.words == [] and second.words == builder.tokenizer.decode([20, 22]) and first.finished and second.finished
    assert len(model.seen) == 3  # nobody waits for a fourth
    assert not answer_in_text(tiny.model(), builder, [builder.text_prompt(("red",))], max_words=1)[0].finished


# ---- what the model is given -------------------------------------------------------------------------------------------


@RECIPES
def test_the_decoder_feeds_back_exactly_the_rows_of_training(tiny, layout, delay):
    """Told to want the targets of an example, it gives the model that example's inputs, step by step, and returns its answer."""
    builder = tiny.builder(layout=layout, delay=delay)
    reply = tiny.reply(("red", "cat", "box"))
    example = builder.answer_aloud(tiny.frames(3), tiny.answer(("red", "cat", "box")))
    start = len(builder.heard_prompt(tiny.frames(3))) - 1
    words = torch.tensor(example.text_target[start:])
    words[words == IGNORE] = 20  # what has no target may be anything
    codes = example.code_target[start:].clone()
    codes[codes == IGNORE] = 1
    model = Scripted(builder, list(words[:, None]), list(codes[:, None]))
    answer = speak(model, builder, [builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)])[0]

    fed = {name: torch.cat([inputs[name][0] for inputs in model.seen[1:]]) for name in ("text", "codes")}
    assert fed["text"].tolist() == example.text[start + 1:]
    assert torch.equal(fed["codes"], example.codes[start + 1:])
    if layout == "held":
        trained = collate([example], builder.silence).model_inputs()
        for name in ("elapsed", "positions"):
            assert torch.equal(torch.cat([inputs[name] for inputs in model.seen[1:]], dim=1), trained[name][:, start + 1:]), name
    else:
        steps = [int(inputs["positions"]) for inputs in model.seen[1:]]
        assert steps == list(range(start + 1, start + 1 + len(steps))) and all("elapsed" not in inputs for inputs in model.seen)
    assert torch.equal(answer.codes, reply.codes) and answer.words == ["red", "cat", "box"] and answer.finished
    assert answer.starts == (list(reply.starts) if layout != "ahead" else [0, 1, 2])


def test_the_first_step_reads_the_prompt_as_training_wrote_it(tiny):
    builder = tiny.builder()
    example = builder.answer_aloud(tiny.frames(3), tiny.answer())
    prompt = builder.heard_prompt(tiny.frames(3), AudioToken.ANSWER)
    given, trained = left_padded([prompt], builder, "cpu"), collate([example], builder.silence).model_inputs()
    for name in ("text", "codes", "frames", "frame_mask"):
        assert torch.equal(given[name], trained[name][:, :len(prompt)]), name


# ---- spoken answers ----------------------------------------------------------------------------------------------------


@RECIPES
def test_spoken_answers_with_a_cache_equal_those_without(tiny, layout, delay):
    choices = {"layout": layout, "delay": delay}
    model, builder = endless(tiny.model(**choices).eval()), tiny.builder(**choices)
    cached, uncached = (SpokenDecoder(reader, builder, prompts(builder, tiny)) for reader in (model, Rereading(model)))
    for _ in range(14):
        cached.step()
        uncached.step()
    assert torch.equal(cached.text, uncached.text) and torch.equal(cached.codes, uncached.codes)
    assert len({tuple(row) for row in cached.codes.flatten(1).tolist()}) == 3


@RECIPES
@pytest.mark.parametrize("never_ends", [True, False])
def test_a_batch_of_unequal_questions_is_spoken_as_each_alone(tiny, layout, delay, never_ends):
    choices = {"layout": layout, "delay": delay}
    model, builder = tiny.model(**choices).eval(), tiny.builder(**choices)
    if never_ends:
        endless(model)
    together = speak(model, builder, prompts(builder, tiny), max_frames=10)
    assert any(answer.finished for answer in together) != never_ends
    alone = [speak(model, builder, [prompt], max_frames=10)[0] for prompt in prompts(builder, tiny)]
    assert all(same(one, other) for one, other in zip(together, alone))
    in_pieces = speak(model, builder, prompts(builder, tiny), max_frames=10, batch_size=2)
    assert all(same(one, other) for one, other in zip(together, in_pieces))


@RECIPES
def test_every_stream_keeps_to_its_delay_and_says_codes_only(tiny, layout, delay):
    choices = {"layout": layout, "delay": delay}
    model, builder = endless(tiny.model(**choices).eval()), tiny.builder(**choices)
    decoder = SpokenDecoder(model, builder, prompts(builder, tiny), max_frames=6)
    while decoder.step():
        pass
    assert decoder.text.shape[1] == 6 + 1 + max(builder.lags)
    for stream, lag in enumerate(builder.lags):
        assert (decoder.codes[:, :lag, stream] == builder.silence).all()
        assert set(decoder.codes[:, lag:, stream].flatten().tolist()) <= {*range(8), builder.silence, decoder.eoa}
    for row in range(3):
        answer = decoder.answer(row)
        assert answer.codes.shape[1] == 7 and answer.codes.max() < 8 and not answer.finished


def test_frames_that_stream_out_are_the_frames_of_the_whole_answer(tiny):
    choices = {"layout": "ahead", "delay": "stream"}
    model, builder = endless(tiny.model(**choices).eval()), tiny.builder(**choices)
    prompt = builder.heard_prompt(tiny.frames(5), AudioToken.ANSWER)
    pieces, given, counts = [], 0, []
    for decoder, ready in speak_in_steps(model, builder, prompt, max_frames=9):
        counts.append(ready)
        pieces.append(decoder.frames(0, given, ready))
        given = ready
    whole = speak(model, builder, [prompt], max_frames=9)[0]
    assert torch.equal(torch.cat(pieces), whole.codes)
    assert counts[:8] == [0] * 7 + [1] and all(later - earlier in (0, 1) for earlier, later in pairwise(counts))


@pytest.mark.parametrize("delay, first", [("none", 2), ("level", 4), ("stream", 8)])
def test_the_first_frame_is_whole_one_step_after_the_longest_delay(tiny, delay, first):
    builder = tiny.builder(delay=delay)
    model = tiny.model(delay=delay).eval()
    ready = [count for _, count in speak_in_steps(model, builder, builder.text_prompt(("say", "red")), max_frames=4)]
    assert next(step for step, count in enumerate(ready, start=1) if count == 1) == first
