"""Every knob of sampling does what its name says, and none of them alone changes a greedy answer but the repetition penalty."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.inference.decoding import answer_in_text, speak
from minideeptalk.inference.sampling import Chooser, Sampling, nucleus, pick
from tests.inference.helpers import endless, prompts, same


def test_greedy_is_the_most_likely_and_sampling_repeats_with_its_seed(tiny):
    logits = torch.randn(5, 3, 11, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pick(logits, Sampling(), None), logits.argmax(dim=-1))
    warm = Sampling(temperature=1.0)
    draws = [pick(logits, warm, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2]) and draws[0].shape == (5, 3)


def test_top_k_draws_from_the_k_most_likely_and_temperature_sharpens():
    logits = torch.arange(6.0).expand(4000, 6)
    generator = torch.Generator().manual_seed(0)
    assert set(pick(logits, Sampling(1.0, 2), generator).tolist()) == {4, 5}
    shares = [(pick(logits, Sampling(temperature), generator) == 5).float().mean() for temperature in (0.5, 1.0, 4.0)]
    expected = [torch.softmax(torch.arange(6.0) / temperature, dim=0)[5] for temperature in (0.5, 1.0, 4.0)]
    torch.testing.assert_close(torch.stack(shares), torch.stack(expected), atol=0.03, rtol=0)


def test_a_top_k_beyond_the_vocabulary_is_the_vocabulary():
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    draws = [pick(logits, Sampling(1.0, top_k), torch.Generator().manual_seed(1)) for top_k in (0, 99)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("share, kept", [(0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 4)])
def test_top_p_keeps_the_fewest_likeliest_tokens_that_hold_the_share(share, kept):
    logits = torch.tensor([0.05, 0.5, 0.15, 0.3]).log()
    assert set(nucleus(logits, share).nonzero()[:, 0].tolist()) == set([1, 3, 2, 0][:kept])
    draws = pick(logits.expand(2000, 4), Sampling(1.0, top_p=share), torch.Generator().manual_seed(0))
    assert set(draws.tolist()) == set([1, 3, 2, 0][:kept])


def test_the_penalty_divides_what_speaks_for_a_token_and_multiplies_what_speaks_against_it():
    chooser = Chooser(Sampling(repetition_penalty=2.0), None, exempt=[3])
    logits = torch.tensor([[4.0, 3.0, -9.0, 1.0], [-1.0, -1.5, -9.0, -8.0]])  # two rows, each with a memory of its own
    assert chooser.choose(logits).tolist() == [0, 0]
    chooser.remember(torch.tensor([0, 0]), 4)
    assert chooser.choose(logits).tolist() == [1, 1]  # 4 / 2 < 3 and -1 * 2 < -1.5
    chooser.remember(torch.tensor([3, 1]), 4)
    assert chooser.seen.tolist() == [[True, False, False, False], [True, True, False, False]]  # 3 may repeat


def test_a_penalised_answer_repeats_fewer_words(tiny):
    model, builder = endless(tiny.model().eval()), tiny.builder()
    plain, penalised = (answer_in_text(model, builder, prompts(builder, tiny), 8, Sampling(repetition_penalty=penalty))
                        for penalty in (1.0, 1e6))
    assert [len(answer.words) for answer in plain] == [8, 8, 8] and any(len(set(answer.words)) < 8 for answer in plain)
    assert all(len(set(one.words)) >= len(set(other.words)) for one, other in zip(penalised, plain))
    assert sum(len(set(answer.words)) for answer in penalised) > sum(len(set(answer.words)) for answer in plain)


def test_codes_are_penalised_stream_by_stream(tiny):
    model, builder = endless(tiny.model().eval()), tiny.builder()
    prompt = prompts(builder, tiny)[:1]
    plain, penalised = (speak(model, builder, prompt, Sampling(repetition_penalty=penalty, text=Sampling()), max_frames=8)[0]
                        for penalty in (1.0, 1e6))
    distinct = [[len(set(stream)) for stream in answer.codes.T.tolist()] for answer in (plain, penalised)]
    assert sum(distinct[1]) > sum(distinct[0])
    assert torch.equal(plain.codes[0], penalised.codes[0])  # what another stream has said is no repetition


def test_words_may_be_chosen_otherwise_than_codes(tiny):
    """Codes by chance, words greedily: the first words, before any chance has acted, are those of a greedy answer."""
    model, builder = endless(tiny.model().eval()), tiny.builder()
    greedy, warm, mixed = (speak(model, builder, prompts(builder, tiny), sampling, max_frames=6) for sampling in (
        Sampling(), Sampling(2.0, seed=1), Sampling(2.0, seed=1, text=Sampling())))
    assert [answer.words[:1] for answer in mixed] == [answer.words[:1] for answer in greedy]
    assert [answer.words[:1] for answer in warm] != [answer.words[:1] for answer in greedy]
    assert not any(torch.equal(one.codes, other.codes) for one, other in zip(mixed, greedy))


@pytest.mark.parametrize("knobs", [{}, {"top_k": 3, "top_p": 0.5, "seed": 7}])
def test_at_temperature_0_only_the_penalty_matters(tiny, knobs):
    model, builder = tiny.model().eval(), tiny.builder()
    greedy, other = (speak(model, builder, prompts(builder, tiny), sampling, max_frames=6) for sampling in (Sampling(), Sampling(**knobs)))
    assert all(same(one, two) for one, two in zip(greedy, other))


@pytest.mark.parametrize("knobs, says", [({"temperature": -1}, "temperature"), ({"top_k": -1}, "top_k"), ({"top_p": 0.0}, "top_p"),
                                         ({"top_p": 1.1}, "top_p"), ({"repetition_penalty": 0.5}, "repetition penalty")])
def test_a_knob_outside_its_range_is_explained(knobs, says):
    with pytest.raises(LearnerError, match=says):
        Sampling(**knobs)
