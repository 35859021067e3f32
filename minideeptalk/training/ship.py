"""Make `data_samples/` from a finished nano run: small checkpoints, clips with transcripts, text samples.

    python -m minideeptalk.training.ship RUN data_samples
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from minideeptalk.config import STEP_SAMPLES, size_config
from minideeptalk.model.checkpoints import load_stage, save_changes
from minideeptalk.speech.files import write_audio
from minideeptalk.speech.voices import VOICES
from minideeptalk.training.preparation import SplitCorpora, Tools, synthesise
from minideeptalk.training.recipe import TOOL_FOLDERS
from minideeptalk.training.stages import pretrain_stage, speech_stages
from minideeptalk.world import FAMILIES

QUESTION_CLIPS = 40
REPLY_CLIPS = 20


def ship(run: Path, target: Path) -> None:
    """Write tools, stages, clips and texts of the nano run `run` into `target`."""
    ship_tools(run, target / "nano")
    ship_stages(run, target / "nano")
    corpora = synthesise(size_config("nano"), run / "cache", splits=("test",), progress=False)["test"]
    ship_clips(corpora, Tools.load(run), target)
    ship_texts(target)


def ship_tools(run: Path, target: Path) -> None:
    """Codec, ear and judges with half-precision weights, the selection, and the record of the run."""
    for name in TOOL_FOLDERS:
        (target / name).mkdir(parents=True, exist_ok=True)
        for path in (run / name).iterdir():
            if path.suffix == ".safetensors":
                weights = {key: value.half() if value.is_floating_point() else value for key, value in load_file(path).items()}
                save_file(weights, target / name / path.name)
            else:
                shutil.copy(path, target / name / path.name)
    for name in ("selection.json", "record.json"):
        shutil.copy(run / name, target / name)


def ship_stages(run: Path, target: Path) -> None:
    """Stage 0 whole, each later stage as what it changed; all in half precision."""
    size = size_config("nano")
    before_name = pretrain_stage(size).name
    shutil.rmtree(target / "stages", ignore_errors=True)
    before = load_stage(run, before_name)
    before.half().save_pretrained(target / "stages" / before_name)
    for stage in speech_stages(size):
        before = load_stage(target, before_name)
        save_changes(load_stage(run, stage.name), before, before_name, target / "stages" / stage.name)
        before_name = stage.name


def ship_clips(corpora: SplitCorpora, tools: Tools, target: Path) -> None:
    """Held-out questions in all voices and styles, and replies of the assistant, as FLAC with `clips.json`.

    `conversations.json` has the same questions and answers in the layout of the reference project's data files.
    """
    folder = target / "clips"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clips, conversations = [], []
    for number in _spread(corpora, QUESTION_CLIPS):
        request, item = corpora.questions.request(number), corpora.items[number]
        name = f"question-{len(clips):02d}-{item.family}-{request.voice}-{request.style}.flac"
        write_audio(folder / name, corpora.questions.waveform(number))
        clips.append({"file": name, "kind": "question", "words": " ".join(request.words), "answer": " ".join(item.answer),
                      "family": item.family, "voice": request.voice, "accent": VOICES[request.voice].accent,
                      "style": request.style, "split": "test", "seconds": round(corpora.questions.duration(number), 2)})
        conversations.append({"conversations": [
            {"role": "user", "content": " ".join(request.words), "wavpath": f"clips/{name}", "speaker": request.voice},
            {"role": "assistant", "content": " ".join(item.answer)}]})
    for number in range(REPLY_CLIPS):
        request, waveform = corpora.replies.request(number), corpora.replies.waveform(number)
        name = f"reply-{number:02d}-{request.style}.flac"
        write_audio(folder / name, waveform)
        codes = tools.codec.encode(torch.from_numpy(waveform))
        clips.append({"file": name, "kind": "reply", "words": " ".join(request.words), "voice": request.voice,
                      "accent": VOICES[request.voice].accent, "style": request.style, "split": "test",
                      "word_steps": [round(second * 16000 / STEP_SAMPLES) for second in corpora.replies.word_steps(number)],
                      "seconds": round(len(waveform) / 16000, 2)})
        conversations.append({"conversations": [
            {"role": "user", "content": "say " + " ".join(request.words)},
            {"role": "assistant", "content": " ".join(request.words), "wavpath": f"clips/{name}",
             "codec": codes.flatten().tolist(), "speaker": request.voice}]})
    (target / "clips.json").write_text(json.dumps(clips, indent=1) + "\n")
    (target / "conversations.json").write_text(json.dumps(conversations) + "\n")


def _spread(corpora: SplitCorpora, count: int) -> list[int]:
    """Numbers of questions that differ in (family, voice, style) as far as `count` allows."""
    chosen, seen = [], set()
    for number, item in enumerate(corpora.items):
        request = corpora.questions.request(number)
        marks = {(item.family, request.voice), (request.voice, request.style)}
        if not marks <= seen:
            seen |= marks
            chosen.append(number)
    rest = [number for number in range(len(corpora.items)) if number not in set(chosen)]
    return (chosen + rest)[:count]


def ship_texts(target: Path) -> None:
    """A few held-out items of every family as JSON."""
    texts = [{"family": name, "spoken": family.spoken, "kind": family.kind, "question": " ".join(item.question),
              "answer": " ".join(item.answer), "wrong": " ".join(item.wrong) if item.wrong else None}
             for name, family in FAMILIES.items() for item in family.items("test", 5, 0)]
    (target / "texts.json").write_text(json.dumps(texts, indent=1) + "\n")


if __name__ == "__main__":
    ship(Path(sys.argv[1]), Path(sys.argv[2]))
