"""An arm of the study: everything in which one recipe may differ from the next, in one object (chapters 09 and 14).

`deeptalk` and `deeptalk-aligned` leave every hook alone.  A rival is a short file in `minideeptalk/baselines/` that fills one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from minideeptalk.config import SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.training.profile import THE_PAPERS, Profile
from minideeptalk.training.stages import Stage, speech_stages


def as_it_is(size: SizeConfig) -> dict:
    """No other choices for the model than those of the size."""
    return {}


def nothing_more(model: DeepTalkModel, stage: Stage, selection: Selection | None) -> AbstractContextManager:
    """Nothing around a stage but what its own fields say."""
    return nullcontext()


@dataclass(frozen=True)
class Arm:
    """One recipe of the study.  Hooks are functions of a module or small dataclasses, so that an arm can go to another process.

    Args:
        name: as it stands in the record. changes: one sentence for people: in what it differs from `deeptalk-aligned`.
        layout, delay: see `DeepTalkConfig`.
        choices: other fields of `DeepTalkConfig`; an arm that has any trains a stage 0 of its own.
        stages: the list after stage 0. The stage with code 1, where it comes first, is shared by the arms of a seed.
        select: who speaks, decided once after stage 1; None where no expert is set apart.
        prepare: called once after the selection, before all later stages; may change or replace the model: added experts,
            another routing. It must do the same each time it is given the same, for a resumed run calls it again and then
            reads the weights of its last stage into what came back.
        around: a context manager around each later stage: LoRA put in and merged, routing for this stage alone.
        loss: given the text model of stage 0, frozen, returns what takes the place of `losses.batch_loss`.
        finish: called with the trained model and the text model of stage 0 after the last stage; changes the former in place.
        measure: what takes the place of `run.measure`, with the same arguments and result: answers not made by one model.
        rates_of: the arm whose trials decide the learning rates of this one too: who changes only which experts are chosen, or one thing
            in an ablation, is compared at equal rates.
        declared: what could not be made equal to the other arms, and why; goes into the record's budget.
    """

    name: str
    changes: str
    layout: str = "held"
    delay: str = "none"
    choices: Callable[[SizeConfig], dict] = as_it_is
    stages: Callable[[SizeConfig], list[Stage]] = speech_stages
    select: Callable[[Profile], Selection] | None = THE_PAPERS
    prepare: Callable[[DeepTalkModel, Selection | None], DeepTalkModel] | None = None
    around: Callable[[DeepTalkModel, Stage, Selection | None], AbstractContextManager] = nothing_more
    loss: Callable[[DeepTalkModel], Callable] | None = None
    finish: Callable[[DeepTalkModel, DeepTalkModel], None] | None = None
    measure: Callable | None = None
    rates_of: str | None = None
    declared: tuple[str, ...] = ()


DEEPTALK = Arm("deeptalk", "the paper's layout: all text first, codec stream i lags i + 1", layout="ahead", delay="stream",
               declared=("speech tokens: of as many answers, but each takes more steps, since its last stream lags",))
ALIGNED = Arm("deeptalk-aligned", "each word of an answer stands where it sounds")
