"""What tests of training share."""

import pytest
from accelerate.state import AcceleratorState

from minideeptalk.training import loop


@pytest.fixture
def half_precision(monkeypatch):
    """Training as on a GPU with bf16, on the CPU."""
    AcceleratorState._reset_state()
    monkeypatch.setattr(loop, "choose_precision", lambda: ("bf16", "as on a GPU"))
    yield
    AcceleratorState._reset_state()
