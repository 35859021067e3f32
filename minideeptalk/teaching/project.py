"""Where the project lives, read from the one place that says so: the metadata made from `pyproject.toml`."""

from __future__ import annotations

from importlib.metadata import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout, when there is one


def repository_url() -> str:
    """Address of the repository, without a slash at the end."""
    for entry in metadata("minideeptalk").get_all("Project-URL", []):
        label, _, address = entry.partition(", ")
        if label == "Repository":
            return address.rstrip("/")
    raise LookupError("pyproject.toml names no Repository under [project.urls]")


def book_tag() -> str:
    """The git tag that belongs to the installed version: Colab installs the library at this tag."""
    return f"v{metadata('minideeptalk')['Version']}"


def colab_url(notebook: str) -> str:
    """Colab's address of `notebooks/<notebook>.ipynb`, at the tag whose library it installs."""
    owner_and_name = repository_url().removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/{book_tag()}/notebooks/{notebook}.ipynb"
