"""A dense native model with the same active parameters (the class of GLM-4-Voice and Kimi-Audio), with a stage 0 of its own."""

from __future__ import annotations

from dataclasses import replace

from minideeptalk.baselines.puremoe import PUREMOE
from minideeptalk.config import SizeConfig


def one_expert(size: SizeConfig) -> dict:
    """A layer with one expert is a dense layer; it is as wide as what a token meets in the mixture, shared experts included."""
    model = size.model
    width = (model.experts_per_token + model.shared_experts) * model.expert_hidden
    return {"experts": 1, "experts_per_token": 1, "shared_experts": 0, "expert_hidden": width}


DENSE = replace(PUREMOE, name="dense", choices=one_expert,
                changes="as puremoe, with a dense network of the same active parameters")
