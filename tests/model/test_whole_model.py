"""The model is a transformers model: it saves and loads bit for bit, is causal, and gives the same with and without a cache."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import DynamicCache

from minideeptalk.errors import LearnerError
from minideeptalk.model import AudioToken, DeepTalkConfig, DeepTalkModel
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.training.losses import batch_loss


def inputs(tiny, **choices):
    return tiny.batch(tiny.builder(**choices)).model_inputs()


# ---- checkpoints -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_saved_model_comes_back_bit_for_bit_and_loading_it_warns_of_nothing(tiny, tmp_path):
    model = tiny.model(layout="ahead", delay="stream", balance_weight=0.02).eval()
    model.save_pretrained(tmp_path)
    loaded, report = DeepTalkModel.from_pretrained(tmp_path, local_files_only=True, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert set(loaded.state_dict()) == set(model.state_dict())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    batch = inputs(tiny, layout="ahead", delay="stream")
    assert torch.equal(loaded.eval()(**batch).hidden, model(**batch).hidden)


def test_a_checkpoint_knows_every_choice_and_holds_no_pickle(tiny, tmp_path):
    model = tiny.model(layout="aligned", delay="level", renormalise=True, combine="sum", experts_per_token=3)
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    loaded = DeepTalkModel.from_pretrained(tmp_path, local_files_only=True)
    ours = {name: value for name, value in model.config.to_dict().items() if not name.startswith("_")}
    assert {name: loaded.config.to_dict()[name] for name in ours} == ours | {"architectures": ["DeepTalkModel"]}
    assert loaded.mixtures()[0].router.renormalise and loaded.mixtures()[0].router.experts_per_token == 3


def test_a_checkpoint_with_a_hole_is_not_filled_with_random_numbers(tiny, tmp_path):
    place = tmp_path / "stages" / "3-joint"
    tiny.model().save_pretrained(place)
    tensors = load_file(place / "model.safetensors")
    del tensors[next(name for name in tensors if name.endswith("down_proj"))]
    save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LearnerError, match="tensors missing"):
        load_stage(tmp_path, "3-joint")


def test_the_same_seed_builds_the_same_model(tiny):
    first, second, third = (tiny.model(seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["embedding.text.weight"], third["embedding.text.weight"])


@pytest.mark.parametrize("choices, message", [
    ({"heads": 3}, "heads that divide the width into even parts, got width 16, heads 3"),
    ({"layers": 1}, r"2 layers or more \(layer 0 has no experts\), got layers 1"),
    ({"experts_per_token": 9}, "1 <= experts_per_token <= experts, got 9 of 8"),
    ({"experts_per_token": 0}, "got 0 of 8"),
    ({"layout": "behind"}, "layout out of"), ({"delay": "long"}, "delay out of"), ({"combine": "max"}, "combine out of"),
    ({"experts_implementation": "fast"}, "experts_implementation grouped or loop, got 'fast'"),
    ({"expert_hidden": 6}, "multiples of 4 .*got width 16, expert_hidden 6"),
])
def test_settings_that_contradict_each_other_are_explained(tiny, choices, message):
    with pytest.raises(LearnerError, match=message):
        tiny.config(**choices)


def test_a_size_of_the_dial_may_be_overridden_by_name(tiny):
    size = tiny.size().model
    config = DeepTalkConfig.from_size(size, 40, 6, experts=8, layers=2, layout="ahead")
    assert (config.experts, config.layers, config.layout) == (8, 2, "ahead")
    assert (config.vocab_size, config.ear_width, config.width, config.expert_hidden) == (40, 6, size.width, size.expert_hidden)


def test_the_loop_takes_any_width_of_expert(tiny):
    model = tiny.model(expert_hidden=6, experts_implementation="loop")
    assert model(torch.tensor([[1, 20, 2]])).hidden.isfinite().all()


def test_layer_0_is_dense_and_all_others_are_mixtures_with_experts_that_are_always_on(tiny):
    model = tiny.model(shared_experts=2)
    assert [layer.is_moe for layer in model.layers] == [False, True, True]
    assert model.config.moe_layers == len(model.mixtures()) == 2
    assert model.mixtures()[0].shared.down.in_features == 2 * model.config.expert_hidden
    assert tiny.model(shared_experts=0).mixtures()[0].shared is None


def test_active_parameters_are_those_of_a_model_with_k_experts(tiny):
    eight, two = tiny.model(), tiny.model(experts=2)
    routers = sum(8 * 16 - 2 * 16 for _ in eight.mixtures())  # every token pays for all router columns
    assert eight.active_parameters() == sum(parameter.numel() for parameter in two.parameters()) + routers


# ---- time --------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_no_step_sees_a_later_one(tiny):
    model, batch = tiny.model().eval(), inputs(tiny)
    before = model(**batch).hidden
    changed = {name: value.clone() for name, value in batch.items()}
    changed["text"][:, 6:] = 20
    changed["codes"][:, 6:] = 3
    changed["frames"][:, 6:] += 1.0
    after = model(**changed).hidden
    torch.testing.assert_close(after[:, :6], before[:, :6], atol=1e-5, rtol=1e-5)
    assert (after[:, 6:] - before[:, 6:]).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("pieces", [(1,) * 12, (5, 7), (4, 1, 6, 1)])
def test_steps_in_pieces_with_a_cache_equal_all_steps_at_once(tiny, pieces):
    model = tiny.model().eval()
    batch = {name: value[:, :12] for name, value in inputs(tiny).items()}
    whole = model(**batch).hidden
    cache, start, parts = DynamicCache(config=model.config), 0, []
    for length in pieces:
        piece = {name: value[:, start:start + length] for name, value in batch.items()}
        parts.append(model(**piece, cache=cache).hidden)
        start += length
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_padding_on_the_left_with_a_mask_changes_nothing(tiny):
    model = tiny.model().eval()
    batch = {name: value[:, :10] for name, value in inputs(tiny).items()}
    whole = model(**batch).hidden
    empty = {"text": 0, "codes": 8 + AudioToken.PAD, "frames": 0.0, "frame_mask": False, "elapsed": 0, "positions": 0}
    padded = {name: torch.cat([torch.full_like(value[:, :3], empty[name]), value], dim=1) for name, value in batch.items()}
    mask = torch.ones(padded["text"].shape, dtype=torch.bool)
    mask[:, :3] = False
    moved = model(**padded, attention_mask=mask).hidden
    torch.testing.assert_close(moved[:, 3:], whole, atol=2e-5, rtol=1e-4)
    assert moved.isfinite().all()


def test_order_matters(tiny):
    """Rotary positions: the same words in another order give another last step."""
    model = tiny.model().eval()
    one, other = model(torch.tensor([[1, 20, 30, 2], [1, 30, 20, 2]])).hidden[:, -1]
    assert (one - other).abs().max() > 0.01


# ---- learning ----------------------------------------------------------------------------------------------------------


def test_every_parameter_that_a_batch_of_all_tasks_uses_gets_a_gradient(tiny):
    model = tiny.model()
    batch_loss(model, tiny.batch(tiny.builder())).total.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.isfinite().all()] == []


def test_the_text_head_is_the_text_table(tiny):
    model = tiny.model()
    model.text_logits(torch.ones(1, 16)).sum().backward()
    assert (model.embedding.text.weight.grad == 1.0).all()


def lora(model):
    targets = ["experts.gate_up_proj", "experts.down_proj"]
    return get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=[], target_parameters=targets))


def test_lora_on_the_fused_experts_is_exact_at_first_and_trains_the_adapter_alone(tiny):
    model, batch = tiny.model().eval(), tiny.batch(tiny.builder())
    with torch.no_grad():
        before = model(**batch.model_inputs()).hidden
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    adapted = lora(model)
    torch.testing.assert_close(adapted(**batch.model_inputs()).hidden, before)
    trained = {name: parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert len(trained) == 8 and all("lora_" in name and ".experts." in name for name in trained)  # 2 layers, 2 weights, A and B

    optimizer = torch.optim.AdamW(trained.values(), lr=0.05, weight_decay=0.1)
    losses = []
    for _ in range(6):
        parts = batch_loss(adapted, batch)
        parts.total.backward()
        losses.append(parts.total.item())
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    after = {name.replace("base_layer.", ""): value for name, value in adapted.get_base_model().state_dict().items() if "lora_" not in name}
    assert set(after) == set(weights) and all(torch.equal(after[name], value) for name, value in weights.items())


@torch.no_grad()
def test_a_merged_adapter_is_an_ordinary_model_again(tiny):
    adapted, batch = lora(tiny.model().eval()), inputs(tiny)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.normal_(std=0.1)
    expected = adapted(**batch).hidden
    merged = adapted.merge_and_unload()
    assert isinstance(merged, DeepTalkModel) and set(merged.state_dict()) == set(tiny.model().state_dict())
    torch.testing.assert_close(merged(**batch).hidden, expected, atol=1e-5, rtol=1e-4)
