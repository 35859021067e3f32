"""The recorder counts what was executed, in our model and in others, and never guesses a modality."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts import MODALITIES, LoadRecorder, Modality, find_experts, find_routers, same_modality

MIXED = torch.tensor([[0, 0, 1, 1, 3, -1], [2, 2, 2, -1, -1, -1]])  # (B=2, T=6)


def record(moe, text, kinds, **settings):
    with LoadRecorder(moe.model, **settings) as recorder:
        recorder.modality(kinds)
        moe.run(text)
    return recorder.loads()


def chosen_by_routers(moe, text):
    """An independent view: what each router returned, (N, K) for each layer."""
    seen, handles = [], []
    for _, router in find_routers(moe.model):
        handles.append(router.register_forward_hook(lambda module, args, output: seen.append(output[2])))
    moe.run(text)
    for handle in handles:
        handle.remove()
    return seen


def test_counts_are_what_the_routers_chose_for_each_modality(any_moe, text):
    loads = record(any_moe, text, MIXED)
    for layer, chosen in enumerate(chosen_by_routers(any_moe, text)):
        for row, kind in enumerate(range(4)):
            mine = chosen[MIXED.flatten() == kind].flatten()
            assert loads.counts[row, layer].tolist() == torch.bincount(mine, minlength=8).tolist()


def test_every_counted_token_has_k_experts_and_padding_has_none(any_moe, text):
    loads = record(any_moe, text, MIXED)
    assert loads.counts.shape == (4, 2, 8)
    assert loads.tokens[:, 0].tolist() == [2, 2, 3, 1]
    assert loads.counts.sum(axis=2).tolist() == (2 * loads.tokens).tolist()


def test_the_modalities_of_the_counts_are_those_of_the_enum():
    assert tuple(kind.name.lower() for kind in Modality if kind >= 0) == MODALITIES
    assert [int(kind) for kind in Modality] == [-1, 0, 1, 2, 3]


def test_the_tasks_speak_of_the_same_modalities():
    from minideeptalk.tasks import examples

    assert examples.Modality is Modality


def test_forwards_add_up(ours, text):
    once = record(ours, text, MIXED)
    with LoadRecorder(ours.model) as recorder:
        for _ in range(3):
            recorder.modality(MIXED)
            ours.run(text)
    assert recorder.loads().counts.tolist() == (3 * once.counts).tolist()


def test_cached_decoding_is_counted_step_by_step(ours, text):
    from transformers import DynamicCache

    whole = record(ours, text, MIXED)
    cache = DynamicCache()
    with LoadRecorder(ours.model) as recorder, torch.no_grad():
        for part in (slice(0, 4), slice(4, 5), slice(5, 6)):
            recorder.modality(MIXED[:, part])
            ours.model(text[:, part], cache=cache)
    assert recorder.loads().counts.tolist() == whole.counts.tolist()


def test_recording_changes_nothing_and_leaves_nothing_behind(any_moe, text):
    before = any_moe.run(text)
    with LoadRecorder(any_moe.model) as recorder:
        recorder.modality(MIXED)
        during = any_moe.run(text)
    assert torch.equal(before, during)
    assert torch.equal(before, any_moe.run(text))  # not announced, and no hook is left to complain
    assert not any(module._forward_pre_hooks for module in any_moe.model.modules())


def test_an_open_bank_of_experts_is_counted_under_the_experts_own_numbers(ours, text):
    from minideeptalk.experts.partition import only_experts

    with only_experts(ours.model, [[1, 4, 6], [0, 2, 7]]):
        loads = record(ours, text, MIXED)
    assert loads.counts[:, 0, [0, 2, 3, 5, 7]].sum() == 0 and loads.counts[:, 1, [1, 3, 4, 5, 6]].sum() == 0
    assert loads.counts.sum() == 2 * 2 * 8


def test_a_model_with_lora_on_its_experts_is_recorded(olmoe, text):
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=2, target_modules=[], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])
    plain = record(olmoe, text, MIXED)
    wrapped = peft.get_peft_model(olmoe.model, settings)
    with LoadRecorder(wrapped) as recorder:
        recorder.modality(MIXED)
        olmoe.run(text, wrapped)
    assert recorder.loads().counts.tolist() == plain.counts.tolist()


def test_one_modality_for_a_whole_padded_batch():
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert same_modality(mask, Modality.AUDIO_PROMPT).tolist() == [[1, 1, -1], [1, -1, -1]]


def test_a_forward_that_was_not_announced_is_refused(ours, text):
    with LoadRecorder(ours.model) as recorder:
        with pytest.raises(LearnerError, match="not announced"):
            ours.run(text)
        recorder.modality(MIXED)
        ours.run(text)
        with pytest.raises(LearnerError, match="once for several forwards"):
            ours.run(text)


@pytest.mark.parametrize("wrong, message", [
    (torch.zeros(2, 5, dtype=torch.long), "modalities of 12 tokens"),
    (torch.full((2, 6), 7), "integers of Modality"),
    (torch.ones(2, 6), "integers of Modality"),
    (torch.ones(2, 6, dtype=torch.bool), "attention mask"),
])
def test_wrong_modalities_are_explained(ours, text, wrong, message):
    with LoadRecorder(ours.model) as recorder, pytest.raises(LearnerError, match=message):
        recorder.modality(wrong)
        ours.run(text)


def test_a_dense_model_is_refused_with_advice():
    with pytest.raises(LearnerError, match="mixture-of-experts layers, got Linear"):
        LoadRecorder(torch.nn.Linear(2, 2))


def test_stacks_of_different_size_are_refused(ours):
    other = find_experts(ours.model)[0][1]
    other.num_experts = 4
    with pytest.raises(LearnerError, match="same number of experts"):
        LoadRecorder(ours.model)


def test_loads_before_any_forward_are_refused(ours):
    with pytest.raises(LearnerError, match="at least one forward"):
        LoadRecorder(ours.model).loads()
