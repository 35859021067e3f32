"""Cached decoding of both streams: the text answer alone, or text and seven codec streams side by side.

Axes: B batch, T prompt steps, Q codec streams, F codec frames spoken so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from minideeptalk.inference.memory import Memory, left_padded
from minideeptalk.inference.sampling import Chooser, Sampling
from minideeptalk.model import AudioToken, DeepTalkModel
from minideeptalk.tasks import Example, ExampleBuilder


@dataclass
class Answer:
    """What the model said: words, codec frames (F, Q), the frame at which each word began, and whether it ended by itself."""

    words: list[str] = field(default_factory=list)
    codes: torch.Tensor | None = None
    starts: list[int] = field(default_factory=list)
    finished: bool = False


@torch.no_grad()
def answer_in_text(model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example], max_words: int = 24,
                   sampling: Sampling = Sampling(), memory: Memory | None = None) -> list[Answer]:
    """Decode written answers to prompts (text or heard), all together; `memory` holds the turns before, if there were any."""
    model.eval()
    memory = memory or Memory(model, len(prompts))
    chooser = text_chooser(builder, sampling, torch.Generator(device=model.device).manual_seed(sampling.seed))
    inputs, answers = left_padded(prompts, builder, model.device), [Answer() for _ in prompts]
    for _ in range(max_words):
        word = chooser.choose(model.text_logits(memory.read(**inputs)))  # (B,)
        chooser.remember(word, builder.config.vocab_size)
        for answer, chosen in zip(answers, word.tolist()):
            if not answer.finished:
                answer.finished = chosen == builder.end
                if not answer.finished:
                    answer.words += builder.tokenizer.decode([chosen])
        if all(answer.finished for answer in answers):
            break
        inputs = {"text": word[:, None]}
    return answers


def text_chooser(builder: ExampleBuilder, sampling: Sampling, generator: torch.Generator) -> Chooser:
    """How words are chosen; pauses and the end may repeat."""
    return Chooser(sampling.text or sampling, generator, [builder.wait, builder.end])


class SpokenDecoder:
    """Steps through a spoken answer: at each step one text token and seven codec tokens for every row of the batch.

    The codec streams wait for their delay, text and codes feed the next step, and a row ends when its first stream says
    EOA.  `frames_ready` tells how many whole codec frames exist, which is what a streaming vocoder needs.

    Args:
        memory: what was read before these prompts, in a conversation.
    """

    def __init__(self, model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example],
                 sampling: Sampling = Sampling(), max_frames: int = 100, memory: Memory | None = None):
        self.model, self.builder = model, builder
        self.max_steps = max_frames + 1 + max(builder.lags)
        generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
        rows, size = len(prompts), builder.config.codebook_size
        self.inputs = left_padded(prompts, builder, model.device)
        self.memory = memory or Memory(model, rows)
        self.lags = torch.tensor(builder.lags, device=model.device)  # (Q,)
        self.eoa = size + AudioToken.EOA
        self.text_chooser = text_chooser(builder, sampling, generator)
        self.code_chooser = Chooser(sampling, generator, list(range(size, size + len(AudioToken))))
        self.text = torch.zeros(rows, 0, dtype=torch.long, device=model.device)  # (B, steps) chosen text tokens
        self.codes = torch.zeros(rows, 0, builder.config.num_codebooks, dtype=torch.long, device=model.device)
        self.held = torch.full((rows,), builder.wait, device=model.device)
        self.elapsed = torch.zeros(rows, dtype=torch.long, device=model.device)  # steps since the held word began
        self.text_ended = torch.zeros(rows, dtype=torch.bool, device=model.device)
        self.last_frame = torch.full((rows,), -1, device=model.device)  # frame count of ended rows, -1 while speaking

    def step(self) -> bool:
        """Advance by one step; False when every row has ended or the limit is reached."""
        number = self.text.shape[1]
        hidden = self._read()  # (B, D)
        word = self._word_of_step(hidden)  # (B,)
        code = self._codes_of_step(hidden, number)  # (B, Q)
        word_input = self._text_input(word, number)
        self.text = torch.cat([self.text, word[:, None]], dim=1)
        self.codes = torch.cat([self.codes, code[:, None]], dim=1)
        self.inputs = {"text": word_input[:, None], "codes": code[:, None]}
        if self.builder.config.layout == "held":
            self.inputs["elapsed"] = self.elapsed[:, None]
        done = (self.last_frame >= 0) & (number >= self.last_frame + self.lags.max())
        return not bool(done.all()) and number + 1 < self.max_steps

    def _read(self) -> torch.Tensor:
        """Hidden state (B, D) after what was chosen last."""
        return self.memory.read(**self.inputs)

    @torch.no_grad()
    def _word_of_step(self, hidden: torch.Tensor) -> torch.Tensor:
        """Text tokens (B,) of this step."""
        word = self.text_chooser.choose(self.model.text_logits(hidden))
        self.text_chooser.remember(word, self.builder.config.vocab_size)
        return word

    def _may_end(self) -> torch.Tensor:
        """(B,) whether the first stream may end the speech now."""
        return torch.ones_like(self.text_ended)

    @torch.no_grad()
    def _codes_of_step(self, hidden: torch.Tensor, number: int) -> torch.Tensor:
        """Codec tokens (B, Q) of this step: PAD before a stream's delay and after its end."""
        logits = self.model.audio_logits(hidden)  # (B, Q, rows)
        forbidden = torch.ones_like(logits, dtype=torch.bool)
        forbidden[..., :self.builder.config.codebook_size] = False
        forbidden[:, 0, self.eoa] = ~self._may_end()
        code = self.code_chooser.choose(logits.masked_fill(forbidden, float("-inf")))  # (B, Q)
        frame = number - self.lags  # (Q,) which frame each stream is at
        ended = (code[:, 0] == self.eoa) & (self.last_frame < 0)
        self.last_frame = torch.where(ended, frame[0].expand_as(self.last_frame), self.last_frame)
        last = self.last_frame[:, None]  # (B, 1)
        code = torch.where((last >= 0) & (frame[None] == last), torch.full_like(code, self.eoa), code)
        closed = (last >= 0) & (frame[None] > last)
        code = torch.where(closed | (frame[None] < 0), torch.full_like(code, self.builder.silence), code)
        self.code_chooser.remember(code, logits.shape[-1])
        return code

    def _text_input(self, word: torch.Tensor, number: int) -> torch.Tensor:
        """What the text row of the next step holds: the word, the waiting mark, or the word still sounding.

        Where words stand at the step of their sound, `<end>` in the text at step n says that frame n does not exist, so
        it ends the speech too; otherwise only EOA does.
        """
        wait = torch.full_like(word, self.builder.wait)
        if self.builder.config.layout == "ahead":
            chosen = torch.where(self.text_ended, wait, word)
            self.text_ended |= word == self.builder.end
            return chosen
        word = torch.where(self.text_ended, wait, word)
        ends = (word == self.builder.end) & (self.last_frame < 0)
        self.last_frame = torch.where(ends, torch.full_like(self.last_frame, number), self.last_frame)
        self.text_ended |= word == self.builder.end
        if self.builder.config.layout == "aligned":
            return word
        self.held = torch.where(word == self.builder.wait, self.held, word)
        starts = (word != self.builder.wait) & (word != self.builder.end)  # `<end>` starts no word: training counts on
        self.elapsed = torch.where(starts, torch.ones_like(self.elapsed), self.elapsed + 1)
        return self.held

    def frames_ready(self) -> int:
        """Codec frames complete in every stream so far."""
        return max(0, self.text.shape[1] - int(self.lags.max()))

    def frames(self, row: int, start: int, end: int) -> torch.Tensor:
        """Codec frames start..end of one row, without delay: (end - start, Q), on the CPU, where the codec is."""
        return torch.stack([self.codes[row, start + lag:end + lag, stream]
                            for stream, lag in enumerate(self.builder.lags)], dim=1).cpu()

    def answer(self, row: int) -> Answer:
        """What one row has said so far."""
        count, text = self.frames_ready(), self.text[row].tolist()
        last = int(self.last_frame[row])
        if last >= 0:
            count = min(count, last)
            text = text[:last + int(self.lags.max()) + 1]  # later steps were made only because other rows still spoke
        words, starts = [], []
        for step, token in enumerate(text):
            if token == self.builder.end:
                break
            if token != self.builder.wait:
                words += self.builder.tokenizer.decode([token])
                starts.append(step)
        codes = self.frames(row, 0, count).clamp(max=self.builder.config.codebook_size - 1)
        return Answer(words, codes, starts, last >= 0)


def speak(model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example], sampling: Sampling = Sampling(),
          max_frames: int = 100, batch_size: int = 100, decoder: type[SpokenDecoder] = SpokenDecoder) -> list[Answer]:
    """Decode spoken answers to many prompts; `decoder` may be `parallel.ParallelDecoder`."""
    model.eval()
    answers = []
    for start in range(0, len(prompts), batch_size):
        part = prompts[start:start + batch_size]
        speaking = decoder(model, builder, part, sampling, max_frames)
        while speaking.step():
            pass
        answers += [speaking.answer(row) for row in range(len(part))]
    return answers


def speak_in_steps(model: DeepTalkModel, builder: ExampleBuilder, prompt: Example, sampling: Sampling = Sampling(),
                   max_frames: int = 100, decoder: type[SpokenDecoder] = SpokenDecoder) -> Iterator[tuple[SpokenDecoder, int]]:
    """One spoken answer as it grows: yields the decoder and the number of whole codec frames after each step."""
    model.eval()
    speaking = decoder(model, builder, [prompt], sampling, max_frames)
    going = True
    while going:
        going = speaking.step()
        ready = speaking.frames_ready()
        if speaking.last_frame[0] >= 0:
            ready = min(ready, int(speaking.last_frame[0]))
        yield speaking, ready
