"""Tiny random-weight MoE models, ours and those of transformers, built without network: E = 8, K = 2, two layers with experts."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from minideeptalk.experts import ExpertLoads, find_routers
from minideeptalk.model import DeepTalkConfig, DeepTalkModel

EXPERTS, CHOSEN, LAYERS = 8, 2, 2
COMMON = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": LAYERS, "num_attention_heads": 2,
          "num_key_value_heads": 2, "num_experts_per_tok": CHOSEN, "max_position_embeddings": 64, "pad_token_id": 0,
          "bos_token_id": 1, "eos_token_id": 2}
LATENT = {"n_routed_experts": EXPERTS, "n_shared_experts": 1, "moe_intermediate_size": 12, "first_k_dense_replace": 1,
          "num_hidden_layers": LAYERS + 1, "kv_lora_rank": 8, "q_lora_rank": None, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
          "v_head_dim": 8, "n_group": 1, "topk_group": 1}
FAMILIES = {
    "olmoe": {"num_experts": EXPERTS},
    "qwen2_moe": {"num_experts": EXPERTS, "moe_intermediate_size": 12, "shared_expert_intermediate_size": 12, "decoder_sparse_step": 1},
    "mixtral": {"num_local_experts": EXPERTS},
    "deepseek_v2": dict(LATENT, topk_method="greedy"),
    "deepseek_v3": dict(LATENT),
    "gpt_oss": {"num_local_experts": EXPERTS, "head_dim": 8},
}


def transformers_moe(family):
    """A tiny causal language model whose routers and selection biases are random enough to use many experts."""
    config = AutoConfig.for_model(family, **{**COMMON, **FAMILIES[family]})
    model = AutoModelForCausalLM.from_config(config)
    for _, router in find_routers(model):
        torch.nn.init.normal_(router.weight)
        if hasattr(router, "e_score_correction_bias"):
            router.e_score_correction_bias.uniform_(0.0, 0.5)
    return model


def our_model():
    """A tiny `DeepTalkModel`."""
    return DeepTalkModel(DeepTalkConfig(vocab_size=40, width=16, heads=2, layers=LAYERS + 1, dense_hidden=24, experts=EXPERTS,
                                        experts_per_token=CHOSEN, expert_hidden=8, ear_width=8, codebook_size=8))


def tiny(family):
    """The model of a family, and `run(text) -> tensor` that calls it."""
    torch.manual_seed(0)
    model = (our_model() if family == "ours" else transformers_moe(family)).eval()

    @torch.no_grad()
    def run(text, called=model):
        output = called(text)
        return output.hidden if family == "ours" else output.logits

    return SimpleNamespace(model=model, run=run, family=family)


@pytest.fixture(params=["ours", *FAMILIES])
def any_moe(request):
    return tiny(request.param)


@pytest.fixture
def ours():
    return tiny("ours")


@pytest.fixture
def olmoe():
    return tiny("olmoe")


@pytest.fixture
def mixtral():
    return tiny("mixtral")


@pytest.fixture
def text():
    """Twelve token ids, (B=2, T=6)."""
    return torch.randint(3, 40, (2, 6), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make_loads():
    """`make_loads(audio, text, k=1)`: loads of answers from two (L, E) tables of counts."""

    def make(audio, text, chosen=1, **settings):
        audio, text = np.asarray(audio, dtype=float), np.asarray(text, dtype=float)
        counts = np.stack([np.zeros_like(text), np.zeros_like(audio), text, audio])
        return ExpertLoads(counts, counts.sum(axis=2) / chosen, tuple(f"layer{i}" for i in range(len(audio))), **settings)

    return make
