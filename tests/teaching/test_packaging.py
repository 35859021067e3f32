"""Packaging: every room ships, the address stands in one place, ranges admit Colab, and the pinned environment satisfies the ranges."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from minideeptalk.teaching.project import ROOT, book_tag, colab_url, repository_url

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf8")
COLAB = {"torch": "2.11.0", "torchaudio": "2.11.0", "transformers": "5.15.0", "plotly": "5.24.1", "ipywidgets": "7.7.1", "numpy": "2.0.2"}


def listed(key: str) -> list[str]:
    """The strings of one list in pyproject.toml (Python 3.10 has no toml reader)."""
    block = re.search(rf"^{key} = \[(.*?)\]$", PYPROJECT, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r'"([^"]+)"', re.sub(r"^\s*#.*$", "", block[1], flags=re.MULTILINE))


def test_every_folder_with_code_is_a_package():
    rooms = {path.parent for path in (ROOT / "minideeptalk").rglob("*.py")}
    assert [str(room.relative_to(ROOT)) for room in rooms if not (room / "__init__.py").is_file()] == []


def test_the_samples_can_be_read_as_package_data():
    assert (files("minideeptalk.data_samples") / "__init__.py").is_file()


def test_the_ranges_admit_what_colab_has():
    ranges = {Requirement(line).name: Requirement(line) for line in listed("dependencies")}
    for name, version in COLAB.items():
        assert Version(version) in ranges[name].specifier, f"{ranges[name]} shuts out Colab's {version}"


def test_the_pinned_environment_satisfies_the_ranges():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    assert pins["torch"] == pins["torchaudio"] == "2.11.0"
    for key in ("dependencies", "speech", "book", "test"):
        for requirement in map(Requirement, listed(key)):
            assert Version(pins[requirement.name.lower()]) in requirement.specifier, requirement


def test_the_address_of_the_repository_stands_in_one_place():
    address = re.search(r'^Repository = "(.+)"$', PYPROJECT, flags=re.MULTILINE)[1]
    assert repository_url() == address
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf8"))
    assert config["repository"]["url"] == address and config["repository"]["branch"] == book_tag()
    for name in ("README.md", "CITATION.cff", "book/index.md"):
        text = (ROOT / name).read_text(encoding="utf8")
        assert set(re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", text)) == {address}, name
    for notebook in re.findall(r"https://colab\.research\.google\.com/github/\S+/notebooks/(\w+)\.ipynb", (ROOT / "README.md").read_text()):
        assert colab_url(notebook) in (ROOT / "README.md").read_text()
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").is_file()


def test_versions_agree():
    import minideeptalk

    assert book_tag() == f"v{minideeptalk.__version__}"
    assert f"version: {minideeptalk.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f'version = "{minideeptalk.__version__}"' in PYPROJECT


def test_environment_yml_is_python_and_pip_with_the_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf8"))
    python, pip, packages = environment["dependencies"]
    assert python.startswith("python=3.") and pip == "pip"
    assert packages == {"pip": ["-c constraints.txt", "-e .[speech,book,test]"]}  # on one line with -e, pip drops a -c without a word


def test_no_index_and_no_machine_path_is_written_down():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run", "README.md"):
        text = (ROOT / name).read_text(encoding="utf8")
        assert "index-url" not in text and "/home/" not in text and "file://" not in text, name


def build_wheel(folder: Path) -> Path:
    """Our wheel, built from a copy, so that no build folder is left in the checkout, nor an old one is used."""
    source = folder / "source"
    for name in ("minideeptalk", "data_samples", "book/records"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source], check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_a_wheel_carries_samples_schema_and_chapter_data(tmp_path):
    names = zipfile.ZipFile(build_wheel(tmp_path)).namelist()
    wanted = ["minideeptalk/records/schema.json", "minideeptalk/viz/figures.js", "minideeptalk/viz/selection.js",
              "minideeptalk/teaching/chapters.json", "minideeptalk/data_samples/__init__.py", "minideeptalk/cli.py"]
    samples = [f"minideeptalk/data_samples/{path.relative_to(ROOT / 'data_samples')}" for path in Path(ROOT, "data_samples").rglob("*")
               if path.is_file() and "__pycache__" not in path.parts]
    samples += [f"minideeptalk/book_records/{path.relative_to(ROOT / 'book' / 'records')}" for path in Path(ROOT, "book", "records").rglob("*.json")]
    assert set(wanted + samples) <= set(names)
