"""The load of every expert: counts by modality, and three ways to turn a count into a load between 0 and 1.

Axes: L layers with experts, E experts, K chosen experts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minideeptalk.errors import LearnerError

MODALITIES = ("text_prompt", "audio_prompt", "text_answer", "spoken_answer")  # rows of the counts
GROUPS = ("audio", "text")  # rows of a share
NORMALISERS = ("max", "share", "fraction")


@dataclass(frozen=True)
class ExpertLoads:
    """Assignments counted by a `LoadRecorder`.

    Args:
        counts: (4, L, E) float64: how many tokens of each modality (`MODALITIES`) each expert received.
        tokens: (4, L) float64: how many tokens of each modality passed each layer.
        layers: (L,) names of the layers.
        count_prompts: whether prompts belong to the load of their modality.  The paper speaks of "unimodal audio and
            text inputs", so the default counts them; False counts answers only.
    """

    counts: np.ndarray
    tokens: np.ndarray
    layers: tuple[str, ...]
    count_prompts: bool = True

    def __post_init__(self):
        shape = (len(MODALITIES), len(self.layers))
        if self.counts.ndim != 3 or self.counts.shape[:2] != shape or self.tokens.shape != shape:
            raise LearnerError(f"counts {(*shape, 'E')} and tokens {shape}", f"{self.counts.shape} and {self.tokens.shape}",
                               "axes in another order", "the order is modality, layer, expert")

    @property
    def num_layers(self) -> int:
        """L, the layers with experts."""
        return self.counts.shape[1]

    @property
    def num_experts(self) -> int:
        """E, the routed experts of a layer."""
        return self.counts.shape[2]

    def _rows(self, group: str) -> list[int]:
        answer, prompt = ("spoken_answer", "audio_prompt") if group == "audio" else ("text_answer", "text_prompt")
        names = (prompt, answer) if self.count_prompts else (answer,)
        return [MODALITIES.index(name) for name in names]

    def share(self, normaliser: str = "max") -> np.ndarray:
        """Audio load and text load of every expert, the paper's rho^A and rho^T.

        The paper leaves the normaliser open, so it is a choice here:

        - `share`: the layer's assignments, divided up; sums to 1 over experts;
        - `fraction`: the fraction of tokens that hit the expert; sums to K;
        - `max`: scaled by the busiest expert of the layer, whose load is 1.

        Returns:
            (2, L, E) float64, audio first: `audio, text = loads.share()`.

        Raises:
            LearnerError: for an unknown normaliser, or when a modality was never seen.
        """
        if normaliser not in NORMALISERS:
            raise LearnerError(f"a normaliser out of {', '.join(NORMALISERS)}", repr(normaliser))
        return np.stack([self._normalised(group, normaliser) for group in GROUPS])

    def _normalised(self, group: str, normaliser: str) -> np.ndarray:
        rows = self._rows(group)
        counts, tokens = self.counts[rows].sum(axis=0), self.tokens[rows].sum(axis=0)  # (L, E), (L,)
        if not counts.sum(axis=1).all():
            kind = "prompts or answers" if self.count_prompts else "answers (prompts are not counted)"
            raise LearnerError(f"some {group} {kind} in every layer", "none",
                               f"the recorder saw no batch with {group} tokens",
                               "record a batch of each modality, or set count_prompts=True")
        divisor = {"share": counts.sum(axis=1), "fraction": tokens, "max": counts.max(axis=1)}[normaliser]  # (L,)
        return counts / divisor[:, None]

    def merge(self, other: ExpertLoads) -> ExpertLoads:
        """Counts of two recordings of the same model added up.

        Raises:
            LearnerError: if layers, experts or the prompt policy differ.
        """
        mine = (self.counts.shape, self.layers, self.count_prompts)
        theirs = (other.counts.shape, other.layers, other.count_prompts)
        if mine != theirs:
            raise LearnerError(f"loads of the same model and policy: {mine}", f"{theirs}",
                               next_step="record both with the same model and the same count_prompts")
        return ExpertLoads(self.counts + other.counts, self.tokens + other.tokens, self.layers, self.count_prompts)

    def to_dict(self) -> dict:
        """Plain JSON types, for run records."""
        return {"modalities": list(MODALITIES), "layers": list(self.layers), "count_prompts": self.count_prompts,
                "counts": self.counts.tolist(), "tokens": self.tokens.tolist()}

    @classmethod
    def from_dict(cls, stored: dict) -> ExpertLoads:
        """The inverse of `to_dict`.

        Raises:
            LearnerError: if the modalities are not the ones of this version.
        """
        if tuple(stored.get("modalities", ())) != MODALITIES:
            raise LearnerError(f"modalities {', '.join(MODALITIES)}", f"{stored.get('modalities')}",
                               "the record is of another version, or is no expert load", "record the loads again")
        return cls(np.asarray(stored["counts"], dtype=np.float64), np.asarray(stored["tokens"], dtype=np.float64),
                   tuple(stored["layers"]), bool(stored["count_prompts"]))
