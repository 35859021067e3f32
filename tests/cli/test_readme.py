"""The README says what the commands are, and its results are those of the committed record."""

import re
from pathlib import Path

import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.records import read_record
from minideeptalk.records.tables import BEGIN, END, fill_results

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORD = ROOT / "book" / "records" / "nano-deeptalk-aligned.json"


def test_every_command_of_the_readme_is_one_that_the_parser_takes(capsys):
    from minideeptalk.cli import build_parser

    commands = re.findall(r"^(?:\.venv[/\\](?:bin|Scripts)[/\\])?minideeptalk (.+?)(?:\s{2,}#.*)?$", README, flags=re.MULTILINE)
    assert len(commands) >= 7
    for words in commands:
        assert build_parser().parse_args(words.split()).run_command


def test_make_targets_of_the_readme_exist_and_come_in_order():
    targets = re.findall(r"\*\*`make (\w+)`\*\*", README)
    assert targets == ["demo", "test", "book"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in [*targets, "test-all", "clean"])


@pytest.mark.skipif(not RECORD.is_file(), reason="no run is committed yet")
def test_the_results_are_those_of_the_committed_record():
    assert fill_results(README, read_record(RECORD)) == README, f"python -m minideeptalk.records.tables README.md {RECORD.relative_to(ROOT)}"


def test_results_go_between_the_marks_and_nowhere_else(finished_run):
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    filled = fill_results(page, read_record(finished_run))
    assert filled.startswith(f"before\n{BEGIN}\n| ability |") and filled.endswith(f"{END}\nafter\n") and "old" not in filled
    assert fill_results(filled, read_record(finished_run)) == filled
    with pytest.raises(LearnerError, match="marks|page"):
        fill_results("no marks", read_record(finished_run))
