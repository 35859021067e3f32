"""Stage 4 on a finished run (chapter 11): pairs are made, the voice learns from them, and all is measured before and after.

What it leaves in the run's folder: `preferences/` (the pairs), `stages/4-dpo/` and `record-dpo.json`, a run record whose
`metrics.preference` compares the two models on the test split, and whose `config.preference` says how.  Who has tried settings
before, on the validation split, writes them down in `preferences/trials.json`, a list of objects; the record repeats it.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import torch

from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.delivery import delivery, paired_interval
from minideeptalk.evaluation.spoken import Examiners, spoken_questions
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.inference.talk import damage_explained
from minideeptalk.model.checkpoints import has_stage, load_stage
from minideeptalk.records import RunRecord, read_record, relative_text_drop
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import ExampleBuilder, TaskSampler
from minideeptalk.training.arm import ALIGNED, DEEPTALK
from minideeptalk.training.checkpoints import in_one_move
from minideeptalk.training.dpo import ANCHOR, BETA, PreferenceLoss, preference_stage
from minideeptalk.training.loop import train_stage
from minideeptalk.training.preferences import PreferencePlan, Preferences, make_preferences, pair_batch
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import measure, surroundings
from minideeptalk.training.stages import speech_stages
from minideeptalk.world import CHANCE, Tokenizer

RECORD = "record-dpo.json"
PLAN = PreferencePlan()


class PreferenceRun:
    """Stage 4 in the folder of a finished run.

    Args:
        folder: with `record.json` and the checkpoint of stage 3. plan: how pairs are made. seed: of takes and batches.

    Raises:
        LearnerError: for a folder without a finished run, a run of another arm than the recipe's, or a damaged checkpoint.
    """

    def __init__(self, folder: Path | str, plan: PreferencePlan = PLAN, seed: int = 0, progress: bool = True):
        self.folder, self.plan, self.seed, self.progress = Path(folder), plan, seed, progress
        self.record = read_record(self.folder)
        if self.record["arm"] not in (ALIGNED.name, DEEPTALK.name):
            raise LearnerError(f"a run of {ALIGNED.name} or {DEEPTALK.name}", f"one of {self.record['arm']}",
                               "stage 4 goes on from the recipe's own model, and this arm changed it", "minideeptalk train --size nano --out DIR")
        self.size = size_config(self.record["size"])
        self.recipe = Recipe(self.size, self.folder, self.record["seed"], progress=progress)
        self.stage = preference_stage(self.size)
        self.model = load_stage(self.folder, speech_stages(self.size)[-1].name)
        with damage_explained(self.folder):
            self.tools = self.recipe.tools()
            self.spoken = self.recipe.spoken(self.tools)
        self.examiners = Examiners(self.tools.codec, self.tools.judge, self.tools.style_judge)
        self.builder = ExampleBuilder(self.model.config, Tokenizer())
        self.sampler = TaskSampler(self.builder, self.size.world, self.spoken["train"])

    def preferences(self) -> Preferences:
        """The pairs, from this folder where they were made before."""
        return make_preferences(self.model, self.sampler, self.examiners, self.folder / "preferences" / f"seed-{self.seed}-{self.plan.name}",
                                self.plan, self.seed, self.progress)

    def train(self, preferences: Preferences) -> dict:
        """Stage 4, in place; its checkpoint is written in one move. Returns what `train_stage` does."""
        progress = self.folder / "progress" / self.stage.name / f"seed-{self.seed}-{self.plan.name}-of-{self.plan.requests}"  # other pairs begin anew
        result = train_stage(
            self.model, self.stage,
            lambda step: pair_batch(preferences.pairs, self.sampler, self.stage.batch, f"{self.seed}-{self.stage.code}-{step}"),
            seed=self.seed, progress_folder=progress, show_progress=self.progress, loss=PreferenceLoss(self.model))
        with in_one_move(self.folder / "stages" / self.stage.name) as fresh:
            self.model.save_pretrained(fresh)
        shutil.rmtree(progress.parent, ignore_errors=True)
        return result

    def examine(self, split: str = "test") -> dict:
        """Delivery, text skills and spoken questions of the model as it is now."""
        config, known = self.size.evaluation, self.record["metrics"]["text_accuracy"]["before"]
        after = text_accuracy(self.model, self.builder, split, config.text_items)
        drop = relative_text_drop(known, after, CHANCE, self.size.world.covered)
        questions = [question for question in self.spoken[split].questions if question.voice != HELD_OUT_VOICE.name]
        answered = spoken_questions(self.model, self.builder, self.examiners, questions[:config.spoken_questions])
        return delivery(self.model, self.builder, self.examiners, self.tools.ear, self.spoken["train"], self.spoken[split],
                        config.spoken_answers) | {
            "relative_text_drop": drop["all"],
            **{name: answered[name] for name in ("spoken_qa_text", "spoken_qa_speech", "text_beside_speech")}}

    def settings(self) -> dict:
        """What pairs and training depend on, as `config.preference` of the record."""
        return {"plan": asdict(self.plan), "beta": BETA, "anchor": ANCHOR, "updates": self.stage.updates, "pairs_in_a_batch": self.stage.batch,
                "learning_rate": self.stage.learning_rate, "seed": self.seed}

    def requested_words(self, split: str = "test") -> int:
        """Words that the delivery of this split asks for; trained and unseen texts are equally long."""
        return sum(len(reply.words) for reply in self.spoken[split].replies[:self.size.evaluation.spoken_answers])


def run_dpo(folder: Path | str, plan: PreferencePlan = PLAN, seed: int = 0, progress: bool = True) -> dict:
    """Make pairs, train stage 4, measure before and after; a finished `record-dpo.json` is read and not made again.

    Returns:
        The record as a dict; see `PreferenceRun` for the arguments.

    Raises:
        LearnerError: also where stage 4 was finished with another seed or plan.
    """
    folder = Path(folder)
    if (folder / RECORD).is_file() and has_stage(folder, "4-dpo"):
        return _finished(folder, plan, seed)
    torch.set_num_threads(1)  # each stage raises it where that is quicker
    run, began = PreferenceRun(folder, plan, seed, progress), time.perf_counter()
    before = run.examine()
    preferences = run.preferences()
    if not preferences.pairs:
        raise LearnerError("takes of one text that differ in word errors", f"none among {preferences.counts['takes']} takes",
                           "a model that hardly speaks, or too few requests", "train it for longer, or ask for more with --requests")
    sampled = time.perf_counter()
    trained = run.train(preferences)
    after = run.examine()
    metrics = measure(run.recipe, run.model, run.tools, run.spoken)
    metrics["preference"] = compared(before, after, run.requested_words(), preferences)
    if trials := trials_of(folder):
        metrics["extra"] = metrics.get("extra", {}) | {"preference_trials": trials}
    seconds = {"preferences": sampled - began, "stage 4": trained["seconds"]}
    return write_record(run, metrics, trained, seconds | {"evaluation of stage 4": time.perf_counter() - began - sum(seconds.values())})


def _finished(folder: Path, plan: PreferencePlan, seed: int) -> dict:
    """The record of a finished stage 4, if it was made with this seed and plan."""
    record = read_record(folder / RECORD)
    made = record["config"]["preference"]
    wanted = json.loads(json.dumps(asdict(plan)))  # with lists for tuples, as in the record
    if (made["seed"], made["plan"]) != (seed, wanted):
        others = [name for name in wanted if name != "requests" and made["plan"][name] != wanted[name]]
        found, asked = (", ".join([f"seed {number} and {told['requests']} requests", *(f"{name} {told[name]}" for name in others)])
                        for number, told in ((made["seed"], made["plan"]), (seed, wanted)))
        raise LearnerError(f"{found}, as in {folder / RECORD}", asked, "stage 4 of this run is finished, and a run has room for one",
                           f"for another, move {RECORD} and stages/4-dpo elsewhere")
    return record


def trials_of(folder: Path) -> list[dict]:
    """What was tried on the validation split before this run, from `preferences/trials.json`; empty where nothing was written down."""
    path = folder / "preferences" / "trials.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def compared(before: dict, after: dict, words: int, preferences: Preferences) -> dict:
    """`metrics.preference` of a run record: both models, the change of the judge's WER with its interval, and the pairs."""
    change = {}
    for name in ("trained", "unseen"):
        low, high = paired_interval(before[name]["errors"], after[name]["errors"], words)
        change[name] = {"judge_wer": after[name]["judge_wer"] - before[name]["judge_wer"], "low": low, "high": high}
    return {"before": _without_errors(before), "after": _without_errors(after), "change": change,
            "pairs": {"pairs": len(preferences.pairs), **preferences.counts}}


def _without_errors(examined: dict) -> dict:
    return {name: {key: number for key, number in value.items() if key != "errors"} if isinstance(value, dict) else value
            for name, value in examined.items()}


def write_record(run: PreferenceRun, metrics: dict, trained: dict, seconds: dict[str, float]) -> dict:
    """The run's record with what stage 4 added, as `record-dpo.json` beside it."""
    record, code = dict(run.record), run.stage.code
    budget = {key: trained[key] for key in ("updates", "tokens", "trainable")}
    record["budget"] = record["budget"] | {
        "updates": record["budget"]["updates"] + budget["updates"], "tokens": record["budget"]["tokens"] + budget["tokens"],
        "by_stage": record["budget"].get("by_stage", {}) | {code: budget}}
    record |= surroundings() | {
        "config": record["config"] | {"preference": run.settings()}, "metrics": metrics, "curves": record["curves"] + trained["curves"], "seconds": record["seconds"] + sum(seconds.values()),
        "stage_seconds": record["stage_seconds"] | seconds,
        "notes": [*record["notes"], f"stage 4 on the run of seed {record['seed']}, takes and batches of seed {run.seed}"],
        "not_measured": {name: why for name, why in record["not_measured"].items() if not name.startswith("metrics.")} | _gaps(metrics)}
    whole = RunRecord(**record)
    whole.write(run.folder / RECORD)
    return whole.to_dict()


def _gaps(metrics: dict) -> dict[str, str]:
    """The reasons for what is None in the metrics."""
    gaps = {f"metrics.preference.{model}.{texts}.f0_spread": "no voice was found in any of these sounds"
            for model in ("before", "after") for texts in ("trained", "unseen", "original")
            if metrics["preference"][model][texts]["f0_spread"] is None}
    if metrics["first_audio_ms"]["p50"] is None:
        gaps["metrics.first_audio_ms"] = "the ear understood none of the questions that were timed"
    return gaps


def preference_table(record: dict) -> str:
    """Before and after as Markdown, from the record alone."""
    found = record["metrics"]["preference"]
    rows = [("word error rate, trained texts, judge", "trained", "judge_wer"), ("word error rate, unseen texts, judge", "unseen", "judge_wer"),
            ("word error rate, trained texts, ear", "trained", "ear_wer"), ("word error rate, unseen texts, ear", "unseen", "ear_wer"),
            ("spread of log pitch, unseen texts", "unseen", "f0_spread"), ("length, unseen texts, of the original", "unseen", "length_ratio")]
    lines = ["| | before | after | original |", "| --- | --- | --- | --- |"]
    for title, texts, name in rows:
        values = [found["before"][texts][name], found["after"][texts][name], found["before"]["original"][name]]
        lines.append(f"| {title} | " + " | ".join("-" if value is None else f"{value:.3f}" for value in values) + " |")
    for title, name in (("spoken questions answered aloud", "spoken_qa_speech"), ("relative text drop", "relative_text_drop")):
        lines.append(f"| {title} | {found['before'][name]:.3f} | {found['after'][name]:.3f} | |")
    return "\n".join(lines) + "\n"
