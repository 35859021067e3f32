"""A benchmark compares what is equal, counts what it says, and leaves a record that explains itself."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from minideeptalk.benchmarks import bench, codec, experts, processes, record_path, steps, table, talk, timing, train, validate, write
from minideeptalk.benchmarks.record import bar, benchmark_record, row, schema
from minideeptalk.config import ModelSize
from minideeptalk.errors import LearnerError
from minideeptalk.model import AudioToken

RECORDS = sorted((Path(__file__).resolve().parents[2] / "book" / "records").rglob("bench-*.json"))
SMALL = ModelSize(width=16, layers=3, heads=2, dense_hidden=24, experts=8, experts_per_token=2, expert_hidden=8, audio_experts=4)


@pytest.fixture
def clock():
    """A clock that advances by one second each time it is read."""
    ticks = iter(range(1_000_000))
    return lambda: next(ticks)


def a_record(**changes):
    rows = [row("dense", "D 8", 100, 1.0, 1.0, 2.5), row("ours", "D 8", 100, 1.2, 1.0, None, real_time_factor=0.1)]
    result = {"rows": rows, "bars": [bar("near the limit", 1.2, at_most=1.25)], "notes": ["a note"], **changes}
    return benchmark_record("experts", "nano", 1, "cpu", "a clock", "kept", 3, result)


# ---- fair times ----------------------------------------------------------------------------------------------------------


def test_candidates_take_turns_and_each_begins_a_round(clock):
    order = []
    seconds = timing.in_turns({name: (lambda name=name: order.append(name)) for name in "abc"}, 4, clock)
    assert {name: len(times) for name, times in seconds.items()} == {"a": 4, "b": 4, "c": 4}
    rounds = ["".join(order[start:start + 3]) for start in range(0, len(order), 3)]
    assert rounds == ["abc", "bca", "cab", "abc", "bca", "cab"]  # two before the first that counts


def test_one_thread_is_timed_without_what_others_do():
    assert "CPU time" in timing.choose_clock(1, "cpu")[1] and "Wall clock" in timing.choose_clock(2, "cpu")[1]


def test_peak_memory_is_what_stands_at_once():
    def run():
        for _ in range(3):
            torch.ones(1_000_000)  # 4 MB, freed before the next
        return [torch.ones(1_000_000) for _ in range(2)]
    assert timing.peak_memory_mb(run, "cpu") == pytest.approx(8, abs=0.5)


# ---- what is compared is equal -------------------------------------------------------------------------------------------


def test_every_layer_of_experts_computes_the_same():
    layers, inputs = experts.make_layers(experts.Shape(16, 8, 8, 2, 32), "cpu")
    outputs = {name: layer(*inputs) for name, layer in layers.items() if name != experts.DENSE}
    assert len(outputs) == 5
    for name, output in outputs.items():
        torch.testing.assert_close(output, outputs["clear loop"], atol=1e-5, rtol=0, msg=name)


def test_the_dense_limit_multiplies_as_much_as_the_chosen_experts():
    shape = experts.Shape(16, 8, 8, 2, 32)
    layers, _ = experts.make_layers(shape, "cpu")
    chosen = sum(part[0].numel() for part in layers[experts.OURS].parameters()) * shape.K
    assert sum(part.numel() for part in layers[experts.DENSE].parameters()) == chosen


def test_the_whole_models_are_of_one_active_size():
    ours, theirs, dense = train.our_model(SMALL, 6), train.their_model(SMALL), train.dense_model(SMALL)
    note = train._sizes_note({name: train.parameters(model) for name, model in ((train.DENSE, dense), (train.OURS, ours), (train.THEIRS, theirs))})
    active = [int(part.split()[-2].replace(",", "")) for part in note.split(";")]
    assert max(active) / min(active) < 1.02, note


def test_each_training_step_moves_its_model():
    text = torch.randint(train.WORDS, (2, 8))
    for name, model in ((train.OURS, train.our_model(SMALL)), (train.DENSE, train.dense_model(SMALL)), (train.THEIRS, train.their_model(SMALL))):
        before = [parameter.clone() for parameter in model.parameters()]
        train.training_step(name, model, text)()
        assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters())), name


def test_our_cache_writes_what_that_of_transformers_writes(tiny):
    model, text = tiny.model().eval(), torch.randint(20, (1, steps.PROMPT))
    ours = steps.write_greedily(model, text)
    assert steps.write_greedily(model, text, DynamicCache(config=model.config)) == ours and len(ours) == steps.NEW


@pytest.mark.parametrize("rows", talk.DECODERS)
def test_an_answer_is_timed_in_every_part(monkeypatch, rows):
    monkeypatch.setattr(talk, "LONG_ANSWER", 12)
    take = talk.take_answer(talk.untrained_talker("nano"), torch.randn(16_000), talk.DECODERS[rows], trained=True)
    assert tuple(take.parts) == talk.PARTS and len(take.chunk_factors) == 2
    assert take.wait == pytest.approx(sum(take.parts.values()) - take.parts["leading silence"])


def test_the_second_row_of_an_untrained_talker_stays_to_the_end():
    """Else its cost would be measured for a part of the answer only."""
    talker = talk.untrained_talker("nano")
    speaking = talk.ParallelDecoder(talker.model, talker.builder, [talker.builder.text_prompt(("red",), AudioToken.ANSWER)])
    talk._step_until(speaking, 30)
    assert speaking.writing is not None


def test_talking_is_measured_in_one_row_and_in_two(monkeypatch, clock):
    monkeypatch.setattr(talk, "LONG_ANSWER", 10)
    monkeypatch.setattr(talk, "one_token_rows", lambda *_: [row("ours", "1", 1, 1.0, 1.0, None)])
    monkeypatch.setattr(talk, "text_rows", lambda *_: [])
    result = talk.bench_talk("nano", 3, clock)
    for name in ("two rows", "one row"):
        parts = [part for part in talk.PARTS if part != "leading silence"]  # an untrained voice has none
        assert all(f"{name}: {part}" in result["latency_ms"] for part in parts)
        assert len([entry for entry in result["bars"] if entry["claim"].startswith(name)]) == 4
    assert sum("wall clock" in note or "fewer than 20" in note for note in result["notes"]) == 2
    benchmark_record("talk", "nano", 1, "cpu", "a clock", "kept", 3, result)


def test_chunks_of_sound_add_up_to_the_whole():
    small = talk.untrained_talker("nano").codec
    codes = torch.zeros(6, 7, dtype=torch.long)
    assert len(codec.decode_in_chunks(small, codes, 2)) == len(small.decode(codes))


def test_a_training_step_in_half_precision_moves_the_model_too():
    model, text = train.our_model(SMALL), torch.randint(train.WORDS, (2, 8))
    before = model.layers[1].feed_forward.experts.down_proj.detach().clone()
    train.training_step(train.OURS, model, text, torch.bfloat16)()
    assert not torch.equal(before, model.layers[1].feed_forward.experts.down_proj)


def test_a_gpu_gets_a_larger_batch_and_no_bars_of_speed(monkeypatch):
    monkeypatch.setattr(train, "GPU_BATCH", 2)
    result = train._bench_gpu([train.Setting("nano", 1, "cpu", torch.bfloat16)], 1, time.process_time, train.Machine(1e9, 1e9))
    assert [entry["shape"] for entry in result["rows"]] == ["1 rows of 64"] * 3 + ["2 rows of 64"] * 3 and not result["bars"]


def test_the_record_of_a_gpu_does_not_overwrite_that_of_a_cpu():
    record = a_record()
    assert record_path("x", record).name == "bench-experts-nano-1.json"
    assert record_path("x", record | {"device": {"kind": "cuda"}}).name == "bench-experts-nano-cuda.json"


# ---- a second process ----------------------------------------------------------------------------------------------------


def test_both_allocators_take_turns_and_every_ratio_is_of_one_loop(monkeypatch):
    monkeypatch.setitem(train.BATCHES, "nano", (1, 2))
    monkeypatch.setattr(train, "measure_machine", lambda *_: train.Machine(1e9, 1e9))
    loops = []
    monkeypatch.setattr(train, "take_turns", lambda measures, rounds: loops.append(list(measures)) or timing.take_turns(measures, rounds))
    result = train.bench_train("nano", 1, time.process_time, "cpu", torch.float32)
    here, found = "2 rows of 64", f"2 rows of 64, {train.FOUND}"
    assert [{shape for _, shape in loop} for loop in loops] == [{"1 rows of 64"}, {here, found}] and len(result["rows"]) == 9
    assert all(entry["milliseconds"] > 0 and entry["peak_memory_mb"] > 0 for entry in result["rows"])
    assert len(result["bars"]) == 4 and result["bars"][-1]["claim"].startswith("peak MB of resident memory of a process")
    assert 100 < result["bars"][-1]["measured"] <= 3000 and result["bars"][-1]["met"]


def test_errors_of_a_second_process_reach_the_learner():
    with processes.OtherProcess() as other:
        assert other.ask(max, 2, 3) == 3
        with pytest.raises(ZeroDivisionError):
            other.ask(divmod, 1, 0)
        with pytest.raises(LearnerError, match="close other programs"):
            other.ask(os._exit, 1)


# ---- records -------------------------------------------------------------------------------------------------------------


def test_a_record_is_written_and_shown(tmp_path):
    record = a_record()
    assert json.loads(write(record, tmp_path / "bench.json").read_text()) == record
    shown = table(record)
    assert "1.20" in shown and "met" in shown and "note: a note" in shown


def test_a_row_holds_both_ratios():
    entry = row("ours", "D 8", 4096, 0.05, 0.04, 12.0)
    assert (entry["tokens_per_s"], entry["ratio_to_dense"], entry["share_of_limit"]) == (81_920.0, 1.25, 0.8)


@pytest.mark.parametrize("measured, limits, met", [(1.2, {"at_most": 1.25}, True), (1.3, {"at_most": 1.25}, False),
                                                   (1.3, {"at_least": 1.2}, True), (1.1, {"at_least": 1.2}, False)])
def test_a_bar_says_whether_it_is_met(measured, limits, met):
    assert bar("a claim", measured, **limits)["met"] is met


@pytest.mark.parametrize("changes", [{"rows": []}, {"bars": [{"claim": "x"}]}, {"notes": "one"}, {"surprise": 1}])
def test_a_record_that_breaks_its_schema_is_refused(changes):
    with pytest.raises(LearnerError):
        a_record(**changes)


def test_the_schema_explains_every_measured_field():
    fields = schema()["properties"]["rows"]["items"]["properties"]
    assert all("description" in field for field in fields.values())


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_records_of_the_book_keep_to_the_schema(path):
    record = json.loads(path.read_text())
    validate(record)
    assert record_path(path.parent, record) == path


@pytest.mark.parametrize("words", [("dance",), ("experts", "giant"), ("experts", "nano", 0), ("experts", "nano", 1, 0), ("codec", "nano", 1, 1, "runs/x")])
def test_a_benchmark_that_makes_no_sense_is_refused(words):
    with pytest.raises(LearnerError):
        bench(*words)


def test_all_measures_each_once_and_the_voice_of_a_run_in_talk_alone(monkeypatch, tmp_path):
    from minideeptalk.cli import main

    asked = []
    monkeypatch.setattr("minideeptalk.benchmarks.bench", lambda *words: asked.append(words) or a_record() | {"benchmark": words[0]})
    assert main(["bench", "all", "--size", "nano", "--run", "runs/x", "--out", str(tmp_path)]) == 0
    assert [(words[0], words[-1]) for words in asked] == [("train", None), ("experts", None), ("talk", "runs/x"), ("codec", None)]
    assert len(list(tmp_path.glob("bench-*-nano-1.json"))) == 4


def test_the_command_measures_prints_and_writes(monkeypatch, tmp_path, capsys):
    from minideeptalk.cli import main

    monkeypatch.setitem(experts.SHAPES, "nano", (experts.Shape(16, 4, 8, 2, 64),))
    assert main(["bench", "experts", "--size", "nano", "--rounds", "1", "--json", "--out", str(tmp_path)]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "bench-experts-nano-1.json").read_text())
    assert [entry["ratio_to_dense"] for entry in record["rows"] if entry["name"] == experts.DENSE] == [1.0]
    assert record["precision"].startswith("fp32") and (record["load_average"] is None or record["load_average"] >= 0)
    assert record["threads"] == 1 and len(record["rows"]) == 10
    assert {experts.PADDED, experts.UNMOVED, experts.PLAIN, experts.UPDATE} < {entry["name"] for entry in record["rows"]}


def test_products_alone_are_the_products_of_the_layer():
    candidates = experts.make_candidates(experts.Shape(16, 4, 8, 2, 64), "cpu")
    for alone, whole in zip(candidates[experts.UNMOVED]()[2:], candidates[experts.OURS]()[2:], strict=True):  # gradients of both projections
        torch.testing.assert_close(alone, whole)


def test_the_plain_spelling_computes_the_same_gradients():
    candidates = experts.make_candidates(experts.Shape(16, 4, 8, 2, 64), "cpu")
    for plain, ours in zip(candidates[experts.PLAIN](), candidates[experts.OURS](), strict=True):
        torch.testing.assert_close(plain, ours, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_candidate_also_runs_in_the_mixed_precision_of_a_gpu(dtype):
    shape = experts.Shape(16, 4, 8, 2, 64)
    halves, wholes = experts.make_candidates(shape, "cpu", dtype), experts.make_candidates(shape, "cpu")
    for name in halves.keys() - {experts.UPDATE}:
        torch.testing.assert_close(halves[name]()[-1], wholes[name]()[-1], atol=0.1, rtol=0.1, msg=name)


def test_few_and_many_experts_take_turns_and_the_bar_is_held_where_it_was_set(monkeypatch):
    few, many, later = (experts.Shape(16, E, 8, 2, N) for E, N in ((4, 64), (64, 64), (64, 128)))
    monkeypatch.setattr(experts, "BAR_TOKENS", 64)
    monkeypatch.setitem(experts.SHAPES, "nano", (few, many, replace(few, N=128), later))
    monkeypatch.setattr(experts, "peak_memory_mb", lambda *_: None)
    monkeypatch.setattr(experts, "measure_machine", lambda *_: experts.Machine(1.0, 1.0))
    together = []
    monkeypatch.setattr(experts, "in_turns", lambda runs, *_: together.append({shape for shape, _ in runs}) or {
        (shape, name): [1.0 + shape.E * (name == experts.UPDATE)] for shape, name in runs})
    result = experts.bench_experts("nano", 1, None, "cpu", torch.float32)
    assert together == [{few, many}, {replace(few, N=128), later}]
    assert [entry["claim"] for entry in result["bars"]] == [f"cost with 64 experts over cost with 4, {many}"]
    assert sum("the optimizer's step apart" in note and "13.0 times" in note for note in result["notes"]) == 2
    assert sum(str(later) in note and "1.000, no bar" in note for note in result["notes"]) == 1


def test_some_shape_of_mini_is_small_enough_for_every_candidate():
    assert "transformers batched_mm" in experts.make_layers(experts.SHAPES["mini"][0], "cpu")[0]


def test_the_help_says_that_records_go_into_a_folder(capsys):
    from minideeptalk.cli import main

    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "--out DIR" in (said := capsys.readouterr().out) and "into this folder" in said
