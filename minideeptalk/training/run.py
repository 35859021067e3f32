"""One command's worth of training: the recipe, its evaluation, and the run record that everything else reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

import torch

from minideeptalk.config import STYLES, SizeConfig, size_config
from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.latency import first_audio
from minideeptalk.evaluation.sound_workers import SoundWorkers
from minideeptalk.evaluation.spoken import Examiners, evaluate_speech
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.experts.partition import parameters_of
from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.talker import Talker
from minideeptalk.model import DeepTalkModel
from minideeptalk.records import RunRecord, environment, peak_memory_mb, relative_text_drop
from minideeptalk.records.rows import selection_entry
from minideeptalk.tasks import SpokenSet
from minideeptalk.training.arm import ALIGNED, Arm
from minideeptalk.training.loop import choose_precision
from minideeptalk.training.preparation import Tools, synthesise
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage
from minideeptalk.world import CHANCE, data_hash


def run_recipe(size: str, folder: Path, seed: int = 0, arm: Arm = ALIGNED, shipped: Path | None = None,
               progress: bool = True) -> dict:
    """Train one model from nothing, or from shipped tools and text model, and measure it.

    Args:
        size: `nano`, `mini` or `base`. folder: the run; finished parts in it are not made again. arm: what it does its way.
        shipped: folder with codec, ear, judges and stage 0, or None.

    Returns:
        The run record as a dict; it is also written to `folder/record.json`.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(1)  # each stage raises it where that is quicker
    return complete(Recipe(size_config(size), Path(folder), seed, arm, shipped, progress, cores))


def complete(recipe: Recipe, told: dict | None = None) -> dict:
    """Everything of a recipe that is not done yet, then its record.

    Args:
        told: goes into the record's `config`: whatever else decided this run.

    Returns:
        The run record as a dict; it is also written to the run's folder.
    """
    tools = recipe.tools()
    spoken = recipe.spoken(tools)
    model = recipe.run_stages(recipe.pretrained(), spoken)
    measured = recipe.arm.measure or measure
    metrics = recipe.parts.timed("evaluation", lambda: measured(recipe, model, tools, spoken))
    record = build_record(recipe, model, metrics, told or {})
    record.write(recipe.folder / "record.json")
    return record.to_dict()


def measure(recipe: Recipe, model: DeepTalkModel, tools: Tools, spoken: dict[str, SpokenSet],
            talker: Talker | None = None, decoder: type[SpokenDecoder] = ParallelDecoder) -> dict:
    """The `metrics` of a run record, all on the test split.

    Args:
        talker: holds the conversations that are timed and makes all prompts; None takes one for the model.
        decoder: how the answers that are judged are decoded.
    """
    torch.set_num_threads(1)
    talker = talker or Talker(model, tools.ear, tools.codec)
    if recipe.cores > 1:
        with SoundWorkers(recipe.folder / "codec", recipe.cores) as workers:
            return _measure(recipe, talker, decoder, Examiners(tools.codec, tools.judge, tools.style_judge, workers), spoken)
    return _measure(recipe, talker, decoder, Examiners(tools.codec, tools.judge, tools.style_judge), spoken)


def _measure(recipe: Recipe, talker: Talker, decoder: type[SpokenDecoder], examiners: Examiners,
             spoken: dict[str, SpokenSet]) -> dict:
    config, model, builder = recipe.size.evaluation, talker.model, talker.builder
    speech = evaluate_speech(model, builder, examiners, spoken["train"], spoken["test"], config, decoder)
    before = _text_accuracy_after(recipe, "0")
    after = text_accuracy(model, builder, "test", config.text_items)
    questions, latency = speech["questions"], _latency(recipe, talker)
    return {
        "relative_text_drop": relative_text_drop(before, after, CHANCE, recipe.size.world.covered),
        "text_accuracy": {"before": before, "after": after},
        "spoken_qa_text": questions["spoken_qa_text"], "spoken_qa_speech": questions["spoken_qa_speech"],
        "spoken_qa_by_family": questions["by_family"],
        "asr_wer": speech["recognition"]["asr_wer"], "ear_wer": speech["recognition"]["ear_wer"],
        "tts_wer": {"trained": speech["speaking"]["trained"], "unseen": speech["speaking"]["unseen"]},
        "codec_wer": speech["speaking"]["codec_wer"],
        "style_accuracy": speech["style"],
        "first_audio_ms": {name: latency[name] for name in ("parts", "p50", "p90")},
        "chance": {"text_accuracy": CHANCE, "spoken_qa_text": questions["chance"], "spoken_qa_speech": questions["chance"],
                   "style_accuracy": 1 / len(STYLES)},
        "ceiling": {"spoken_qa_text": questions["typed"]},
        "counts": {"text_items_per_family": config.text_items, "spoken_questions": config.spoken_questions,
                   "spoken_answers": config.spoken_answers, "ceilings": config.ceilings, "latency_runs": latency["runs"]},
        "extra": {"held_out_voice": speech["stranger"], "real_time_factor": latency["real_time_factor"],
                  "text_beside_speech": questions["text_beside_speech"]},
    }


def _latency(recipe: Recipe, talker: Talker) -> dict:
    """First-audio latency on one thread, over validation questions."""
    corpora = synthesise(recipe.size, recipe.cache, splits=("validation",), progress=False)["validation"]
    waveforms = [torch.from_numpy(corpora.questions.waveform(number)) for number in range(recipe.size.evaluation.latency_runs + 4)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return first_audio(talker, waveforms)
    finally:
        torch.set_num_threads(threads)


def _text_accuracy_after(recipe: Recipe, code: str) -> dict[str, float]:
    prefix = "text_accuracy/"
    rows = [point for point in recipe.parts.curves if point["stage"] == code and point["name"].startswith(prefix)]
    return {point["name"].removeprefix(prefix): point["value"] for point in rows}


def build_record(recipe: Recipe, model: DeepTalkModel, metrics: dict, told: dict) -> RunRecord:
    """The record of a finished run."""
    parts, size = recipe.parts, recipe.size
    around = surroundings()
    around["device"]["threads"] = recipe.cores  # at most: a step takes as many as are quickest
    selection = recipe.chosen()
    reasons = {} if selection else {"selection": "this arm sets no experts apart"}
    if metrics["first_audio_ms"]["p50"] is None:
        reasons["metrics.first_audio_ms"] = "the ear understood none of the questions that were timed"
    return RunRecord(
        arm=recipe.arm.name, size=size.name, seed=recipe.seed,
        config=size.to_dict() | {"model_config": _told(model), "arm": describe_arm(recipe), **told},
        data_hash=fingerprint(size), seconds=sum(parts.seconds.values()), stage_seconds=parts.seconds,
        peak_memory_mb=peak_memory_mb(around["device"]["kind"]), budget=_budget(recipe, model), metrics=metrics, curves=parts.curves,
        loads=parts.loads, not_measured=reasons,
        selection=selection_entry(selection.audio_experts, selection.formula, selection.normaliser, "1") if selection else None,
        notes=["started from shipped tools and text model"] if recipe.shipped else [],
        **around,
    )


def surroundings() -> dict:
    """The `environment` of the device that trains here, with its precision and why."""
    around = environment("cuda" if torch.cuda.is_available() else "cpu")
    around["device"]["precision"] = ": ".join(choose_precision())
    return around


def _told(model: DeepTalkModel) -> dict:
    """A model's settings, without what says where it was read from: a record is for others to read."""
    return {name: value for name, value in model.config.to_dict().items() if name not in ("_name_or_path", "architectures")}


def fingerprint(size: SizeConfig) -> str:
    """Fingerprint of the world and of the sizes of speech and codec; the voices themselves belong to the version of the library."""
    speech = json.dumps([size.to_dict()["speech"], size.to_dict()["codec"]], sort_keys=True)
    return data_hash() + blake2b(speech.encode(), digest_size=8).hexdigest()


def describe_arm(recipe: Recipe) -> dict:
    """What the arm changed and the stages it went through, for the record."""
    return {"changes": recipe.arm.changes, "stages": [asdict(stage) for stage in recipe.arm.stages(recipe.size)]}


def _budget(recipe: Recipe, model: DeepTalkModel) -> dict:
    """Updates, tokens and parameters after stage 0."""
    stages, by_stage = recipe.arm.stages(recipe.size), recipe.parts.budget
    lost = [stage.code for stage in stages if stage.code not in by_stage]
    if lost:
        raise LearnerError(f"what every stage cost, in {recipe.parts.path}", f"nothing of stage {', '.join(lost)}", "the file was lost or edited",
                           "train again with another --out")
    after = [by_stage[stage.code] for stage in stages]
    totals = {name: sum(stage[name] for stage in after) for name in ("updates", "tokens", "speech_tokens")}
    return totals | {
        "text_tokens": totals["tokens"] - totals["speech_tokens"], "trainable": _trainable(model, stages, by_stage),
        "active": model.active_parameters(), "by_stage": by_stage, "declared": list(recipe.arm.declared),
    }


def _trainable(model: DeepTalkModel, stages: list[Stage], by_stage: dict) -> int:
    """Parameters that any stage may move.

    A bank or an adapter is gone after its stage, so its size is what the stage counted beyond the parts that last.
    """
    def lasting(parts) -> int:
        return sum(parameter.numel() for parameter in parameters_of(model, tuple(parts)).values())

    parts = {part for stage in stages for part in stage.trainable}
    if "experts" in parts:
        return lasting(parts)
    passing = {stage.code if stage.experts == "all" else stage.experts: max(0, by_stage[stage.code]["trainable"] - lasting(stage.trainable))
               for stage in stages}  # less than nothing passes where a later stage has a second model with parts of these names
    return lasting(parts) + sum(passing.values())
