"""The method in sixty lines: it is that short, it runs, and the numbers it prints are about the model that it trains."""

import re
import subprocess
import sys

from minideeptalk.teaching.project import ROOT

SCRIPT = ROOT / "book" / "method_in_60_lines.py"


def test_it_keeps_its_promise():
    assert len(SCRIPT.read_text(encoding="utf8").splitlines()) <= 60


def test_it_runs_all_stages_and_alignment_cannot_touch_text():
    finished = subprocess.run([sys.executable, str(SCRIPT), "2"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    skills = dict(re.findall(r"stage ([\d.]+).*text skills ([\d.]+)%", finished.stdout))
    assert list(skills) == ["0", "1", "2.1", "2.2", "3"]
    assert skills["0"] == skills["1"]
    assert "audio experts of each layer: (" in finished.stdout
