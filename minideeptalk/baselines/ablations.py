"""Ablations as arms: each row changes one choice of `deeptalk-aligned` (chapter 14); the table of rows is `ABLATIONS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from minideeptalk.config import SizeConfig
from minideeptalk.experts import NORMALISERS, Modality
from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.talker import Talker
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import IGNORE, Batch, SpokenSet
from minideeptalk.training.arm import ALIGNED, Arm
from minideeptalk.training.losses import LossParts, batch_loss
from minideeptalk.training.preparation import Tools
from minideeptalk.training.profile import THE_PAPERS, ByLoad
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import measure
from minideeptalk.training.stages import EVERYTHING, Stage, merged, speech_stages
from minideeptalk.world import Tokenizer


def _arm(name: str, changes: str, **fields) -> Arm:
    return replace(ALIGNED, name=name, changes=changes, rates_of=ALIGNED.name, **fields)


# ---- who speaks --------------------------------------------------------------------------------------------------------


RANKED_APART = {"product": NORMALISERS, "difference": ("max", "share"), "ratio": ("max",)}
"""Normalisers under which a formula ranks otherwise: a factor of both loads drops out of a ratio, and of the order of differences."""


def formulas() -> list[Arm]:
    """Every formula with every normaliser that can change its ranking."""
    rules = [ByLoad(formula, normaliser) for formula, normalisers in RANKED_APART.items() for normaliser in normalisers]
    rules += [ByLoad("audio_only"), ByLoad("worst_first")]
    return [_arm(f"formula-{rule.formula}-{rule.normaliser}", f"experts chosen by {rule.formula} of loads, by {rule.normaliser}",
                 select=rule) for rule in rules if rule != THE_PAPERS]


def counts() -> list[Arm]:
    """Audio experts of a layer: below, at and above top-k, beside the recipe's own number."""
    return [_arm(f"audio-experts-{count}", f"{count} audio experts in a layer", select=ByLoad(count=count))
            for count in (1, 2, 6, 8)]


UNIMODAL = _arm("loads-apart", "text load is counted on batches of text alone, not on the words beside speech", select=ByLoad(unimodal=True))


# ---- stages ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """The recipe's stages with some fields of the stages in `codes` changed."""

    codes: tuple[str, ...]
    also: tuple[str, ...] = ()
    trainable: tuple[str, ...] | None = None
    rate: float = 1.0

    def __call__(self, size: SizeConfig) -> list[Stage]:
        return [self._change(stage) if stage.code in self.codes else stage for stage in speech_stages(size)]

    def _change(self, stage: Stage) -> Stage:
        parts = (*(self.trainable or stage.trainable), *self.also)
        return replace(stage, trainable=parts, learning_rate=stage.learning_rate * self.rate)


def without_1(size: SizeConfig) -> list[Stage]:
    """Stage 2.1 does the alignment too; loads are measured before the model ever heard anything."""
    align, audio, text, joint = speech_stages(size)
    return [merged([align, audio], like=audio), text, joint]


def without_21(size: SizeConfig) -> list[Stage]:
    """The joint stage does what the audio experts would have learnt alone."""
    align, audio, text, joint = speech_stages(size)
    return [align, text, merged([audio, joint], like=joint)]


def without_22(size: SizeConfig) -> list[Stage]:
    """The joint stage does what the text experts would have learnt alone."""
    align, audio, text, joint = speech_stages(size)
    return [align, audio, merged([text, joint], like=joint)]


def without_3(size: SizeConfig) -> list[Stage]:
    """The joint stage's speech goes to 2.1 and its text to 2.2; the experts never learn together."""
    align, audio, text, joint = speech_stages(size)
    spoken = {task: weight for task, weight in joint.tasks.items() if task != "covered_text"}
    updates = round(joint.updates * sum(spoken.values()) / sum(joint.tasks.values()))
    written = replace(joint, tasks={"covered_text": 1.0}, updates=joint.updates - updates)
    return [align, merged([audio, replace(joint, tasks=spoken, updates=updates)], like=audio), merged([text, written], like=text)]


UNHEARD = ", and experts are chosen before the model has heard anything"
LEFT_OUT: dict[str, Callable[[SizeConfig], list[Stage]]] = {"1": without_1, "2.1": without_21, "2.2": without_22, "3": without_3}


def stage_changes() -> list[Arm]:
    """Each stage left out at equal updates; routers, backbone and shared experts frozen or not."""
    arms = [_arm(f"without-{code}", f"no stage {code}; its updates go to another" + UNHEARD * (code == "1"), stages=stages)
            for code, stages in LEFT_OUT.items()]
    arms += [_arm("router-trained-2", "the router learns in 2.1 and 2.2", stages=Changed(("2.1", "2.2"), also=("router",))),
             _arm("router-frozen-3", "the router stays as text pretraining left it",
                  stages=Changed(("3",), trainable=("experts", "audio_embedding", "audio_heads", "adapter"))),
             _arm("shared-trained-3", "the shared experts learn in stage 3", stages=Changed(("3",), also=("shared",))),
             _arm("shared-removed", "a model without shared experts", choices=no_shared_experts,
                  declared=("parameters: the shared experts fall away",))]
    arms += [_arm(f"joint-x{rate}", f"stage 3 at {rate} times its rate", stages=Changed(("3",), rate=rate)) for rate in (0.1, 0.3)]
    return arms + [_arm(f"backbone-3-x{rate}", f"all parameters learn in stage 3, at {rate} times its rate",
                        stages=Changed(("3",), trainable=EVERYTHING, rate=rate)) for rate in (0.1, 0.3, 1.0)]


def no_shared_experts(size: SizeConfig) -> dict:
    """Nothing that every token passes but attention."""
    return {"shared_experts": 0}


# ---- rows and layout ---------------------------------------------------------------------------------------------------


def bare_mean(size: SizeConfig) -> dict:
    """The paper's mean of eight rows, not scaled."""
    return {"combine": "mean", "embedding_multiplier": 1.0}


def bare_sum(size: SizeConfig) -> dict:
    """The sum of the eight rows, not scaled."""
    return {"combine": "sum", "embedding_multiplier": 1.0}


def text_as_all_codes(size: SizeConfig) -> dict:
    """A weighted mean: the text row counts as much as the seven codec rows together; a written word is as large as in the recipe."""
    return {"combine": "weighted", "embedding_multiplier": 20.0}


def heard_as_it_comes(size: SizeConfig) -> dict:
    """The paper's adapter: heard frames are not levelled."""
    return {"heard_loudness": 0.0}


@dataclass(frozen=True)
class PaddingInTheLoss:
    """The usual loss, but the steps of a spoken answer after its text have a target too: that there is nothing left to write.

    In the layout `ahead` speech outlasts its text, so much of the text stream is padding; the paper says neither how much that costs nor
    whether it is learnt.  How much of the stream it is goes into the curves as `padding`.

    Args:
        wait: id of the word that stands where nothing is written.
    """

    wait: int

    def __call__(self, model: DeepTalkModel, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        spoken = batch.modality == int(Modality.SPOKEN_ANSWER)  # (B, T)
        padding = spoken & (batch.text_target == IGNORE)
        filled = replace(batch, text_target=batch.text_target.masked_fill(padding, self.wait))
        parts = batch_loss(model, filled, text_weight, balance)
        share = float(padding.sum() / spoken.sum().clamp(min=1))
        return replace(parts, more={**parts.more, "padding": share})


def padding_in_the_loss(text_model: DeepTalkModel) -> Callable:
    """`Arm.loss`: nothing is asked of the text model."""
    return PaddingInTheLoss(*Tokenizer().encode(["<wait>"]))


MORE_STEPS = ("speech tokens: of as many answers, but each takes more steps, since streams lag",)


def layouts() -> list[Arm]:
    """How the rows of a step are combined and how loud a heard frame is, where words stand, whether padding is learnt, and how far codec streams lag.

    Seven codec tokens one after another, without any lag, would be the other end of the scale.  They are no arm: a frame would take
    seven steps of training and of waiting.  `evaluation.within_frame` measures what they could gain.
    """
    return [_arm("rows-mean", "the bare mean of the eight rows", choices=bare_mean),
            _arm("rows-sum", "the bare sum of the eight rows", choices=bare_sum),
            _arm("rows-weighted", "a weighted mean: text counts as much as the seven codec rows together", choices=text_as_all_codes),
            _arm("heard-as-it-comes", "the adapter's frames are as loud as they come", choices=heard_as_it_comes),
            _arm("delay-level", "codec streams lag by pyramid level", delay="level", declared=MORE_STEPS),
            _arm("delay-stream", "codec stream i lags i + 1", delay="stream", declared=MORE_STEPS),
            _arm("layout-aligned", "a word stands at its first step alone", layout="aligned"),
            _arm("layout-ahead", "all words first, then padding", layout="ahead"),
            _arm("layout-ahead-padding", "all words first, then padding that is in the loss", layout="ahead", loss=padding_in_the_loss)]


# ---- decoding ----------------------------------------------------------------------------------------------------------


def measure_one_row(recipe: Recipe, model: DeepTalkModel, tools: Tools, spoken: dict[str, SpokenSet]) -> dict:
    """`run.measure` without the second row that finds the words."""
    return measure(recipe, model, tools, spoken, Talker(model, tools.ear, tools.codec, parallel=False), SpokenDecoder)


ONE_ROW = _arm("one-row", "the speaking row finds its own words: no batch-parallel decoding", measure=measure_one_row)

ABLATIONS = (*formulas(), UNIMODAL, *counts(), *stage_changes(), *layouts(), ONE_ROW)
