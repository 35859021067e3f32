"""First-audio latency of a talker, as parts, over several questions."""

from __future__ import annotations

import statistics

import torch

from minideeptalk.inference.talker import LATENCY_PARTS, Talker


def first_audio(talker: Talker, waveforms: list[torch.Tensor], warm_up: int = 2) -> dict:
    """Median of each part and p50, p90 of their sum in milliseconds, and the real-time factor; the first runs are not counted.

    Returns:
        `parts`, `p50`, `p90` as a run record wants them, and `real_time_factor` (median) and `runs`.
    """
    replies = [talker.answer(waveform) for waveform in waveforms][warm_up:]
    replies = [reply for reply in replies if reply.understood]
    if not replies:
        return {"parts": {}, "p50": None, "p90": None, "real_time_factor": None, "runs": 0}
    totals = sorted(sum(reply.latency_ms.values()) for reply in replies)
    return {
        "parts": {part: statistics.median(reply.latency_ms[part] for reply in replies) for part in LATENCY_PARTS},
        "p50": statistics.median(totals),
        "p90": totals[min(len(totals) - 1, int(0.9 * len(totals)))],
        "real_time_factor": statistics.median(reply.real_time_factor for reply in replies),
        "runs": len(totals),
    }
