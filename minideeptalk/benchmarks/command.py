"""`minideeptalk bench`: one benchmark from its name to its record."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from minideeptalk.allocator import keep_memory_and_tell
from minideeptalk.benchmarks.codec import bench_codec
from minideeptalk.benchmarks.experts import bench_experts
from minideeptalk.benchmarks.record import benchmark_record
from minideeptalk.benchmarks.talk import bench_talk
from minideeptalk.benchmarks.timing import choose_clock, choose_dtype
from minideeptalk.benchmarks.train import bench_train
from minideeptalk.config import SIZES
from minideeptalk.errors import LearnerError

BENCHMARKS = ("train", "experts", "talk", "codec")
ROUNDS = {"experts": 20, "train": 8, "talk": 20, "codec": 10}


def bench(benchmark: str, size: str = "mini", threads: int = 1, rounds: int | None = None, run: Path | str | None = None) -> dict:
    """Measure and return the record.

    Args:
        benchmark: one of `BENCHMARKS`. size: of the dial. threads: for torch. rounds: that count; None takes `ROUNDS`.
        run: of `talk` alone, a finished run whose voice is measured.

    Raises:
        LearnerError: for a name or number that makes no sense.
    """
    if benchmark not in BENCHMARKS or size not in SIZES:
        raise LearnerError(f"one of {', '.join(BENCHMARKS)} at one of {', '.join(SIZES)}", f"{benchmark} at {size}")
    if threads < 1 or (rounds is not None and rounds < 1):
        raise LearnerError("1 or more threads and rounds", f"{threads} threads, {rounds} rounds")
    if run is not None and benchmark != "talk":
        raise LearnerError("--run with `talk` only", f"--run with {benchmark}", "the other benchmarks need no finished run")
    device = "cuda" if torch.cuda.is_available() and benchmark in ("experts", "train") else "cpu"
    rounds = rounds or ROUNDS[benchmark]
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None  # Windows has none
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        clock, why = choose_clock(threads, device)
        kept = keep_memory_and_tell()
        dtype, precision = choose_dtype(device)
        result = _measure(benchmark, size, rounds, clock, device, dtype, run)
        return benchmark_record(benchmark, size, threads, device, why, kept, rounds, {"precision": precision, "load_average": load, **result})
    finally:
        torch.set_num_threads(before)


def record_path(folder: Path | str, record: dict) -> Path:
    """Where a record belongs: what was measured, at which size, and by how many threads or on which kind of device."""
    kind = record["device"]["kind"]
    return Path(folder) / f"bench-{record['benchmark']}-{record['size']}-{record['threads'] if kind == 'cpu' else kind}.json"


def _measure(benchmark: str, size: str, rounds: int, clock, device: str, dtype: torch.dtype, run) -> dict:
    if benchmark in ("train", "experts"):
        return {"train": bench_train, "experts": bench_experts}[benchmark](size, rounds, clock, device, dtype)
    return bench_talk(size, rounds, clock, run) if benchmark == "talk" else bench_codec(size, rounds, clock)
