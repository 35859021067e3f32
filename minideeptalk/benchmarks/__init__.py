"""Benchmarks: ours and its peers measured in turns within one run, so that only their ratios need to be believed."""

from minideeptalk.benchmarks.command import BENCHMARKS, bench, record_path
from minideeptalk.benchmarks.record import table, validate, write

__all__ = ["BENCHMARKS", "bench", "record_path", "table", "validate", "write"]
