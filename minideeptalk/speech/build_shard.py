"""One shard of a corpus, made by one fresh process: `python -m minideeptalk.speech.build_shard <shard.json> <stem>`.

Fresh, because espeak-ng carries state from call to call: the bytes of an utterance depend on everything said before
in the same process. Without torch, because it would take longer to import than the shard takes to make.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from minideeptalk.speech.grid import place_on_grid
from minideeptalk.speech.synthesis import Synthesizer

GRID_WORD_GAP = 2  # a pause at which words can be cut apart


def build_shard(requests: list[dict], stem: Path) -> None:
    """Say the requests in order and write `<stem>.safetensors` (sound) and `<stem>.json` (times).

    Args:
        requests: dictionaries with words, voice, style, on_grid.
        stem: path without suffix. The JSON file appears last and marks the shard as whole.
    """
    synthesizer = Synthesizer()
    samples, offsets, times = [], [0], []
    for request in requests:
        gap = GRID_WORD_GAP if request["on_grid"] else 0
        utterance = synthesizer.speak(request["words"], request["voice"], request["style"], word_gap=gap)
        if request["on_grid"]:
            utterance = place_on_grid(utterance)
        samples.append(np.round(utterance.waveform * 32767).astype(np.int16))
        offsets.append(offsets[-1] + len(samples[-1]))
        times.append({"words": [_rounded(span) for span in utterance.words],
                      "phonemes": [_rounded(span) for span in utterance.phonemes]})
    tensors = {"samples": np.concatenate(samples), "offsets": np.array(offsets, dtype=np.int64)}
    draft = stem.with_suffix(f".{os.getpid()}.draft")  # two builders of one corpus must not share it
    save_file(tensors, draft)
    os.replace(draft, stem.with_suffix(".safetensors"))
    draft.write_text(json.dumps(times, ensure_ascii=False), encoding="utf-8")
    os.replace(draft, stem.with_suffix(".json"))


def _rounded(span) -> list:
    return [span.symbol, round(span.start, 4), round(span.end, 4)]


if __name__ == "__main__":
    build_shard(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
