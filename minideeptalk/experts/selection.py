"""Which experts speak: from audio load and text load to a list of audio experts for every layer.

The paper's rule: per layer, the experts with the largest `rho_A * (1 - rho_T)` become audio experts, all others stay
text experts (Algorithm 1).  The other formulas are its rivals in the ablation.
Axes: L layers with experts, E experts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minideeptalk.errors import LearnerError
from minideeptalk.experts.loads import NORMALISERS, ExpertLoads

_SMALLEST_TEXT_LOAD = 1e-9  # keeps `ratio` finite for an expert that no text token reaches

MEASURED = {
    "product": lambda audio, text: audio * (1 - text),
    "difference": lambda audio, text: audio - text,
    "ratio": lambda audio, text: audio / (text + _SMALLEST_TEXT_LOAD),
    "audio_only": lambda audio, text: audio,
    "worst_first": lambda audio, text: -audio * (1 - text),
}
FORMULAS = (*MEASURED, "random", "by_index")


@dataclass(frozen=True)
class Selection:
    """The audio experts of every MoE layer, and how they were found.

    Args:
        audio_experts: for each MoE layer (dense layers are not in the list), its audio experts in rising order.
        experts: E, so that the complement is known.
        formula, normaliser, seed: how the scores were made.
        scores: (L, E) float64, larger is more audio; None when the list came from elsewhere.
    """

    audio_experts: tuple[tuple[int, ...], ...]
    experts: int
    formula: str = "given"
    normaliser: str = "none"
    seed: int = 0
    scores: np.ndarray | None = None

    def __post_init__(self):
        for layer, chosen in enumerate(self.audio_experts):
            distinct = len(set(chosen)) == len(chosen) and 0 < len(chosen) < self.experts
            if not distinct or not all(0 <= expert < self.experts for expert in chosen):
                raise LearnerError(f"between 1 and {self.experts - 1} distinct audio experts out of 0 to {self.experts - 1}",
                                   f"{list(chosen)} in MoE layer {layer}", "the list belongs to another model",
                                   "select again with this model's loads")

    @property
    def num_layers(self) -> int:
        """L, the layers with experts."""
        return len(self.audio_experts)

    def text_experts(self, layer: int) -> tuple[int, ...]:
        """The complement: the text experts of MoE layer `layer` (0 is the first layer that has experts)."""
        return tuple(expert for expert in range(self.experts) if expert not in self.audio_experts[layer])

    def overlap(self, other: Selection) -> float:
        """How many audio experts of a layer two selections share, averaged over layers."""
        if self.num_layers != other.num_layers:
            raise LearnerError(f"a selection of {self.num_layers} layers", f"one of {other.num_layers}")
        return float(np.mean([len(set(mine) & set(theirs)) for mine, theirs in zip(self.audio_experts, other.audio_experts)]))

    def to_dict(self) -> dict:
        """Plain JSON types; `audio_experts` is the list of lists that the paper's code reads."""
        return {"audio_experts": [list(chosen) for chosen in self.audio_experts], "experts": self.experts,
                "formula": self.formula, "normaliser": self.normaliser, "seed": self.seed,
                "scores": None if self.scores is None else self.scores.tolist()}

    @classmethod
    def from_dict(cls, stored: dict) -> Selection:
        """The inverse of `to_dict`."""
        missing = [key for key in ("audio_experts", "experts") if key not in stored]
        if missing:
            raise LearnerError("a stored selection", f"one without {', '.join(missing)}",
                               "the file holds something else", "write it with Selection.save")
        scores = stored.get("scores")
        return cls(tuple(tuple(chosen) for chosen in stored["audio_experts"]), stored["experts"], stored.get("formula", "given"),
                   stored.get("normaliser", "none"), stored.get("seed", 0),
                   None if scores is None else np.asarray(scores, dtype=np.float64))

    def save(self, path: str | Path) -> None:
        """Write the selection as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Selection:
        """Read what `save` wrote.

        Raises:
            LearnerError: if the file is missing or is not a stored selection.
        """
        try:
            stored = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LearnerError("a file with a selection", f"no file at {path}", "expert selection has not run",
                               "run the profile and selection stages first") from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise LearnerError("a JSON file with a selection", f"{path}, which is not JSON") from None
        if not isinstance(stored, dict):
            raise LearnerError("a JSON object with 'audio_experts' and 'experts'", f"a {type(stored).__name__}",
                               "a bare list of lists does not say how many experts there are",
                               "build Selection(audio_experts=lists, experts=E) from it")
        return cls.from_dict(stored)


def select_audio_experts(loads: ExpertLoads, count: int, formula: str = "product", normaliser: str = "max",
                         seed: int = 0) -> Selection:
    """Choose `count` audio experts in every layer.

    Formulas, with a = audio load and t = text load: `product` a * (1 - t) (paper), `difference` a - t, `ratio` a / t,
    `audio_only` a, `worst_first` the product upside down, `random` (by `seed`, which the others ignore), and
    `by_index`, the last experts of each layer, as MoST splits its experts.  Of equal scores the lower index wins.

    The default normaliser is `max`; the paper's is not known.  The choice is not cosmetic.  When loads sum to 1 over E experts
    (`share`), a text load is near 1 / E, so 1 - t is near 1 for every expert, and the product ranks as `audio_only` does:
    the text term is nearly inert.  When the busiest expert counts as 1 (`max`), an expert that text needs is really
    held back, which is what the rule is for.

    Args:
        loads: what a `LoadRecorder` counted on audio and on text.
        count: audio experts in a layer, 1 to E - 1 (paper: 6 of 64).

    Raises:
        LearnerError: for a count, formula or normaliser that cannot be, or loads without one of the modalities.

    Source: paper, Algorithm 1; chapters 07 and 08.
    """
    if formula not in FORMULAS:
        raise LearnerError(f"a formula out of {', '.join(FORMULAS)}", repr(formula), next_step="product is the paper's")
    if normaliser not in NORMALISERS:
        raise LearnerError(f"a normaliser out of {', '.join(NORMALISERS)}", repr(normaliser))
    if not 1 <= count < loads.num_experts:
        raise LearnerError(f"between 1 and {loads.num_experts - 1} audio experts", f"{count}",
                           "text needs at least one expert of its own, and so does audio",
                           f"choose a count below the {loads.num_experts} experts of a layer")
    scores = _scores(loads, formula, normaliser, seed)  # (L, E)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]  # (L, count), stable: ties go to the lower index
    chosen = tuple(tuple(sorted(int(expert) for expert in layer)) for layer in order)
    return Selection(chosen, loads.num_experts, formula, normaliser, seed, scores)


def _scores(loads: ExpertLoads, formula: str, normaliser: str, seed: int) -> np.ndarray:
    shape = (loads.num_layers, loads.num_experts)
    if formula == "random":
        return np.random.default_rng(seed).random(shape)
    if formula == "by_index":
        return np.broadcast_to(np.arange(loads.num_experts, dtype=np.float64), shape).copy()
    audio, text = loads.share(normaliser)  # (L, E), (L, E)
    return MEASURED[formula](audio, text)
