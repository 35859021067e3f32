"""A modular thinker-talker (the class of Freeze-Omni): the language model stays frozen and only learns to hear through its adapter;
a talker beside it reads its hidden states and words and writes the codec streams (chapter 13).  Qwen2.5-Omni has such a talker too,
but trains its language model.

What a frozen reader needs is a word as it knows words.  So the adapter begins about as loud as a word, and beside the answers
it is taught the embedding of each word that was said, as Wav2Prompt does (Deng, Sun and Woodland, 2024).

Axes: B batch, T steps, W steps of the thinker (W <= T: it reads a word once, however long it sounds), Q codec streams, D width.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from minideeptalk.baselines.talkers import ScriptedDecoder, WithTalker, measure_pair, pair_talker, words_to_say
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import SizeConfig
from minideeptalk.experts import Modality, Selection
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.memory import Memory, left_padded
from minideeptalk.inference.sampling import Sampling
from minideeptalk.inference.talker import Talker
from minideeptalk.model import Adapter, AudioToken, DeepTalkConfig, DeepTalkModel, DeepTalkOutput, word_positions
from minideeptalk.tasks import IGNORE, Batch, Example, ExampleBuilder, SpokenSet
from minideeptalk.training.arm import ALIGNED
from minideeptalk.training.losses import LossParts, audio_loss, text_loss
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import Stage, merged, speech_stages
from minideeptalk.world import Tokenizer


def stages(size: SizeConfig) -> list[Stage]:
    """One stage with the updates and the spoken examples of all; a frozen model needs no text."""
    every = speech_stages(size)
    joint = merged(every, like=every[-1])
    heard = {task: count for task, count in joint.tasks.items() if task != "covered_text"}
    return [replace(joint, name="3-talker", title="Adapter and talker", trainable=("adapter", "audio_embedding", "talker"),
                           tasks=heard, batch=round(sum(heard.values()) / joint.updates), learning_rate=size.stages.pretrain_lr)]


class QuietAdapter(Adapter):
    """The adapter with its output scaled instead of levelled: it begins about as loud as a word, which is what it has to become.

    A frame stands in all Q codec rows.  Scaling also keeps the learning rate in proportion.

    Args:
        config: of the model that reads. word: standard deviation of its word embeddings.
    """

    def __init__(self, config: DeepTalkConfig, word: float):
        super().__init__(config)
        self.scale = word / config.num_codebooks

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(..., ear width) -> (..., D)."""
        return self.scale * self.gated(frames)


def with_talker(model: DeepTalkModel, selection: Selection | None) -> WithTalker:
    """The talker begins as a copy of the thinker, whose words it knows, with an adapter for the thinker's hidden states.

    That adapter begins at zero: the talker does not mind the states yet.
    """
    talker, config, word = deepcopy(model), deepcopy(model.config), float(model.embedding.text.weight.detach().std())
    config.ear_width = config.width
    with torch.random.fork_rng():
        torch.manual_seed(0)
        talker.config, talker.adapter = config, QuietAdapter(config, word).to(model.device)
    torch.nn.init.zeros_(talker.adapter.proj.weight)
    joined, hears = WithTalker.of(model, talker), QuietAdapter(model.config, word)
    hears.load_state_dict(model.adapter.state_dict())
    joined.adapter = hears.to(model.device)
    return joined


# ---- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ThinkAndSpeak:
    """The loss: the words that were heard; the thinker's words, given all before; when the talker begins each; their sound.

    Args:
        end: id of `<end>`. joined: whether the gradient of the sound reaches the adapter through the frozen thinker; else the modules
            learn apart.
    """

    end: int
    joined: bool = False

    def __call__(self, model: WithTalker, batch: Batch, text_weight: float = 1.0, balance: bool = True) -> LossParts:
        batch = without_marks(batch)
        read = as_written(batch, self.end, silence=model.embedding.pad)
        states = model(**read.model_inputs(), real=read.mask).hidden  # (B, W, D)
        heard = heard_loss(model, read)
        text = text_loss(model, states, read.text_target.masked_fill(to_transcribe(model, read)[:, None], IGNORE))
        text = heard.new_zeros(()) if text is None else text
        total = text_weight * (text + heard)  # the frozen thinker has no balance to keep, but the talker has
        if batch.code_target is None:
            return LossParts(total, text, None, states.new_zeros(()), {"heard_loss": float(heard.detach())})
        rows = (batch.code_target != IGNORE).flatten(1).any(dim=1)  # (B,) answered aloud
        output = talker_output(model, batch, rows, states if self.joined else states.detach())
        begins = text_loss(model.talker, output.hidden, batch.text_target[rows])
        audio = audio_loss(model.talker, output.hidden, batch.code_target[rows])
        spread = model.talker.balance_loss(output.routing, batch.mask[rows])
        total = total + text_weight * begins + audio.mean() + (model.config.balance_weight * spread if balance else 0.0)
        return LossParts(total, text, audio, spread, {"begins_loss": float(begins.detach()), "heard_loss": float(heard.detach())})


def to_transcribe(model: DeepTalkModel, batch: Batch) -> torch.Tensor:
    """(B,) the examples of `recognise`, which teach the adapter alone: no text model was ever asked to write down a question."""
    if batch.codes is None:
        return torch.zeros_like(batch.mask[:, 0])
    return (batch.codes == model.config.codebook_size + AudioToken.TRANSCRIBE).flatten(1).any(dim=1)


def heard_loss(model: DeepTalkModel, batch: Batch) -> torch.Tensor:
    """How far what the adapter makes of a frame is from the embedding of the word, over the spread of words: 1 knows nothing.

    Told by the examples of `recognise` in which the ear found as many words as there were; 0 without any.
    """
    if batch.frames is None:
        return model.embedding.text.weight.new_zeros(())
    answered = batch.text_target != IGNORE  # (B, W) words and `<end>`
    told = to_transcribe(model, batch) & (batch.frame_mask.sum(dim=1) == answered.sum(dim=1) - 1)
    if not bool(told.any()):
        return model.embedding.text.weight.new_zeros(())
    answered &= torch.cat([answered[:, 1:], torch.zeros_like(answered[:, :1])], dim=1)  # all but the last, `<end>`
    words = model.embedding.text(batch.text_target[told][answered[told]])  # (n, D)
    frames = model.adapter(batch.frames[told][batch.frame_mask[told]])  # (n, D)
    step = model.config.num_codebooks * frames + model.embedding.text(batch.text[told][batch.frame_mask[told]])  # (n, D)
    return (step - words).square().mean() / words.var()


def talker_output(model: WithTalker, batch: Batch, rows: torch.Tensor, states: torch.Tensor) -> DeepTalkOutput:
    """What the talker makes of some rows (B,) of a batch, given the thinker's states (B, W, D)."""
    real, elapsed = batch.mask[rows], batch.elapsed[rows]  # (b, T)
    places = word_positions(elapsed)  # (b, T) also the step of the thinker that each step belongs to
    known = states[rows].gather(1, places.clamp(max=states.shape[1] - 1)[..., None].expand(-1, -1, states.shape[2]))  # (b, T, D)
    return model.talker(batch.text[rows], batch.codes[rows], known, real, elapsed, places, real=real)


def without_marks(batch: Batch) -> Batch:
    """A batch without the steps that enclose what was heard: a frozen reader would stumble over what no text has."""
    if batch.frames is None:
        return batch
    return kept_steps(batch, batch.mask & ((batch.modality != Modality.AUDIO_PROMPT) | batch.frame_mask))


def kept_steps(batch: Batch, kept: torch.Tensor) -> Batch:
    """A batch with only the steps where `kept` (B, T) is True, moved together."""
    order = (~kept).long().argsort(dim=1, stable=True)[:, :int(kept.sum(dim=1).max())]  # (B, W) kept steps first
    real = kept.gather(1, order)  # (B, W)

    def take(rows: torch.Tensor | None, fill: int = 0) -> torch.Tensor | None:
        if rows is None:
            return None
        wide = real if rows.dim() == 2 else real[..., None]
        place = order if rows.dim() == 2 else order[..., None].expand(-1, -1, rows.shape[2])
        return rows.gather(1, place).masked_fill(~wide, fill)

    return Batch(take(batch.text), take(batch.text_target, IGNORE), take(batch.codes), take(batch.code_target, IGNORE),
                 take(batch.modality, int(Modality.PADDING)), take(batch.frames), take(batch.frame_mask), take(batch.elapsed))


def as_written(batch: Batch, end: int, silence: int) -> Batch:
    """A batch as the thinker reads it: each word of a spoken answer once, without its sound, and the next word as its target."""
    answers = batch.text_target != IGNORE
    batch = replace(batch, text_target=(answers.cumsum(dim=1) > 0).long())  # 1 from `<assistant>` on
    read = kept_steps(batch, batch.mask if batch.elapsed is None else batch.mask & (batch.elapsed <= 1))
    last = torch.zeros_like(read.mask[:, :1])
    following = torch.where(torch.cat([read.mask[:, 1:], last], dim=1), read.text.roll(-1, dims=1), end)  # (B, W)
    answers = (read.text_target == 1) & read.mask
    codes = read.codes
    if codes is not None:
        codes = codes.masked_fill((read.modality == Modality.SPOKEN_ANSWER)[..., None], silence)  # (B, W, Q)
    return replace(read, text_target=following.masked_fill(~answers, IGNORE), codes=codes, code_target=None, elapsed=None)


def think_and_speak(text_model: DeepTalkModel) -> ThinkAndSpeak:
    """The loss with the world's own `<end>`."""
    return ThinkAndSpeak(Tokenizer().encode(["<end>"])[0])


def think_and_speak_joined(text_model: DeepTalkModel) -> ThinkAndSpeak:
    """The same, with the gradient of the sound let through to the adapter."""
    return replace(think_and_speak(text_model), joined=True)


# ---- talking -----------------------------------------------------------------------------------------------------------


class Unmarked(ExampleBuilder):
    """Prompts as both modules know them: what was heard stands where a written question would, with nothing around it."""

    def heard_prompt(self, frames: torch.Tensor, trigger: AudioToken = AudioToken.PAD) -> Example:
        """A spoken question, from the ear's frames (N, ear width), without its marks."""
        marked = super().heard_prompt(frames, trigger)
        kept = [0, *range(2, len(frames) + 2), len(marked) - 1]
        text, target, modality = ([row[step] for step in kept] for row in (marked.text, marked.text_target, marked.modality))
        return replace(marked, text=text, text_target=target, modality=modality, codes=marked.codes[kept], frame_start=1)


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


def modular_talker(model: WithTalker, ear: Ear, codec: PyramidCodec) -> Talker:
    """Thinker and talker as one conversation partner."""
    return pair_talker(model, ear, codec, Unmarked(model.config, Tokenizer()), ThinkerTalker)


def measure_modular(recipe: Recipe, model: WithTalker, tools: Tools, spoken: dict[str, SpokenSet]) -> dict:
    """The usual metrics, with answers spoken by the talker."""
    return measure_pair(recipe, tools, spoken, modular_talker(model, tools.ear, tools.codec))


MODULAR = replace(
    ALIGNED, name="modular", changes="the language model is frozen; a talker beside it reads its hidden states and speaks",
    stages=stages, select=None, prepare=with_talker, loss=think_and_speak, measure=measure_modular, declared=(
        "text tokens: only those beside speech; the frozen language model needs none, so its text drop is 0 by construction",
        "parameters: a talker more, which alone learns besides the adapter and the triggers",
        "hearing: the adapter begins as loud as a word, nothing marks what was heard, and `recognise` teaches word embeddings",
        "recognition: the frozen model writes no questions down; the transcript that is measured is the ear's",
        "first audio: `prefill` holds the whole answer of the thinker",
        "speaking: words that are given are not answered by the thinker but handed through it",
        "style: no gradient of the sound reaches the adapter, and `recognise` pulls its frames towards words"))

MODULAR_JOINED = replace(MODULAR, name="modular-joined", loss=think_and_speak_joined, rates_of=MODULAR.name, declared=MODULAR.declared[:-1],
                         changes="as modular, but the gradient of the sound reaches the adapter through the frozen language model")
