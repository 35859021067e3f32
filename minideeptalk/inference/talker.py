"""A finished model as a conversation partner: a spoken question in, text and sound out, piece by piece.

First-audio latency is measured as parts that add up, in the order in which they happen; the device's own delays and the
detection of the end of the question are not ours to measure and are not in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from minideeptalk.codec import PyramidCodec, StreamingDecoder
from minideeptalk.config import SAMPLE_RATE
from minideeptalk.errors import LearnerError
from minideeptalk.hearing.ear import Ear, Heard
from minideeptalk.inference.decoding import SpokenDecoder, answer_in_text, speak_in_steps
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import AudioToken, DeepTalkModel
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.speech.features import LogMel
from minideeptalk.tasks import ExampleBuilder
from minideeptalk.world import Tokenizer

NOT_UNDERSTOOD = "I did not understand"
LATENCY_PARTS = ("encode", "prefill", "lead and delay", "codec", "leading silence")
AUDIBLE = 0.01  # amplitude from which a sample counts as sound


@dataclass
class Reply:
    """One answer.

    `understood` is False where the ear was not sure enough; then `text` says so and there is no sound.  `waveform` (N,)
    is at 16 kHz; `latency_ms` has the parts of `LATENCY_PARTS`; `real_time_factor` is compute over duration.
    """

    understood: bool
    text: str
    heard: str
    style: str
    confidence: float
    waveform: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    latency_ms: dict[str, float] = field(default_factory=dict)
    real_time_factor: float | None = None


class Talker:
    """Model, tokenizer, ear and codec together.

    Args:
        first_frames: codec frames in the first chunk of sound; later chunks have `chunk_frames`.
        parallel: whether a second row writes the words that the first one says (`inference.parallel`), as in the paper.
    """

    def __init__(self, model: DeepTalkModel, ear: Ear, codec: PyramidCodec, first_frames: int = 2, chunk_frames: int = 4,
                 parallel: bool = True):
        self.model, self.ear, self.codec = model.eval(), ear, codec
        self.builder = ExampleBuilder(model.config, Tokenizer())
        self.log_mel = LogMel()
        self.first_frames, self.chunk_frames = first_frames, chunk_frames
        self.decoder = ParallelDecoder if parallel else SpokenDecoder

    @classmethod
    def load(cls, folder: Path | str, stage: str = "3-joint", parallel: bool = True) -> Talker:
        """Open a finished run of the recipe, or the shipped samples; `baselines.talking.open_run` opens those of every arm.

        Raises:
            LearnerError: when there is no checkpoint of this stage, or one that cannot be read.
        """
        folder = Path(folder)
        model = load_stage(folder, stage)
        return cls(model, Ear.load(folder / "ear"), PyramidCodec.load(folder / "codec"), parallel=parallel)

    def listen(self, waveform: torch.Tensor) -> Heard:
        """What the ear makes of a waveform (N,) at 16 kHz.

        Raises:
            LearnerError: for another shape.
        """
        if waveform.ndim != 1:
            raise LearnerError("a waveform of shape (N,)", f"shape {tuple(waveform.shape)}", "torchaudio's shape, (channels, N)",
                               "pass waveform[0]")
        return self.ear.listen([self.log_mel(waveform)])[0]

    def is_understood(self, heard: Heard) -> bool:
        """Whether the ear heard words, and was on average sure enough of them to go on."""
        return len(heard.words) > 0 and self.ear.understands(heard)

    def chunks(self, heard: Heard, trigger: AudioToken = AudioToken.ANSWER,
               sampling: Sampling = Sampling()) -> Iterator[tuple[torch.Tensor, list[str]]]:
        """Sound as it is made: yields pieces (n,) and the words so far; the first piece comes after `first_frames`."""
        vocoder = StreamingDecoder(self.codec)
        prompt = self.builder.heard_prompt(heard.frames, trigger)
        given, size, decoder = 0, self.first_frames, None
        for decoder, ready in speak_in_steps(self.model, self.builder, prompt, sampling, decoder=self.decoder):
            if ready - given >= size:
                yield vocoder.push(decoder.frames(0, given, ready)), decoder.answer(0).words
                given, size = ready, self.chunk_frames
        answer = decoder.answer(0)
        if len(answer.codes) > given:
            yield vocoder.push(answer.codes[given:]), answer.words
        yield vocoder.flush(), answer.words

    def answer(self, waveform: torch.Tensor, trigger: AudioToken = AudioToken.ANSWER,
               sampling: Sampling = Sampling()) -> Reply:
        """Answer a spoken question (N,) at 16 kHz, in text and sound, and say how long each part took.

        The trigger `ANSWER` asks for the neutral style, `MIRROR` for the asker's own.
        """
        began = time.perf_counter()
        heard = self.listen(waveform)
        encoded = time.perf_counter()
        reply = Reply(self.is_understood(heard), NOT_UNDERSTOOD, " ".join(heard.words), heard.style, heard.confidence)
        if not reply.understood:
            return reply
        pieces, words, first = [], [], None
        for piece, words in self.chunks(heard, trigger, sampling):
            first = first or time.perf_counter()
            pieces.append(piece)
        reply.waveform, reply.text = torch.cat(pieces), " ".join(words)
        duration = max(len(reply.waveform), 1) / SAMPLE_RATE
        reply.real_time_factor = (time.perf_counter() - encoded) / duration
        reply.latency_ms = self._latency(heard, trigger, 1e3 * (encoded - began), 1e3 * (first - encoded), reply.waveform)
        return reply

    def _latency(self, heard: Heard, trigger: AudioToken, encode: float, first_sound: float, waveform) -> dict[str, float]:
        """Split the time to the first piece of sound: one timed prefill and one timed vocoder call, the rest is steps."""
        prompt = self.builder.heard_prompt(heard.frames, trigger)
        start = time.perf_counter()
        next(speak_in_steps(self.model, self.builder, prompt, decoder=self.decoder))
        prefill = 1e3 * (time.perf_counter() - start)
        start = time.perf_counter()
        StreamingDecoder(self.codec).push(torch.zeros(self.first_frames, self.codec.num_codebooks, dtype=torch.long))
        vocoder = 1e3 * (time.perf_counter() - start)
        loud = (waveform.abs() > AUDIBLE).nonzero()
        silence = 1e3 * float(loud[0]) / SAMPLE_RATE if len(loud) else 0.0
        parts = (encode, prefill, max(0.0, first_sound - prefill - vocoder), vocoder, silence)
        return dict(zip(LATENCY_PARTS, parts))

    def answer_text(self, question: str, sampling: Sampling = Sampling()) -> str:
        """Answer a typed question in text.

        Args:
            sampling: how the words are chosen.

        Raises:
            LearnerError: for a word outside the world.
        """
        prompt = self.builder.text_prompt(question.split())
        return " ".join(answer_in_text(self.model, self.builder, [prompt], sampling=sampling)[0].words)
