"""The demo: train the speech stages from the shipped text model, ask one question, and write one page that shows it all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from minideeptalk.baselines import find_arm
from minideeptalk.baselines.talking import open_run
from minideeptalk.errors import LearnerError
from minideeptalk.inference.decoding import speak
from minideeptalk.inference.talk import damage_explained, talk
from minideeptalk.inference.talker import Talker
from minideeptalk.records import read_record
from minideeptalk.tasks import SpokenReply, SpokenSet
from minideeptalk.teaching.samples import SampleQuestion, sample_questions, shipped_run
from minideeptalk.training.folders import begin_run
from minideeptalk.training.preparation import Tools
from minideeptalk.training.run import run_recipe
from minideeptalk.viz.audio import AudioClip
from minideeptalk.viz.report import write_report

EXAMPLE_LENGTH = 3  # words in the speaking examples


@dataclass(frozen=True)
class Shown:
    """What `show_run` made: the answer to a sample question (None without samples), its sound, and the page."""

    question: SampleQuestion | None
    answer: dict | None
    report: Path


def train(folder: Path | str, size: str | None = None, seed: int | None = None, arm: str | None = None, resume: bool = False,
          scratch: bool | None = None, progress: bool = True) -> dict:
    """Begin a run in a folder, or go on with it, until its record is written.

    Args:
        folder, resume, size, seed, arm, scratch: see `training.folders.begin_run`; `scratch=False` starts from the shipped
            codec, ear, judges and text model.

    Returns:
        The run record.

    Raises:
        LearnerError: for a folder that holds something else, an unknown size or arm, or a damaged checkpoint.
    """
    folder = Path(folder)
    if arm is not None:
        find_arm(arm)  # an unknown one is told before a folder is made
    settings = begin_run(folder, resume, size=size, seed=seed, arm=arm, scratch=scratch)
    if (folder / "record.json").is_file():
        return read_record(folder)
    shipped = None if settings.scratch else shipped_run()
    with damage_explained(folder):
        return run_recipe(settings.size, folder, settings.seed, find_arm(settings.arm), shipped, progress)


def run_demo(folder: Path | str, scratch: bool = False, seed: int | None = None, say: Callable[[str], None] = print,
             progress: bool = True) -> Shown:
    """Train at `nano` (or find the demo finished), then `show_run`.

    Args:
        folder: the run; an interrupted demo goes on where it was.
        scratch: make everything here, speech and text model included.
        say: gets each line of text.
    """
    folder, began = Path(folder), time.perf_counter()
    begin_run(folder, resume=True, size="nano", seed=seed, scratch=scratch)  # a folder that cannot be used is told first
    if (folder / "record.json").is_file():
        say(f"{folder} holds a finished demo; only the question is asked again. For a new one: another --out.")
    else:
        say("A text model learns to hear and to speak: stages 1, 2.1, 2.2 and 3, then every ability is measured.")
        say("From nothing: speech, codec, ear, judges and text model are made first." if scratch else
            "The text model, the codec, the ear and the judges are shipped; speech is synthesised first.")
    record = train(folder, "nano", seed, resume=True, scratch=scratch, progress=progress)
    shown = show_run(folder, record)
    for line in describe(shown, folder):
        say(line)
    say(f"\nThis took {time.perf_counter() - began:.0f} s.")
    return shown


def show_run(folder: Path | str, record: dict) -> Shown:
    """Ask a finished run a recorded question, and write `answer.wav` and `report.html` into its folder."""
    folder = Path(folder)
    talker = open_run(folder)
    question, answer, clips = None, None, []
    asked = ask_samples(talker, sample_questions(), folder / "answer.wav")
    with damage_explained(folder):
        tools, train_set, test_set = Tools.load(folder), *(SpokenSet.load(folder / "spoken" / split) for split in ("train", "test"))
    if asked is not None:
        question, answer = asked
        clips = question_clips(question, answer, tools)
    clips += speaking_clips(talker, tools, train_set, test_set)
    return Shown(question, answer, write_report(record, folder, clips))


def ask_samples(talker: Talker, questions: list[SampleQuestion], out: Path) -> tuple[SampleQuestion, dict] | None:
    """Ask the first recorded question that the ear makes out: an honest demo does not choose by the answer.

    Returns:
        The question and the answer (see `inference.talk`); the last one refused if none was understood, None without any.
    """
    asked = None
    for question in questions:
        asked = question, talk(talker, question.path, out=out)
        if asked[1]["understood"]:
            break
    return asked


def question_clips(question: SampleQuestion, answer: dict, tools: Tools) -> list[AudioClip]:
    """The question and, where there is one, the answer, with what the judge heard in it."""
    clips = [AudioClip("The question", question.path, question.words, "a voice and a question that training never put together",
                       role="question")]
    if answer["audio"]:
        from minideeptalk.speech.files import read_audio

        heard = _heard(tools, torch.from_numpy(read_audio(answer["audio"])))
        clips.append(AudioClip("The answer", Path(answer["audio"]), answer["text"], f"the right answer is \"{question.answer}\"",
                               role="answer", heard=heard))
    return clips


def speaking_clips(talker: Talker, tools: Tools, train_set: SpokenSet, test_set: SpokenSet) -> list[AudioClip]:
    """The codec's copy of a reply, and the model reading out a text that it was trained on and one that it never was."""
    known, new = (_example(spoken.replies) for spoken in (train_set, test_set))
    builder = talker.builder
    prompts = [builder.say_prompt(reply.words, reply.style) for reply in (known, new)]
    spoken = [tools.codec.decode(answer.codes) if len(answer.codes) else torch.zeros(1) for answer in speak(talker.model, builder, prompts, decoder=talker.decoder)]
    copy = tools.codec.decode(new.codes)
    rows = (("The codec's copy", copy, new, "the roughness of the codec: no model speaks more clearly than this"),
            ("The model, a text it was trained on", spoken[0], known, "whether each word is there"),
            ("The model, a text it never saw", spoken[1], new, "what is lost when it cannot recite"))
    return [AudioClip(title, sound, " ".join(reply.words), listen, heard=_heard(tools, sound)) for title, sound, reply, listen in rows]


def _example(replies: list[SpokenReply]) -> SpokenReply:
    """The first reply of the usual length, by position and not by how well it sounds."""
    fitting = [reply for reply in replies if len(reply.words) == EXAMPLE_LENGTH and reply.style == "neutral"] or replies
    if not fitting:
        raise LearnerError("spoken replies in the run", "none", "the folder spoken/ was emptied", "train the run again")
    return fitting[0]


def _heard(tools: Tools, sound: torch.Tensor) -> str:
    return tools.judge.transcribe([sound])[0] if len(sound) > 1 else ""


def describe(shown: Shown, folder: Path) -> list[str]:
    """What was asked and answered, where everything is, and what to try next; one line each."""
    lines = [""]
    if shown.question is not None:
        lines += [f"question  {shown.question.words}   ({shown.question.path})",
                  f"answer    {shown.answer['text']}   (right: {shown.question.answer})"]
        if shown.answer["audio"]:
            lines.append(f"sound     {shown.answer['audio']}")
    question = shown.question.path if shown.question is not None else "question.wav"
    return [*lines, f"report    {shown.report.resolve()}", "", "Open the report in a browser. Then try:",
            f"  minideeptalk talk {folder} --audio {question} --out answer.wav",
            f"  minideeptalk talk {folder} --text \"what is forty two plus seven\"",
            f"  minideeptalk record show {folder}",
            f"  minideeptalk profile {folder}"]
