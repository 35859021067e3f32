"""Configuration of the speech language model, a transformers config: every number a checkpoint needs to rebuild it."""

from __future__ import annotations

from transformers import PreTrainedConfig

from minideeptalk.config import ModelSize
from minideeptalk.errors import LearnerError

COMBINE = ("mean", "sum", "weighted")
LAYOUTS = ("ahead", "aligned", "held")
DELAYS = ("none", "level", "stream")


class DeepTalkConfig(PreTrainedConfig):
    """All sizes and choices of one model.

    Args:
        vocab_size: words of the text stream (V).
        codebook_size: codes of one codec stream; its special tokens come on top (`streams.AudioToken`).
        num_codebooks: codec streams (Q), 7 as in the paper.
        ear_width: width of the frozen speech encoder's frames that the adapter reads.
        width, layers, heads: D, number of decoder layers, attention heads.
        dense_hidden: hidden width of the feed-forward in layer 0, which has no experts (paper: DeepSeek-V2-Lite).
        experts, experts_per_token, expert_hidden, shared_experts: E, K, hidden width H of one routed expert, and how
            many always-on experts of the same width each MoE layer has.
        renormalise: whether the K gate weights are divided by their sum (paper: no).
        balance_weight: weight of the sequence-wise balance loss (paper: 0.001).
        combine: `mean` (paper) or `sum` of the eight rows of a step, or a `weighted` mean in which text counts as much as all codes.
        embedding_multiplier: factor on the combined rows. The mean makes a new word eight times smaller and the new table ten; together that is
            about fifty times smaller than what the first attention adds (chapter 05 trains without the factor).
        heard_loudness: of a heard frame, beside a new word embedding; 0 leaves frames as the adapter makes them. The standard is about five
            times a trained word: quieter, more questions were understood on the validation split, but styles were lost.
        layout: where the words of a spoken answer stand: `ahead` (paper: all text first, then padding), `aligned` (each
            word at the step where its speech starts) or `held` (the same, and the word stays in the input while it sounds).
        delay: lag of the codec streams, see `streams.delays`; the paper's is `stream`.
        experts_implementation: `grouped` or `loop`; equal results, see `experts.py`.

    Raises:
        LearnerError: when two settings contradict each other.
    """

    model_type = "minideeptalk"

    def __init__(
        self,
        vocab_size: int = 160,
        codebook_size: int = 256,
        num_codebooks: int = 7,
        ear_width: int = 128,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dense_hidden: int = 384,
        experts: int = 16,
        experts_per_token: int = 2,
        expert_hidden: int = 128,
        shared_experts: int = 1,
        renormalise: bool = False,
        balance_weight: float = 0.001,
        combine: str = "mean",
        embedding_multiplier: float = 80.0,
        heard_loudness: float = 6.5,
        layout: str = "held",
        delay: str = "none",
        rope_base: float = 10_000.0,
        dropout: float = 0.0,
        experts_implementation: str = "grouped",
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.codebook_size = codebook_size
        self.num_codebooks = num_codebooks
        self.ear_width = ear_width
        self.width = width
        self.layers = layers
        self.heads = heads
        self.dense_hidden = dense_hidden
        self.experts = experts
        self.experts_per_token = experts_per_token
        self.expert_hidden = expert_hidden
        self.shared_experts = shared_experts
        self.renormalise = renormalise
        self.balance_weight = balance_weight
        self.combine = combine
        self.embedding_multiplier = embedding_multiplier
        self.heard_loudness = heard_loudness
        self.layout = layout
        self.delay = delay
        self.rope_base = rope_base
        self.dropout = dropout
        self.experts_implementation = experts_implementation
        # the names by which transformers' caches know these sizes
        self.hidden_size, self.num_hidden_layers, self.num_attention_heads = width, layers, heads
        super().__init__(**kwargs)
        self._check()

    def _check(self) -> None:
        rules = [
            (self.layers >= 2, "2 layers or more (layer 0 has no experts)", f"layers {self.layers}"),
            (self.width % (2 * self.heads) == 0, "heads that divide the width into even parts",
             f"width {self.width}, heads {self.heads}"),
            (1 <= self.experts_per_token <= self.experts, "1 <= experts_per_token <= experts",
             f"{self.experts_per_token} of {self.experts}"),
            (self.combine in COMBINE, f"combine out of {COMBINE}", repr(self.combine)),
            (self.layout in LAYOUTS, f"layout out of {LAYOUTS}", repr(self.layout)),
            (self.delay in DELAYS, f"delay out of {DELAYS}", repr(self.delay)),
            (self.experts_implementation in ("grouped", "loop"), "experts_implementation grouped or loop",
             repr(self.experts_implementation)),
            (self.experts_implementation == "loop" or self.width % 4 == self.expert_hidden % 4 == 0,
             "width and expert_hidden in multiples of 4 (the grouped product needs rows of 16 bytes; the loop does not)",
             f"width {self.width}, expert_hidden {self.expert_hidden}"),
        ]
        for holds, expected, got in rules:
            if not holds:
                raise LearnerError(expected, got)

    @property
    def moe_layers(self) -> int:
        """Layers with experts: all but layer 0."""
        return self.layers - 1

    @classmethod
    def from_size(cls, size: ModelSize, vocab_size: int, ear_width: int, **choices) -> DeepTalkConfig:
        """The config of one size of the dial, with any choice overridden by name."""
        names = ("width", "layers", "heads", "dense_hidden", "experts", "experts_per_token", "expert_hidden", "shared_experts")
        sizes = {name: getattr(size, name) for name in names}
        return cls(**{"vocab_size": vocab_size, "ear_width": ear_width, **sizes, **choices})
