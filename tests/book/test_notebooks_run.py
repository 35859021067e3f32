"""Every chapter runs from its first cell to its last in the environment at hand: the pinned one here, the newest once a week."""

import nbformat
import pytest

from minideeptalk.teaching.build_book import build_environment
from minideeptalk.teaching.notebooks import twins


@pytest.mark.slow
@pytest.mark.parametrize("twin", twins(), ids=lambda twin: twin.stem)
def test_a_chapter_runs(twin, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    for name, value in build_environment().items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(twin.with_suffix(".ipynb"), as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(twin.parent)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "Verified on" in printed
