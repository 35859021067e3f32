import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from minideeptalk.benchmarks import validate as validate_benchmark
from minideeptalk.errors import LearnerError
from minideeptalk.records import (
    RunRecord,
    curve_rows,
    environment,
    load_rows,
    read_record,
    relative_text_drop,
    schema,
    selection_entry,
    validate,
)
from minideeptalk.records.environment import git_commit
from minideeptalk.records.finding import kind_of, validate_finding

COMMITTED = sorted((Path(__file__).resolve().parents[2] / "book" / "records").rglob("*.json"))


def broken(record, path, value):
    """A copy with one field changed; `...` removes it."""
    changed = copy.deepcopy(record)
    *way, last = path.split(".")
    place = changed
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return changed


def test_every_committed_record_keeps_the_schema_of_its_kind():
    rules = {"run": validate, "benchmark": validate_benchmark}
    for path in COMMITTED:
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "nano-dpo-trials.json":  # held to its form by tests/teaching/test_preference_records.py
            continue
        try:
            rules.get(kind_of(content), validate_finding)(content)
        except LearnerError as error:
            pytest.fail(f"{path.name}: {error}")


def test_every_committed_run_agrees_with_itself():
    """What stands twice in a record is the same in both places, so no number was edited by hand."""
    runs = {path: record for path in COMMITTED if "metrics" in (record := json.loads(path.read_text(encoding="utf-8")))}
    for path, record in runs.items():
        metrics, budget, text = record["metrics"], record["budget"], record["metrics"]["text_accuracy"]
        again = relative_text_drop(text["before"], text["after"], metrics["chance"]["text_accuracy"], record["config"]["world"]["covered"])
        assert metrics["relative_text_drop"] == again, path.name
        assert {f"text_accuracy/{name}": value for name, value in text["before"].items()} == {
            row["name"]: row["value"] for row in record["curves"] if row["stage"] == "0" and row["name"].startswith("text_accuracy/")}, path.name
        for name in ("updates", "tokens"):
            assert budget[name] == sum(stage[name] for code, stage in budget["by_stage"].items() if code != "0"), f"{path.name}: {name}"
        assert all(sum(row["load"]) == pytest.approx(1) for row in record["loads"]), path.name
    assert runs


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_and_the_dataclass_name_the_same_fields():
    assert set(RunRecord.__dataclass_fields__) == set(schema()["properties"])


@pytest.mark.parametrize(("path", "value", "named"), [
    ("metrics.asr_wer", -0.1, "metrics.asr_wer"),
    ("metrics.spoken_qa_text", 43, "metrics.spoken_qa_text"),
    ("metrics.tts_wer.unseen", ..., "metrics.tts_wer.unseen"),
    ("budget.updates", ..., "budget.updates"),
    ("metrics.asr_werr", 0.1, "asr_werr"),
    ("size", "huge", "size"),
    ("seed", "0", "seed"),
    ("commit", "main", "commit"),
    ("date", "yesterday", "date"),
    ("curves.0.step", 1.5, "curves.0.step"),
    ("loads.0.modality", "speech", "loads.0.modality"),
    ("schema_version", 99, "schema_version"),
    ("seconds", float("nan"), "seconds"),
    ("metrics.relative_text_drop.all", float("inf"), "metrics.relative_text_drop.all"),
])
def test_a_bad_field_is_named(record, path, value, named):
    with pytest.raises(LearnerError, match=named.replace(".", r"\.")):
        validate(broken(record, path, value))


def test_a_null_needs_its_reason(record):
    empty = broken(record, "metrics.asr_wer", None)
    with pytest.raises(LearnerError, match="metrics.asr_wer"):
        validate(empty)
    validate(broken(empty, "not_measured", {"metrics.asr_wer": "recognition was not part of this arm"}))


def test_one_reason_can_stand_for_a_group(record):
    empty = broken(record, "metrics.tts_wer", {"trained": None, "unseen": None})
    validate(broken(empty, "not_measured", {"metrics.tts_wer": "no judge"}))


def test_a_reason_for_a_value_that_exists_is_refused(record):
    with pytest.raises(LearnerError, match="metrics.asr_wer"):
        validate(broken(record, "not_measured", {"metrics.asr_wer": "not measured"}))


def test_families_must_agree_before_after_and_under_chance(record):
    with pytest.raises(LearnerError, match="story"):
        validate(broken(record, "metrics.text_accuracy.after.story", ...))


def test_written_and_read_it_is_the_same(record, tmp_path):
    path = RunRecord(**record).write(tmp_path / "run" / "record.json")
    assert read_record(path) == record == read_record(path.parent)
    assert RunRecord.read(path) == RunRecord(**record)
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


def test_numbers_of_torch_and_numpy_become_plain(record, tmp_path):
    record["metrics"]["asr_wer"] = torch.tensor(0.25)
    record["loads"][0]["load"] = np.full(16, 0.0625)
    read = read_record(RunRecord(**record).write(tmp_path / "record.json"))
    assert read["metrics"]["asr_wer"] == 0.25
    assert read["loads"][0]["load"] == [0.0625] * 16


def test_a_bad_record_leaves_the_old_file_alone(record, tmp_path):
    path = RunRecord(**record).write(tmp_path / "record.json")
    with pytest.raises(LearnerError):
        RunRecord(**{**record, "seed": -1}).write(path)
    assert read_record(path)["seed"] == 0


def test_a_missing_commit_explains_itself(record, tmp_path):
    path = RunRecord(**{**record, "commit": None}).write(tmp_path / "record.json")
    assert "git" in read_record(path)["not_measured"]["commit"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "{\"schema_version\": 0}"])
def test_a_file_that_is_no_record_is_refused(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_text(content)
    with pytest.raises(LearnerError):
        read_record(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(LearnerError, match="no file"):
        read_record(tmp_path / "nothing.json")


def test_the_environment_fits_the_record(record, tmp_path):
    here = environment("cpu")
    RunRecord(**{**record, **here}).write(tmp_path / "record.json")
    assert here["versions"]["torch"] == torch.__version__.split("+")[0] or here["versions"]["torch"] == torch.__version__
    assert here["device"]["threads"] == torch.get_num_threads()


def test_a_package_inside_a_foreign_checkout_has_no_commit(tmp_path):
    foreign = tmp_path / "lib" / "minideeptalk"
    foreign.mkdir(parents=True)
    assert git_commit(foreign) == (None, None)


def test_peak_memory_sees_an_allocation_after_it_is_gone():
    code = ("from minideeptalk.records.environment import peak_memory_mb as peak; before = peak(); block = b'x' * 80_000_000; "
            "del block; print(peak() - before)")
    grown = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert 60 <= grown <= 100  # megabytes, not kilobytes and not pages


def test_rows_made_from_arrays_fit_the_record(record, tmp_path):
    shares = np.full((2, 3, 16), 0.0625)
    shares[0, 2, 5] = 0.5
    record["loads"] = load_rows("1-align", shares)
    record["curves"] = curve_rows("1-align", 100, {"add": np.float32(0.5)}, prefix="text_accuracy/")
    record["selection"] = selection_entry(((1, 2), (3, 4), (5, 6)), "product", "share", "1-align")
    read = read_record(RunRecord(**record).write(tmp_path / "record.json"))
    raised = [row for row in read["loads"] if row["load"][5] == 0.5]
    assert [(row["layer"], row["modality"]) for row in raised] == [(3, "audio")]
    assert read["curves"] == [{"name": "text_accuracy/add", "stage": "1-align", "step": 100, "value": 0.5}]
    assert read["selection"]["audio_experts"][2] == {"layer": 3, "experts": [5, 6]}


def test_no_published_record_says_in_which_folder_somebody_worked():
    root = Path(__file__).parents[2]
    paths = [*(root / "book" / "records").rglob("*.json"), *(root / "data_samples").rglob("*.json")]
    found = [path.name for path in paths if re.search(r'"(/|[A-Z]:\\\\)[\w.-]+[/\\]', path.read_text(encoding="utf-8"))]
    assert len(paths) > 100 and found == []
