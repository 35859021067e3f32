"""The page of speeds says what the benchmark records say: every row, every bar, met or missed."""

import json
from dataclasses import replace

import pytest

from minideeptalk.benchmarks.experts import DENSE, FEW, GROWTH, LIMIT, MANY, OURS, PADDED, SHAPES, UNMOVED, under_limit
from minideeptalk.benchmarks.record import bar, benchmark_record, row
from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.speed import speed_page


def _write(folder, name, **result):
    made = benchmark_record(name, "mini", 2, "cpu", "wall clock", "kept", 3, {"rows": [], "bars": [], "notes": []} | result)
    (folder / f"bench-{name}-mini-2.json").write_text(json.dumps(made))


def test_every_row_and_bar_stands_on_the_page(tmp_path):
    _write(tmp_path, "experts", rows=[row("ours", "D 8, E 4", 100, 0.5, 0.4, 12.4, share_of_roofline=0.6)], bars=[
        bar("near the limit", 1.25, at_most=1.3), bar("growth", 1.2, at_most=1.15)], notes=["evenly random choices"])
    page = speed_page(tmp_path)
    assert "| D 8, E 4 | ours | 200 | 1.25 | 60% | 12 |" in page
    assert "| near the limit | at most 1.3 | 1.25 | met |" in page
    assert "| growth | at most 1.15 | 1.2 | **missed** |" in page
    assert "2 threads" in page and "*evenly random choices.*" in page


def test_a_bar_just_missed_does_not_look_met(tmp_path):
    _write(tmp_path, "experts", rows=[row("ours", "D 8", 100, 0.5, 0.4, None)], bars=[bar("near the limit", 1.2508, at_most=1.25)])
    assert "| at most 1.25 | 1.251 | **missed** |" in speed_page(tmp_path)


def test_the_table_of_a_gpu_bears_its_name_and_the_line_below_tells_precision_and_load(tmp_path):
    made = {"precision": "bf16 by autocast", "load_average": 0.4}
    _write(tmp_path, "train", rows=[row("ours", "8 rows", 100, 0.5, 0.4, None)], **made)
    path = tmp_path / "bench-train-mini-2.json"
    record = json.loads(path.read_text())
    record["device"] |= {"kind": "cuda", "name": "A Large GPU"}
    path.write_text(json.dumps(record))
    page = speed_page(tmp_path)
    assert "2 threads, A Large GPU" in page and "bf16 by autocast, load 0.40 at the start" in page


def test_the_records_of_the_book_show_whatever_their_age():
    assert speed_page().count("\n### ") == len(list((ROOT / "book" / "records").rglob("bench-*.json")))


def test_parts_of_a_wait_are_shown_and_what_was_not_measured_is_a_dash(tmp_path):
    _write(tmp_path, "talk", rows=[row("dense", "one token", 1, 0.5, None, None)], latency_ms={"encode": {"p50": 3.14, "p90": 5.0}})
    page = speed_page(tmp_path)
    assert "| encode | 3.1 | 5.0 |" in page and "| one token | dense | 2 | - | - | - |" in page


def test_another_machine_has_a_folder_and_sections_of_its_own(tmp_path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        _write(folder, "experts", rows=[row("ours", folder.name, 100, 0.5, 0.4, 12.4)])
    page = speed_page(tmp_path)
    assert page.count("### `mini`, 2 threads") == 2 and f"| {tmp_path.name} | ours" in page and "| other | ours" in page


def test_without_records_the_page_says_so(tmp_path):
    assert "No benchmark has been recorded yet." in speed_page(tmp_path)


def _xeon(name, threads):
    record = json.loads((ROOT / "book" / "records" / "xeon" / f"bench-{name}-mini-{threads}.json").read_text(encoding="utf-8"))
    rows = {}
    for entry in record["rows"]:
        rows.setdefault(entry["shape"], {})[entry["name"]] = entry["milliseconds"]
    return rows


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_page_says_of_the_layer_on_the_second_processor_is_so(threads):
    """If a new record breaks this, the text of the page has to change with it."""
    rows = _xeon("experts", threads)
    over = {shape: {name: time / times[DENSE] for name, time in times.items()} for shape, times in rows.items()}
    held = under_limit(SHAPES["mini"])
    alone = [(over[str(shape)][UNMOVED] - 1) / (LIMIT - 1) for shape in held]  # of what the bar allows
    assert max(alone) > 1 and min(alone) > 0.5
    assert over[str(replace(held[1], N=16384))][OURS] > LIMIT
    grown = [rows[str(replace(held[1], E=experts))][UNMOVED] for experts in (FEW, MANY)]
    assert threads == 1 or grown[1] / grown[0] > GROWTH
    padded = {shape: times[PADDED] / times[OURS] for shape, times in rows.items()}
    assert min(padded.values()) > 1 if threads == 1 else max(ratio for shape, ratio in padded.items() if shape.endswith(("4096", "16384"))) < 1.15


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_page_says_of_the_allocator_is_so(threads):
    kept, found = (times for shape, times in _xeon("train", threads).items() if shape.startswith("64 rows"))
    theirs = next(name for name in kept if name.startswith("transformers"))
    assert found[theirs] / kept[theirs] > 1.03 and abs(found["ours"] / kept["ours"] - 1) < 0.02
