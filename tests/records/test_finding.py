"""A finding says of which kind it is, and each kind is held to its own part of the schema."""

import copy
import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from minideeptalk.errors import LearnerError
from minideeptalk.records.finding import KINDS, finding, finding_schema, kind_of, read_finding, validate_finding, write_finding

SPECIFICATION = importlib.util.spec_from_file_location("findings", Path(__file__).with_name("findings.py"))
findings = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(findings)
EVERY_KIND = pytest.mark.parametrize("kind", findings.INVENTED)


def test_the_schema_is_a_schema_and_knows_every_kind():
    jsonschema.Draft202012Validator.check_schema(finding_schema())
    assert tuple(finding_schema()["properties"]["kind"]["enum"]) == KINDS and set(findings.INVENTED) <= set(KINDS)


@EVERY_KIND
def test_written_and_read_it_is_the_same_and_knows_its_kind(kind, tmp_path):
    record = findings.INVENTED[kind]()
    path = write_finding(record, tmp_path / "deep" / "finding.json")
    assert read_finding(path) == read_finding(path, kind) == record and kind_of(record) == kind
    assert [file.name for file in path.parent.iterdir()] == ["finding.json"]


def test_records_of_runs_and_benchmarks_are_told_apart(record):
    assert kind_of(record) == "run" and kind_of({"schema_version": 1, "benchmark": "train"}) == "benchmark"


@pytest.mark.parametrize(("kind", "path", "value", "named"), [
    ("why", "result.knock_out.0.spoken_qa_text", 43, "result.knock_out.0.spoken_qa_text"),
    ("why", "result.knock_out.1.closed", "some experts", "result.knock_out.1.closed"),
    ("why", "result.drift.0.since_start", -0.1, "result.drift.0.since_start"),
    ("why", "result.probes.0.chance", ..., "result.probes.0"),
    ("why", "result.load_distance", [], "result.load_distance"),
    ("load-and-importance", "result.models.0.profiles.covered.correlation.0", 1.5, "result.models.0.profiles.covered.correlation.0"),
    ("load-and-importance", "result.held_out", ..., "result"),
    ("load-and-importance", "kind", "why", "result"),
    ("style", "result.runs.0.named.2.1", -1, "result.runs.0.named.2.1"),
    ("style", "result.runs.1.probes.ear.control", ..., "result.runs.1.probes.ear"),
    ("rates", "result.trials.0.factor", 0, "result.trials.0.factor"),
    ("rates", "result.trials.1.kept.all", ..., "result.trials.1.kept"),
    ("second-runs", "result.runs.0.here", {}, "result.runs.0.here"),
    ("second-runs", "result.runs.1.outside", ..., "result.runs.1"),
    ("why", "commit", "main", "commit"),
    ("why", "seeds", [], "seeds"),
    ("why", "extra", 1, "the record"),
])
def test_a_bad_field_is_named(kind, path, value, named):
    changed = copy.deepcopy(findings.INVENTED[kind]())
    *way, last = path.split(".")
    place = changed
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    with pytest.raises(LearnerError, match=named.replace(".", r"\.")):
        validate_finding(changed)


def test_numbers_of_numpy_become_plain():
    invented = findings.load_and_importance()
    result = copy.deepcopy(invented["result"])
    result["models"][0]["profiles"]["covered"]["load"] = np.full((2, 8), 0.125)
    made = finding("load-and-importance", "nano", [np.int64(0)], {}, np.float64(1.0), result)
    assert made["result"]["models"][0]["profiles"]["covered"]["load"] == [[0.125] * 8] * 2 and made["seeds"] == [0]


@pytest.mark.parametrize(("content", "message"), [("{", "cut off"), (json.dumps({"kind": "why"}), "breaks its schema"), (json.dumps({"benchmark": "train"}), "kind benchmark")])
def test_a_file_that_is_no_such_finding_is_explained(content, message, tmp_path):
    path = tmp_path / "finding.json"
    path.write_text(content)
    with pytest.raises(LearnerError, match=message):
        read_finding(path, "why")
    with pytest.raises(LearnerError, match="no file"):
        read_finding(tmp_path / "nothing.json")
