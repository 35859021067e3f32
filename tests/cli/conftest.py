"""A finished run in miniature's miniature: every file is there and opens, the weights are random."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from minideeptalk.cli import main
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import CodecConfig, EarConfig, JudgeConfig
from minideeptalk.hearing.ear import Ear
from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.style_judge import StyleJudge
from minideeptalk.model import AudioToken, DeepTalkConfig, DeepTalkModel
from minideeptalk.records import RunRecord
from minideeptalk.speech.files import write_audio
from minideeptalk.tasks import SpokenQuestion, SpokenReply, SpokenSet
from minideeptalk.world import FAMILIES, Tokenizer

INVENTED = Path(__file__).resolve().parents[1] / "records" / "invented.py"
STAGES = ("0-pretrain", "3-joint")


def invented_record():
    spec = importlib.util.spec_from_file_location("invented", INVENTED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.invented_record()


def spoken_set(split):
    question = FAMILIES["add"].items(split, 1, 0)[0]
    frames = torch.zeros(len(question.question), 16)
    replies = [SpokenReply(("red", "cat", "box"), "neutral", torch.zeros(6, 7, dtype=torch.long), (0, 2, 4))]
    return SpokenSet([SpokenQuestion(question, "amy", "neutral", frames, question.question)], replies)


def build_run(folder):
    torch.manual_seed(0)
    model = DeepTalkModel(DeepTalkConfig(vocab_size=len(Tokenizer()), codebook_size=8, ear_width=16, width=16, heads=2, layers=3,
                                         experts=4, expert_hidden=8, dense_hidden=16))
    with torch.no_grad():  # it likes a row of zeros least of many, so it goes on speaking
        model.embedding.text.weight[Tokenizer().encode(["<end>"])] = 0.0
        model.audio_heads.projection.weight.view(7, -1, 16)[0, 8 + AudioToken.EOA] = 0.0
    for stage in STAGES:
        model.save_pretrained(folder / "stages" / stage)
    ear = Ear(("two", "plus", "four"), EarConfig(width=16, layers=1, heads=2))
    ear.threshold.fill_(0.0)
    ear.save(folder / "ear")
    PyramidCodec.fit([torch.randn(200, 80)], CodecConfig(codebook_size=8, iterations=1)).save(folder / "codec")
    Judge(JudgeConfig(width=16, layers=1)).save(folder / "judge")
    StyleJudge(8).save(folder / "style_judge")
    for split in ("train", "validation", "test"):
        spoken_set(split).save(folder / "spoken" / split)
    RunRecord(**invented_record()).write(folder / "record.json")
    (folder / "config.json").write_text(json.dumps({"size": "nano", "seed": 0, "arm": "deeptalk", "scratch": True}))
    return folder


@pytest.fixture(autouse=True)
def no_bars():
    """What `main` asks of a fresh process; in this one transformers was imported before."""
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    return build_run(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def question(tmp_path_factory):
    """Two seconds of something that is not silent."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 32_000).astype(np.float32)
    return write_audio(tmp_path_factory.mktemp("sounds") / "question.wav", noise)


@pytest.fixture
def command(capsys):
    """`command("talk", ...)` -> (exit status, stdout, stderr), without a new process."""
    def run_command(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as leaving:
            status = leaving.code
        return (status, *capsys.readouterr())
    return run_command
