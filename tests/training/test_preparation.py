"""Ear and judge are trained in processes of their own: once, and no longer than until Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from minideeptalk.config import EarConfig, JudgeConfig, size_config
from minideeptalk.hearing.ear import Ear
from minideeptalk.hearing.judge import Judge
from minideeptalk.training import preparation

ROOT = Path(__file__).resolve().parents[2]
EAR, JUDGE = Ear(("red",), EarConfig(width=16, layers=1, heads=2)), Judge(JudgeConfig(width=16, layers=1))
TRAIN = SimpleNamespace(items=[], questions=None, replies=None)
SLEEPING = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from minideeptalk.config import size_config
from minideeptalk.training import preparation

def sleep(*arguments):
    print(arguments[-1].name, flush=True)
    time.sleep(120)

preparation._train_ear_here = preparation._train_judge_here = sleep
if __name__ == "__main__":
    nothing = SimpleNamespace(items=[], questions=None, replies=None)
    preparation.train_ear_and_judge(size_config("nano"), nothing, Path(sys.argv[1]), 0, workers=1)
"""


class Pool:
    """A pool of processes that only notes what it should do."""

    def __init__(self, jobs):
        self.jobs = jobs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, work, *arguments):
        self.jobs.append(arguments[-1].name)
        return SimpleNamespace(result=lambda: None)


def test_what_an_interrupted_run_has_trained_is_not_trained_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(preparation, "ProcessPoolExecutor", lambda *_, **__: Pool(asked[-1]))
    for tool in (None, EAR, JUDGE):
        if tool is not None:
            tool.save(tmp_path / type(tool).__name__.lower())
        asked.append([])
        preparation.train_ear_and_judge(size_config("nano"), TRAIN, tmp_path, seed=0)
    assert asked == [["ear", "judge"], ["judge"], []]


@pytest.mark.parametrize("tool, name", [(EAR, "ear"), (JUDGE, "judge")], ids=["ear", "judge"])
def test_half_written_weights_do_not_count_as_trained(tmp_path, monkeypatch, tool, name):
    tool.save(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"minideeptalk.hearing.{name}.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tool.save(tmp_path)
    assert not (tmp_path / f"{name}.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")
def test_an_interruption_ends_the_ear_and_does_not_begin_the_judge(tmp_path):
    script = tmp_path / "sleeping.py"
    script.write_text(SLEEPING)
    process = subprocess.Popen([sys.executable, script, tmp_path], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout.readline() == "ear\n"
    began = time.perf_counter()
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    try:
        rest, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert rest == "" and process.returncode != 0 and time.perf_counter() - began < 20
