"""Codes to sound and back: the pyramid codec whole and in chunks, beside a neural codec of published size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import MimiConfig, MimiModel

from minideeptalk.benchmarks.record import bar, row
from minideeptalk.benchmarks.talk import untrained_talker
from minideeptalk.benchmarks.timing import in_turns, peak_memory_mb
from minideeptalk.codec import PyramidCodec, StreamingDecoder
from minideeptalk.config import SAMPLE_RATE, STEP_SAMPLES, STEP_SECONDS

FRAMES = 48  # codec frames of 80 ms: 3.84 s
REAL_TIME = 0.2


def bench_codec(size: str, rounds: int, clock: Callable[[], float]) -> dict:
    """Encoding and decoding in turns; `tokens_per_s` counts codec frames of 80 ms.

    Returns:
        `rows`, `bars` and `notes` for the record.
    """
    codec = untrained_talker(size).codec
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(codec.codebook_size, (FRAMES, codec.num_codebooks), generator=generator)
    sound = 0.1 * torch.randn(FRAMES * STEP_SAMPLES, generator=generator)
    mimi = MimiModel(MimiConfig(num_quantizers=8)).eval()
    # Mimi runs at 24 kHz, with frames of 80 ms as here
    mimi_codes = torch.randint(mimi.config.codebook_size, (1, 8, FRAMES), generator=generator)
    mimi_sound = 0.1 * torch.randn(1, 1, int(FRAMES * STEP_SECONDS * mimi.config.sampling_rate), generator=generator)
    jobs = {
        "ours, decode": lambda: codec.decode(codes),
        "ours, decode in chunks of 4": lambda: decode_in_chunks(codec, codes, 4),
        "ours, decode in chunks of 2": lambda: decode_in_chunks(codec, codes, 2),
        "ours, encode": lambda: codec.encode(sound),
        "transformers Mimi, decode": lambda: mimi.decode(mimi_codes),
        "transformers Mimi, encode": lambda: mimi.encode(mimi_sound, num_quantizers=8),
    }
    with torch.no_grad():
        best = {name: min(times) for name, times in in_turns(jobs, rounds, clock).items()}
        memory = {name: peak_memory_mb(job, "cpu") for name, job in jobs.items()}
    rows = [row(name, f"{FRAMES} frames of 80 ms", FRAMES, seconds, None, memory[name], real_time_factor=seconds / (FRAMES * STEP_SECONDS))
            for name, seconds in best.items()]
    slowest = next(entry["real_time_factor"] for entry in rows if entry["name"].endswith("chunks of 2"))
    return {"rows": rows, "bars": [bar("real-time factor of decoding in chunks of 2", slowest, at_most=REAL_TIME)],
            "notes": [f"ours: {codec.num_codebooks} streams of {codec.codebook_size} entries at {SAMPLE_RATE} Hz, random entries",
                      "Mimi: 8 streams at 24 kHz, untrained weights of the published size; compare work a second, not quality"]}


def decode_in_chunks(codec: PyramidCodec, codes: torch.Tensor, size: int) -> torch.Tensor:
    """Codes (T, Q) to sound through the streaming decoder, `size` steps at a time."""
    stream = StreamingDecoder(codec)
    return torch.cat([*(stream.push(codes[start:start + size]) for start in range(0, len(codes), size)), stream.flush()])
