"""What one training example is: the eight input rows, the targets, and which modality each step belongs to.

The paper's task codes stand beside each builder: A speech question, T text, R either at random, QA question and answer,
a trailing A a spoken answer too, CONV a conversation (here of one turn).

Every example is prompt + answer.  The last prompt step is `<assistant>`; the answer's first target stands on that step.
Axes: T steps, Q codec streams, F codec frames of the spoken answer, N heard frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts.recorder import Modality
from minideeptalk.model import AudioToken, DeepTalkConfig, delay, delays
from minideeptalk.speech.voices import find_style

IGNORE = -100


@dataclass(frozen=True)
class SpokenAnswer:
    """What the assistant says: word ids, its codec frames (F, Q), and the frame at which each word starts."""

    words: tuple[int, ...]
    codes: torch.Tensor
    starts: tuple[int, ...]


@dataclass
class Example:
    """One example, unpadded: text, text_target, modality are lists of T; codes, code_target (T, Q), None where every
    codec row is PAD or no codec target exists; frames (N, ear width) stand from step `frame_start` on; elapsed counts how
    long the word of the text row has been sounding (layout `held` only)."""

    task: str
    text: list[int]
    text_target: list[int]
    modality: list[int]
    codes: torch.Tensor | None = None
    code_target: torch.Tensor | None = None
    frames: torch.Tensor | None = None
    frame_start: int = 0
    elapsed: list[int] | None = None

    def __len__(self) -> int:
        return len(self.text)


class ExampleBuilder:
    """Builds examples of every task for one model configuration and tokenizer.

    Args:
        config: says the layout of spoken answers, the delays and the size of the codebooks.
        tokenizer: `world.Tokenizer`; its special words mark turns, heard frames and waiting.
    """

    def __init__(self, config: DeepTalkConfig, tokenizer):
        self.config = config
        self.tokenizer = tokenizer
        self.user, self.assistant, self.end, self.audio, self.wait = tokenizer.encode(
            ["<user>", "<assistant>", "<end>", "<audio>", "<wait>"])
        self.lags = delays(config.delay, config.num_codebooks)
        self.silence = config.codebook_size + AudioToken.PAD

    # ---- prompts -------------------------------------------------------------------------------------------------

    def text_prompt(self, question, trigger: AudioToken = AudioToken.PAD) -> Example:
        """A written question with no answer yet."""
        text = [self.user, *self.tokenizer.encode(question), self.assistant]
        example = Example("text", text, [IGNORE] * len(text), [int(Modality.TEXT_PROMPT)] * len(text))
        if trigger != AudioToken.PAD:
            example.codes = self._silent(len(text))
            example.codes[-1] = self.config.codebook_size + trigger
        return example

    def say_prompt(self, words, style: str) -> Example:
        """A written request to say words in a style, with no answer yet. Raises `LearnerError` for an unknown style."""
        return self.text_prompt(["say", *words], AudioToken[f"SAY_{find_style(style).name.upper()}"])

    def heard_prompt(self, frames: torch.Tensor, trigger: AudioToken = AudioToken.PAD) -> Example:
        """A spoken question, as the ear's frames (N, ear width), between one step of BOA and one of EOA."""
        count = frames.shape[0]
        text = [self.user, *[self.audio] * (count + 2), self.assistant]
        written = int(Modality.TEXT_PROMPT)
        modality = [written, *[int(Modality.AUDIO_PROMPT)] * (count + 2), written]
        codes = self._silent(len(text))  # (T, Q)
        codes[1] = self.config.codebook_size + AudioToken.BOA
        codes[count + 2] = self.config.codebook_size + AudioToken.EOA
        codes[-1] = self.config.codebook_size + trigger
        return Example("heard", text, [IGNORE] * len(text), modality, codes, None, frames, 2)

    def _silent(self, steps: int) -> torch.Tensor:
        return torch.full((steps, self.config.num_codebooks), self.silence)  # (steps, Q)

    # ---- answers -------------------------------------------------------------------------------------------------

    def with_text_answer(self, prompt: Example, words, task: str) -> Example:
        """Append a written answer; the loss is on the answer and its `<end>` alone."""
        answer = self.tokenizer.encode(words)
        return Example(
            task,
            prompt.text + answer,
            prompt.text_target[:-1] + answer + [self.end],
            prompt.modality + [int(Modality.TEXT_ANSWER)] * len(answer),
            None if prompt.codes is None else torch.cat([prompt.codes, self._silent(len(answer))]),
            None, prompt.frames, prompt.frame_start,
        )

    def with_spoken_answer(self, prompt: Example, answer: SpokenAnswer, task: str) -> Example:
        """Append an answer in text and speech: F frames, one EOA frame, and as many steps more as the longest delay."""
        frames = answer.codes.shape[0]
        steps = frames + 1 + max(self.lags)
        said, held = self._text_of_spoken_answer(answer, frames, steps)
        eoa = torch.full((1, self.config.num_codebooks), self.config.codebook_size + AudioToken.EOA)
        spoken = torch.cat([answer.codes, eoa])  # (F + 1, Q)
        inputs = delay(spoken, self.lags, self.silence)  # (steps, Q)
        before = torch.full((len(prompt) - 1, self.config.num_codebooks), IGNORE)
        return Example(
            task,
            prompt.text + held[:-1],
            prompt.text_target[:-1] + said,
            prompt.modality + [int(Modality.SPOKEN_ANSWER)] * (steps - 1),
            torch.cat([prompt.codes, inputs[:-1]]),
            torch.cat([before, delay(spoken, self.lags, IGNORE)]),
            prompt.frames, prompt.frame_start,
            [0] * len(prompt) + self._elapsed(answer, steps)[:-1] if self.config.layout == "held" else None,
        )

    @staticmethod
    def _elapsed(answer: SpokenAnswer, steps: int) -> list[int]:
        """For each step of the answer, how many steps its word has been sounding, the first being 1."""
        counts = []
        for step in range(steps):
            counts.append(1 if step in answer.starts else counts[-1] + 1)
        return counts

    def _text_of_spoken_answer(self, answer: SpokenAnswer, frames: int, steps: int) -> tuple[list[int], list[int]]:
        """Targets and inputs, `steps` long, of the text stream while the answer sounds."""
        said = [self.wait] * steps
        if self.config.layout == "ahead":
            words = [*answer.words, self.end]
            if len(words) > steps:
                raise LearnerError("speech that lasts at least as long as its text",
                                   f"{len(words)} words for {steps} steps", "characters instead of words as tokens?")
            said[:len(words)] = words
            return words + [IGNORE] * (steps - len(words)), said  # the paper's padding is not in the loss
        self._check_starts(answer, frames)
        for word, start in zip(answer.words, answer.starts):
            said[start] = word
        said[frames] = self.end
        held = list(said)
        if self.config.layout == "held":
            for step in range(1, steps):
                if held[step] == self.wait:
                    held[step] = held[step - 1]
        return said[:frames + 1] + [IGNORE] * (steps - frames - 1), held

    @staticmethod
    def _check_starts(answer: SpokenAnswer, frames: int) -> None:
        starts = tuple(answer.starts)
        rising = starts == tuple(sorted(set(starts)))
        if len(starts) != len(answer.words) or not rising or starts[:1] != (0,) or starts[-1] >= frames:
            raise LearnerError("one start for each word, rising from 0 and inside the speech",
                               f"starts {starts} for {len(answer.words)} words in {frames} frames",
                               "speech that was not placed on the grid of steps", "use speech.grid.place_on_grid")

    # ---- tasks, with the paper's codes ---------------------------------------------------------------------------

    def chat(self, question, answer) -> Example:
        """TQA: written question, written answer."""
        return self.with_text_answer(self.text_prompt(question), answer, "chat")

    def recognise(self, frames, words) -> Example:
        """ASRRAW: speech in, its words out."""
        return self.with_text_answer(self.heard_prompt(frames, AudioToken.TRANSCRIBE), words, "recognise")

    def speak(self, words, style: str, answer: SpokenAnswer) -> Example:
        """TTS: say the given words in the given style."""
        return self.with_spoken_answer(self.say_prompt(words, style), answer, "speak")

    def answer_in_text(self, frames, words) -> Example:
        """AQACONV: spoken question, written answer."""
        return self.with_text_answer(self.heard_prompt(frames), words, "answer_in_text")

    def answer_aloud(self, frames, answer: SpokenAnswer) -> Example:
        """AQACONVA: spoken question, answer in text and speech, in the neutral style."""
        return self.with_spoken_answer(self.heard_prompt(frames, AudioToken.ANSWER), answer, "answer_aloud")

    def mirror(self, frames, answer: SpokenAnswer) -> Example:
        """AQACONVA: spoken question, answer in text and speech, in the asker's own style."""
        return self.with_spoken_answer(self.heard_prompt(frames, AudioToken.MIRROR), answer, "mirror")

    def name_style(self, frames, style: str) -> Example:
        """ER: speech in, the name of its style out."""
        return self.with_text_answer(self.heard_prompt(frames, AudioToken.NAME_STYLE), [style], "name_style")
