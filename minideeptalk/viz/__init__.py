"""Figures and pages made from run records: they need no kernel, no network, and no number typed by hand."""

from minideeptalk.viz.audio import AudioClip
from minideeptalk.viz.embed import figure_html
from minideeptalk.viz.forgetting import forgetting_by_family, forgetting_curve, forgetting_map, rival_curves
from minideeptalk.viz.latency import latency_timeline
from minideeptalk.viz.report import write_report
from minideeptalk.viz.routing import routing_heat_map
from minideeptalk.viz.study import difference_figure, front_figure
from minideeptalk.viz.style import alt_text
from minideeptalk.viz.tables import abilities_table, forgetting_table

__all__ = ["AudioClip", "abilities_table", "alt_text", "difference_figure", "figure_html", "forgetting_by_family", "forgetting_curve",
           "forgetting_map", "forgetting_table", "front_figure", "latency_timeline", "rival_curves", "routing_heat_map", "write_report"]
