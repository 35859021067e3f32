"""Several processes train as one: other rows, equal weights, and the gradient of the whole batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minideeptalk.errors import LearnerError
from minideeptalk.training import loop
from minideeptalk.training.checkpoints import Progress, load_progress, save_progress
from minideeptalk.training.processes import average_gradients, joint_points, joint_share, rows_of, same_start, together
from tests.training import two_processes

SCRIPT = Path(two_processes.__file__)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def read(folder):
    return (load_file(folder / "weights.safetensors"), load_file(folder / "gradients.safetensors"),
            json.loads((folder / "story.json").read_text()))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two processes on the CPU left behind, under gloo."""
    folder, common = tmp_path_factory.mktemp("pair"), {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(),
                                                       "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen([sys.executable, SCRIPT, folder], stderr=subprocess.PIPE, text=True, cwd=SCRIPT.parents[2],
                                env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": str(SCRIPT.parents[2])})
               for rank in "01"]
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    return [read(folder / rank) for rank in "01"]


@pytest.fixture
def alone(tiny, tmp_path):
    """The same stage in one process, which begins where the first of the two began."""
    two_processes.train(tiny, tmp_path, seed=0)
    return read(tmp_path)


def test_both_processes_end_with_the_same_weights(pair):
    (first, *_), (second, *_) = pair
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_each_trains_on_its_own_rows_and_together_they_train_on_all(pair, alone):
    for step, whole in enumerate(alone[2]["rows"]):
        mine, other = (one[2]["rows"][step] for one in pair)
        assert (len(mine), len(other)) == (4, 2)
        assert sorted(mine + other) == sorted(whole)


def test_the_averaged_gradient_is_that_of_the_whole_batch_though_processes_have_unequally_many_targets(pair, alone):
    whole = alone[1]
    for _, gradients, _ in pair:
        assert gradients.keys() == whole.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, whole[name], atol=1e-6, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
    assert max(float(gradient.abs().max()) for gradient in whole.values()) > 1e-2


def test_weights_curves_and_accounts_are_those_of_one_process(pair, alone, tiny):
    weights, _, story = pair[0]
    distance = sum(float((weights[name] - alone[0][name]).square().sum()) for name in weights) ** 0.5
    start = tiny.model(seed=0).state_dict()
    travelled = sum(float((alone[0][name] - start[name]).square().sum()) for name in weights) ** 0.5
    assert distance < 0.02 * travelled  # Adam divides by tiny gradients, so rounding shows
    assert (story["tokens"], story["speech_tokens"]) == (alone[2]["tokens"], alone[2]["speech_tokens"])
    for mine, expected in zip(story["curves"], alone[2]["curves"], strict=True):
        assert mine == expected | {"value": pytest.approx(expected["value"], rel=1e-3)}
    assert pair[1][2]["curves"] == story["curves"]


# ---- rows --------------------------------------------------------------------------------------------------------------


def test_pairs_of_stage_4_stay_together(tiny):
    """Chosen takes stand first, then the rejected ones: row i and row P + i."""
    batch = two_processes.batches(tiny)[0]
    numbers = torch.arange(6)[:, None].expand(6, batch.text.shape[1])
    batch.text = numbers
    first, second = (rows_of(batch, process, 2).text[:, 0].tolist() for process in (0, 1))
    assert (first, second) == ([0, 2, 3, 5], [1, 4])


def test_one_process_keeps_the_batch_and_too_few_rows_are_refused(tiny):
    batch = two_processes.batches(tiny)[0]
    assert rows_of(batch, 0, 1) is batch
    assert rows_of(batch, 1, 3).codes.shape[0] == 2 and rows_of(two_processes.batches(tiny)[2], 0, 2).codes is None
    with pytest.raises(LearnerError, match="at least 8 rows for 4 processes, got 6"):
        rows_of(batch, 0, 4)


# ---- alone -------------------------------------------------------------------------------------------------------------


def test_alone_nothing_happens(tiny):
    model, points = tiny.model(), {"loss": 1.0}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    same_start(model)
    average_gradients(list(model.parameters()))
    assert not together() and joint_share(torch.tensor(7)) == 1.0 and joint_points(points) is points
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


# ---- the loss scaler of fp16 -------------------------------------------------------------------------------------------


class Scaler:
    """What the loop needs of torch's GradScaler, which works on a GPU only."""

    def __init__(self):
        self.loaded = None

    def state_dict(self):
        return {"scale": 1024.0, "_growth_tracker": 3}

    def load_state_dict(self, state):
        self.loaded = state


def test_a_resumed_stage_takes_up_the_scale_of_its_loss(tiny, tmp_path):
    model = tiny.model()
    optimizer = torch.optim.AdamW(model.parameters())
    accelerator = loop.Accelerator(cpu=True)
    accelerator.scaler = Scaler()
    save_progress(tmp_path / "stage", model, optimizer, Progress(step=4, scaler=accelerator.scaler.state_dict()))
    loop._prepared(accelerator, model, optimizer, load_progress(tmp_path / "stage", model, optimizer))
    assert accelerator.scaler.loaded == {"scale": 1024.0, "_growth_tracker": 3}


def test_progress_of_an_older_version_still_opens(tiny, tmp_path):
    model = tiny.model()
    optimizer = torch.optim.AdamW(model.parameters())
    save_progress(tmp_path / "stage", model, optimizer, Progress(step=4))
    story = json.loads((tmp_path / "stage" / "progress.json").read_text())
    del story["scaler"]
    (tmp_path / "stage" / "progress.json").write_text(json.dumps(story))
    assert load_progress(tmp_path / "stage", model, optimizer) == Progress(step=4)
