"""Every arm of the study, two updates a stage: it runs, ends finite, keeps its promise, and costs what the others cost."""

import pickle
import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch

from minideeptalk.baselines import ARMS, TIERS, find_arm
from minideeptalk.baselines.budgets import COMPARED, TOLERANCE
from minideeptalk.baselines.remedies import Distilled, text_rows
from minideeptalk.baselines.routing import Ears
from minideeptalk.baselines.study import Job, Plan
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.experts.partition import BACKBONE, parameters_of
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.tasks import collate
from minideeptalk.training import profile, recipe
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.recipe import Recipe

EVERY_ARM = pytest.mark.parametrize("name", ARMS)
TRAINED = [name for name, arm in ARMS.items() if arm.measure is None and not name.startswith("formula-")]
"""Arms whose stages are tried: rivals of two models have a test of their own, and a formula is only another ranking."""


@pytest.fixture(autouse=True)
def short_profile(monkeypatch):
    """Loads and text ability measured on a few examples: what they are does not matter here."""
    for module in (profile, recipe):
        monkeypatch.setattr(module, "profile_loads", partial(profile.profile_loads, batches=1, size=8))
    monkeypatch.setattr(recipe, "text_accuracy", lambda *_: {"add": 1.0})


@pytest.fixture
def run(tiny, tmp_path, aligned):
    """`run("puremoe")`: the recipe of an arm and its trained model; stages 0 and 1 are copied where another arm has made them."""
    def run(name, folder="run", **fields):
        arm = replace(find_arm(name), **fields)
        begun = Job(Plan("nano", tmp_path, (arm,), (0,)), arm, 0, "aligned").folder.name
        if begun not in aligned:
            first = Recipe(tiny.size(), aligned["folder"] / begun, 0, arm, None, progress=False)
            first.aligned(first.pretrained(), {"train": tiny.spoken_set()})
            aligned[begun] = first.folder
        shutil.copytree(aligned[begun], tmp_path / folder)
        made = Recipe(tiny.size(), tmp_path / folder, 0, arm, None, progress=False)
        return made, made.run_stages(made.pretrained(), {"train": tiny.spoken_set()})

    return run


@pytest.fixture(scope="session")
def aligned(tmp_path_factory):
    """Folders with stages 0 and 1, by what decides them."""
    return {"folder": tmp_path_factory.mktemp("aligned")}


def weights(model):
    return dict(model.named_parameters())


# ---- every arm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRAINED)
def test_an_arm_trains_and_its_finished_model_is_found_again(tiny, run, name):
    made, model = run(name)
    found = made.finished_model()
    for key, value in model.state_dict().items():
        assert torch.isfinite(value).all() and torch.equal(found.state_dict()[key], value), key
    batch = tiny.batch(tiny.builder(layout=made.arm.layout, delay=made.arm.delay))
    with torch.no_grad():
        first, second = (kept.eval()(**batch.model_inputs(), real=batch.mask).hidden for kept in (model, found))
    torch.testing.assert_close(first, second)
    assert all(mixture.experts.bank is None and mixture.router.closed is None for mixture in model.mixtures())


@EVERY_ARM
def test_an_arm_can_go_to_another_process_and_says_what_it_changes(name):
    arm = ARMS[name]
    assert pickle.loads(pickle.dumps(arm)) == arm and arm.name == name and len(arm.changes) > 15


@EVERY_ARM
@pytest.mark.parametrize("size", ["nano", "mini"])
def test_an_arm_costs_the_updates_and_examples_of_the_recipe_or_declares_the_difference(name, size):
    size = size_config(size)

    def cost(arm):
        stages = arm.stages(size)
        share = [sum(weight for task, weight in stage.tasks.items() if "text" not in task or task == "answer_in_text")
                 / sum(stage.tasks.values()) for stage in stages]
        examples = [stage.updates * stage.batch for stage in stages]
        speech = sum(count * part for count, part in zip(examples, share))
        return sum(stage.updates for stage in stages), speech, sum(examples) - speech

    for words, mine, theirs in zip(COMPARED.values(), cost(ARMS[name]), cost(find_arm("deeptalk-aligned"))):
        assert mine == pytest.approx(theirs, rel=TOLERANCE) or any(line.startswith(words) for line in ARMS[name].declared), words


def test_stage_codes_of_an_arm_are_unique_and_the_first_is_shared(tiny):
    for arm in ARMS.values():
        stages = arm.stages(tiny.size())
        assert len({stage.code for stage in stages}) == len({stage.name for stage in stages}) == len(stages)
        shared = [stage for stage in stages if stage.code == "1"]
        assert shared in ([], find_arm("deeptalk-aligned").stages(tiny.size())[:1])


def test_the_tiers_hold_the_arms_that_the_study_promises():
    names = {tier: {arm.name for arm in arms} for tier, (arms, _) in TIERS.items()}
    assert {"sequential", "puremoe", "lora-puremoe", "random-0", "deeptalk-aligned", "dense"} < names["A"]
    assert names["A"] < names["B"] and "deeptalk-aligned" in names["C"]
    assert [seeds for _, seeds in TIERS.values()] == [5, 3, 3]
    with pytest.raises(LearnerError, match="puremoe"):
        find_arm("pure")


# ---- what single arms promise ------------------------------------------------------------------------------------------


def test_importance_and_load_choose_by_different_things_and_lots_differ(run):
    names = ("deeptalk-importance", "random-0", "random-1", "split-by-index")
    chosen = {name: run(name, name)[0].chosen() for name in names}
    assert chosen["deeptalk-importance"].formula == "importance"
    assert chosen["random-0"].audio_experts != chosen["random-1"].audio_experts
    assert chosen["split-by-index"].audio_experts == ((9, 10, 11),) * 2


def test_sequential_moves_every_parameter_and_the_recipe_leaves_attention_alone(run, tmp_path):
    for name, moved in (("sequential", True), ("deeptalk-aligned", False)):
        _, model = run(name, name)
        before = weights(load_stage(tmp_path / name, "0-pretrain"))
        attention = parameters_of(model, ("attention",))
        assert all(torch.equal(value, before[key]) is not moved for key, value in attention.items())


def test_lora_moves_every_matrix_by_a_low_rank_and_nothing_else(run):
    made, model = run("lora-puremoe")
    before = weights(load_stage(made.folder, "1-align"))
    text = parameters_of(model, ("text_embedding", "norms"))
    assert all(torch.equal(value, before[key]) for key, value in text.items()) and set(weights(model)) == set(before)
    for part in ("attention", "experts", "router", "shared", "dense"):
        for key, value in parameters_of(model, (part,)).items():
            update = (value - before[key]).detach().flatten(0, -3) if value.dim() > 3 else (value - before[key]).detach()
            assert update.abs().max() > 0, key
            assert int(torch.linalg.matrix_rank(update, atol=1e-6).max()) <= 8, key
    assert made.parts.budget["3"]["trainable"] < sum(value.numel() for value in model.parameters())


def test_moextend_adds_experts_and_text_keeps_all_of_its_own_until_stage_3(run):
    made, model = run("moextend")
    assert model.config.experts == 15 and model.mixtures()[0].router.weight.shape[0] == 15
    before, after = (weights(load_stage(made.folder, stage)) for stage in ("1-align", "2.1-audio-experts"))
    router, bank = "layers.1.feed_forward.router.weight", "layers.1.feed_forward.experts.down_proj"
    for name in (router, bank):
        assert torch.equal(after[name][:12], before[name]) and not torch.equal(after[name][12:], before[name][[3, 7, 11]])


def test_a_dense_model_has_the_active_parameters_of_the_mixture(tiny, tmp_path):
    active = {name: Recipe(tiny.size(), tmp_path / name, 0, find_arm(name), None, progress=False).pretrained().active_parameters()
              for name in ("dense", "deeptalk-aligned")}
    assert active["dense"] == pytest.approx(active["deeptalk-aligned"], rel=0.05)


def test_averaging_ends_halfway_to_the_text_model(run, tmp_path):
    _, averaged = run("averaged")
    _, whole = run("averaged", "whole", finish=None)
    before = weights(load_stage(tmp_path / "whole", "0-pretrain"))
    for key in parameters_of(whole, BACKBONE):
        torch.testing.assert_close(weights(averaged)[key], (weights(whole)[key] + before[key]) / 2, atol=1e-6, rtol=0)
    assert torch.allclose(weights(averaged)["audio_heads.projection.weight"], weights(whole)["audio_heads.projection.weight"], atol=1e-6)


def test_replay_alone_draws_text_of_all_families(tiny):
    for arm in ARMS.values():
        drawn = {task for stage in arm.stages(tiny.size()) for task in stage.tasks}
        assert ("all_text" in drawn) is (arm.name == "replay")


# ---- distillation ------------------------------------------------------------------------------------------------------


def test_distillation_reads_the_written_rows_alone(tiny):
    builder = tiny.builder()
    batch, question = tiny.batch(builder), ("which", "is", "more", "four", "or", "nine")
    written = text_rows(batch, builder.silence)
    assert written.codes is None and torch.equal(written.text, batch.text[:1])
    assert text_rows(collate([builder.chat(question, ("nine",))], builder.silence), builder.silence) is not None
    assert text_rows(collate([builder.recognise(tiny.frames(5), ("say", "cat"))], builder.silence), builder.silence) is None


def test_a_model_that_equals_its_teacher_pays_nothing_and_another_does(tiny):
    model, batch = tiny.model().eval(), tiny.batch(tiny.builder())
    plain = batch_loss(model, batch).total
    torch.testing.assert_close(Distilled(model)(model, batch).total, plain)
    strict = Distilled(tiny.model(seed=1).eval())(model, batch)
    assert strict.total > plain and strict.more["divergence"] > 0


# ---- routing by modality -----------------------------------------------------------------------------------------------


def test_ears_tell_the_modality_of_every_token_as_the_batch_does(tiny):
    """On steps of the prompt that carry a trigger, what is wanted is already audio; all else is as the examples say."""
    from minideeptalk.experts import Modality

    model, batch = tiny.model(), tiny.batch(tiny.builder())
    ears = Ears(model)
    model(**batch.model_inputs())
    told = (batch.modality == int(Modality.AUDIO_PROMPT)) | (batch.modality == int(Modality.SPOKEN_ANSWER))
    heard = ears.audio.view(batch.text.shape)
    assert (heard | ~told | ~batch.mask).all() and (heard & ~told & batch.mask).sum() <= len(batch.text)


def test_hard_routing_sends_no_token_to_experts_of_the_other_modality(tiny, run):
    made, model = run("hard-routing")
    batch, router = tiny.batch(tiny.builder()), model.mixtures()[0].router
    with torch.no_grad():
        chosen = model.eval()(**batch.model_inputs()).routing[0].indices  # (B, T, K)
    speaks = torch.isin(chosen, torch.tensor(made.chosen().audio_experts[0]))
    audio = router.ears.audio.view(batch.text.shape)
    assert torch.equal(speaks, audio[..., None].expand_as(speaks)) and audio.any() and not audio.all()


def test_separate_routers_begin_equal_and_part(run):
    made, model = run("separate-routers")
    router = model.mixtures()[0].router
    before = weights(load_stage(made.folder, "1-align"))["layers.1.feed_forward.router.weight"]
    assert not torch.equal(router.audio_weight, router.weight)
    torch.testing.assert_close(router.audio_weight, before, atol=0.02, rtol=0)
