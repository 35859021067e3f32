"""What the book has recorded of stage 4: the trials on validation that found its setting, and the runs measured on the test split (chapter 11)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minideeptalk.records import read_record
from minideeptalk.records.committed import records_folder
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.style import BLUE, INK, VERMILLION, finish

TRIALS = "nano-dpo-trials.json"
MEASURED = (
    ("word errors, trained texts, judge", "trained", "judge_wer"), ("word errors, unseen texts, judge", "unseen", "judge_wer"),
    ("word errors, trained texts, ear", "trained", "ear_wer"), ("word errors, unseen texts, ear", "unseen", "ear_wer"),
    ("spread of log pitch, unseen texts", "unseen", "f0_spread"), ("length against the original", "unseen", "length_ratio"),
)
ABILITIES = (("spoken questions answered aloud", "spoken_qa_speech"), ("text ability lost", "relative_text_drop"))
PLAIN = ("f0_spread", "length_ratio")  # numbers that are no shares


def preference_trials() -> dict:
    """The trials: which `run` they began from, the `split`, and of each of the `trials` its setting and what came of it."""
    return json.loads((records_folder() / TRIALS).read_text(encoding="utf-8"))


def preference_runs() -> list[dict]:
    """The run records of stage 4 on the test split, one a seed of takes and batches; empty before any was made."""
    return [read_record(path) for path in sorted(records_folder().glob("nano-dpo-s*.json"))]


def trials_table(trials: Sequence[Mapping]) -> Table:
    """A row a trial: its setting, and the judge's word error rate before and after it on trained and on unseen texts."""
    rows = []
    for trial in trials:
        name = f"{trial['letter']} {trial['name']}" + (" (taken)" if trial["taken"] else "")
        errors = [f"{trial[texts]['before']:.1%} → {trial[texts]['after']:.1%}" for texts in ("trained", "unseen")]
        rows.append((name, str(trial["updates"]), f"{1e5 * trial['rate']:.0f}", f"{trial['anchor']:g}", *errors))
    return Table(("trial", "updates", "rate, 1e-5", "anchor", "word errors, trained texts", "word errors, unseen texts"), rows,
                 "What was tried on the validation split")


def _points(trials: Sequence[Mapping], texts: str) -> dict:
    """Changes with their intervals in points of word error rate, as plotly's `restyle` takes them."""
    change, low, high = ([100 * trial[texts][key] for trial in trials] for key in ("change", "low", "high"))
    return {"x": [change], "error_x.array": [[top - middle for top, middle in zip(high, change)]],
            "error_x.arrayminus": [[middle - bottom for middle, bottom in zip(change, low)]]}


def trials_figure(trials: Sequence[Mapping]) -> go.Figure:
    """A point with an interval for each trial; a slider chooses unseen or trained texts."""
    steps = [{"label": f"{texts} texts", "method": "restyle", "args": [_points(trials, texts)]} for texts in ("unseen", "trained")]
    start = _points(trials, "unseen")
    figure = go.Figure(go.Scatter(
        x=start["x"][0], y=[trial["letter"] for trial in trials], mode="markers", text=[trial["name"] for trial in trials],
        hovertemplate="%{text}: %{x:+.1f} points<extra></extra>",
        error_x={"array": start["error_x.array"][0], "arrayminus": start["error_x.arrayminus"][0], "color": INK, "thickness": 2},
        marker={"size": 11, "color": [VERMILLION if trial["taken"] else BLUE for trial in trials],
                    "symbol": ["square" if trial["taken"] else "circle" for trial in trials]}))
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_layout(sliders=[{"active": 0, "steps": steps, "currentvalue": {"prefix": "measured on: "}, "pad": {"t": 60}}], showlegend=False)
    figure.update_xaxes(title="change of the word errors, points")
    figure.update_yaxes(title="trial", autorange="reversed", type="category")
    told = "; ".join(f"{trial['letter']} {_interval(trial['unseen'], 'change')}" for trial in trials)
    return finish(figure, "Points with 95 % intervals: change of the word errors of unseen validation texts in each trial, in points. "
                          f"The square is the setting that was taken. {told}.", height=140 + 28 * len(trials))


def _interval(change: Mapping, key: str) -> str:
    return f"{100 * change[key]:+.1f} ({100 * change['low']:+.1f} to {100 * change['high']:+.1f})"


def runs_table(runs: Sequence[Mapping]) -> Table:
    """Delivery and abilities on the test split before stage 4, after it for each seed, and of recordings through the codec."""
    found = [run["metrics"]["preference"] for run in runs]
    models = [found[0]["before"], *(one["after"] for one in found)]

    def told(key, value):
        return f"{value:.3f}" if key in PLAIN else f"{value:.1%}"

    rows = [(title, *(told(key, model[texts][key]) for model in (*models, {texts: found[0]["before"]["original"]})))
            for title, texts, key in MEASURED]
    rows += [(title, *(told(key, model[key]) for model in models), "-") for title, key in ABILITIES]
    heads = ("test split", "before", *(f"after, seed {run['config']['preference']['seed']}" for run in runs), "recordings")
    return Table(heads, rows, "Stage 4 at nano, before and after; recordings went through the codec")


def verdicts(runs: Sequence[Mapping]) -> list[str]:
    """A sentence for each seed and kind of texts: the change of the judge's word errors with its interval, and the melody that is left."""
    lines = []
    for run in runs:
        found = run["metrics"]["preference"]
        for texts in ("trained", "unseen"):
            change, melody = found["change"][texts], found["after"][texts]["f0_spread"] / found["before"][texts]["f0_spread"]
            verdict = "clear of zero" if change["high"] < 0 or change["low"] > 0 else "zero is inside"
            lines.append(f"seed {run['config']['preference']['seed']}, {texts} texts: {_interval(change, 'judge_wer')} points, {verdict}; "
                         f"melody {melody:.0%} of before")
    return lines
