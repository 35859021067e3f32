"""Why a finished run forgets what it forgets: knocked-out experts, drifted weights, load maps, probes; what `minideeptalk explain` does (chapter 14)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from minideeptalk.errors import LearnerError
from minideeptalk.evaluation.drift import weight_drift
from minideeptalk.evaluation.kept import kept_of, mean_kept
from minideeptalk.evaluation.knock_out import Exam, knock_out
from minideeptalk.evaluation.load_shift import load_distances, load_shifts
from minideeptalk.evaluation.probes import probe_model
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.evaluation.within_frame import read_frames, within_frame
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkModel
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.records.finding import finding
from minideeptalk.tasks import ExampleBuilder, SpokenSet
from minideeptalk.training.arm import Arm
from minideeptalk.training.evaluate import open_finished, tools_and_speech
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import pretrain_stage
from minideeptalk.world import CHANCE, FAMILIES


@dataclass(frozen=True)
class Depth:
    """How much is asked.

    Args:
        text_items: of each skill. questions, answers: spoken ones of each exam. draws: random sets of experts.
        probed: training examples of a probe. replies: training replies whose frames are read.
    """

    text_items: int = 200
    questions: int = 100
    answers: int = 100
    draws: int = 5
    probed: int = 2000
    replies: int = 1500


def explain_run(folder: Path | str, find_arm: Callable[[str], Arm], depth: Depth = Depth(), seed: int = 0,
                say: Callable[[str], None] = lambda line: None) -> dict:
    """Look into a finished run; nothing is trained but probes, and nothing is written.

    An arm that sets no experts apart has none to close: its `knock_out` holds the exam with all of them, and a note says why.

    Args:
        folder: a finished run with all checkpoints and its spoken material. find_arm: as `baselines.find_arm`.
        seed: of random sets and shuffles. say: hears what is being done.

    Returns:
        a finding of kind `why` (`records.finding`).

    Raises:
        LearnerError: for a folder without a finished run or without the selection it made, or an arm that changes the model itself.
    """
    began = time.perf_counter()
    record, recipe = open_finished(folder, find_arm)
    selection = _selection(recipe)
    models = _stages(recipe)
    tools, spoken = tools_and_speech(recipe)
    say("knocked-out experts")
    run = {name: record[name] for name in ("arm", "seed", "commit", "date")} | {"updates": record["budget"]["updates"]}
    result = {"run": run, "covered": list(recipe.size.world.covered),
              **_knocked_out(recipe, models, selection, tools, spoken["test"], depth, seed)}
    say("weights and loads")
    result |= {"drift": weight_drift(models, selection), "load_distance": load_distances(record["loads"]),
               "load_shift": load_shifts(record["loads"])}
    say("probes")
    result |= {"probes": _probed(models, spoken, recipe, depth, seed)}
    say("frames")
    result |= {"within_frame": _frames(list(models.values())[-1], spoken, recipe, depth, seed)}
    settings = {**asdict(depth), "seed": seed, "split": "test", "decoder": "ParallelDecoder"}
    notes = [f"no experts were closed: {recipe.arm.name} sets none apart"] if selection is None else []
    return finding("why", record["size"], [record["seed"]], settings, time.perf_counter() - began, result, notes)


def _selection(recipe: Recipe) -> Selection | None:
    """The audio experts of the run; None for an arm that sets none apart, such as puremoe."""
    selection = recipe.chosen()
    if recipe.arm.prepare is not None:
        raise LearnerError("a run of one model with open routing", f"arm {recipe.arm.name}", "this arm changes the routing, adds experts, or is made of two models",
                           "explain a run of deeptalk-aligned, of another selection, or of puremoe")
    if selection is None and recipe.arm.select is not None:
        raise LearnerError(f"selection.json of {recipe.arm.name}, with the audio experts set apart", f"none in {recipe.folder}", "the folder was copied in part",
                           "explain the whole folder of the run")
    return selection


def _stages(recipe: Recipe) -> dict[str, DeepTalkModel]:
    """The model after every stage, by the stage's code; all with the run's own layout."""
    stages = [pretrain_stage(recipe.size), *(stage for part in recipe.stages() for stage in part)]
    models = {stage.code: load_stage(recipe.folder, stage.name).eval() for stage in stages}
    for model in models.values():
        model.config.layout, model.config.delay = recipe.arm.layout, recipe.arm.delay
    return models


def _knocked_out(recipe: Recipe, models: dict[str, DeepTalkModel], selection: Selection | None, tools: Tools, spoken: SpokenSet, depth: Depth,
                 seed: int) -> dict:
    """Rows of `knock_out` with the share of each text skill of stage 0 that is there, and what guessing scores."""
    first, last = (list(models.values())[place] for place in (0, -1))
    builder, examiners = ExampleBuilder(last.config, recipe.tokenizer), Examiners(tools.codec, tools.judge, tools.style_judge)
    exam = Exam(builder, examiners, spoken, depth.text_items, depth.questions, depth.answers)
    before = text_accuracy(first, builder, "test", depth.text_items)
    rows = [row | {"kept": kept_of(before, row["text_accuracy"])} for row in knock_out(last, exam, selection, depth.draws, seed)]
    asked = [FAMILIES[question.item.family].chance for question in exam.asked]
    return {"text_before": before, "knock_out": rows,
            "chance": {"text_accuracy": CHANCE, "spoken_qa": sum(asked) / len(asked)}}


def _probed(models: dict[str, DeepTalkModel], spoken: dict[str, SpokenSet], recipe: Recipe, depth: Depth, seed: int) -> list[dict]:
    """Probes of the text model, of the aligned model and of the finished one."""
    codes = list(models)
    rows = []
    for code in dict.fromkeys((codes[0], codes[1], codes[-1])):
        builder = ExampleBuilder(models[code].config, recipe.tokenizer)
        torch.manual_seed(seed)
        rows += [{"stage": code, **row} for row in probe_model(models[code], builder, spoken["train"], spoken["test"], depth.probed, seed)]
    return rows


def _frames(model: DeepTalkModel, spoken: dict[str, SpokenSet], recipe: Recipe, depth: Depth, seed: int) -> list[dict]:
    builder = ExampleBuilder(model.config, recipe.tokenizer)
    counts = {"train": depth.replies, "validation": depth.replies // 4, "test": depth.replies // 4}
    return within_frame(*(read_frames(model, builder, spoken[split].replies[:count]) for split, count in counts.items()), seed=seed)


def explanation(found: Mapping) -> str:
    """A finding of kind `why` as plain text: its notes, the exam, then what moved, then what the probes read off the last stage."""
    result = found["result"]
    lines = [*found["notes"], f"{'closed':<18}{'of a layer':>11}{'text kept':>11}{'QA text':>9}{'QA speech':>11}{'TTS WER':>9}"]
    for row in result["knock_out"]:
        kept = mean_kept(row["kept"], row["kept"])
        lines.append(f"{row['closed']:<18}{row['count']:>11}{kept:>11.0%}{row['spoken_qa_text']:>9.0%}{row['spoken_qa_speech']:>11.0%}{row['tts_wer']:>9.0%}")
    stages = list(dict.fromkeys(row["stage"] for row in result["drift"]))
    lines += ["", f"{'moved in stage':<18}" + "".join(f"{stage:>9}" for stage in stages)]
    for group in dict.fromkeys(row["group"] for row in result["drift"]):
        lines.append(f"{group:<18}" + "".join(f"{row['since_before']:>9.3f}" for row in result["drift"] if row["group"] == group))
    last = result["probes"][-1]["stage"]
    states = sorted({row["state"] for row in result["probes"]})
    lines += ["", f"{f'read off, stage {last}':<22}" + "".join(f"{'input' if state == 0 else f'layer {state - 1}':>9}" for state in states) + f"{'chance':>9}"]
    for question in dict.fromkeys(row["question"] for row in result["probes"]):
        rows = [row for row in result["probes"] if (row["question"], row["stage"]) == (question, last)]
        lines.append(f"{question:<22}" + "".join(f"{row['accuracy']:>9.0%}" for row in rows) + f"{rows[0]['chance']:>9.0%}")
    return "\n".join(lines)
