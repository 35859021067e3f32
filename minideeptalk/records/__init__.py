"""Run records: written by every run, checked against one schema, read by every page, table and figure."""

from minideeptalk.records.abilities import Ability, abilities
from minideeptalk.records.compare import Comparison, compare, different_settings
from minideeptalk.records.environment import environment, peak_memory_mb
from minideeptalk.records.forgetting import corrected, relative_text_drop
from minideeptalk.records.record import SCHEMA_VERSION, RunRecord, read_record, schema, validate
from minideeptalk.records.rows import curve_rows, load_rows, selection_entry
from minideeptalk.records.show import show

__all__ = ["SCHEMA_VERSION", "Ability", "Comparison", "RunRecord", "abilities", "compare", "corrected", "curve_rows",
           "different_settings", "environment", "load_rows", "peak_memory_mb", "read_record", "relative_text_drop", "schema",
           "selection_entry", "show", "validate"]
