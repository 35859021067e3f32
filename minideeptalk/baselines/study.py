"""The study: many arms, many seeds, one record a run; safe to interrupt, and nothing is made twice (chapter 14).

What lies in its folder: `study.json` (what it was begun with), `shared/tools` (codec, ear, judges, spoken material),
`shared/text-<hash>` (stage 0), `shared/aligned-<hash>` (stages 0 and 1), `trials/<arm>-x<factor>-s<seed>` where learning rates were
tried, `runs/<arm>-s<seed>` and `records/<arm>-s<seed>.json`.  The records alone are enough to go on: they hold the trials too.
The hash covers all that decides a shared part, so two arms share it exactly if it is the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path

import torch

from minideeptalk.baselines.summary import records_in
from minideeptalk.baselines.trials import FACTORS, TRIAL_SEEDS, at_rate, best_factor, trials_of, validate_trial
from minideeptalk.config import SizeConfig, size_config
from minideeptalk.errors import LearnerError
from minideeptalk.model.checkpoints import has_stage
from minideeptalk.records import RunRecord
from minideeptalk.training.arm import ALIGNED, Arm
from minideeptalk.training.checkpoints import in_one_move
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import complete, fingerprint
from minideeptalk.training.stages import pretrain_stage

ITEMS = {"text_items": 200, "spoken_questions": 200, "spoken_answers": 200, "ceilings": 100, "latency_runs": 4}

INTERVALS = "intervals over the seeds of a study: 95 % t interval, of the differences of paired seeds where arms are compared"


@dataclass(frozen=True)
class Plan:
    """One study.

    Args:
        size: the dial. folder: everything goes there. arms: what is compared. seeds: runs of each arm, paired by seed.
        scale: factor on the updates of all stages after 0; it stands in each record.
        shipped: folder with ready tools and, for seed 0, a text model; None makes everything in the study's folder.
        rates: another study, or its records, whose trials decide the learning rates; None for trials of its own, if any.
    """

    size: str
    folder: Path
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    scale: float = 1.0
    shipped: Path | None = None
    rates: Path | None = None

    @property
    def config(self) -> SizeConfig:
        """The size with scaled stages and the study's own number of test items."""
        return scaled(size_config(self.size), self.scale)

    @property
    def tools(self) -> Path:
        """Folder of what all runs share: tools and spoken material."""
        return self.folder / "shared" / "tools"

    @property
    def tried(self) -> Path:
        """Where the trials of learning rates are."""
        return self.rates or self.folder


def scaled(size: SizeConfig, scale: float) -> SizeConfig:
    """A size whose stages after 0 have `scale` times as many updates, examined on `ITEMS`."""
    stages = size.stages
    lengths = {name: max(1, round(getattr(stages, name) * scale)) for name in ("align", "audio_experts", "text_experts", "joint")}
    return replace(size, stages=replace(stages, **lengths), evaluation=replace(size.evaluation, **ITEMS))


@dataclass(frozen=True)
class Job:
    """One run, or a part that several runs share.

    Args:
        step: `text`, `aligned`, `trial` or `run`. factor: of the learning rates of the arm's own stages.
    """

    plan: Plan
    arm: Arm
    seed: int
    step: str
    factor: float = 1.0

    @property
    def folder(self) -> Path:
        """Where it goes; shared parts are named by what decides them."""
        if self.step == "run":
            return self.plan.folder / "runs" / f"{self.arm.name}-s{self.seed}"
        if self.step == "trial":
            return self.plan.folder / "trials" / f"{self.arm.name}-x{self.factor:g}-s{self.seed}"
        return self.plan.folder / "shared" / f"{self.step}-{self._key()}-s{self.seed}"

    @property
    def finished(self) -> Path:
        """The file that exists once it is done."""
        return {"run": self.record, "trial": self.folder / "score.json"}.get(self.step, self.folder / "done")

    @property
    def record(self) -> Path:
        """The record of a run."""
        return self.plan.folder / "records" / f"{self.arm.name}-s{self.seed}.json"

    def _key(self) -> str:
        size = self.plan.config
        decides = [_material(size), asdict(size.model), size.ear.width, asdict(pretrain_stage(size)), self.arm.choices(size)]
        if self.step == "aligned":
            shared = [asdict(stage) for stage in self.arm.stages(size) if stage.code == "1"]
            decides += [self.arm.layout, self.arm.delay, shared]
        return blake2b(json.dumps(decides, sort_keys=True).encode(), digest_size=4).hexdigest()

    def before(self) -> Job | None:
        """The shared part that this one continues."""
        earlier = {"run": "aligned", "trial": "aligned", "aligned": "text"}.get(self.step)
        return replace(self, step=earlier) if earlier else None

    def begins_as(self) -> Job | None:
        """What its folder is a copy of: the trial that trained the very same, where there was one, else the shared part."""
        tried = replace(self, step="trial")
        return tried if self.step == "run" and tried.finished.exists() else self.before()


@lru_cache
def _material(size: SizeConfig) -> str:
    """`fingerprint`, which takes a moment, once a size."""
    return fingerprint(size)


def work(job: Job) -> str:
    """Do one job, in a process of its own, on one thread; returns its folder's name."""
    torch.set_num_threads(1)
    source = job.begins_as()
    if source is not None and not job.folder.exists():
        with in_one_move(job.folder) as fresh:
            shutil.copytree(source.folder, fresh, ignore=shutil.ignore_patterns("done", "score.json", "progress"), dirs_exist_ok=True)
    recipe = Recipe(job.plan.config, job.folder, job.seed, at_rate(job.arm, job.factor), _ready(job), progress=False)
    STEPS[job.step](job, recipe)
    return job.folder.name


def _text(job: Job, recipe: Recipe) -> None:
    recipe.pretrained()
    job.finished.touch()


def _aligned(job: Job, recipe: Recipe) -> None:
    recipe.aligned(recipe.pretrained(), recipe.spoken(recipe.tools()))
    job.finished.touch()


def _trial(job: Job, recipe: Recipe) -> None:
    tools = recipe.tools()
    spoken = recipe.spoken(tools)
    model = recipe.run_stages(recipe.pretrained(), spoken)
    found = {"factor": job.factor, "seed": job.seed, **validate_trial(recipe, model, tools, spoken["validation"])}
    job.finished.write_text(json.dumps(found) + "\n", encoding="utf-8")


def _run(job: Job, recipe: Recipe) -> None:
    record = complete(recipe, {"study": {"scale": job.plan.scale, "shared": job.before().folder.name}})
    record["curves"] = thinned(record["curves"])
    record["budget"]["learning_rate_trials"] = trials_of(job.plan.tried, job.arm)
    record["notes"] = [note for note in record["notes"] if "shipped" not in note] + [
        "one run of a study: tools are shared by all, the text model and stage 1 by the arms of this seed", INTERVALS]
    if job.plan.rates is not None:
        record["notes"].append(f"learning rates: as trials at {_told_by_records(records_in(job.plan.rates))['size']} chose them, in another study")
    RunRecord(**record).write(job.record)


def thinned(curves: list[dict], every: int = 100) -> list[dict]:
    """Curve points of a record, the losses at every hundredth update and the last alone: a study has many records."""
    last = {}
    for point in curves:
        last[point["stage"]] = max(point["step"], last.get(point["stage"], 0))
    return [point for point in curves if point["name"].startswith("text_accuracy/") or point["step"] % every == 0
            or point["step"] >= last[point["stage"]] - 1]


STEPS = {"text": _text, "aligned": _aligned, "trial": _trial, "run": _run}


def _ready(job: Job) -> Path:
    """Where a job finds what it does not make: a text model of seed 0 that is there already, else the study's tools."""
    plan = job.plan
    if job.step == "text" and job.seed == 0:
        name = pretrain_stage(plan.config).name
        return next((place for place in (plan.tools, plan.shipped) if place and has_stage(place, name)), plan.tools)
    return plan.tools


def jobs(plan: Plan, step: str) -> list[Job]:
    """What is left to do of one step: seed after seed, so that an unfinished study has whole pairs; shared parts once."""
    found = {}
    for seed in plan.seeds[:TRIAL_SEEDS] if step == "trial" else plan.seeds:
        for arm in plan.arms if step != "trial" else [arm for arm in plan.arms if arm.rates_of is None]:
            for factor in FACTORS if step == "trial" else [best_factor(plan.tried, arm)]:
                job = Job(plan, arm, seed, step, factor)
                if not job.finished.exists() and not job.record.exists():
                    found.setdefault(job.folder, job)
    return list(found.values())


def run_study(plan: Plan, workers: int = 2, say: Callable[[str], None] = print, trials: bool = False) -> None:
    """Run all that is missing; call it again after an interruption and it goes on.

    Args:
        workers: processes, one thread each. say: gets a line when something is done.
        trials: whether each arm's learning rate is tried first, on the first seeds; every arm gets the same trials, or the rates of
            the arm whose variant it is.

    Raises:
        LearnerError: for a folder that holds another study, or when runs failed; the others are finished first.
    """
    _begin(plan)
    if trials or plan.rates is not None:
        _all_tried(plan)
    if any(jobs(plan, "run")) and not (plan.tools / "spoken" / "test" / "spoken.json").exists():
        say("shared: tools and spoken material")
        recipe = Recipe(plan.config, plan.tools, 0, ALIGNED, plan.shipped, progress=False)
        recipe.spoken(recipe.tools())
    failed = []
    for step in STEPS if trials else [step for step in STEPS if step != "trial"]:
        todo = jobs(plan, step)
        for number, (job, error) in enumerate(_each(todo, workers), 1):
            say(f"{step} {number}/{len(todo)}: {job.folder.name}{f' failed: {error}' if error else ''}")
            failed += [f"{job.folder.name}: {error}"] if error else []
        if failed:
            raise LearnerError("every run to finish", "; ".join(failed), next_step="the same command tries the failed ones again")


def _each(todo: list[Job], workers: int) -> Iterable[tuple[Job, Exception | None]]:
    if workers == 1:
        for job in todo:
            yield job, _fault(work, job)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, job): job for job in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.exception()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fault(work: Callable[[Job], str], job: Job) -> Exception | None:
    try:
        work(job)
    except Exception as error:  # noqa: BLE001  one failed run must not cost the others
        return error
    return None


def _begin(plan: Plan) -> None:
    """Write down what the study is, or check that the folder holds this one; arms and seeds may be added later."""
    told = {"size": plan.size, "scale": plan.scale, "shipped": plan.shipped is not None}
    path = plan.folder / "study.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else told | _told_by_records(plan.folder / "records")
    if stored != told:
        raise LearnerError(f"the study of {plan.folder}, begun with {stored}", str(told), "another study lies there",
                           "give the same --size and --scale, or another --out")
    if not path.exists() and plan.folder.exists() and any(child.name != "records" for child in plan.folder.iterdir()):
        raise LearnerError("a new folder, or that of a study", f"{plan.folder}, which has other files in it",
                           next_step="give another --out")
    plan.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told) + "\n", encoding="utf-8")


def _all_tried(plan: Plan) -> None:
    """Raise `LearnerError` for an arm with finished runs whose rate was never tried: with further seeds it would stand in one table at two rates."""
    for arm in (arm for arm in plan.arms if arm.rates_of is None):
        for path in sorted((plan.folder / "records").glob(f"{arm.name}-s[0-9]*.json")):
            if not json.loads(path.read_text(encoding="utf-8"))["budget"].get("learning_rate_trials"):
                raise LearnerError(f"no run of {arm.name} whose learning rate was not tried", str(path), "it ran before without --trials or --rates",
                                   "leave both away, or give another --out")


def _told_by_records(records: Path) -> dict:
    """What these records say of their study; nothing where there are none."""
    for path in sorted(records.glob("*.json"))[:1]:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"size": record["size"], "scale": record["config"]["study"]["scale"]}
    return {}
