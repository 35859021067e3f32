"""Who is chosen: load of each expert by layer and modality, stage by stage (chapters 04, 07 and 09)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from minideeptalk.errors import LearnerError
from minideeptalk.records.abilities import percent
from minideeptalk.viz.style import INK, finish, stage_code, stages_in_order

MODALITIES = ("text", "audio")


def routing_heat_map(record: Mapping, stages: Sequence[str] | None = None) -> go.Figure:
    """Share of a modality's choices that went to each expert, by layer; a slider moves over the stages.

    The upper map shows text tokens, the lower one audio tokens, both on the colour scale of the whole record, so that
    two figures of one record can stand side by side. Rings mark experts that the run chose as audio experts.

    Args:
        record: a run record with `loads`; each row of loads is divided by its sum.
        stages: which stages the slider visits, all of them by default; with one stage there is no slider.

    Raises:
        LearnerError: if the record holds no loads, or none of a stage asked for.
    """
    known = stages_in_order(record["loads"])
    if not known:
        raise LearnerError("loads by stage, layer and modality", "none in this record", "the load recorder was off")
    stages = list(stages or known)
    for stage in stages:
        if stage not in known:
            raise LearnerError(f"a stage out of {', '.join(known)}", repr(stage))
    layers = sorted({row["layer"] for row in record["loads"]})
    experts = max(len(row["load"]) for row in record["loads"])
    maps = {stage: [_shares(record, stage, modality, layers) for modality in MODALITIES] for stage in stages}
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16, subplot_titles=_titles(stages[0]))
    for number, modality in enumerate(MODALITIES, start=1):
        figure.add_trace(_heat(maps[stages[0]][number - 1], layers, experts, modality), row=number, col=1)
    _mark_audio_experts(figure, record, layers)
    figure.update_layout(coloraxis=_scale(record), legend={"y": 0.99, "yanchor": "top"}, margin={"t": 62})
    figure.update_yaxes(title={"text": "layer"}, autorange="reversed", dtick=1, showgrid=False, tickvals=layers)
    figure.update_xaxes(showgrid=False, dtick=2 if experts > 12 else 1, tick0=0, range=[-0.5, experts - 0.5])
    figure.update_xaxes(title={"text": "expert"}, row=2, col=1)
    if len(stages) > 1:
        figure.update_layout(sliders=[_slider(stages, maps)])
    return finish(figure, _alt(record, maps, stages, layers), height=250 + 2 * max(70, 32 * len(layers)) + (70 if len(stages) > 1 else 0))


def _shares(record: Mapping, stage: str, modality: str, layers: Sequence[int]) -> list[list[float] | None]:
    """(L, E): one row of shares a layer, an empty one where nothing was measured."""
    found = {row["layer"]: row["load"] for row in record["loads"] if row["stage"] == stage and row["modality"] == modality}
    return [[value / (sum(found[layer]) or 1) for value in found[layer]] if layer in found else [] for layer in layers]


def _heat(shares, layers, experts, modality) -> go.Heatmap:
    return go.Heatmap(z=shares, x=list(range(experts)), y=list(layers), coloraxis="coloraxis", xgap=1, ygap=1,
                      hovertemplate="layer %{y}, expert %{x}: %{z:.1%} of " + modality + " choices<extra></extra>")


def _titles(stage: str) -> list[str]:
    return [f"{modality} tokens, after {_told(stage)}" for modality in MODALITIES]


def _told(stage: str) -> str:
    code = stage_code(stage)
    return f"stage {code}" if code[:1].isdigit() else code


def _scale(record: Mapping) -> dict:
    """Zero to the largest share of any stage."""
    largest = max(max(row["load"]) / (sum(row["load"]) or 1) for row in record["loads"])
    return {"cmin": 0, "cmax": largest, "colorbar": {
        "orientation": "h", "y": -0.3, "yanchor": "top", "thickness": 12, "len": 0.9, "tickformat": ".0%",
        "title": {"text": "share of the modality's choices", "side": "top"}}}


def _mark_audio_experts(figure: go.Figure, record: Mapping, layers: Sequence[int]) -> None:
    chosen = (record["selection"] or {}).get("audio_experts", [])
    spots = [(expert, row["layer"]) for row in chosen if row["layer"] in layers for expert in row["experts"]]
    for number in (1, 2) if spots else ():
        figure.add_trace(go.Scatter(
            x=[expert for expert, _ in spots], y=[layer for _, layer in spots], mode="markers", name="chosen as audio expert",
            showlegend=number == 1, hoverinfo="skip",
            marker={"symbol": "circle", "size": 8, "color": "#ffffff", "line": {"color": "#000000", "width": 1.5}}), row=number, col=1)


def _slider(stages, maps) -> dict:
    steps = []
    for stage in stages:
        words = {f"annotations[{number}].text": title for number, title in enumerate(_titles(stage))}
        steps.append({"label": stage_code(stage), "value": stage, "method": "update", "args": [{"z": maps[stage]}, words, [0, 1]]})
    return {"active": 0, "steps": steps, "currentvalue": {"prefix": "after stage "}, "pad": {"t": 150}, "x": 0, "len": 1,
            "font": {"color": INK}}


def _alt(record, maps, stages, layers) -> str:
    sentences = [(f"Heat maps of expert load, {len(layers)} layers by {len(maps[stages[0]][0][0])} experts, "
                 "for text tokens and for audio tokens.")]
    chosen = {row["layer"]: row["experts"] for row in (record["selection"] or {}).get("audio_experts", [])}
    if chosen:
        for stage in dict.fromkeys((stages[0], stages[-1])):
            shares = [_mean_share(of_modality, layers, chosen) for of_modality in maps[stage]]
            sentences.append(f"After stage {stage_code(stage)} the chosen audio experts take {percent(shares[0])} of the text choices "
                             f"and {percent(shares[1])} of the audio choices.")
    return " ".join(sentences)


def _mean_share(shares, layers, chosen) -> float | None:
    taken = [sum(row[expert] for expert in chosen.get(layer, ())) for layer, row in zip(layers, shares, strict=True) if row]
    return sum(taken) / len(taken) if taken else None
