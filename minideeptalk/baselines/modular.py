"""A modular thinker-talker (the class of Qwen2.5-Omni and Freeze-Omni): the language model stays frozen and only learns to hear
through its adapter; a talker beside it reads its hidden states and words and writes the codec streams.

Axes: B batch, T steps, W steps of the thinker (W <= T: it reads a word once, however long it sounds), Q codec streams, D width.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from minideeptalk.baselines.talkers import ScriptedDecoder, WithTalker, measure_pair, words_to_say
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Modality, Selection
from minideeptalk.inference.memory import Memory, left_padded
from minideeptalk.inference.sampling import Sampling
from minideeptalk.model import Adapter, DeepTalkModel, DeepTalkOutput, word_positions
from minideeptalk.tasks import IGNORE, Batch, Example, ExampleBuilder, SpokenSet
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.losses import LossParts, audio_loss, text_loss
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage, merged, speech_stages
from minideeptalk.world import Tokenizer


def stages(size: SizeConfig) -> list[Stage]:
    """Stage 1, then one stage with the updates and the spoken examples of 2.1, 2.2 and 3; a frozen model needs no text."""
    align, *later = speech_stages(size)
    joint = merged(later, like=later[-1])
    heard = {task: count for task, count in joint.tasks.items() if task != "covered_text"}
    return [align, replace(joint, name="3-talker", title="Adapter and talker", trainable=("adapter", "audio_embedding", "talker"),
                           tasks=heard, batch=round(sum(heard.values()) / joint.updates), learning_rate=size.stages.pretrain_lr)]


def with_talker(model: DeepTalkModel, selection: Selection | None) -> WithTalker:
    """The talker begins as a copy of the thinker, whose words it knows, with an adapter for the thinker's hidden states.

    That adapter begins at zero: at random it would drown the words, for a frame counts as much as all codec streams.
    """
    talker, config = deepcopy(model), deepcopy(model.config)
    config.ear_width = config.width
    with torch.random.fork_rng():
        torch.manual_seed(0)
        talker.config, talker.adapter = config, Adapter(config).to(model.device)
    torch.nn.init.zeros_(talker.adapter.proj.weight)
    return WithTalker.of(model, talker)


# ---- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ThinkAndSpeak:
    """The loss: the thinker's words, given all before; when the talker begins each; and what it makes them sound like.

    No gradient of the talker reaches the adapter: the modules learn apart.

    Args:
        end: id of `<end>`.
    """

    end: int

    def __call__(self, model: WithTalker, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        read = as_written(batch, self.end, silence=model.embedding.pad)
        states = model(**read.model_inputs(), real=read.mask).hidden  # (B, W, D)
        text = text_loss(model, states, read.text_target)
        total = text_weight * text  # the frozen thinker has no balance to keep, but the talker has
        if batch.code_target is None:
            return LossParts(total, text, None, states.new_zeros(()))
        rows = (batch.code_target != IGNORE).flatten(1).any(dim=1)  # (B,) answered aloud
        output = talker_output(model, batch, rows, states.detach())
        begins = text_loss(model.talker, output.hidden, batch.text_target[rows])
        audio = audio_loss(model.talker, output.hidden, batch.code_target[rows])
        spread = model.talker.balance_loss(output.routing, batch.mask[rows])
        total = total + text_weight * begins + audio.mean() + (model.config.balance_weight * spread if balance else 0.0)
        return LossParts(total, text, audio, spread, {"begins_loss": float(begins.detach())})


def talker_output(model: WithTalker, batch: Batch, rows: torch.Tensor, states: torch.Tensor) -> DeepTalkOutput:
    """What the talker makes of some rows (B,) of a batch, given the thinker's states (B, W, D)."""
    real, elapsed = batch.mask[rows], batch.elapsed[rows]  # (b, T)
    places = word_positions(elapsed)  # (b, T) also the step of the thinker that each step belongs to
    known = states[rows].gather(1, places.clamp(max=states.shape[1] - 1)[..., None].expand(-1, -1, states.shape[2]))  # (b, T, D)
    return model.talker(batch.text[rows], batch.codes[rows], known, real, elapsed, places, real=real)


def as_written(batch: Batch, end: int, silence: int) -> Batch:
    """A batch as the thinker reads it: each word of a spoken answer once, without its sound, and the next word as its target."""
    kept = batch.mask if batch.elapsed is None else batch.mask & (batch.elapsed <= 1)  # (B, T)
    order = (~kept).long().argsort(dim=1, stable=True)[:, :int(kept.sum(dim=1).max())]  # (B, W) kept steps first

    def take(rows: torch.Tensor | None) -> torch.Tensor | None:
        if rows is None or rows.dim() == 2:
            return None if rows is None else rows.gather(1, order)
        return rows.gather(1, order[..., None].expand(-1, -1, rows.shape[2]))

    real, text, modality = take(kept), take(batch.text), take(batch.modality)
    last = torch.zeros_like(real[:, :1])
    following = torch.where(torch.cat([real[:, 1:], last], dim=1), text.roll(-1, dims=1), end)  # (B, W)
    answers = take((batch.text_target != IGNORE).cumsum(dim=1) > 0) & real  # from `<assistant>` on
    codes = take(batch.codes)
    if codes is not None:
        codes = codes.masked_fill((modality == Modality.SPOKEN_ANSWER)[..., None], silence)  # (B, W, Q)
    return Batch(text, following.masked_fill(~answers, IGNORE), codes, None, modality.masked_fill(~real, int(Modality.PADDING)),
                 take(batch.frames), take(batch.frame_mask), None)


def think_and_speak(text_model: DeepTalkModel) -> ThinkAndSpeak:
    """The loss with the world's own `<end>`."""
    return ThinkAndSpeak(Tokenizer().encode(["<end>"])[0])


# ---- talking -----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def think(model: WithTalker, builder: ExampleBuilder, prompts: list[Example], given: list[list[str] | None],
          max_words: int = 24) -> tuple[list[list[str]], torch.Tensor, torch.Tensor]:
    """What the thinker answers, or the words it is given, with its hidden states over prompts (B, T, D) and words (B, W, D)."""
    memory, end = Memory(model, len(prompts)), builder.end
    prompted = memory.read_all(**left_padded(prompts, builder, model.device))  # (B, T, D)
    hidden, words, states = prompted[:, -1], [], []
    scripts = [None if text is None else [*builder.tokenizer.encode(text), end] for text in given]
    done = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    for number in range(max_words):
        word = model.text_logits(hidden).argmax(dim=-1)  # (B,)
        for row, script in enumerate(scripts):
            if script is not None:
                word[row] = script[min(number, len(script) - 1)]
        done |= word == end
        words.append(torch.where(done, end, word))
        hidden = memory.read_all(word[:, None])[:, 0]  # (B, D)
        states.append(hidden)
        if bool(done.all()):
            break
    texts = [builder.tokenizer.decode([word for word in row if word != end]) for row in torch.stack(words, dim=1).tolist()]
    return texts, prompted, torch.stack(states, dim=1)


class ThinkerTalker(ScriptedDecoder):
    """First the thinker's whole answer, then its speech, with the thinker's state at each word beside the word."""

    def __init__(self, model: WithTalker, builder: ExampleBuilder, prompts: list[Example], sampling: Sampling,
                 max_frames: int):
        given = [words_to_say(builder, prompt) for prompt in prompts]
        texts, prompted, self.states = think(model, builder, prompts, given)
        super().__init__(model.talker, builder, prompts, texts, sampling, max_frames)
        self.inputs |= {"frames": prompted, "frame_mask": self.inputs["real"]}
        self.last = torch.tensor([max(len(text), 1) - 1 for text in texts], device=model.device)  # (B,) last word of each row

    def _read(self) -> torch.Tensor:
        if self.text.shape[1]:
            sounding = torch.minimum(self.begun - 1, self.last)  # (B,)
            frames = self.states[torch.arange(len(sounding), device=sounding.device), sounding]  # (B, D)
            self.inputs |= {"frames": frames[:, None], "frame_mask": torch.ones_like(sounding, dtype=torch.bool)[:, None]}
        return super()._read()


def measure_modular(recipe: Recipe, model: WithTalker, tools: Tools, spoken: dict[str, SpokenSet]) -> dict:
    """The usual metrics, with answers spoken by the talker."""
    return measure_pair(recipe, model, tools, spoken, ExampleBuilder(model.config, recipe.tokenizer), ThinkerTalker)


MODULAR = replace(
    ALIGNED, name="modular", changes="the language model is frozen; a talker beside it reads its hidden states and speaks",
    stages=stages, select=None, prepare=with_talker, loss=think_and_speak, measure=measure_modular, declared=(
        "text tokens: only those beside speech; the frozen language model needs none, so its text drop is 0 by construction",
        "parameters: a talker more, which alone learns besides the adapter and the marks of heard speech",
        "first audio: `prefill` holds the whole answer of the thinker",
        "speaking: words that are given are not answered by the thinker but handed through it"))
