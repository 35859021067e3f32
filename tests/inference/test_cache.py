"""The roomy cache gives what transformers' own gives, keeps what it has when it moves, and takes rows as told."""

import pytest
import torch
from transformers import DynamicCache

from minideeptalk.inference.cache import RoomyCache
from minideeptalk.inference.memory import Memory


def pieces(lengths, rows=2, seed=0):
    """Keys and values (B, heads, T, size) of some new steps each."""
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(rows, 3, length, 4, generator=generator), torch.randn(rows, 3, length, 4, generator=generator)) for length in lengths]


@pytest.mark.parametrize("room", [1, 2, 64])
@pytest.mark.parametrize("lengths", [(5, 1, 1, 1), (1, 7, 1), (9,)])
def test_what_was_read_comes_back_whole_whether_or_not_it_had_to_move(room, lengths):
    ours, theirs = RoomyCache(room), DynamicCache()
    for step, (key, value) in enumerate(pieces(lengths), start=1):
        for layer in range(2):
            mine, known = (cache.update(key + layer, value - layer, layer) for cache in (ours, theirs))
            assert all(torch.equal(one, other) for one, other in zip(mine, known))
        assert ours.get_seq_length() == theirs.get_seq_length() == sum(lengths[:step])


def test_a_step_with_room_copies_nothing():
    cache = RoomyCache(8)
    places = {cache.update(key, value, 0)[0].data_ptr() for key, value in pieces((3, 1, 1, 1))}
    assert len(places) == 1


def test_rows_are_doubled_and_dropped():
    cache = RoomyCache(8)
    (key, value), (next_key, next_value) = pieces((3, 1))
    cache.update(key, value, 0)
    cache.take(torch.tensor([0, 1, 0, 1]))
    doubled, _ = cache.update(next_key.repeat(2, 1, 1, 1), next_value.repeat(2, 1, 1, 1), 0)
    assert torch.equal(doubled[2:], doubled[:2]) and torch.equal(doubled[:2, :, :3], key)
    cache.take(torch.tensor([1]))
    again, _ = cache.update(next_key[1:], next_value[1:], 0)
    assert torch.equal(again[:, :, :4], torch.cat([key, next_key], dim=2)[1:]) and cache.get_seq_length() == 5


@torch.no_grad()
def test_a_memory_masks_only_where_a_row_has_a_gap(tiny):
    """The mask costs time at every step; without gaps plain causal attention is the same."""
    model, masks = tiny.model().eval(), []
    model.register_forward_pre_hook(lambda module, args, inputs: masks.append(inputs["attention_mask"]), with_kwargs=True)
    text = torch.randint(20, 40, (2, 5))
    memory, masked = Memory(model, 2), Memory(model, 2)
    masked.gaps = True
    for start, end in ((0, 3), (3, 4), (4, 5)):
        torch.testing.assert_close(memory.read(text[:, start:end]), masked.read(text[:, start:end]), atol=2e-5, rtol=1e-4)
    assert [mask is None for mask in masks] == [True, False] * 3
    memory.read(text[:, :1], real=torch.tensor([[True], [False]]))
    memory.keep(1)
    memory.read(text[:1, :1])
    assert masks[-2] is not None and masks[-1] is None  # the row with the gap is gone


@torch.no_grad()
def test_a_doubled_memory_has_one_past_and_two_futures(tiny):
    model = tiny.model().eval()
    past, one, other = torch.randint(20, 40, (3, 1, 4))
    memory = Memory(model, 1)
    memory.read(past)
    memory.double()
    both = memory.read(torch.cat([one, other]))
    for row, future in enumerate((one, other)):
        alone = Memory(model, 1)
        alone.read(past)
        torch.testing.assert_close(both[row], alone.read(future)[0], atol=2e-5, rtol=1e-4)
