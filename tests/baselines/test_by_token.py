"""Tokens kept to the experts of their modality: what text passes through stays byte for byte, and no written token strays."""

import torch

from minideeptalk.baselines.by_token import own_bank, stages
from minideeptalk.baselines.routing import keep_to_own_experts
from minideeptalk.config import size_config
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import trainable_only
from minideeptalk.training.losses import batch_loss


def _parted(tiny):
    model = tiny.model()
    selection = Selection(((1, 4, 6),) * len(model.mixtures()), model.config.experts, "by hand")
    return keep_to_own_experts(model, selection), selection


def test_text_reaches_text_experts_alone_and_an_audio_step_the_audio_experts_alone(tiny):
    model, selection = _parted(tiny)
    written = torch.tensor([[7, 8, 9]])
    codes = torch.zeros(1, 3, model.config.num_codebooks, dtype=torch.long)
    with torch.no_grad():
        read, spoken = model(written).routing, model(written, codes).routing
    for audio_experts, of_text, of_speech in zip(selection.audio_experts, read, spoken):
        assert not set(of_text.indices.flatten().tolist()) & set(audio_experts)
        assert set(of_speech.indices.flatten().tolist()) <= set(audio_experts)


def test_stage_2_1_moves_the_audio_experts_and_not_a_byte_of_the_others(tiny):
    model, selection = _parted(tiny)
    stage = next(stage for stage in stages(size_config("nano")) if stage.code == "2.1")
    before = [mixture.experts.gate_up_proj.detach().clone() for mixture in model.mixtures()]
    batch = tiny.batch(tiny.builder())
    with own_bank(model, stage, selection):
        trained = trainable_only(model, stage.trainable)
        optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
        batch_loss(model, batch).total.backward()
        optimizer.step()
    for mixture, old, audio in zip(model.mixtures(), before, selection.audio_experts):
        moved = [not torch.equal(one, other) for one, other in zip(mixture.experts.gate_up_proj, old)]
        assert [expert for expert, changed in enumerate(moved) if changed] == list(audio)
        assert mixture.experts.bank is None


def test_a_bank_beside_the_others_gives_the_same_output_as_no_bank(tiny):
    model, selection = _parted(tiny)
    batch = tiny.batch(tiny.builder())
    stage = next(stage for stage in stages(size_config("nano")) if stage.code == "2.1")
    with torch.no_grad():
        plain = model(**batch.model_inputs()).hidden
        with own_bank(model, stage, selection):
            assert torch.equal(model(**batch.model_inputs()).hidden, plain)
