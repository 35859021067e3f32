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


def test_a_trial_closes_the_chosen_experts_and_opens_them_again(talker):
    from minideeptalk.experts import ExpertLoads
    from minideeptalk.teaching.explorer_selection import SelectionTrial

    config = talker.model.config
    counts = np.random.default_rng(1).integers(1, 99, size=(4, config.moe_layers, config.experts)).astype(float)
    loads = ExpertLoads(counts, counts.sum(axis=2) / 2, ("a", "b", "c"))
    seen = []

    def losses(model):
        import torch

        with torch.no_grad():
            routing = model(text=torch.ones(2, 9, dtype=torch.long)).routing
        seen.append([set(layer.indices.unique().tolist()) for layer in routing])
        return {"add": 0.5}

    trial = SelectionTrial(talker.model, talker.builder, loads, losses)
    trial.formula.value, trial.count.value = "audio_only", 9
    trial.run()
    chosen = trial.selection.audio_experts
    assert not any(set(experts) & used for experts, used in zip(chosen, seen[1])) and len(seen) == 2
    assert "without them" in trial.page.value and trial.count.max == config.experts - config.experts_per_token
    losses(talker.model)
    assert seen[0] == seen[2]


def test_a_question_with_an_unknown_word_gets_a_sentence(talker):
    from minideeptalk.experts import ExpertLoads
    from minideeptalk.teaching.explorer_selection import SelectionTrial

    shape = (4, talker.model.config.moe_layers, talker.model.config.experts)
    trial = SelectionTrial(talker.model, talker.builder, ExpertLoads(np.ones(shape), np.ones(shape[:2]), ("a", "b", "c")), lambda model: {"add": 0.5})
    trial.question.value = "xylophone"
    trial.run()
    assert "xylophone" in trial.page.value
