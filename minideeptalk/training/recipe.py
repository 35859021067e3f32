"""The whole recipe, from nothing to a model that answers aloud: each part is made once and found again when a run resumes.

What a run leaves in its folder: `codec/`, `ear/`, `judge/`, `style_judge/`, `spoken/<split>/`, `stages/<name>/`,
`selection.json`, `parts.json` (curves, loads and seconds so far) and, at the end, `record.json`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file

from minideeptalk.config import SizeConfig
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.experts import Selection
from minideeptalk.model import DeepTalkConfig, DeepTalkModel
from minideeptalk.model.checkpoints import has_stage, load_stage
from minideeptalk.records.rows import curve_rows, load_rows
from minideeptalk.tasks import ExampleBuilder, SpokenSet, TaskSampler
from minideeptalk.training.arm import ALIGNED, Arm
from minideeptalk.training.checkpoints import in_one_move
from minideeptalk.training.loop import train_stage
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.parts import Parts
from minideeptalk.training.preparation import SPLITS, Tools, encode_split, prepare_tools, synthesise
from minideeptalk.training.profile import Profile, profile_loads
from minideeptalk.training.stages import Stage, pretrain_stage
from minideeptalk.training.threads import quickest_threads
from minideeptalk.world import Tokenizer

TOOL_FOLDERS = ("codec", "ear", "judge", "style_judge")


class Recipe:
    """One run in one folder.

    Args:
        size: the dial. folder: where everything goes. seed: of the weights and the batches. arm: what this run does its way.
        shipped: folder with ready tools and stage 0 to start from, or None to make everything here.
        cores: how many CPU cores training and evaluation may share out.
    """

    def __init__(self, size: SizeConfig, folder: Path, seed: int = 0, arm: Arm = ALIGNED,
                 shipped: Path | None = None, progress: bool = True, cores: int = 1):
        self.size, self.folder, self.seed, self.arm, self.cores = size, Path(folder), seed, arm, cores
        self.shipped, self.progress = shipped, progress
        self.tokenizer = Tokenizer()
        self.parts = Parts.open(self.folder)
        sounds = [place / "cache" for place in (self.folder, shipped) if place is not None and (place / "cache").exists()]
        self.cache = sounds[0] if sounds else self.folder / "cache"  # synthesised speech

    # ---- tools and material --------------------------------------------------------------------------------------

    def tools(self) -> Tools:
        """Codec, ear and judges: from this folder, from the shipped one, or made now."""
        source = self._find("ear/ear.safetensors", "judge/judge.safetensors", "codec/codec.safetensors",
                            "style_judge/style_judge.safetensors")
        if source is None:
            corpora = self.corpora()
            return self.parts.timed("codec, ear and judges, beside stage 0", lambda: self._make_tools(corpora))
        tools = Tools.load(source)
        if source != self.folder:
            tools.save(self.folder)
        return tools

    def _make_tools(self, corpora: dict) -> Tools:
        """Ear and judges on one core while stage 0, if it is wanting too, runs on another."""
        if self._stage_source(pretrain_stage(self.size)) is not None:
            beside = Parts.open(self.folder / "progress")
            if pretrain_stage(self.size).code not in self.parts.budget and beside.budget:  # interrupted between the two
                self.parts.absorb(beside)
            return prepare_tools(self.size, corpora, self.cache, self.folder, self.seed, workers=2)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            beside = pool.submit(_pretrain_beside, self.size, self.folder, self.seed, self.arm, self.progress)
            tools = prepare_tools(self.size, corpora, self.cache, self.folder, self.seed, workers=1)
            self.parts.absorb(beside.result())
        return tools

    def corpora(self) -> dict:
        """Synthesised speech of all splits, from the cache if it is there."""
        return self.parts.timed("synthesis", lambda: synthesise(self.size, self.cache, progress=self.progress))

    def spoken(self, tools: Tools) -> dict[str, SpokenSet]:
        """Ear frames and codec codes of all splits."""
        source = self._find(*(f"spoken/{split}/spoken.json" for split in SPLITS))
        if source is None:
            source, corpora = self.folder, self.corpora()
            self.parts.timed("encoding", lambda: [encode_split(tools, corpora[split]).save(source / "spoken" / split)
                                                  for split in SPLITS])
        return {split: SpokenSet.load(source / "spoken" / split) for split in SPLITS}

    def _find(self, *names: str) -> Path | None:
        for place in (self.folder, self.shipped):
            if place is not None and all((place / name).exists() for name in names):
                return place
        return None

    # ---- stages --------------------------------------------------------------------------------------------------

    def pretrained(self) -> DeepTalkModel:
        """The text model of stage 0: found, or trained now."""
        stage = pretrain_stage(self.size)
        source = self._stage_source(stage)
        if source is not None:
            model = load_stage(source, stage.name)
            self._set_layout(model)
        else:
            torch.manual_seed(self.seed)
            model = DeepTalkModel(self._model_config())
            self._set_layout(model)
            self._train(model, stage, self._sampler(model, None), None)
        if source != self.folder:
            self._save(model, stage)
        if not any(point["stage"] == stage.code and point["name"].startswith("text_accuracy/") for point in self.parts.curves):
            self._measure_text(model, stage, stage.updates)
        return model

    def _model_config(self) -> DeepTalkConfig:
        """The size's config with what the arm chooses otherwise."""
        config = DeepTalkConfig.from_size(self.size.model, len(self.tokenizer), self.size.ear.width,
                                          codebook_size=self.size.codec.codebook_size)
        return DeepTalkConfig(**{**config.to_dict(), **self.arm.choices(self.size)})

    def _stage_source(self, stage: Stage) -> Path | None:
        own = bool(self.arm.choices(self.size))  # another architecture has no use for the shipped text model
        places = (self.folder,) if own else (self.folder, self.shipped)
        return next((place for place in places if place and has_stage(place, stage.name)), None)

    def _set_layout(self, model: DeepTalkModel) -> None:
        model.config.layout, model.config.delay = self.arm.layout, self.arm.delay

    def run_stages(self, model: DeepTalkModel, spoken: dict[str, SpokenSet]) -> DeepTalkModel:
        """The stages after 0, with profile and selection after stage 1; continues after the last finished stage."""
        model, sampler = self.aligned(model, spoken), self._sampler(model, spoken["train"])
        selection = self.selection(model, sampler)
        return self._run(self._prepared(model, selection), self.stages()[1], sampler, selection)

    def aligned(self, model: DeepTalkModel, spoken: dict[str, SpokenSet]) -> DeepTalkModel:
        """The model of stage 0 after stage 1, as far as arms of one layout share it."""
        sampler = self._sampler(model, spoken["train"])
        if not self.parts.loads:
            self._record_loads(model, sampler, "0")
        return self._run(model, self.stages()[0], sampler, None)

    def stages(self) -> tuple[list[Stage], list[Stage]]:
        """The shared stage 1, if the arm begins with it, and the stages in which arms differ."""
        stages = self.arm.stages(self.size)
        shared = int(bool(stages) and stages[0].code == "1")
        return stages[:shared], stages[shared:]

    def _differs(self, stage: Stage) -> bool:
        """Whether the arm's own hooks apply: in all stages but 0 and a shared stage 1."""
        return stage in self.stages()[1]

    def _run(self, model: DeepTalkModel, stages: list[Stage], sampler: TaskSampler, selection: Selection | None) -> DeepTalkModel:
        done = list(takewhile(lambda stage: has_stage(self.folder, stage.name), stages))
        if done:
            self._read_weights(model, done[-1])
        for stage in stages[len(done):]:
            with self.arm.around(model, stage, selection) if self._differs(stage) else nullcontext():
                self._train(model, stage, sampler, _allowed(stage, selection))
            if self.arm.finish and stage == self.stages()[1][-1]:
                self.arm.finish(model, self._text_model())
            self._measure_text(model, stage, stage.updates)
            self._record_loads(model, sampler, stage.code)
            self._save(model, stage)
        return model

    def _prepared(self, model: DeepTalkModel, selection: Selection | None) -> DeepTalkModel:
        return self.arm.prepare(model, selection) if self.arm.prepare else model

    def _read_weights(self, model: DeepTalkModel, stage: Stage) -> None:
        model.load_state_dict(load_file(self.folder / "stages" / stage.name / "model.safetensors"))

    def _text_model(self) -> DeepTalkModel:
        """The text model of stage 0, frozen."""
        return load_stage(self.folder, pretrain_stage(self.size).name).eval().requires_grad_(False)

    def finished_model(self) -> DeepTalkModel:
        """The model after the last stage of a finished run."""
        first, later = self.stages()
        first = [pretrain_stage(self.size), *first]
        if self.arm.prepare is None:
            return load_stage(self.folder, [*first, *later][-1].name)
        model = load_stage(self.folder, first[-1].name)
        self._set_layout(model)
        model = self._prepared(model, self.chosen())
        if later:
            self._read_weights(model, later[-1])
        return model

    def selection(self, model: DeepTalkModel, sampler: TaskSampler) -> Selection | None:
        """The audio experts of every layer, chosen once after stage 1; None for an arm that sets none apart."""
        chosen = self.chosen()
        if chosen is None and self.arm.select is not None:
            chosen = self.parts.timed("selection", lambda: self.arm.select(Profile(model, sampler, self.size, self.seed)))
            chosen.save(self.folder / "selection.json")
        return chosen

    def chosen(self) -> Selection | None:
        """The selection as far as it has been made."""
        path = self.folder / "selection.json"
        return Selection.load(path) if path.exists() else None

    def _sampler(self, model: DeepTalkModel, spoken: SpokenSet | None) -> TaskSampler:
        return TaskSampler(ExampleBuilder(model.config, self.tokenizer), self.size.world, spoken)

    def _train(self, model, stage: Stage, sampler: TaskSampler, allowed) -> None:
        name = f"stage {stage.code}"
        self.parts.forget(stage.code)
        if self.size.stages.checkpoint_layers:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        result = self.parts.timed(name, lambda: train_stage(
            model, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"{self.seed}-{stage.code}-{step}"),
            seed=self.seed, selection=allowed, progress_folder=self.folder / "progress" / stage.name,
            show_progress=self.progress, loss=self._loss(stage),
            threads=quickest_threads(self.cores)))
        self.parts.seconds[name] = result["seconds"]  # of all sittings
        self.parts.curves += result["curves"]
        self.parts.budget[stage.code] = {key: result[key] for key in ("updates", "tokens", "speech_tokens", "trainable")}
        self.parts.save()

    def _loss(self, stage: Stage) -> Callable:
        own = self.arm.loss is not None and self._differs(stage)
        return self.arm.loss(self._text_model()) if own else batch_loss

    def _measure_text(self, model, stage: Stage, step: int) -> None:
        builder = ExampleBuilder(model.config, self.tokenizer)
        accuracy = self.parts.timed("evaluation", lambda: text_accuracy(model, builder, "test", self.size.evaluation.text_items))
        self.parts.curves += curve_rows(stage.code, step, accuracy, prefix="text_accuracy/")
        self.parts.save()

    def _record_loads(self, model, sampler: TaskSampler, code: str) -> None:
        self.parts.loads += load_rows(code, profile_loads(model, sampler).share("share"))
        self.parts.save()

    def _save(self, model, stage: Stage) -> None:
        """Write the stage's checkpoint in one move, so that an interruption never leaves half of one."""
        with in_one_move(self.folder / "stages" / stage.name) as fresh:
            model.save_pretrained(fresh)
        shutil.rmtree(self.folder / "progress" / stage.name, ignore_errors=True)


def _pretrain_beside(size: SizeConfig, folder: Path, seed: int, arm: Arm, progress: bool) -> Parts:
    """Stage 0 in a process of its own, on one thread; what it measured is kept apart until it is absorbed."""
    torch.set_num_threads(1)
    recipe = Recipe(size, folder, seed, arm, None, progress)
    recipe.parts = Parts.open(folder / "progress")
    recipe.pretrained()
    return recipe.parts


def _allowed(stage: Stage, selection: Selection | None) -> list[list[int]] | None:
    """The experts that a stage may use, layer by layer."""
    if stage.experts == "all":
        return None
    if stage.experts == "audio":
        return [list(experts) for experts in selection.audio_experts]
    return [list(selection.text_experts(layer)) for layer in range(selection.num_layers)]
