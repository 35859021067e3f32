"""The tables of the page of lanes say what the records say."""

import json

import numpy as np

from minideeptalk.baselines.arms import find_arm
from minideeptalk.teaching.lanes_results import PUREMOE_WEIGHTED, RIVALS, lanes_results
from minideeptalk.teaching.project import ROOT


def _kept(arm):
    paths = sorted((ROOT / "book" / "records" / "study").glob(f"{arm}-s[0-9].json"))
    return 100 - 100 * np.array([json.loads(path.read_text(encoding="utf-8"))["metrics"]["relative_text_drop"]["all"] for path in paths])


def test_an_arm_stands_with_its_mean_and_beside_its_rival():
    first, second = ([cell.strip() for cell in line.split("|")] for line in lanes_results().splitlines()
                     if line.startswith("| deeptalk-lanes |"))
    ours, theirs = _kept("deeptalk-lanes"), _kept("puremoe")
    assert first[2] == str(len(ours)) and first[4].startswith(f"{ours.mean():.1f} ± ")
    assert second[2] == "puremoe" and second[3].startswith(f"{(ours - theirs).mean():+.1f} ± ") and second[3].endswith("\\*")


def test_a_rival_has_the_same_rows():
    assert all((RIVALS[arm] == PUREMOE_WEIGHTED.name) is arm.endswith("-weighted") and find_arm(arm) for arm in RIVALS)


def test_the_page_includes_what_is_made():
    assert "made/lanes-results.txt" in (ROOT / "book" / "lanes.md").read_text(encoding="utf-8")
