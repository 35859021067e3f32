"""Every committed record names a commit that leads to this one, so that anybody can make it again."""

import json
import subprocess

import pytest

from minideeptalk.teaching.project import ROOT


def git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def test_the_commit_of_every_record_is_an_ancestor():
    if git("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("not a checkout with its whole history")
    known = set(git("rev-list", "HEAD").split())
    named = {path: json.loads(path.read_text(encoding="utf-8")).get("commit") for path in (ROOT / "book" / "records").rglob("*.json")}
    assert named and not {path.name: commit for path, commit in named.items() if commit and commit not in known}
