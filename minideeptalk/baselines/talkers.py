"""What the rivals of two models share: a text model that is kept as it is and thinks, and a talker beside it that speaks.

Axes: B batch, W words of a text and its `<end>`, D width.
"""

from __future__ import annotations

from itertools import zip_longest

import torch

from minideeptalk.codec import PyramidCodec
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.decoding import SpokenDecoder
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.model import AudioToken, DeepTalkConfig, DeepTalkModel
from minideeptalk.tasks import Example, ExampleBuilder, SpokenSet
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.run import measure


class WithTalker(DeepTalkModel):
    """A text model with another decoder of the library beside it, `talker`; as a model it is the text model alone."""

    def __init__(self, config: DeepTalkConfig, talker: DeepTalkModel):
        super().__init__(config)
        self.talker = talker

    @classmethod
    def of(cls, thinker: DeepTalkModel, talker: DeepTalkModel) -> WithTalker:
        """Both in one, with the thinker's weights copied."""
        joined = cls(thinker.config, talker)
        joined.load_state_dict(thinker.state_dict(), strict=False)  # `talker.` alone is missing there
        return joined.to(thinker.device)

    def active_parameters(self) -> int:
        """What a token of the thinker and a token of the talker use."""
        beside = sum(parameter.numel() for parameter in self.talker.parameters())
        return super().active_parameters() - beside + self.talker.active_parameters()


class ScriptedDecoder(SpokenDecoder):
    """Speech of words that stand fixed: the talker decides when the next word begins and how it sounds, not which it is.

    Args:
        model: the talker. prompts: what it reads first. texts: the words of each row.
    """

    def __init__(self, model: DeepTalkModel, builder: ExampleBuilder, prompts: list[Example], texts: list[list[str]],
                 sampling: Sampling, max_frames: int):
        super().__init__(model, builder, prompts, sampling, max_frames)
        rows = [[*builder.tokenizer.encode(words), builder.end] for words in texts]
        self.script = torch.tensor(list(zip_longest(*rows, fillvalue=builder.end)), device=model.device).T  # (B, W)
        self.begun = torch.zeros(len(texts), dtype=torch.long, device=model.device)  # (B,) words begun, `<end>` included

    @torch.no_grad()
    def _word_of_step(self, hidden: torch.Tensor) -> torch.Tensor:
        """The next word of the script (B,), or `<wait>`; a first word has nothing to wait for."""
        waits = self.model.text_logits(hidden).argmax(dim=-1) == self.builder.wait  # (B,)
        waits &= self.text.shape[1] > 0
        following = self.script.gather(1, self.begun.clamp(max=self.script.shape[1] - 1)[:, None])[:, 0]  # (B,)
        self.begun = self.begun + ~waits
        return torch.where(waits, self.builder.wait, following)


def words_to_say(builder: ExampleBuilder, prompt: Example) -> list[str] | None:
    """The words that a prompt of the task `speak` holds; None for a question."""
    asks = prompt.codes is not None and int(prompt.codes[-1, 0]) >= builder.config.codebook_size + AudioToken.SAY_NEUTRAL
    return builder.tokenizer.decode(prompt.text[2:-1]) if asks else None


def pair_talker(model: WithTalker, ear: Ear, codec: PyramidCodec, builder: ExampleBuilder, decoder: type[SpokenDecoder]) -> Talker:
    """Two models as one conversation partner: prompts made and answers spoken in the rival's way."""
    talker = Talker(model, ear, codec)
    talker.builder, talker.decoder = builder, decoder
    return talker


def measure_pair(recipe: Recipe, tools: Tools, spoken: dict[str, SpokenSet], talker: Talker) -> dict:
    """`run.measure` of two models, by the same examiners.

    A text model that stays as it is writes no questions down, so the ear's transcripts count as those of the system.
    """
    metrics = measure(recipe, talker.model, tools, spoken, talker, talker.decoder)
    for found in (metrics, metrics["extra"]["held_out_voice"]):
        found["asr_wer"] = found["ear_wer"]
    return metrics
