"""The explorers of chapters 07 to 09 do what their buttons say, with the shipped miniature."""

import numpy as np
import pytest

from minideeptalk.teaching.explorer_routing import RoutingExplorer
from minideeptalk.teaching.routing_trace import trace_answer
from minideeptalk.teaching.samples import sample_clips, shipped_talker
from minideeptalk.viz.steps import routing_by_step
from minideeptalk.viz.style import alt_text


@pytest.fixture(scope="module")
def talker():
    return shipped_talker()


@pytest.fixture(scope="module")
def trace(talker):
    import torch

    from minideeptalk.speech.files import read_audio

    return trace_answer(talker, talker.listen(torch.from_numpy(read_audio(sample_clips("question")[0].path))))


def test_a_trace_has_two_experts_for_each_step_and_layer(trace, talker):
    assert trace.weights.shape == (len(trace.labels), talker.model.config.moe_layers, talker.model.config.experts)
    assert ((trace.weights > 0).sum(axis=2) == talker.model.config.experts_per_token).all()
    assert trace.labels[0] == "reads user" and "answer step 1" in trace.labels[trace.prompt_steps]


def test_listening_leaves_no_hook_behind(trace, talker):
    assert not any(module._forward_pre_hooks for module in talker.model.modules())


def test_the_figure_has_a_step_on_its_slider_for_each_token(trace):
    figure = routing_by_step(trace.labels, trace.weights, [(0, 1)])
    assert [step.label for step in figure.layout.sliders[0].steps] == list(trace.labels)
    assert trace.labels[0] in alt_text(figure)


def test_the_live_explorer_lights_other_experts_at_another_step(talker):
    pytest.importorskip("espeakng_loader")
    explorer = RoutingExplorer(talker, [(0, 1), (2, 3), (4, 5)], "say red cat")
    explorer.ask()
    first = explorer.grid.value
    explorer.step.value = explorer.step.max
    assert explorer.step.max == len(explorer.trace.labels) - 1 > 5
    assert first != explorer.grid.value and "<svg" in first


def test_the_live_explorer_says_when_it_did_not_understand(talker):
    explorer = RoutingExplorer(talker)
    explorer._explained(lambda: explorer._answer(np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1, "noise", ""))
    assert explorer.trace is None and "understand" in explorer.grid.value
