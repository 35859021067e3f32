"""The way out and the way in: the same pages under plain Sphinx, and the wheel with its notebooks under the versions that Colab publishes.

Both make an environment of their own, which takes minutes and needs the package index.
"""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
import yaml

from minideeptalk.teaching.build_book import build_environment
from minideeptalk.teaching.notebooks import twins
from minideeptalk.teaching.project import ROOT
from tests.teaching.test_packaging import COLAB, build_wheel

pytestmark = pytest.mark.slow
EXECUTED = ROOT / "book" / "_build" / "jupyter_execute" / "notebooks"
PLAIN_SPHINX = ["sphinx==9.*", "myst-nb==1.4.*", "sphinx-book-theme==1.4.*", "sphinxcontrib-bibtex", "sphinx-mathjax-offline",
                "sphinx-external-toc", "plotly"]
CONF = """
extensions = ["myst_nb", "sphinx_external_toc", "sphinxcontrib.bibtex", "sphinx-mathjax-offline", "minideeptalk.teaching.pages"]
project, author, html_theme = "minideeptalk", "The minideeptalk authors", "sphinx_book_theme"
external_toc_path, external_toc_exclude_missing = "book/_toc.yml", True
bibtex_bibfiles, html_static_path = ["book/references.bib"], ["book/_static"]
exclude_patterns = ["book/CONTRIBUTING-chapters.md"]
myst_enable_extensions = {extensions!r}
myst_heading_anchors = 3
nb_execution_mode, nb_merge_streams, nb_ipywidgets_js = "off", True, {{}}
"""


def environment_with(folder: Path, packages: list[str]) -> Path:
    """A new environment with these packages; its python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def test_the_same_pages_build_under_plain_sphinx(tmp_path):
    if not EXECUTED.is_dir():
        pytest.skip("the book is not built: make book")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_build"))
    shutil.copytree(EXECUTED, source / "notebooks")
    settings = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf8"))
    (source / "conf.py").write_text(CONF.format(extensions=settings["parse"]["myst_enable_extensions"]), encoding="utf8")
    python = environment_with(tmp_path / "sphinx", PLAIN_SPHINX)
    command = [python, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", source, tmp_path / "site"]
    finished = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    for twin in twins():
        page = (tmp_path / "site" / "notebooks" / f"{twin.stem}.html").read_text(encoding="utf8")
        assert "In the library" in page and "Verified on" in page and 'class="plotly-figure"' in page


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """An environment with Colab's versions and our wheel on top, which must not change them."""
    folder = tmp_path_factory.mktemp("colab")
    pins = [f"{name}=={version}" for name, version in COLAB.items()]
    python = environment_with(folder / "env", [*pins, "nbclient", "ipykernel"])
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{build_wheel(folder)}[speech]"], check=True)
    return python


def test_installing_the_wheel_changes_none_of_colabs_versions(colab):
    listed = subprocess.run([colab, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True).stdout.lower()
    installed = dict(line.split("==") for line in listed.split() if "==" in line)
    assert {name: installed[name].split("+")[0] for name in COLAB} == COLAB


RUN = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
print("".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])))
"""


@pytest.mark.parametrize("twin", twins(), ids=lambda twin: twin.stem)
def test_a_chapter_runs_where_colab_stands(twin, colab, tmp_path):
    settings = {name: value for name, value in build_environment().items() if name not in ("PYTHONPATH", "PLOTLY_RENDERER")}
    finished = subprocess.run([colab, "-c", RUN, twin.with_suffix(".ipynb")], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "Verified on" in finished.stdout
