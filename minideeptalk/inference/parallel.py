"""Batch-parallel decoding: the words of a spoken answer come from a second row that only writes (Mini-Omni, 2024; the paper).

Speaking disturbs thinking: a small model that writes and speaks at once finds fewer right answers than one that only writes.
So the batch is doubled.  Row one speaks; row two has the same prompt without the speaking trigger and answers in writing.
Each word that row two finds takes the place of row one's own.

Where all words stand ahead of their sound (layout `ahead`), row two is one word further at each step, as in the paper.  Where
each word stands at the step of its sound, the speaking row says *when* a word begins and the writing row says *which*.
Axes: B speaking rows (and as many that write), Q codec streams, D width.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.memory import Memory, left_padded
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import DeepTalkModel
from minideeptalk.tasks import Example, ExampleBuilder


def in_writing(prompt: Example, builder: ExampleBuilder) -> Example:
    """The same question with its last codec rows silent: a written answer is wanted."""
    if prompt.codes is None:
        return prompt
    codes = prompt.codes.clone()
    codes[-1] = builder.silence
    return replace(prompt, codes=codes)


class ParallelDecoder(SpokenDecoder):
    """`SpokenDecoder` whose words are those of the written answer to the same question; the speech ends after its text."""

    def __init__(self, model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example],
                 sampling: Sampling = Sampling(), max_frames: int = 100, memory: Memory | None = None):
        if memory is not None:
            memory.double()
        super().__init__(model, builder, prompts, sampling, max_frames, memory or Memory(model, 2 * len(prompts)))
        self.rows = len(prompts)
        self.writing = left_padded([in_writing(prompt, builder) for prompt in prompts], builder, model.device)
        self.goes_on = torch.ones_like(self.text_ended)  # (B,) writing rows that read something new in this step
        self.next_word = torch.full_like(self.held, builder.wait)  # (B,) found, and not yet said
        self.written = None  # (B, D)

    def _read(self) -> torch.Tensor:
        """Both rows in one pass, the speaking one alone when every text has ended."""
        if self.writing is None:
            return self.memory.read(**self.inputs)
        both = {"real": torch.ones_like(self.inputs["text"], dtype=torch.bool), **self.inputs}
        hidden = self.memory.read(**{name: torch.cat([rows, self.writing[name]]) for name, rows in both.items()})
        speaking, self.written = hidden.chunk(2)  # (B, D) each
        return speaking

    @torch.no_grad()
    def _word_of_step(self, hidden: torch.Tensor) -> torch.Tensor:
        """The writing row's next word, now if the speaking row would begin or end one now."""
        if self.writing is None:
            return torch.full_like(self.held, self.builder.wait)
        found = self.text_chooser.choose(self.model.text_logits(self.written))
        self.next_word = torch.where(self.goes_on, found, self.next_word)
        own = self.model.text_logits(hidden).argmax(dim=-1)  # (B,)
        now = (own != self.builder.wait) | (self.builder.config.layout == "ahead")
        self.goes_on = now & ~self.text_ended
        word = torch.where(self.goes_on, self.next_word, torch.full_like(found, self.builder.wait))
        self.text_chooser.remember(word, self.builder.config.vocab_size)
        return word

    def _may_end(self) -> torch.Tensor:
        return self.text_ended

    def _text_input(self, word: torch.Tensor, number: int) -> torch.Tensor:
        """As without a writing row, which itself reads the word as written, or stands still."""
        chosen = super()._text_input(word, number)
        if self.writing is None:
            return chosen
        if bool(self.text_ended.all()):
            self.memory.keep(self.rows)
            self.writing = None
            return chosen
        self.writing = {"text": word[:, None], "real": self.goes_on[:, None],
                        "codes": torch.full((self.rows, 1, len(self.lags)), self.builder.silence, device=word.device),
                        "elapsed": torch.zeros_like(word)[:, None]}
        return chosen
