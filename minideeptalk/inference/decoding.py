"""Cached decoding of both streams: the text answer alone, or text and seven codec streams side by side.

Axes: B batch, T prompt steps, Q codec streams, F codec frames spoken so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from transformers import DynamicCache

from minideeptalk.model import AudioToken, DeepTalkModel
from minideeptalk.tasks import Example, ExampleBuilder


@dataclass
class Answer:
    """What the model said: words, codec frames (F, Q), the frame at which each word began, and whether it ended by itself."""

    words: list[str] = field(default_factory=list)
    codes: torch.Tensor | None = None
    starts: list[int] = field(default_factory=list)
    finished: bool = False


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: temperature 0 is greedy; top_k 0 means the whole vocabulary."""

    temperature: float = 0.0
    top_k: int = 0
    seed: int = 0


def pick(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator | None) -> torch.Tensor:
    """One token for each row of logits (..., V) -> (...)."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    if sampling.top_k:
        lowest = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    probabilities = (logits.float() / sampling.temperature).softmax(dim=-1)
    flat = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return flat.view(probabilities.shape[:-1])


def left_padded(prompts: list[Example], builder: ExampleBuilder, device) -> dict:
    """Prompts of unequal length as model inputs, padded on the left so that all end at the same step."""
    steps = max(len(prompt) for prompt in prompts)
    rows, streams = len(prompts), builder.config.num_codebooks
    text = torch.zeros(rows, steps, dtype=torch.long)
    codes = torch.full((rows, steps, streams), builder.silence)
    mask = torch.zeros(rows, steps, dtype=torch.bool)
    frames = torch.zeros(rows, steps, builder.config.ear_width)
    frame_mask = torch.zeros(rows, steps, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        offset = steps - len(prompt)
        text[row, offset:] = torch.tensor(prompt.text)
        mask[row, offset:] = True
        if prompt.codes is not None:
            codes[row, offset:] = prompt.codes
        if prompt.frames is not None:
            place = slice(offset + prompt.frame_start, offset + prompt.frame_start + len(prompt.frames))
            frames[row, place], frame_mask[row, place] = prompt.frames, True
    inputs = {"text": text, "codes": codes, "attention_mask": mask}
    if bool(frame_mask.any()):
        inputs |= {"frames": frames, "frame_mask": frame_mask}
    return {name: value.to(device) for name, value in inputs.items()}


@torch.no_grad()
def answer_in_text(model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example], max_words: int = 24,
                   sampling: Sampling = Sampling()) -> list[Answer]:
    """Decode written answers to prompts (text or heard), all together."""
    model.eval()
    generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
    inputs = left_padded(prompts, builder, model.device)
    cache, mask = DynamicCache(config=model.config), inputs["attention_mask"]
    answers = [Answer() for _ in prompts]
    for _ in range(max_words):
        hidden = model(**inputs, cache=cache).hidden[:, -1]
        word = pick(model.text_logits(hidden), sampling, generator)  # (B,)
        for answer, chosen in zip(answers, word.tolist()):
            if not answer.finished:
                answer.finished = chosen == builder.end
                if not answer.finished:
                    answer.words += builder.tokenizer.decode([chosen])
        if all(answer.finished for answer in answers):
            break
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        inputs = {"text": word[:, None], "attention_mask": mask}
    return answers


class SpokenDecoder:
    """Steps through a spoken answer: at each step one text token and seven codec tokens for every row of the batch.

    The codec streams wait for their delay, text and codes feed the next step, and a row ends when its first stream says
    EOA.  `frames_ready` tells how many whole codec frames exist, which is what a streaming vocoder needs.
    """

    def __init__(self, model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example],
                 sampling: Sampling = Sampling(), max_frames: int = 100):
        self.model, self.builder, self.sampling = model, builder, sampling
        self.max_steps = max_frames + 1 + max(builder.lags)
        self.generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
        self.inputs = left_padded(prompts, builder, model.device)
        self.cache = DynamicCache(config=model.config)
        self.mask = self.inputs["attention_mask"]
        self.lags = torch.tensor(builder.lags, device=model.device)  # (Q,)
        self.eoa = builder.config.codebook_size + AudioToken.EOA
        rows = len(prompts)
        self.text = torch.zeros(rows, 0, dtype=torch.long, device=model.device)  # (B, steps) chosen text tokens
        self.codes = torch.zeros(rows, 0, builder.config.num_codebooks, dtype=torch.long, device=model.device)
        self.held = torch.full((rows,), builder.wait, device=model.device)
        self.elapsed = torch.zeros(rows, dtype=torch.long, device=model.device)  # steps since the held word began
        self.position = self.mask.sum(dim=1) - 1  # (B,) place of the last token or word
        self.text_ended = torch.zeros(rows, dtype=torch.bool, device=model.device)
        self.last_frame = torch.full((rows,), -1, device=model.device)  # frame count of ended rows, -1 while speaking

    @torch.no_grad()
    def step(self) -> bool:
        """Advance by one step; False when every row has ended or the limit is reached."""
        number = self.text.shape[1]
        hidden = self.model(**self.inputs, cache=self.cache).hidden[:, -1]  # (B, D)
        word = pick(self.model.text_logits(hidden), self.sampling, self.generator)  # (B,)
        code = self._codes_of_step(hidden, number)  # (B, Q)
        word_input = self._text_input(word, number)
        self.text = torch.cat([self.text, word[:, None]], dim=1)
        self.codes = torch.cat([self.codes, code[:, None]], dim=1)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(word), 1)], dim=1)
        self.inputs = {"text": word_input[:, None], "codes": code[:, None], "attention_mask": self.mask}
        if self.builder.config.layout == "held":
            self.inputs |= {"elapsed": self.elapsed[:, None], "positions": self.position[:, None]}
        done = (self.last_frame >= 0) & (number >= self.last_frame + self.lags.max())
        return not bool(done.all()) and number + 1 < self.max_steps

    def _codes_of_step(self, hidden: torch.Tensor, number: int) -> torch.Tensor:
        """Codec tokens (B, Q) of this step: PAD before a stream's delay and after its end."""
        logits = self.model.audio_logits(hidden)  # (B, Q, rows)
        size = self.builder.config.codebook_size
        allowed = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        allowed[:size] = True
        coarse = logits[:, :1].masked_fill(~allowed.clone().index_fill_(0, torch.tensor([self.eoa], device=logits.device), True),
                                           float("-inf"))
        fine = logits[:, 1:].masked_fill(~allowed, float("-inf"))
        code = pick(torch.cat([coarse, fine], dim=1), self.sampling, self.generator)  # (B, Q)
        frame = number - self.lags  # (Q,) which frame each stream is at
        ended = (code[:, 0] == self.eoa) & (self.last_frame < 0)
        self.last_frame = torch.where(ended, frame[0].expand_as(self.last_frame), self.last_frame)
        last = self.last_frame[:, None]  # (B, 1)
        code = torch.where((last >= 0) & (frame[None] == last), torch.full_like(code, self.eoa), code)
        closed = (last >= 0) & (frame[None] > last)
        return torch.where(closed | (frame[None] < 0), torch.full_like(code, self.builder.silence), code)

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
        self.position = self.position + (self.elapsed <= 1).long()  # as `streams.word_positions` counts in training
        return self.held

    def frames_ready(self) -> int:
        """Codec frames complete in every stream so far."""
        return max(0, self.text.shape[1] - int(self.lags.max()))

    def frames(self, row: int, start: int, end: int) -> torch.Tensor:
        """Codec frames start..end of one row, without delay: (end - start, Q)."""
        return torch.stack([self.codes[row, start + lag:end + lag, stream]
                            for stream, lag in enumerate(self.builder.lags)], dim=1)

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
          max_frames: int = 100, batch_size: int = 100) -> list[Answer]:
    """Decode spoken answers to many prompts."""
    model.eval()
    answers = []
    for start in range(0, len(prompts), batch_size):
        part = prompts[start:start + batch_size]
        decoder = SpokenDecoder(model, builder, part, sampling, max_frames)
        while decoder.step():
            pass
        answers += [decoder.answer(row) for row in range(len(part))]
    return answers


def speak_in_steps(model: DeepTalkModel, builder: ExampleBuilder, prompt: Example, sampling: Sampling = Sampling(),
                   max_frames: int = 100) -> Iterator[tuple[SpokenDecoder, int]]:
    """One spoken answer as it grows: yields the decoder and the number of whole codec frames after each step."""
    model.eval()
    decoder = SpokenDecoder(model, builder, [prompt], sampling, max_frames)
    going = True
    while going:
        going = decoder.step()
        ready = decoder.frames_ready()
        if decoder.last_frame[0] >= 0:
            ready = min(ready, int(decoder.last_frame[0]))
        yield decoder, ready
