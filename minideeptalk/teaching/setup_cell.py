"""The first code cell of every notebook. One text for all of them, so that an install line cannot rot in one place only."""

from __future__ import annotations

from minideeptalk.teaching.project import book_tag, repository_url

TEMPLATE = '''\
# Set-up: the same in every chapter. It installs this library where it is missing and leaves torch alone.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("minideeptalk") is None:
    library = "minideeptalk[speech] @ git+{repository}@{tag}"
    if subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", library]).returncode:
        raise SystemExit(f"Could not install {{library}}: no network, or this version is not published yet.")

from minideeptalk.teaching import describe_machine, open_chapter

machine = describe_machine()'''


def setup_cell() -> str:
    """Source of the set-up cell, at this version's tag."""
    return TEMPLATE.format(repository=repository_url(), tag=book_tag())
