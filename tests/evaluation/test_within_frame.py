"""Codes that depend on each other are found, codes that do not are not, whatever the model knew before."""

import pytest
import torch
from torch.nn import functional as F

from minideeptalk.evaluation.within_frame import Frames, read_frames, within_frame
from minideeptalk.tasks import IGNORE, collate


def frames(count, seed, copied):
    """Three streams of eight codes; the third repeats the first where `copied`. The model knows nothing."""
    codes = torch.randint(8, (count, 3), generator=torch.Generator().manual_seed(seed))
    if copied:
        codes[:, 2] = codes[:, 0]
    return Frames(codes, torch.zeros(count, 3, 10))


def test_a_code_that_repeats_an_earlier_one_is_told_by_it_and_not_by_those_of_other_frames():
    rows = within_frame(frames(4000, 0, True), frames(500, 1, True), frames(500, 2, True))
    assert rows[2]["own"] == pytest.approx(torch.tensor(10.0).log().item(), abs=1e-5)
    assert rows[2]["chained"] < 0.2 and rows[2]["control"] > 2.0
    assert rows[0]["own"] == rows[0]["chained"] == rows[0]["control"]


def test_codes_that_are_independent_gain_no_more_than_the_control():
    for row in within_frame(frames(4000, 0, False), frames(500, 1, False), frames(500, 2, False))[1:]:
        assert row["chained"] == pytest.approx(row["control"], abs=0.03)


@pytest.mark.parametrize("delay", ["none", "level", "stream"])
def test_the_scores_are_those_on_which_the_model_was_trained(tiny, delay):
    model, builder = tiny.model(delay=delay).eval(), tiny.builder(delay=delay)
    replies = [tiny.reply(seed=1), tiny.reply(("leo", "hat"), seed=2)]
    read = read_frames(model, builder, replies)
    assert read.codes.tolist() == torch.cat([reply.codes for reply in replies]).tolist()
    batch = collate([builder.speak(r.words, r.style, tiny_answer(builder, r)) for r in replies], builder.silence)
    with torch.no_grad():
        logits = model.audio_logits(model(**batch.model_inputs()).hidden)
    target = batch.code_target
    spoken = (target != IGNORE) & (target < 8)  # `<EOA>` is no frame
    for stream in range(7):
        here = spoken[..., stream]
        expected = F.cross_entropy(logits[..., stream, :][here], target[..., stream][here])
        torch.testing.assert_close(F.cross_entropy(read.scores[:, stream], read.codes[:, stream]), expected)


def tiny_answer(builder, reply):
    from minideeptalk.tasks import SpokenAnswer

    return SpokenAnswer(tuple(builder.tokenizer.encode(reply.words)), reply.codes, reply.starts)
