"""`doctor`: finds what is missing, says what to do, and leaves with 1."""

import json

import pytest

from minideeptalk.teaching import doctor


def test_all_questions_are_asked(command, monkeypatch):
    monkeypatch.setattr(doctor, "_shipped", lambda: doctor.Check("shipped data", "complete"))
    status, out, _ = command("doctor", "--json")
    result = json.loads(out)
    names = {check["name"] for check in result["checks"]}
    assert names == {"python", "packages", "torch pair", "device", "threads", "memory", "disk", "speech", "shipped data"}
    assert status == (0 if result["ready"] else 1)


@pytest.mark.parametrize("look, name, advice", [("_sound", "speech", "espeakng-loader"), ("_torch_pair", "torch pair", "torchaudio==")])
def test_a_fault_comes_with_advice(command, monkeypatch, look, name, advice):
    if look == "_sound":
        from minideeptalk.errors import LearnerError

        def missing(*_):
            raise LearnerError("the package espeakng-loader", "an installation without it")
        monkeypatch.setattr("minideeptalk.speech.synthesis._load_library", missing)
    else:
        monkeypatch.setattr(doctor, "version", lambda package: {"torch": "2.10.0+cpu", "torchaudio": "2.11.0"}.get(package, "99.0"))
    status, out, _ = command("doctor")
    _, *after = out[out.index(f"FAIL {name}"):].splitlines()
    assert status == 1 and advice in after[0]
    assert "Not ready" in out


def test_a_check_that_breaks_is_a_finding(command, monkeypatch):
    def broken():
        raise RuntimeError("libgomp is not there")
    monkeypatch.setattr(doctor, "_device", broken)
    status, out, _ = command("doctor")
    assert status == 1 and "libgomp is not there" in out


def test_a_crowded_disk_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1e8}))
    check = doctor._disk(tmp_path)
    assert check.fails and "--out" in check.advice
