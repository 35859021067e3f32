"""An invented record, complete and valid: the numbers mean nothing and are used in tests only."""

import math

from minideeptalk.records import relative_text_drop

STAGES = ("0-pretrain", "1-align", "2.1-audio-experts", "2.2-text-experts", "3-joint")
FAMILIES = ("add", "lookup", "repeat", "reverse", "compare", "sort", "facts", "grammar", "story", "count")
COVERED = ("add", "lookup", "repeat")
CHANCE = {family: 0.5 if family in ("compare", "grammar", "story") else 0.0 for family in FAMILIES}
BEFORE = {family: 0.99 - 0.01 * number for number, family in enumerate(FAMILIES)}
AFTER = {family: (0.95 if family in COVERED else 0.55 + 0.04 * number) for number, family in enumerate(FAMILIES)}


def loads(layers=(1, 2, 3), experts=16):
    """Nearly flat at first; the audio tokens move to the last four experts as the stages go by."""
    rows = []
    for depth, stage in enumerate(STAGES[1:]):
        for layer in layers:
            for modality in ("text", "audio"):
                shift = depth * 0.9 if modality == "audio" else -depth * 0.3
                weights = [math.exp(math.sin(2.1 * expert + layer) * 0.5 + (shift if expert >= 12 else 0))
                           for expert in range(experts)]
                rows.append({"stage": stage, "layer": layer, "modality": modality,
                             "load": [weight / sum(weights) for weight in weights]})
    return rows


def curves():
    rows = []
    for depth, stage in enumerate(STAGES):
        for step in (0, 200, 400):
            along = (depth - 1 + step / 400) / (len(STAGES) - 1)
            for family in FAMILIES:
                start, end = BEFORE[family], AFTER[family]
                value = start * step / 400 if depth == 0 else start + (end - start) * along
                rows.append({"name": f"text_accuracy/{family}", "stage": stage, "step": step, "value": value})
            rows.append({"name": "loss", "stage": stage, "step": step, "value": 4 - depth * 0.5 - step / 1000})
    return rows


def invented_record():
    """A fresh dict each time, so that a test may break it."""
    return {
        "schema_version": 1, "arm": "deeptalk", "size": "nano", "seed": 0,
        "config": {"name": "nano", "world": {"covered": list(COVERED)}},
        "data_hash": "0123456789abcdef", "commit": "a" * 40, "uncommitted_changes": False, "date": "2026-01-02T03:04:05Z",
        "versions": {"python": "3.11.2", "torch": "2.11.0", "torchaudio": "2.11.0", "minideeptalk": "0.1.0"},
        "device": {"kind": "cpu", "name": "An invented CPU", "cpu": "An invented CPU", "threads": 2, "platform": "Linux"},
        "seconds": 255.0, "stage_seconds": {"1-align": 50.0, "2.1-audio-experts": 90.0, "2.2-text-experts": 25.0, "3-joint": 90.0},
        "peak_memory_mb": 1234.5,
        "budget": {"updates": 1350, "tokens": 1_500_000, "trainable": 2_000_000, "active": 800_000},
        "metrics": {
            "relative_text_drop": relative_text_drop(BEFORE, AFTER, CHANCE, COVERED),
            "text_accuracy": {"before": dict(BEFORE), "after": dict(AFTER)},
            "spoken_qa_text": 0.43, "spoken_qa_speech": 0.31, "asr_wer": 0.09, "ear_wer": 0.04,
            "tts_wer": {"trained": 0.21, "unseen": 0.47}, "codec_wer": 0.062, "judge_wer": 0.011,
            "style_accuracy": {"recognised": 0.81, "mirrored": 0.66, "ceiling": 0.9},
            "first_audio_ms": {"parts": {"log-mel": 6.0, "ear": 31.0, "prompt": 24.0, "first steps": 66.0, "codec and phase": 41.0},
                               "p50": 168.0, "p90": 240.0},
            "chance": {"text_accuracy": dict(CHANCE), "spoken_qa_text": 0.1, "spoken_qa_speech": 0.1, "style_accuracy": 0.25},
            "ceiling": {"spoken_qa_text": 0.93},
            "counts": {"text items a family": 200, "spoken questions": 300},
        },
        "curves": curves(), "loads": loads(),
        "selection": {"formula": "product", "normaliser": "share", "stage": "1-align",
                      "audio_experts": [{"layer": layer, "experts": [12, 13, 14, 15]} for layer in (1, 2, 3)]},
        "notes": ["invented for a test"], "not_measured": {},
    }
