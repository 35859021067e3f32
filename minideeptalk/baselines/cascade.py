"""A cascade: the ear writes the question down, the text model of stage 0 answers it, and a synthesiser reads the answer out.

The synthesiser is the same mixture of experts, trained on nothing but speaking, all of it.  Between the three there is text
alone, so how a question was said is lost by construction: style is at chance.  Nothing of the text model moves.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch

from minideeptalk.baselines.talkers import ScriptedDecoder, WithTalker, measure_pair, pair_talker, words_to_say
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import STYLES, SizeConfig
from minideeptalk.experts import Selection
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.decoding import answer_in_text
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.model import AudioToken, DeepTalkConfig, DeepTalkModel
from minideeptalk.tasks import Batch, Example, ExampleBuilder, SpokenSet
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.losses import LossParts, batch_loss
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage, merged, speech_stages
from minideeptalk.world import Tokenizer

LONGER = 1.15
"""Speech tokens of an example of `speak` over those of the recipe's mean spoken example, on the training set of `nano`."""


def stages(size: SizeConfig) -> list[Stage]:
    """One stage with the updates of all and about their speech tokens, in examples of `speak` alone."""
    every = speech_stages(size)
    joint = merged(every, like=every[-1])
    examples = sum(count for task, count in joint.tasks.items() if task != "covered_text")
    return [replace(joint, name="3-synthesiser", title="Synthesiser", trainable=("talker",), tasks={"speak": 1.0},
                    batch=max(1, round(examples / LONGER / joint.updates)), learning_rate=size.stages.pretrain_lr)]


def with_synthesiser(model: DeepTalkModel, selection: Selection | None) -> WithTalker:
    """The synthesiser begins as a copy of the text model, whose words it knows."""
    return WithTalker.of(model, deepcopy(model))


def synthesiser_alone(text_model: DeepTalkModel):
    """The loss: only the synthesiser reads the batch."""
    def loss(model: WithTalker, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        return batch_loss(model.talker, batch, text_weight, balance)
    return loss


class Transcripts(ExampleBuilder):
    """Prompts as the text model reads them: what was heard is written, and who wants what (the trigger) is left out.

    A frame is the mean of hidden states that the ear read as one word, and its word head is linear: the mean reads the same.
    """

    def __init__(self, config: DeepTalkConfig, tokenizer: Tokenizer, ear: Ear):
        super().__init__(config, tokenizer)
        self.ear = ear

    @torch.no_grad()
    def heard_prompt(self, frames: torch.Tensor, trigger: AudioToken = AudioToken.PAD) -> Example:
        """A written question, from the ear's frames (N, ear width)."""
        labels = self.ear.word_head(frames.to(self.ear.device)).argmax(dim=-1)  # (N,)
        return self.text_prompt([self.ear.words[label - 1] for label in labels.tolist()])


class Cascade(ScriptedDecoder):
    """The whole answer as text, then its speech in the neutral style; words that are given with a style are said in it."""

    def __init__(self, model: WithTalker, builder: ExampleBuilder, prompts: list[Example], sampling: Sampling,
                 max_frames: int):
        given = [words_to_say(builder, prompt) for prompt in prompts]
        asked = [prompt for prompt, words in zip(prompts, given) if words is None]
        answers = iter(answer_in_text(model, builder, asked) if asked else ())
        texts = [next(answers).words if words is None else words for words in given]
        read = [builder.say_prompt(text, "neutral") if words is None else prompt
                for prompt, words, text in zip(prompts, given, texts)]
        super().__init__(model.talker, builder, read, texts, sampling, max_frames)


def cascade_talker(model: WithTalker, ear: Ear, codec: PyramidCodec) -> Talker:
    """The cascade as a conversation partner."""
    return pair_talker(model, ear, codec, Transcripts(model.config, Tokenizer(), ear), Cascade)


def measure_cascade(recipe: Recipe, model: WithTalker, tools: Tools, spoken: dict[str, SpokenSet]) -> dict:
    """The usual metrics; asked for a style the cascade can only guess the commonest."""
    metrics = measure_pair(recipe, tools, spoken, cascade_talker(model, tools.ear, tools.codec))
    metrics["style_accuracy"]["recognised"] = 1 / len(STYLES)
    return metrics


CASCADE = replace(
    ALIGNED, name="cascade", changes="ear, text model and synthesiser in a row, with nothing but text between them",
    stages=stages, select=None, prepare=with_synthesiser, loss=synthesiser_alone, measure=measure_cascade, declared=(
        "text tokens: only those of the texts to be said; the text model is not trained, so its text drop is 0 by construction",
        "speech tokens: about as many, but all go into speaking; the ear, which every arm has, writes the questions down itself",
        "parameters: two models of the size, one of them trained, and both at work in an answer",
        "words: the speaking model is given the words of its answer, which a native model has to find beside its speech",
        "first audio: `prefill` holds the whole answer of the text model",
        "style: naming one is not measured but set to chance, for no style reaches the text model"))
