"""Who is chosen to speak: load against selection score, with formula, normaliser and number to choose, on a page without a kernel (chapter 08)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from html import escape

from minideeptalk.errors import LearnerError
from minideeptalk.experts import FORMULAS, NORMALISERS, ExpertLoads, select_audio_experts
from minideeptalk.viz.embed import read_resource
from minideeptalk.viz.style import join_words

STYLE = (".selection-explorer svg{max-width:100%;height:auto;font-size:12px}.selection-explorer svg text{fill:currentColor}"
         ".selection-explorer [data-choice]{border:0;padding:0;margin:0 0 .5rem}.selection-explorer legend{font-size:.9rem;float:none;padding:0;margin:0}"
         ".selection-explorer button{margin:.1rem .3rem .1rem 0;padding:.3rem .7rem;border:1px solid #767676;border-radius:.4rem;background:transparent;"
         "color:inherit;font:inherit}.selection-explorer button[aria-pressed=true]{border-color:#D55E00;box-shadow:inset 0 0 0 1.5px #D55E00;font-weight:600}"
         ".selection-explorer input{width:100%;max-width:24rem;display:block;min-height:1.75rem}.selection-explorer [data-tells] ul{margin:0;padding-left:1.2rem}")


@dataclass(frozen=True)
class SelectionExplorer:
    """The experts of one layer as points, text load against audio load, with those that a formula chooses.

    The line is the formula's border between the chosen and the others; `random` and `by_index` have none. Scores are computed here,
    by the library, so the page ranks them and nothing more. Controls are buttons and a slider; without JavaScript a list is left.

    Args:
        loads: what a `LoadRecorder` counted. count: audio experts at first. seed: of the formula `random`. first_layer: number of the first layer
            with experts.

    Raises:
        LearnerError: for a count that leaves one side without experts.
    """

    loads: ExpertLoads
    count: int
    seed: int = 0
    first_layer: int = 1

    def __post_init__(self):
        if not 1 <= self.count < self.loads.num_experts:
            raise LearnerError(f"between 1 and {self.loads.num_experts - 1} audio experts", f"{self.count}")

    def data(self) -> dict:
        """What the page needs: loads and scores by normaliser, shares, names and the start."""
        scores = {formula: {normaliser: select_audio_experts(self.loads, self.count, formula, normaliser, self.seed).scores.tolist()
                            for normaliser in NORMALISERS} for formula in FORMULAS}
        return {"loads": {name: self.loads.share(name).tolist() for name in NORMALISERS}, "shares": self.loads.share("share").tolist(),
                "scores": scores, "layers": [f"layer {self.first_layer + layer}" for layer in range(self.loads.num_layers)],
                "start": {"formula": "product", "normaliser": "max", "layer": 0, "count": self.count}}

    def _repr_html_(self) -> str:
        text = json.dumps(self.data(), separators=(",", ":"))
        name = f"selection-{blake2b(text.encode(), digest_size=6).hexdigest()}"
        chosen = select_audio_experts(self.loads, self.count, seed=self.seed).audio_experts
        layers = [f"layer {self.first_layer + layer}" for layer in range(len(chosen))]
        fallback = "".join(f"<li>{layer}: {join_words(map(str, experts))}</li>" for layer, experts in zip(layers, chosen))
        controls = (self._choice("layer", "Layer", [(str(number), layer) for number, layer in enumerate(layers)], "0")
                    + self._choice("formula", "Formula", [(formula, formula.replace("_", " ")) for formula in FORMULAS], "product")
                    + self._choice("normaliser", "Normaliser", [(one, one) for one in NORMALISERS], "max") + self._range(name))
        return (f'<div class="selection-explorer" id="{name}" data-explorer="selection" role="group" aria-label="Explorer of load and selection score">'
                f"<style>{STYLE}</style><div data-controls hidden>{controls}</div>"
                '<svg viewBox="0 0 400 360" width="520" role="img" aria-label="Experts by text load and audio load"></svg>'
                f'<div data-tells role="status"><strong>{self.count} audio experts by product, normaliser max</strong><ul>{fallback}</ul></div>'
                f'<script type="application/json">{text}</script>'
                f'<script>{read_resource("selection.js")}exploreSelection(document.getElementById("{name}"));</script></div>')

    @staticmethod
    def _choice(name: str, title: str, options: list[tuple[str, str]], active: str) -> str:
        buttons = "".join(f'<button type="button" data-value="{escape(value)}" aria-pressed="{str(value == active).lower()}">{escape(words)}</button>'
                          for value, words in options)
        return f'<fieldset data-choice="{name}"><legend>{title}</legend>{buttons}</fieldset>'

    def _range(self, name: str) -> str:
        return (f'<label for="{name}-count">Audio experts in a layer: <span data-count>{self.count}</span></label>'
                f'<input id="{name}-count" type="range" min="1" max="{self.loads.num_experts - 1}" value="{self.count}" '
                f'aria-valuetext="{self.count} audio experts">')
