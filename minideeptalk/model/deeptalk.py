"""The native spoken language model: one decoder that reads and writes text and speech side by side.

Axes: B batch, T steps, S all steps so far, Q codec streams, D width, V words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import DynamicCache, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from minideeptalk.model.attention import Attention, rotary_tables
from minideeptalk.model.configuration import DeepTalkConfig
from minideeptalk.model.experts import Experts
from minideeptalk.model.moe import MixtureOfExperts, Routing, SwiGLU
from minideeptalk.model.norm import RMSNorm
from minideeptalk.model.packing import Packing
from minideeptalk.model.router import Router, sequence_balance_loss
from minideeptalk.model.streams import WORD_STD, Adapter, AudioHeads, StreamEmbedding


class DecoderLayer(GradientCheckpointingLayer):
    """Pre-norm attention and feed-forward; layer 0 is dense, the others are mixtures of experts.

    After `model.gradient_checkpointing_enable()` only its input is kept in training, and the rest is computed again for the gradient.
    """

    def __init__(self, config: DeepTalkConfig, layer: int):
        super().__init__()
        self.attention_norm = RMSNorm(config.width, eps=1e-6)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = RMSNorm(config.width, eps=1e-6)
        self.is_moe = layer > 0
        self.feed_forward = MixtureOfExperts(config) if self.is_moe else SwiGLU(config.width, config.dense_hidden)
        self.dropout = config.dropout

    def forward(self, hidden, rotary, mask, cache, packing) -> tuple[torch.Tensor, Routing | None]:
        """(B, T, D) -> (B, T, D) and the routing of the layer, None in the dense one."""
        mixed = self.attention(self.attention_norm(hidden), rotary, mask, cache, packing)
        hidden = hidden + F.dropout(mixed, self.dropout, self.training)
        normed = self.feed_forward_norm(hidden)
        output, routing = self.feed_forward(normed) if self.is_moe else (self.feed_forward(normed), None)
        return hidden + F.dropout(output, self.dropout, self.training), routing


@dataclass
class DeepTalkOutput:
    """Hidden states (B, T, D) after the last norm, the routing of each MoE layer, and the cache."""

    hidden: torch.Tensor
    routing: list[Routing]
    cache: DynamicCache | None = None


class DeepTalkModel(PreTrainedModel):
    """Eight rows in, eight rows out, with a mixture of experts between them.

    Parts, by the names that the stages use: `embedding.text` (tied to the text head), `embedding.audio`, `adapter`,
    `layers`, `norm`, `audio_heads`.  Source: paper section on architecture; chapters 04 and 06.
    """

    config_class = DeepTalkConfig
    base_model_prefix = "deeptalk"
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: DeepTalkConfig):
        super().__init__(config)
        self.embedding = StreamEmbedding(config)
        self.adapter = Adapter(config)
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.width, eps=1e-6)
        self.audio_heads = AudioHeads(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        deep = (2 * self.config.layers) ** -0.5  # residual branches start smaller in deeper models
        fan = self.config.width ** -0.5
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=WORD_STD)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features ** -0.5)
        elif isinstance(module, RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, Attention):
            init.normal_(module.output.weight, std=fan * deep)
        elif isinstance(module, SwiGLU):
            init.normal_(module.down.weight, std=module.down.in_features ** -0.5 * deep)
        elif isinstance(module, Router):
            init.normal_(module.weight, std=fan)
        elif isinstance(module, Experts):
            init.normal_(module.gate_up_proj, std=fan)
            init.normal_(module.down_proj, std=self.config.expert_hidden ** -0.5 * deep)

    def mixtures(self) -> list[MixtureOfExperts]:
        """The mixture-of-experts blocks, from the first MoE layer to the last."""
        return [layer.feed_forward for layer in self.layers if layer.is_moe]

    def forward(
        self,
        text: torch.Tensor,
        codes: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        elapsed: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        cache: DynamicCache | None = None,
        real: torch.Tensor | None = None,
    ) -> DeepTalkOutput:
        """Run the decoder over new steps.

        Args:
            text: (B, T) word ids. codes: (B, T, Q) codec ids or None for pure text.
            frames: (B, T, ear width) heard frames, used where frame_mask (B, T) is True.
            elapsed: (B, T) steps since the word in the text row began to sound (layout `held`), 0 elsewhere.
            positions: (B, T) places for the rotary embedding; None counts steps. Where words are held, they count words
                (`streams.word_positions`), so that attention finds in speech what it learnt to find in text.
            attention_mask: (B, S) True on real steps, needed only when rows are padded on the *left*.
            cache: keys and values of earlier steps; it is extended in place.
            real: (B, T) True on steps that exist, in rows padded on the *right*, without a cache: the others are then
                not computed, and zero in all that comes back.
        """
        if real is not None:
            return self._forward_packed(Packing(real), text, codes, frames, frame_mask, elapsed, positions)
        past = cache.get_seq_length() if cache is not None else 0
        counted, mask = self._positions_and_mask(text, attention_mask, past)
        return self._decode(self._embed(text, codes, frames, frame_mask, elapsed),
                            counted if positions is None else positions, mask, cache)

    def _forward_packed(self, packing: Packing, text, codes, frames, frame_mask, elapsed, positions) -> DeepTalkOutput:
        """`forward` of a padded batch on its real steps alone: (B, T, ...) in, (1, N, ...) within, (B, T, ...) out."""
        if positions is None:
            positions = torch.arange(text.shape[1], device=text.device).expand(text.shape)
        rows = [None if row is None else packing.pack(row) for row in (text, codes, frames, frame_mask, elapsed)]
        packed = self._decode(self._embed(*rows), packing.pack(positions), packing=packing)
        routing = [Routing(*(packing.unpack(part) for part in (decided.probabilities, decided.weights, decided.indices)))
                   for decided in packed.routing]
        return DeepTalkOutput(packing.unpack(packed.hidden), routing)

    def _embed(self, text, codes, frames, frame_mask, elapsed) -> torch.Tensor:
        heard = self.adapter(frames) if frames is not None else None
        return self.embedding(text, codes, heard, frame_mask, elapsed)  # (B, T, D)

    def _decode(self, hidden, positions, mask=None, cache=None, packing=None) -> DeepTalkOutput:
        rotary = rotary_tables(positions, self.config.width // self.config.heads, self.config.rope_base)
        routing = []
        for layer in self.layers:
            hidden, decided = layer(hidden, rotary, mask, cache, packing)
            if decided is not None:
                routing.append(decided)
        return DeepTalkOutput(self.norm(hidden), routing, cache)

    @staticmethod
    def _positions_and_mask(text, attention_mask, past):
        """Step numbers (B, T) and the bool mask (B, 1, T, S), None where plain causal attention is meant."""
        batch, steps = text.shape
        if attention_mask is None:
            positions = torch.arange(past, past + steps, device=text.device).expand(batch, -1)
            if past == 0 or steps == 1:
                return positions, None
            attention_mask = torch.ones(batch, past + steps, dtype=torch.bool, device=text.device)
        positions = (attention_mask.long().cumsum(dim=1) - 1).clamp(min=0)[:, past:]  # (B, T)
        seen = torch.arange(past + steps, device=text.device)
        place = seen[past:, None]  # (T, 1)
        mask = (seen <= place)[None, None] & attention_mask[:, None, None, :].bool()  # (B, 1, T, S)
        return positions, mask | (seen == place)[None, None]  # padding may look at itself

    def text_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., V), with the text embedding as output matrix (tied, as in the paper)."""
        return F.linear(hidden, self.embedding.text.weight)

    def audio_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., Q, codes + specials)."""
        return self.audio_heads(hidden)

    def balance_loss(self, routing: list[Routing], mask: torch.Tensor) -> torch.Tensor:
        """Mean over layers of the sequence-wise balance loss; `mask` (B, T) is True on real steps."""
        losses = [sequence_balance_loss(layer.probabilities, layer.indices, mask) for layer in routing]
        return torch.stack(losses).mean()

    def active_parameters(self) -> int:
        """Parameters that one token uses: all but the routed experts it is not sent to, and what its modality has no use for."""
        total = sum(parameter.numel() for parameter in self.parameters())
        total -= sum(module.idle_parameters() for module in self.modules() if hasattr(module, "idle_parameters"))
        routed = sum(m.experts.gate_up_proj.numel() + m.experts.down_proj.numel() for m in self.mixtures())
        return total - routed + routed * self.config.experts_per_token // self.config.experts
