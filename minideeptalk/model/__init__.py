"""The mixture-of-experts speech language model (chapters 04 and 06)."""

from minideeptalk.model.configuration import DeepTalkConfig
from minideeptalk.model.deeptalk import DeepTalkModel, DeepTalkOutput
from minideeptalk.model.experts import ExpertBank, Experts, experts_loop
from minideeptalk.model.grouped import choose_expert_path, experts_grouped
from minideeptalk.model.moe import MixtureOfExperts, Routing, SwiGLU
from minideeptalk.model.router import Router, sequence_balance_loss
from minideeptalk.model.streams import Adapter, AudioHeads, AudioToken, StreamEmbedding, delay, delays, undelay, word_positions

__all__ = [
    "Adapter", "AudioHeads", "AudioToken", "DeepTalkConfig", "DeepTalkModel", "DeepTalkOutput", "ExpertBank", "Experts",
    "MixtureOfExperts", "Router", "Routing", "StreamEmbedding", "SwiGLU", "choose_expert_path", "delay", "delays", "experts_grouped",
    "experts_loop", "sequence_balance_loss", "undelay", "word_positions",
]
