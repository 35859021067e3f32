"""One dial for every size: `nano`, `mini` or `base` sets data, codec, ear, model and stage lengths together.

A reader never has to make the numbers fit: each dataclass checks itself when it is built and says what is wrong.
The table of defaults beside the paper's and the reference code's stands in `DEFAULTS`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from minideeptalk.errors import LearnerError

SAMPLE_RATE = 16_000
STEP_SECONDS = 0.08  # one step of the language model = one 12.5 Hz codec step
STEP_SAMPLES = 1_280
HOP = 320  # one log-mel frame = 20 ms; four frames make a step
MELS = 80
STYLES = ("neutral", "happy", "sad", "angry")
SIZES = ("nano", "mini", "base")


def _require(condition: bool, expected: str, got: str, next_step: str = "") -> None:
    if not condition:
        raise LearnerError(expected, got, next_step=next_step)


@dataclass(frozen=True)
class WorldConfig:
    """Which text skills exist after stage 0: `covered` families are in the text of stages 2.2 and 3, the others are not."""

    covered: tuple[str, ...] = ("add", "lookup", "repeat")
    drawn_more: tuple[str, ...] = ("add", "add", "repeat", "facts", "facts", "count")  # harder families come up more often in stage 0
    test_items: int = 200
    validation_items: int = 100


@dataclass(frozen=True)
class SpeechConfig:
    """How much speech is synthesised, in utterances."""

    questions: int = 2600  # user voices, all styles, natural timing
    answers: int = 3600  # the assistant's voice, all styles, words placed on the 80 ms grid
    test_questions: int = 400
    test_answers: int = 800
    seed: int = 1


@dataclass(frozen=True)
class CodecConfig:
    """Residual vector quantiser: a pyramid of 1 + 2 + 4 codes a step (12.5, 25 and 50 Hz)."""

    codebook_size: int = 128  # fewer entries than 256: codes a small model learns sooner, for a little fidelity
    iterations: int = 12
    frames_per_codebook: int = 40_000  # at most this many training vectors a level
    griffin_lim_iterations: int = 16

    @property
    def num_codebooks(self) -> int:
        return 7


@dataclass(frozen=True)
class EarConfig:
    """The model's own speech encoder: conv stem, then a few transformer layers; CTC over words."""

    width: int = 128
    layers: int = 2
    heads: int = 4
    updates: int = 1400
    batch_seconds: float = 30.0
    learning_rate: float = 3e-3
    style_weight: float = 0.3


@dataclass(frozen=True)
class JudgeConfig:
    """The examiner: a convolutional CTC recogniser over characters that shares nothing with the ear."""

    width: int = 128
    layers: int = 5
    updates: int = 900
    batch_seconds: float = 30.0
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class ModelSize:
    """Width and depth of the language model, and its experts."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    dense_hidden: int = 384  # first layer
    experts: int = 16
    experts_per_token: int = 2
    expert_hidden: int = 128
    shared_experts: int = 1
    audio_experts: int = 4

    def __post_init__(self):
        _require(self.width % self.heads == 0, "heads that divide the width", f"width {self.width}, heads {self.heads}")
        _require(self.experts_per_token <= self.experts, "experts_per_token <= experts",
                 f"{self.experts_per_token} > {self.experts}")
        _require(self.experts_per_token <= self.audio_experts < self.experts,
                 "experts_per_token <= audio_experts < experts",
                 f"{self.audio_experts} audio experts, top-{self.experts_per_token}, {self.experts} experts",
                 "stage 2.1 routes to audio experts only, so top-k needs at least that many")


@dataclass(frozen=True)
class StageLengths:
    """Updates of each stage, examples in a batch, peak learning rates, and whether layers are computed twice to save memory."""

    pretrain: int = 2400
    align: int = 250
    audio_experts: int = 2400
    text_experts: int = 100
    joint: int = 800
    text_batch: int = 64
    speech_batch: int = 16
    pretrain_lr: float = 2e-3
    align_lr: float = 4e-3
    audio_lr: float = 4e-3
    text_lr: float = 5e-4
    joint_lr: float = 1e-3
    checkpoint_layers: bool = False


@dataclass(frozen=True)
class EvaluationConfig:
    """How many held-out items each number rests on."""

    text_items: int = 200
    spoken_questions: int = 300
    spoken_answers: int = 300
    ceilings: int = 150  # originals through the codec, and answers whose style is judged
    latency_runs: int = 20


@dataclass(frozen=True)
class SizeConfig:
    """Everything one size of the dial sets. `to_dict` goes into the run record."""

    name: str
    world: WorldConfig = field(default_factory=WorldConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    ear: EarConfig = field(default_factory=EarConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    model: ModelSize = field(default_factory=ModelSize)
    stages: StageLengths = field(default_factory=StageLengths)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def to_dict(self) -> dict:
        return asdict(self)


def size_config(name: str) -> SizeConfig:
    """The settings of one size.

    Args:
        name: `nano` (2 CPU cores, minutes), `mini` (the book's headline) or `base` (a large GPU).

    Raises:
        LearnerError: for any other name.
    """
    _require(name in SIZES, f"a size out of {', '.join(SIZES)}", repr(name), "use --size nano to begin")
    if name == "nano":
        return SizeConfig("nano")
    if name == "mini":
        return SizeConfig(
            "mini",
            speech=SpeechConfig(questions=8000, answers=12000),
            ear=EarConfig(width=160, layers=3, updates=3000),
            judge=JudgeConfig(width=160, updates=2000),
            model=ModelSize(width=192, layers=6, heads=6, dense_hidden=768, experts=24, experts_per_token=3,
                            expert_hidden=128, audio_experts=6),
            codec=CodecConfig(codebook_size=256),
            stages=StageLengths(pretrain=5000, align=1000, audio_experts=5000, text_experts=400, joint=5000,
                                pretrain_lr=1.5e-3, align_lr=3e-3, audio_lr=3e-3, joint_lr=7e-4),
        )
    return SizeConfig(
        "base",
        speech=SpeechConfig(questions=20000, answers=40000),
        ear=EarConfig(width=256, layers=4, heads=8, updates=6000, batch_seconds=60.0, learning_rate=1e-3),
        judge=JudgeConfig(width=256, updates=6000, batch_seconds=60.0, learning_rate=2e-3),
        codec=CodecConfig(codebook_size=256),
        model=ModelSize(width=512, layers=10, heads=8, dense_hidden=2048, experts=32, experts_per_token=4,
                        expert_hidden=256, audio_experts=6),
        stages=StageLengths(pretrain=12000, align=3000, audio_experts=8000, text_experts=2000, joint=8000,
                            text_batch=512, speech_batch=256, pretrain_lr=6e-4, align_lr=1e-3, audio_lr=8e-4,
                            joint_lr=3e-4, checkpoint_layers=True),
    )


@dataclass(frozen=True)
class Default:
    """One choice: what the paper says, what its reference code does, what this project does, and why."""

    choice: str
    paper: str
    reference_code: str
    ours: str
    why: str


DEFAULTS: tuple[Default, ...] = (
    Default("balance loss", "0.001, by sequence", "0.001, by sequence", "0.001, by sequence", "as the paper"),
    Default("gate weights of the chosen experts", "softmax, not renormalised", "softmax, not renormalised",
            "softmax, not renormalised", "as the paper; `renormalise` switches it"),
    Default("audio experts and top-k", "6 audio experts, top-6", "6 audio experts, top-6", "more audio experts than k (nano: 4, top-2)",
            "with as many audio experts as k, stage 2.1 sends every token to all of them: no routing is left to learn and the "
            "balance loss is a constant"),
    Default("normaliser of the load", "not published", "script not published", "largest expert of the layer = 1",
            "with loads that sum to one, the factor (1 - text load) is nearly inert"),
    Default("text that profiles the load", "not published", "script not published",
            "the families that after-training covers, and the text steps of the speech tasks",
            "who adapts a published model has no more"),
    Default("rows of a step", "mean of eight", "mean of eight", "mean of eight, times `embedding_multiplier`",
            "the bare mean makes a new word about fifty times smaller than the first attention's output"),
    Default("PAD row of the codec streams", "not said", "learnt", "zero",
            "a learnt PAD stands in every text step, so training it would change all text"),
    Default("embedding tables", "one table, tied", "one table, tied, text rows train in stage 1", "one table a modality, text tied",
            "freezing is storage: text rows must not move in stage 1"),
    Default("stage 1 trains", "audio adapter", "adapter and the whole embedding table", "adapter, audio embeddings and heads",
            "new audio rows must learn somewhere; text rows must not"),
    Default("stage 2.1 trains", "audio experts; router frozen", "audio experts, router, shared experts, norms, layer 0, embeddings",
            "audio experts, audio embeddings, heads and adapter; router frozen", "nothing that a text step passes through moves, "
            "except the experts that were given away"),
    Default("stage 2.2 trains", "text experts; router frozen", "text experts and the same extras", "text experts; router frozen", "as the paper"),
    Default("routing in stages 2.1 and 2.2", "not said", "the stage's experts only, for every token",
            "the stage's experts only, for every token", "as the reference code; masked before the softmax"),
    Default("routing in stage 3 and when talking", "not said", "open", "open", "as the reference code"),
    Default("text of a spoken answer", "all words first, then padding", "all words first, then padding",
            "`deeptalk`: the same; `deeptalk-aligned`: each word as it sounds, held in the input",
            "a small model that knows which word sounds, and since when, composes words it never said together"),
    Default("delay of codec stream i", "i + 1", "i + 1", "`deeptalk`: i + 1; `deeptalk-aligned`: 1 for all",
            "seven steps are half a second, and short answers are that long"),
    Default("frames of a heard question", "50 Hz, said to be downsampled", "50 Hz, not downsampled", "one frame a word (CTC compression)",
            "the adapter sees one frame at a time, so a frame must hold a word before a frozen text model can read it"),
    Default("loudness of a heard frame", "not said", "as the adapter makes it", "levelled, about five words (`heard_loudness`)",
            "left alone, a frame becomes hundreds of times louder than a word, and attention adds next to nothing to it"),
    Default("streams of the codec", "7 of 4096 (SNAC)", "7 of 4096 (SNAC)", "7 of 128 (nano) or 256, same 1 + 2 + 4 pyramid",
            "fitted in seconds; fewer entries are learnt sooner"),
    Default("decoding of a spoken answer", "batch-parallel: a second row writes the words", "batch-parallel, in two rows", "in two rows; "
            "one row with `--one-row`", "as the paper; what one row alone does is an ablation"),
    Default("stage 4", "DPO, beta 0.1, pairs by WER", "one pass: the losing answer is scored under the winning one; gradient reaches the reference",
            "two passes a model, one loss a codebook, reference without gradient; a command of its own", "the shortcuts change what is learnt"),
    Default("loss", "not said", "mean of 8 streams; text-only batches halved", "text + mean of 7 audio streams",
            "eight weights for eight losses; the halving is an accident of a list in the reference code"),
)
"""The defaults beside the paper's and its reference code's; chapter 14 ablates those that matter."""


def defaults_table() -> str:
    """`DEFAULTS` as a Markdown table."""
    rows = ["| choice | paper | reference code | here | why |", "| --- | --- | --- | --- | --- |"]
    rows += [f"| {d.choice} | {d.paper} | {d.reference_code} | {d.ours} | {d.why} |" for d in DEFAULTS]
    return "\n".join(rows) + "\n"
