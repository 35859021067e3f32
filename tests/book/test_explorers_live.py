"""The live explorers, each used once in a real JupyterLab in a headless browser: it appears, its button is pressed, it answers.

JupyterLab gets an environment of its own, and runs our kernel from this one.
"""

import ast
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from minideeptalk.teaching.build_book import build_environment
from minideeptalk.teaching.project import ROOT
from tests.book.test_other_environments import environment_with

PREPARE = """
from minideeptalk.experts import Selection
from minideeptalk.hearing.judge import Judge
from minideeptalk.teaching.material import chapter_sampler, spoken_material
from minideeptalk.teaching.samples import shipped_run, shipped_talker
from minideeptalk.training.profile import profile_loads
talker, judge = shipped_talker(), Judge.load(shipped_run() / "judge")
"""
# Class -> how a chapter makes it.
EXPLORERS = {
    "explorer.TalkExplorer": "(talker)",
    "codec_explorer.CodecExplorer": "(talker.codec, judge)",
    "hearing_explorer.HearingExplorer": "(talker.ear, judge)",
    "explorer_text.TextExplorer": "({'after stage 0': shipped_talker('0-pretrain'), 'finished': talker})",
    "explorer_streams.StreamExplorer": "(talker)",
    "explorer_routing.RoutingExplorer": "(talker, Selection.load(shipped_run() / 'selection.json').audio_experts)",
    "explorer_selection.SelectionTrial": "(talker.model, talker.builder, profile_loads(talker.model, chapter_sampler(talker.model, "
                                         "spoken_material(40, 40)), batches=1), lambda model: {'all skills': 0.0})",
    "explorer_stages.StageExplorer": "()",
    "explorer_preference.TakesExplorer": "(talker, judge)",
    "explorer_time.TimeExplorer": "(talker)",
}


def known_explorers() -> set[str]:
    """Every class of the teaching room that shows live widgets."""
    return {f"{path.stem}.{node.name}" for path in (ROOT / "minideeptalk" / "teaching").glob("*.py")
            for node in ast.parse(path.read_text(encoding="utf8")).body if isinstance(node, ast.ClassDef)
            if any(getattr(method, "name", "") == "show" and "ipywidgets" in ast.unparse(node) for method in node.body)}


def test_no_explorer_is_left_out():
    assert known_explorers() <= set(EXPLORERS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab whose only kernel is this Python, and the folder that it shows."""
    folder = tmp_path_factory.mktemp("lab")
    python = environment_with(folder / "env", ["jupyterlab==4.*", "jupyterlab_widgets==3.*"])
    kernel = folder / "env" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "work").mkdir()
    settings = {**build_environment(), "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    server = subprocess.Popen([python, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=",
                               f"--ServerApp.root_dir={folder / 'work'}"], env={**os.environ, **settings}, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/"
    _wait_for(address)
    yield address, folder / "work"
    server.terminate()
    server.wait()


def _wait_for(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address + "api", timeout=2)
            return
        except OSError:
            time.sleep(1)
    raise TimeoutError(address)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_answers_in_jupyterlab(browser, lab, name):
    address, folder = lab
    module, _, cls = name.partition(".")
    source = f"{PREPARE}\nfrom minideeptalk.teaching.{module} import {cls}\n{cls}{EXPLORERS[name]}.show()"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(metadata=kernel, cells=[nbformat.v4.new_code_cell(source)]), folder / f"{cls}.ipynb")
    page = browser.new_page(viewport={"width": 1400, "height": 1600})
    page.goto(f"{address}lab/tree/{cls}.ipynb?reset")
    page.wait_for_selector(".jp-CodeCell .cm-content", timeout=120_000)
    page.wait_for_function("document.body.innerText.includes('Python 3 | Idle')", timeout=120_000)
    page.click(".jp-CodeCell .cm-content")
    page.keyboard.press("Control+Enter")
    button = page.locator(".jp-OutputArea button.jupyter-button:not(.widget-upload)").first
    button.wait_for(timeout=300_000)
    output = page.locator(".jp-OutputArea-output").last
    before = output.inner_html()
    button.click()
    page.wait_for_function("before => [...document.querySelectorAll('.jp-OutputArea-output')].at(-1).innerHTML !== before", arg=before, timeout=300_000)
    page.wait_for_timeout(500)
    assert "Traceback" not in page.locator(".jp-OutputArea").last.inner_text()
    page.close()
