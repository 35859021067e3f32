import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / "records" / "invented.py"


@pytest.fixture
def record():
    spec = importlib.util.spec_from_file_location("invented", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.invented_record()
