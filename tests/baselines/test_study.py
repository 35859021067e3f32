"""The study: what is shared is made once, what is finished is not made again, and one failure does not cost the rest."""

import json
import shutil
from dataclasses import replace

import pytest

from minideeptalk.baselines import find_arm, rerun, study
from minideeptalk.baselines.study import ITEMS, Job, Plan, jobs, run_study, scaled
from minideeptalk.baselines.trials import FACTORS, TRIAL_SEEDS, at_rate, best_factor
from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.records import read_record

NANO = size_config("nano").stages
NAMES = ("deeptalk-aligned", "puremoe", "deeptalk", "dense")


@pytest.fixture
def plan(tmp_path):
    return Plan("nano", tmp_path / "study", tuple(map(find_arm, NAMES)), (0, 1), 0.5)


@pytest.fixture
def calls(monkeypatch, plan, record_of):
    """The recipe, replaced by one that notes what it is asked for and leaves the files that matter."""
    done = []

    class Noted:
        def __init__(self, size, folder, seed, arm, shipped, progress):
            self.folder, self.arm, self.shipped = folder, arm, shipped

        def note(self, what, leaves):
            done.append((what, self.folder.name))
            (self.folder / leaves).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / leaves).write_text("{}")

        def tools(self):
            return None

        def spoken(self, tools):
            if self.shipped is None:
                self.note("tools", "spoken/test/spoken.json")
            return {"validation": None}

        def pretrained(self):
            if not (self.folder / "stages" / "0-pretrain.json").exists():
                self.note("text", "stages/0-pretrain.json")

        def aligned(self, model, spoken):
            self.note("aligned", "stages/1-align.json")

        def run_stages(self, model, spoken):
            self.note("trial", "stages/3-joint.json")
            return self.arm.stages(size_config("nano"))[-1].learning_rate

    def complete(recipe, told):
        if recipe.arm.name == "broken":
            raise ArithmeticError("no number")
        assert (recipe.folder / "stages" / "1-align.json").exists() and told["study"]["scale"] == 0.5
        recipe.note("run", "record.json")
        return record_of(recipe.arm.name, int(recipe.folder.name[-1]))

    monkeypatch.setattr(study, "Recipe", Noted)
    monkeypatch.setattr(study, "validate_trial", lambda recipe, rate, tools, spoken: {"score": -abs(rate - 3 * NANO.joint_lr)})
    monkeypatch.setattr(study, "complete", complete)
    return done


def quiet(line):
    """For `say`."""


def test_arms_share_what_is_equal_and_nothing_else(plan, calls):
    run_study(plan, workers=1, say=quiet)
    made = [what for what, _ in calls]
    assert made.count("tools") == 1
    assert made.count("text") == 4  # two seeds: one text model for three arms, one for the dense arm
    assert made.count("aligned") == 6  # and another alignment where the layout is another
    assert sorted(folder for what, folder in calls if what == "run") == sorted(f"{name}-s{seed}" for name in NAMES for seed in (0, 1))
    assert len(list((plan.folder / "records").iterdir())) == 8


def test_a_finished_study_does_nothing_and_a_larger_one_only_what_is_new(plan, calls):
    run_study(plan, workers=1, say=quiet)
    calls.clear()
    run_study(plan, workers=1, say=quiet)
    assert calls == []
    run_study(replace(plan, arms=(*plan.arms, find_arm("random-0"))), workers=1, say=quiet)
    assert calls == [("run", "random-0-s0"), ("run", "random-0-s1")]


def test_records_alone_are_enough_to_know_what_is_finished(plan, calls):
    run_study(plan, workers=1, say=quiet)
    shutil.rmtree(plan.folder / "runs")
    shutil.rmtree(plan.folder / "shared")
    assert not any(jobs(plan, step) for step in ("text", "aligned", "run"))


def test_runs_come_seed_after_seed_so_that_an_unfinished_study_has_pairs(plan):
    assert [job.seed for job in jobs(plan, "run")] == [0] * 4 + [1] * 4


def test_a_failed_run_is_told_after_the_others_have_run_and_tried_again(plan, calls):
    broken = replace(find_arm("puremoe"), name="broken")
    with pytest.raises(LearnerError, match="no number"):
        run_study(replace(plan, arms=(broken, *plan.arms)), workers=1, say=quiet)
    assert len(list((plan.folder / "records").iterdir())) == 8
    assert [job.arm.name for job in jobs(replace(plan, arms=(broken, *plan.arms)), "run")] == ["broken", "broken"]


def test_a_folder_holds_one_study(plan, calls, tmp_path):
    run_study(plan, workers=1, say=quiet)
    with pytest.raises(LearnerError, match="another study"):
        run_study(replace(plan, scale=1.0), workers=1, say=quiet)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.json").write_text("{}")
    with pytest.raises(LearnerError, match="other files"):
        run_study(replace(plan, folder=tmp_path / "letters"), workers=1, say=quiet)


def test_the_key_of_a_shared_part_covers_all_that_decides_it(plan):
    def folder(step, arm="deeptalk-aligned", seed=0, scale=0.5):
        return Job(replace(plan, scale=scale), find_arm(arm), seed, step).folder.name

    for step in ("text", "aligned"):
        assert folder(step) == folder(step, arm="puremoe")
        assert len({folder(step), folder(step, seed=1), folder(step, arm="dense")}) == 3
    assert folder("text") == folder("text", scale=0.1) == folder("text", arm="deeptalk")
    assert len({folder("aligned"), folder("aligned", scale=0.1), folder("aligned", arm="deeptalk")}) == 3


def _tried(calls):
    return sorted(folder for what, folder in calls if what == "trial")


def test_every_arm_gets_the_same_trials_on_the_first_seeds_and_runs_at_its_best_rate(plan, calls):
    run_study(replace(plan, arms=plan.arms[:2]), workers=1, say=quiet, trials=True)
    assert _tried(calls) == sorted(f"{name}-x{factor:g}-s{seed}" for name in NAMES[:2] for factor in FACTORS for seed in plan.seeds)
    records = [read_record(path) for path in (plan.folder / "records").iterdir()]
    assert len(records) == 4 and {len(record["budget"]["learning_rate_trials"]) for record in records} == {2 * len(FACTORS)}
    assert best_factor(plan.folder, plan.arms[1]) == 3.0


def test_the_best_rate_is_the_best_on_average_and_not_that_of_the_luckiest_seed(plan):
    for factor, scores in {0.3: (0.2, 0.9), 1.0: (0.6, 0.7), 3.0: (0.5, 0.7)}.items():
        for seed, score in enumerate(scores):
            folder = plan.folder / "trials" / f"{NAMES[0]}-x{factor:g}-s{seed}"
            folder.mkdir(parents=True)
            (folder / "score.json").write_text(json.dumps({"factor": factor, "seed": seed, "score": score}))
    assert best_factor(plan.folder, plan.arms[0]) == 1.0 and best_factor(plan.folder, plan.arms[1]) == 1.0


def test_an_ablation_keeps_the_rates_that_the_trials_gave_the_reference(plan, calls):
    ablation = find_arm("delay-level")
    run_study(replace(plan, arms=(*plan.arms[:1], ablation), seeds=(0,)), workers=1, say=quiet, trials=True)
    assert _tried(calls) == sorted(f"{NAMES[0]}-x{factor:g}-s0" for factor in FACTORS) and ablation.rates_of == NAMES[0]
    assert best_factor(plan.folder, ablation) == best_factor(plan.folder, plan.arms[0]) == 3.0
    record = read_record(plan.folder / "records" / "delay-level-s0.json")
    assert len(record["budget"]["learning_rate_trials"]) == len(FACTORS)


def test_a_run_goes_on_from_the_trial_that_trained_the_same_and_no_other(plan, calls):
    ablation = find_arm("delay-level")  # at the rates of the same trials, yet another training
    plan = replace(plan, arms=(*plan.arms[:1], ablation), seeds=(0, 1, 2, 3))
    run_study(plan, workers=1, say=quiet, trials=True)
    trained = {folder.name for folder in (plan.folder / "runs").iterdir() if (folder / "stages" / "3-joint.json").exists()}
    assert trained == {f"{NAMES[0]}-s{seed}" for seed in plan.seeds[:TRIAL_SEEDS]}
    assert not list((plan.folder / "runs").rglob("score.json"))


def test_the_records_of_a_study_are_enough_for_another_to_go_on(plan, calls, tmp_path):
    run_study(replace(plan, arms=plan.arms[:1]), workers=1, say=quiet, trials=True)
    copied = replace(plan, folder=tmp_path / "copied", arms=(plan.arms[0], find_arm("delay-level")), seeds=(0, 1))
    shutil.copytree(plan.folder / "records", copied.folder / "records")
    with pytest.raises(LearnerError, match="another study"):
        run_study(replace(copied, scale=1.0), workers=1, say=quiet)
    calls.clear()
    run_study(copied, workers=1, say=quiet, trials=True)
    assert [folder for what, folder in calls if what in ("trial", "run")] == ["delay-level-s0", "delay-level-s1"]
    assert best_factor(copied.folder, copied.arms[1]) == 3.0


def test_a_study_of_another_size_takes_over_the_rates_that_were_tried(plan, calls, tmp_path):
    run_study(replace(plan, arms=plan.arms[:1]), workers=1, say=quiet, trials=True)
    larger = replace(plan, folder=tmp_path / "larger", size="mini", arms=plan.arms[:1], seeds=(0,), shipped=None, rates=plan.folder / "records")
    calls.clear()
    assert [job.factor for job in jobs(larger, "run")] == [3.0]
    run_study(larger, workers=1, say=quiet)
    assert not _tried(calls)
    record = read_record(larger.folder / "records" / f"{NAMES[0]}-s0.json")
    assert len(record["budget"]["learning_rate_trials"]) == 2 * len(FACTORS) and any("trials at nano" in note for note in record["notes"])


def test_a_trial_leaves_the_shared_alignment_alone():
    for arm in map(find_arm, NAMES):
        for usual, faster in zip(arm.stages(size_config("nano")), at_rate(arm, 3.0).stages(size_config("nano"))):
            assert faster == (usual if usual.code == "1" else replace(usual, learning_rate=3 * usual.learning_rate))


def test_the_scale_leaves_text_pretraining_alone_and_every_number_rests_on_enough_items():
    nano, half = size_config("nano"), scaled(size_config("nano"), 0.5)
    assert half.stages.pretrain == nano.stages.pretrain and half.stages.joint == round(nano.stages.joint / 2)
    assert min(ITEMS[name] for name in ("text_items", "spoken_questions", "spoken_answers")) >= 200
    assert json.dumps(half.to_dict())


def test_a_record_is_run_again_at_the_rate_that_its_trials_chose(record_of, monkeypatch, tmp_path):
    planned, published = [], record_of("puremoe")
    published["config"]["study"] = {"scale": 0.5}
    published["budget"]["learning_rate_trials"] = [{"factor": factor, "seed": 0, "score": -abs(factor - 3)} for factor in FACTORS]
    monkeypatch.setattr(rerun, "run_study", lambda plan, **_: planned.append(plan))
    monkeypatch.setattr(rerun, "read_record", lambda path: published)
    rerun.rerun(published, tmp_path)
    usual, (again,) = find_arm("puremoe"), planned[0].arms
    rates = [arm.stages(size_config("nano"))[-1].learning_rate for arm in (usual, again)]
    assert rates[1] == 3 * rates[0] and planned[0].seeds == (published["seed"],)


def test_a_record_of_no_study_is_not_run_again_over_another_run(record_of, monkeypatch, tmp_path):
    published = record_of("puremoe")
    published["config"].pop("study")
    monkeypatch.setattr(rerun, "run_recipe", lambda *_: pytest.fail("ran"))
    (tmp_path / "config.json").write_text(json.dumps({"size": "nano", "seed": published["seed"] + 1, "arm": "puremoe", "scratch": True}))
    with pytest.raises(LearnerError, match="another run lies there"):
        rerun.rerun(published, tmp_path)


def test_a_record_of_stage_4_is_not_run_again_without_it(record_of, monkeypatch, tmp_path):
    published = record_of("deeptalk-aligned")
    published["config"] = {"preference": {"updates": 60}}
    monkeypatch.setattr(rerun, "run_recipe", lambda *_: pytest.fail("ran"))
    with pytest.raises(LearnerError, match="minideeptalk dpo"):
        rerun.rerun(published, tmp_path)


def test_rates_are_not_tried_after_runs_at_an_untried_one(plan, calls):
    run_study(replace(plan, seeds=(0,)), workers=1, say=quiet)
    for more in ({"trials": True}, {}):
        with pytest.raises(LearnerError, match="without --trials"):
            run_study(plan if more else replace(plan, rates=plan.folder), workers=1, say=quiet, **more)
