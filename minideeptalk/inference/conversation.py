"""Several turns with one memory: what was asked and answered before stays in the keys and values, and is never read again.

Training knows single turns only, so what a model makes of the turns before is a measurement and not a promise (chapter 12).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from minideeptalk.experts.recorder import Modality
from minideeptalk.inference.decoding import Answer, SpokenDecoder, answer_in_text
from minideeptalk.inference.memory import Memory
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import AudioToken, DeepTalkModel
from minideeptalk.tasks import IGNORE, Example, ExampleBuilder

ALOUD = (AudioToken.ANSWER, AudioToken.MIRROR, AudioToken.SAY_NEUTRAL, AudioToken.SAY_HAPPY, AudioToken.SAY_SAD, AudioToken.SAY_ANGRY)
"""The triggers that ask for a spoken answer; after all others (TRANSCRIBE, NAME_STYLE, PAD) the answer is written."""


class Conversation:
    """Ask again and again; each prompt may be typed or heard, and its trigger says whether the answer is written or spoken.

    Args:
        sampling: how every answer is chosen.
        parallel: whether a second row writes the words of a spoken answer, as `Talker` does; what it wrote is then forgotten.

    >>> # talk = Conversation(model, builder)
    >>> # talk.ask(builder.text_prompt(("say", "red"))); talk.ask(builder.heard_prompt(frames, AudioToken.ANSWER))
    """

    def __init__(self, model: DeepTalkModel, builder: ExampleBuilder, sampling: Sampling = Sampling(), parallel: bool = True):
        self.model, self.builder, self.sampling = model.eval(), builder, sampling
        self.decoder = ParallelDecoder if parallel else SpokenDecoder
        self.memory = Memory(model, 1)
        self.turns: list[tuple[Example, Answer]] = []

    def ask(self, prompt: Example) -> Answer:
        """One more turn."""
        asked = after_a_turn(prompt, self.builder) if self.turns else prompt
        aloud = prompt.codes is not None and int(prompt.codes[-1, 0]) - self.builder.config.codebook_size in ALOUD
        answer = self._aloud(asked) if aloud else answer_in_text(self.model, self.builder, [asked], sampling=self.sampling,
                                                                 memory=self.memory)[0]
        self.turns.append((prompt, answer))
        return answer

    def _aloud(self, prompt: Example) -> Answer:
        speaking = self.decoder(self.model, self.builder, [prompt], self.sampling, memory=self.memory)
        while speaking.step():
            pass
        self.memory.keep(1)  # an answer cut off at its longest may still have its second row
        return speaking.answer(0)


def after_a_turn(prompt: Example, builder: ExampleBuilder) -> Example:
    """A prompt that follows an answer: one step of `<end>`, silent in the codecs, closes that answer first."""
    codes = prompt.codes
    if codes is not None:
        codes = torch.cat([torch.full_like(codes[:1], builder.silence), codes])  # (T + 1, Q)
    return replace(prompt, text=[builder.end, *prompt.text], text_target=[IGNORE, *prompt.text_target],
                   modality=[int(Modality.TEXT_ANSWER), *prompt.modality], codes=codes, frame_start=prompt.frame_start + 1)
