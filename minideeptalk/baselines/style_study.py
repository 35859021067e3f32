"""Speaking style, heard and given back, by finished runs of several systems (chapter 13).

`python -m minideeptalk.baselines.style_study RUN ... --out book/records/nano-style.json` measures each run on the test split: which
style it names, which it answers in, how its voice moves, and at which place of the system a linear probe still finds the style.

Axes: N questions, D width; rows of a table are the styles in which was asked, in the order of `config.STYLES`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from minideeptalk.baselines.cascade import Transcripts
from minideeptalk.baselines.talking import open_run
from minideeptalk.config import SAMPLE_RATE, STYLES
from minideeptalk.evaluation.probes import Material, hidden_states, probe
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.inference.decoding import SpokenDecoder, answer_in_text, speak
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.model import AudioToken
from minideeptalk.records import read_record
from minideeptalk.records.finding import finding, write_finding
from minideeptalk.speech.pitch import pitch
from minideeptalk.speech.synthesis import Synthesizer
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import SpokenQuestion, SpokenSet
from minideeptalk.training.preparation import Tools

PLACES = ("ear", "read", "thought", "voice")
"""Where a probe looks: the ear's frames, what the language model reads of them, its state before it answers, and the state of
whatever writes the sound before its first code."""
EXAMPLE = "say blue horse drum"


def confusion(asked: Sequence[str], found: Sequence[str], columns: Sequence[str] = STYLES) -> list[list[int]]:
    """How often (rows) each style was asked and (columns) each name was found; other names count in no column."""
    return [[sum(one == style and other == name for one, other in zip(asked, found)) for name in columns] for style in STYLES]


def named(talker: Talker, questions: list[SpokenQuestion]) -> list[str]:
    """The word that the system writes when it is asked for the style of each question; `other` where that is no style."""
    prompts = [talker.builder.heard_prompt(question.frames, AudioToken.NAME_STYLE) for question in questions]
    written = (" ".join(answer.words) for answer in answer_in_text(talker.model, talker.builder, prompts))
    return [words if words in STYLES else "other" for words in written]


def in_the_askers_style(talker: Talker, frames: list[torch.Tensor]) -> list:
    """Spoken answers to heard questions, asked for in the asker's own style."""
    prompts = [talker.builder.heard_prompt(one, AudioToken.MIRROR) for one in frames]
    return speak(talker.model, talker.builder, prompts, decoder=talker.decoder)


def voice_of(sounds: list[torch.Tensor], words: list[int]) -> dict[str, float]:
    """Mean pitch and its spread in Hz, and seconds a word, over the sounds in which there is a voice; 0 where there is none."""
    heard = [(pitch(sound), len(sound) / SAMPLE_RATE / max(count, 1)) for sound, count in zip(sounds, words)]
    heard = [(one, seconds) for one, seconds in heard if one.mean == one.mean]
    count = max(len(heard), 1)
    return {"hz": sum(one.mean for one, _ in heard) / count, "spread_hz": sum(one.spread for one, _ in heard) / count,
            "seconds_per_word": sum(seconds for _, seconds in heard) / count}


# ---- where the style can be read ---------------------------------------------------------------------------------------


@torch.no_grad()
def states_at(talker: Talker, questions: list[SpokenQuestion]) -> torch.Tensor:
    """One vector of every question at each of `PLACES`, padded with zeros to one width: (4, N, D)."""
    builder, model = talker.builder, talker.model
    prompts = [builder.heard_prompt(question.frames, AudioToken.MIRROR) for question in questions]
    layers = hidden_states(model, builder, Material.of_prompts(prompts, []))  # (S, N, D)
    alone = SpokenDecoder if talker.decoder is ParallelDecoder else talker.decoder
    voices = []
    for start in range(0, len(prompts), 100):
        decoder = alone(model, builder, prompts[start:start + 100], Sampling(), 1)
        voices.append(decoder.memory.read(**decoder.inputs).cpu())  # (b, D)
    read = torch.stack([_read(model, prompt) for prompt in prompts])  # (N, D)
    found = [torch.stack([question.frames.mean(dim=0) for question in questions]), read, layers[-1], torch.cat(voices)]
    width = max(states.shape[1] for states in found)
    return torch.stack([torch.nn.functional.pad(states.float(), (0, width - states.shape[1])) for states in found])


def _read(model, prompt) -> torch.Tensor:
    """Mean (D,) of what the language model reads between `<user>` and `<assistant>`."""
    if prompt.frames is not None:
        return model.adapter(prompt.frames.to(model.device)).mean(dim=0).cpu()
    return model.embedding.text(torch.tensor(prompt.text[1:-1], device=model.device)).mean(dim=0).cpu()


def probed(talker: Talker, train: list[SpokenQuestion], test: list[SpokenQuestion], seed: int) -> dict[str, dict[str, float]]:
    """At each place: accuracy of a linear probe of the style, that of its control on shuffled labels, and chance."""
    rows = probe(states_at(talker, train), [q.style for q in train], states_at(talker, test), [q.style for q in test], seed)
    return {place: {name: row[name] for name in ("accuracy", "control", "chance")} for place, row in zip(PLACES, rows, strict=True)}


# ---- one run, and all ----------------------------------------------------------------------------------------------------


def style_of_run(folder: Path, probe_items: int = 1000, items: int | None = None) -> dict:
    """Everything about style that one finished run shows; confusion tables have the styles asked for as rows."""
    record, talker, tools = read_record(folder), open_run(folder), Tools.load(folder)
    spoken = {split: _trained_voices(SpokenSet.load(_spoken(folder) / split)) for split in ("train", "test")}
    questions = spoken["test"][:items]
    asked, examiners = [question.style for question in questions], Examiners(tools.codec, tools.judge, tools.style_judge)
    answers = in_the_askers_style(talker, [question.frames for question in questions])
    sounds = examiners.sounds(answers)
    right = [said == " ".join(question.item.answer) for said, question in zip(tools.judge.transcribe(sounds), questions)]
    voices = {style: voice_of(*zip(*((sound, len(answer.words)) for sound, answer, one in zip(sounds, answers, asked) if one == style)))
              for style in STYLES}
    return {"arm": record["arm"], "seed": record["seed"], "commit": record["commit"], "date": record["date"],
            "updates": record["budget"]["updates"], "items": len(questions),
            "reads_words_only": isinstance(talker.builder, Transcripts),
            "named": confusion(asked, named(talker, questions), (*STYLES, "other")),
            "mirrored": confusion(asked, tools.style_judge.classify(sounds)), "right_words": sum(right) / len(right), "voices": voices,
            "probes": probed(talker, spoken["train"][:probe_items], questions, record["seed"]), "examples": examples(talker)}


def examples(talker: Talker) -> list[dict]:
    """The same words asked in every style: what was heard, and the answer as words and codec codes."""
    speaker, rows = Synthesizer(), []
    for style in STYLES:
        heard = talker.listen(torch.from_numpy(speaker.speak(EXAMPLE, voice="amy", style=style).waveform))
        answer = in_the_askers_style(talker, [heard.frames])[0]
        rows.append({"style": style, "asked": EXAMPLE, "heard": " ".join(heard.words), "answer": " ".join(answer.words),
                     "codes": answer.codes.tolist()})
    return rows


def ceilings(folder: Path, count: int = 150) -> dict[str, float]:
    """What the parts allow a system that mirrors: the style judge on original speech by the codec. (For naming, see the probe of the ear.)"""
    tools, test = Tools.load(folder), SpokenSet.load(_spoken(folder) / "test")
    replies = test.replies[:count]
    judged = tools.style_judge.classify([tools.codec.decode(reply.codes) for reply in replies])
    return {"mirrored": sum(one == reply.style for one, reply in zip(judged, replies)) / len(replies)}


def _spoken(folder: Path) -> Path:
    """Where a run's speech lies: in its own folder, or with the tools that the runs of a study share."""
    own, shared = folder / "spoken", folder.parent.parent / "shared" / "tools" / "spoken"
    return own if own.is_dir() else shared


def _trained_voices(spoken: SpokenSet) -> list[SpokenQuestion]:
    return [question for question in spoken.questions if question.voice != HELD_OUT_VOICE.name]


def style_finding(folders: Sequence[Path], probe_items: int = 1000, items: int | None = None, workers: int = 1) -> dict:
    """The finding of kind `style` over finished runs that share their tools.

    Args:
        probe_items: training questions of a probe. items: test questions; None asks all in trained voices. workers: processes.
    """
    began, folders = time.perf_counter(), [Path(folder) for folder in folders]
    told = [(folder, probe_items, items) for folder in folders]
    if workers == 1:
        runs = [style_of_run(*one) for one in told]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            runs = list(pool.map(style_of_run, *zip(*told)))
    size = read_record(folders[0])["size"]
    return finding("style", size, sorted({run["seed"] for run in runs}), {"probe_items": probe_items, "items": items, "example": EXAMPLE},
                   time.perf_counter() - began, {"styles": list(STYLES), "chance": 1 / len(STYLES), "ceiling": ceilings(folders[0]),
                                                 "runs": runs}, ["asked by trained voices only, on the test split"])


def main() -> None:
    """Measure the runs and write the finding."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("runs", nargs="+", help="folders of finished runs")
    parser.add_argument("--out", required=True, help="where the finding goes")
    parser.add_argument("--probe-items", type=int, default=1000, help="training questions of a probe (default 1000)")
    parser.add_argument("--items", type=int, help="test questions (default: all in trained voices)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    given = parser.parse_args()
    print(f"wrote {write_finding(style_finding(given.runs, given.probe_items, given.items, given.workers), given.out)}")


if __name__ == "__main__":
    main()
