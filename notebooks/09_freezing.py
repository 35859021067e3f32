# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One modality at a time
#
# You will train, of all experts, only the audio experts and then only the text experts, and prove afterwards, byte by byte, that nothing
# has moved which should stand still. On the way you will meet a popular way of freezing that does not freeze.
#
# ![Eight experts in one stored tensor. Experts 2 and 5 are lifted out into a bank, storage of their own, and only the bank is given to the optimizer. The other six have no gradient, no momentum and no decay, so they cannot move.](../book/_static/09-bank.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/09_freezing.ipynb)

# %%
# Set-up: the same in every chapter. It installs this library where it is missing and leaves torch alone.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("minideeptalk") is None:
    library = "minideeptalk[speech] @ git+https://github.com/minideeptalk/minideeptalk@v0.1.0"
    if subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", library]).returncode:
        raise SystemExit(f"Could not install {library}: no network, or this version is not published yet.")

from minideeptalk.teaching import describe_machine, open_chapter

machine = describe_machine()

# %%
chapter = open_chapter("09_freezing")  # mode="full" trains both stages longer

# %% [markdown]
# **After this chapter you can**
#
# 1. say what each stage of the recipe trains, and read it from the stage itself;
# 2. close experts to a router, before the softmax and not after it, and say what the difference costs;
# 3. say why a gradient of zero does not keep a weight in place, and name two things that move it;
# 4. give some experts storage of their own, and prove with `torch.equal` that only they moved;
# 5. tell what stages 2.1 and 2.2 did to speech, to text and to the routers.

# %%
chapter.diagram()

# %% [markdown]
# ## Who may learn when
#
# Chapter 08 has dealt the experts out: some to speech, the others to text. Now each side learns **alone**. In stage 2.1 the
# model is shown speech only; of the experts only the audio experts are open and learn, and the adapter, audio rows and audio heads of
# stage 1 go on learning. In stage 2.2 it is shown text only, and only the text experts are open and learn. The router stands still in both: it has to know its way when all experts are open again.
#
# This is our reading. As it is told, the paper trains the experts alone here, with the router frozen. Its published code freezes the adapter and trains router, shared
# experts, norms and embeddings as well, and in stage 3 attention too. [Defaults](../book/defaults.md) has the table; chapter 14 tries a router that learns.
#
# Move through the stages. Solid bars learn, pale ones stand still.

# %%
import plotly.graph_objects as go
import torch
from torch import nn

from minideeptalk.config import size_config
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import PARTS, parameters_of
from minideeptalk.teaching import check
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.teaching.samples import shipped_run
from minideeptalk.teaching.tables import Table
from minideeptalk.training.stages import pretrain_stage, speech_stages
from minideeptalk.viz.style import BLUE, GREEN, PURPLE, VERMILLION, finish

size = size_config("nano")
stages = [pretrain_stage(size), *speech_stages(size)]
model = shipped_stage("1-align")
selection = Selection.load(shipped_run() / "selection.json")
E = selection.experts
weights_of = {part: sum(weight.numel() for weight in parameters_of(model, (part,)).values()) for part in PARTS}
audio_share = len(selection.audio_experts[0]) / E
learns_in_bank = {"audio": audio_share, "text": 1 - audio_share}
parts = [part for part in PARTS if weights_of[part] and part != "experts"] + ["audio experts", "text experts"]
for kind, share in learns_in_bank.items():
    weights_of[f"{kind} experts"] = round(weights_of["experts"] * share)

# %%
def learning_parts(stage):
    """Parts that a stage trains, with the experts told apart: a bank holds those that the stage may use."""
    names = {part for part in stage.trainable if part not in ("experts", "bank")}
    if "experts" in stage.trainable:
        names |= {"audio experts", "text experts"}
    if "bank" in stage.trainable:
        names.add(f"{stage.experts} experts")
    return names


figure, choices = go.Figure(), []
for stage in stages:
    opacity = [1.0 if part in learning_parts(stage) else 0.2 for part in parts]
    total = sum(weights_of[part] for part in learning_parts(stage))
    words = f"stage {stage.code}, {stage.title.lower()}:<br>{total:,} weights learn"
    choices.append(dict(label=f"{stage.code} {stage.title}", method="update",
                        args=[{"marker.opacity": [opacity]}, {"title.text": words}]))

# %%
start = choices[2]["args"]
figure.add_bar(y=[part.replace("_", " ") for part in parts], x=[weights_of[part] for part in parts], orientation="h",
               marker=dict(color=[VERMILLION if "audio" in part or part == "adapter" else BLUE for part in parts],
                           opacity=start[0]["marker.opacity"][0]), hovertemplate="%{y}: %{x:,} weights<extra></extra>")
slider = dict(active=2, steps=choices, currentvalue=dict(prefix="stage "), pad=dict(t=60))
figure.update_layout(title=dict(text=start[1]["title.text"], font=dict(size=14)), sliders=[slider], margin=dict(t=60))
figure.update_xaxes(title="weights", type="log").update_yaxes(autorange="reversed")
told = "; ".join(f"{stage.code}: {', '.join(sorted(learning_parts(stage))).replace('_', ' ')}" for stage in stages[1:])
finish(figure, f"Bars of the weights of each part of the model; a slider chooses the stage, learning parts are solid. {told}.",
       height=470)

# %%
def tasks_of(stage):
    """The tasks of a stage, the heaviest first."""
    return ", ".join(name.replace("_", " ") for name in sorted(stage.tasks, key=stage.tasks.get, reverse=True))


rows = [(f"{stage.code} {stage.title}", ", ".join(sorted(learning_parts(stage))).replace("_", " "), stage.experts,
         tasks_of(stage), str(stage.updates), f"{stage.learning_rate:g}") for stage in stages]
Table(("stage", "learns", "open experts", "tasks", "updates", "peak rate"), rows,
      "The stages, read from the objects that the trainer runs")

# %% [markdown]
# ## Build it: closing experts
#
# A stage closes experts to **all** of its tokens: there is no modality in the routing, only a list of what is open. Where does
# the mask go? The router makes logits, softmax makes probabilities, top-k picks. Put a closed expert's *logit* at minus
# infinity, and softmax never sees it: the probability of one spreads over the open experts. Put its *probability* at zero
# afterwards, and what it had is lost. The same experts are chosen either way, but their weights are smaller.

# %%
def gate(logits, closed, k, before):
    """logits (N, E), closed (E,) bool -> weights and indices (N, k), masked before or after the softmax."""
    if before:
        return logits.masked_fill(closed, float("-inf")).softmax(dim=-1).topk(k, dim=-1)
    return logits.softmax(dim=-1).masked_fill(closed, 0.0).topk(k, dim=-1)


sampler = chapter_sampler(model, spoken_material(questions=300, replies=300))
speech = sampler.batch({"recognise": 1.0, "speak": 2.0}, 32, f"speech-{chapter.seed}")
inputs = []
handle = model.mixtures()[1].router.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
with torch.no_grad():
    model(**speech.model_inputs())
handle.remove()
router = model.mixtures()[1].router
logits = inputs[0] @ router.weight.detach().T  # (N, E) of the tokens of a speech batch, layer 2

# %%
order = list(selection.audio_experts[1]) + list(selection.text_experts(1))  # text experts are closed first
rows = {True: [], False: []}
for closed_count in range(E - 1):
    closed = torch.zeros(E, dtype=torch.bool)
    closed[order[E - closed_count:]] = True
    for before in rows:
        weights, indices = gate(logits, closed, 2, before)
        assert not closed[indices].any()
        rows[before].append(weights.sum(dim=-1).mean().item())
figure = go.Figure()
for before, name, colour, dash in ((True, "masked before the softmax", BLUE, "solid"),
                                   (False, "masked after it", VERMILLION, "dash")):
    figure.add_scatter(x=list(range(E - 1)), y=rows[before], name=name, line=dict(color=colour, dash=dash, width=3))
figure.update_xaxes(title="closed experts").update_yaxes(title="sum of a token's gate weights", rangemode="tozero")
at = E - len(selection.audio_experts[1])
rows_at_21 = rows[True][at], rows[False][at]
finish(figure, f"Two curves over the number of closed experts. With {at} closed, as in stage 2.1, the gate weights of a "
               f"token sum to {rows[True][at]:.2f} if masked before the softmax and {rows[False][at]:.2f} after.", height=340)

# %% [markdown]
# Either way the experts' answer changes its loudness when all doors open, which is the left end of the curves: masked before, it was louder behind doors; masked
# after, it was much softer, faded beside the shared expert's. Masked before, a weight is the expert's share among those that are open. The paper's published code masks before.
#
# ## The same as the library's?
#
# The library's router does this in `Router.close`.

# %%
closed = torch.zeros(E, dtype=torch.bool)
closed[list(selection.text_experts(1))] = True
router.close(list(selection.text_experts(1)))
with torch.no_grad():
    _, weights, indices = router(inputs[0])
router.close(None)
my_weights, my_indices = gate(logits, closed, 2, before=True)
real = speech.mask.flatten() if len(logits) == speech.mask.numel() else torch.ones(len(logits), dtype=torch.bool)
assert torch.equal(indices[real], my_indices[real])
torch.testing.assert_close(weights[real], my_weights[real])
print(f"{int(real.sum())} tokens: the same experts and weights as the library's")

# %% [markdown]
# ## Build it: a bank
#
# The sixteen experts of a layer lie stacked in two tensors, since a grouped product wants them so. An optimizer takes whole tensors. How
# can four experts of it learn and twelve stand still?
#
# By **storage**. While a stage lasts, the experts that may learn get a tensor of their own, a *bank*, and only the bank goes to
# the optimizer. Tokens are sent to places in the bank. When the stage is over, the bank is written back. What is not in the
# bank is in no graph and no optimizer: there is nothing that *could* move it.

# %%
from minideeptalk.model import DeepTalkConfig, MixtureOfExperts
from minideeptalk.model.experts import experts_loop


class MyBank(nn.Module):
    """The learning experts of one layer, in storage of their own."""

    def __init__(self, experts, learning):
        super().__init__()
        self.learning = sorted(learning)
        self.gate_up = nn.Parameter(experts.gate_up_proj.detach()[self.learning].clone())  # (n, 2H, D)
        self.down = nn.Parameter(experts.down_proj.detach()[self.learning].clone())  # (n, D, H)
        self.place = torch.full((experts.num_experts,), -1)  # (E,) where each expert stands in the bank
        self.place[self.learning] = torch.arange(len(self.learning))

    def forward(self, tokens, indices, weights):
        return experts_loop(tokens, self.place[indices], weights, self.gate_up, self.down)  # (N, D)

    @torch.no_grad()
    def write_back(self, experts):
        experts.gate_up_proj[self.learning] = self.gate_up
        experts.down_proj[self.learning] = self.down

# %%
torch.manual_seed(chapter.seed)
experts = MixtureOfExperts(DeepTalkConfig(width=16, heads=2, experts=8, experts_per_token=2, expert_hidden=16)).experts
nn.init.normal_(experts.gate_up_proj, std=0.2)
nn.init.normal_(experts.down_proj, std=0.2)
tokens, learning = torch.randn(50, 16), [2, 5, 6]
indices = torch.tensor(learning)[torch.rand(50, 3).topk(2, dim=-1).indices]  # (N, 2) only open experts
weights = torch.rand(50, 2)

mine, theirs = MyBank(experts, learning), experts.open_bank(learning)
ours = mine(tokens, indices, weights)
library = experts(tokens, indices, weights)
torch.testing.assert_close(ours, library)
ours.square().sum().backward()
library.square().sum().backward()
torch.testing.assert_close(mine.gate_up.grad, theirs.gate_up_proj.grad, atol=1e-4, rtol=1e-4)
torch.testing.assert_close(mine.down.grad, theirs.down_proj.grad, atol=1e-4, rtol=1e-4)
assert experts.gate_up_proj.grad is None and experts.down_proj.grad is None
print("output and gradients: equal to the library's; the stored experts got no gradient at all")

# %%
import copy

twin = copy.deepcopy(experts)
with torch.no_grad():
    for weight in (mine.gate_up, mine.down, theirs.gate_up_proj, theirs.down_proj):
        weight.mul_(2)  # as if all had learnt the same
mine.write_back(twin)
experts.close_bank()
assert torch.equal(twin.gate_up_proj, experts.gate_up_proj) and torch.equal(twin.down_proj, experts.down_proj)
print("what is written back: equal to the library's")

# %% [markdown]
# ## Run it small: stages 2.1 and 2.2, proved by bytes
#
# Now for real, on the shipped model after stage 1. We keep a copy of every tensor, run both stages, shortened, and ask of each
# tensor, row by row, whether it is still *equal*. Not close: equal.

# %%
from dataclasses import replace

from minideeptalk.training.health import router_health
from minideeptalk.training.loop import train_stage


def snapshot(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def run_stage(stage, updates, open_experts):
    """Trains in place; returns the curves."""
    stage = replace(stage, updates=updates)
    result = train_stage(model, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"{chapter.seed}-{stage.code}-{step}"),
                         seed=chapter.seed, selection=[list(experts) for experts in open_experts], show_progress=False)
    return [row for row in result["curves"] if row["name"] in ("text_loss", "audio_loss")]

# %%
audio_side = selection.audio_experts
text_side = [selection.text_experts(layer) for layer in range(selection.num_layers)]
probes = [speech, sampler.batch({"covered_text": 1.0}, 32, f"text-{chapter.seed}")]
states, health = {"1": snapshot(model)}, {"1": router_health(model, probes)}
curves = run_stage(stages[2], 40 if chapter.quick else 800, audio_side)
states["2.1"], health["2.1"] = snapshot(model), router_health(model, probes)
curves += run_stage(stages[3], 10 if chapter.quick else 100, text_side)
states["2.2"], health["2.2"] = snapshot(model), router_health(model, probes)

# %%
def moved_rows(before, after):
    """Dict from the tensors that moved to the rows (first axis) that are no longer equal."""
    moved = {}
    for name in before:
        rows = [row for row in range(len(before[name])) if not torch.equal(before[name][row], after[name][row])]
        if rows:
            moved[name] = rows
    return moved


def part_of(name):
    return next(part for part, marks in PARTS.items() if any(mark in name for mark in marks)).replace("_", " ")


for earlier, later, side, stage in (("1", "2.1", audio_side, stages[2]), ("2.1", "2.2", text_side, stages[3])):
    moved = moved_rows(states[earlier], states[later])
    allowed = {part.replace("_", " ") for part in stage.trainable} - {"bank"} | {"experts"}
    assert {part_of(name) for name in moved} == allowed
    for name, rows in moved.items():
        if ".experts." in name:
            assert rows == list(side[int(name.split(".")[1]) - 1])
    still = len(states[earlier]) - len(moved)
    print(f"stage {later}: {len(moved)} tensors moved ({', '.join(sorted(allowed))}), {still} are equal in every byte;")
    print("   experts that moved in layer 1:", moved["layers.1.feed_forward.experts.down_proj"])

# %% [markdown]
# The assertions are the proof: the tensors that moved are those of the stage's own list, and of the stacked experts exactly the
# rows of the selection. Router, attention, text rows, norms and the shared expert are what they were.
#
# The shipped checkpoints prove it a second time. Each holds only what its stage has changed, so their tables of contents can be
# read.

# %%
from safetensors import safe_open

rows = []
for stage in stages[1:]:
    file = shipped_run() / "stages" / stage.name / "changes.safetensors"
    with safe_open(file, framework="pt") as changes:
        names = [name for name in changes.keys() if not name.endswith("#rows")]
        first = "layers.1.feed_forward.experts.down_proj"
        shown = changes.get_tensor(f"{first}#rows").tolist() if first in names else []
    found = sorted({part_of(name) for name in names})
    rows.append((f"{stage.code} {stage.title}", ", ".join(found), ", ".join(map(str, shown)) or "none",
                 f"{file.stat().st_size / 1e6:.1f}"))
Table(("stage", "parts that moved", "experts that moved, layer 1", "MB"), rows, "What the stages of the shipped run changed")

# %% [markdown]
# ## What it did to text
#
# While stage 2.1 runs, the text experts are closed, and a text question would have to go to experts that learn to speak. When
# they open again, text goes home, to experts that have not moved. Here is the text loss of each skill, all experts open, and,
# for comparison, what it would be with the doors of stage 2.1. Move the slider.

# %%
import numpy as np
from torch.nn import functional as F

from minideeptalk.experts import forbid_experts
from minideeptalk.tasks import collate
from minideeptalk.world import FAMILIES

each = 12 if chapter.quick else 60
items = [item for family in FAMILIES.values() for item in family.items("validation", each, seed=chapter.seed)]
skill = np.array([name for name in FAMILIES for _ in range(each)])
exam = collate([sampler.builder.chat(item.question, item.answer) for item in items], sampler.builder.silence)


@torch.no_grad()
def loss_by_skill(model):
    """Mean loss of the words of the answers, in nats, for each skill."""
    hidden = model(**exam.model_inputs()).hidden  # (N, T, D)
    wanted = exam.text_target >= 0  # (N, T)
    losses = F.cross_entropy(model.text_logits(hidden[wanted]), exam.text_target[wanted], reduction="none")
    sums = torch.zeros(len(wanted)).index_add(0, wanted.nonzero()[:, 0], losses) / wanted.sum(dim=1)  # (N,)
    return {name: float(sums[torch.from_numpy(skill == name)].mean()) for name in FAMILIES}

# %%
views = {}
for code, state in states.items():
    model.load_state_dict(state)
    views[f"after stage {code}, all experts open"] = loss_by_skill(model)
    if code == "2.1":
        with forbid_experts(model, text_side):
            views["after stage 2.1, text experts closed"] = loss_by_skill(model)
shipped = {stage: loss_by_skill(shipped_stage(stage)) for stage in ("2.1-audio-experts", "2.2-text-experts", "3-joint")}
views |= {f"shipped run, after stage {stage.split('-')[0]}": losses for stage, losses in shipped.items()}
means = {name: float(np.mean(list(losses.values()))) for name, losses in views.items()}
figure, choices = go.Figure(), []
for name, losses in views.items():
    words = f"{name}:<br>mean {means[name]:.2f} nats"
    choices.append(dict(label=name, method="update", args=[{"y": [list(losses.values())]}, {"title.text": words}]))
figure.add_bar(x=list(FAMILIES), y=choices[0]["args"][0]["y"][0], marker=dict(color=BLUE))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="moment: "), pad=dict(t=70))
figure.update_layout(title=dict(text=choices[0]["args"][1]["title.text"], font=dict(size=14)), sliders=[slider])
top = max(value for losses in views.values() for value in losses.values())
figure.update_yaxes(title="text loss, nats", range=[0, 1.05 * top])
told = "; ".join(f"{name} {value:.2f}" for name, value in means.items())
finish(figure, f"Bars of the text loss by skill; a slider chooses the moment. Means: {told}.", height=430).update_layout(margin=dict(t=60))

# %%
started, opened, shut = (means[name] for name in ("after stage 1, all experts open", "after stage 2.1, all experts open",
                                                  "after stage 2.1, text experts closed"))
repaired = means["after stage 2.2, all experts open"]
for name in list(means)[-3:]:
    print(f"{name}: text loss {means[name]:.3f}")
chapter.measure("text loss after stage 1", started)
chapter.measure("text loss after stage 2.1, all open", opened)
chapter.measure("text loss after stage 2.1, text experts closed", shut)
chapter.measure("text loss after stage 2.2, all open", repaired)
audio_losses = [row["value"] for row in curves if row["name"] == "audio_loss"]
chapter.measure("audio loss at the end of stage 2.1", audio_losses[-1])
assert shut > opened

# %% [markdown]
# Compare the moments. With the text experts closed, text is much worse off; with them open again, it is nearly what it was. What
# stage 2.1 can take from text is only what text had kept in the experts that were given away. Then look at the shipped run, which
# trained both stages at full length: between which two moments does text lose most? Chapter 10 begins there.
#
# And stage 2.2, which is to repair text? Here it repairs nothing that we can see. It is shown covered text alone, which was known by heart before it began; skills
# that the stage before had touched do not come back by it.
#
# ## What it did to the routers and to the voice
#
# The router did not move, but what it *sees* did: sound comes through a changed adapter and changed audio rows, and the higher routers also read what changed experts
# wrote. (The first router sees written tokens exactly as before.) So its health is worth a look. The
# gradient is what the task would ask of it, were it free.

# %%
rows = [(f"after stage {code}", f"{one.gradient.mean():.3f}", f"{one.entropy.mean():.2f}", f"{one.specialisation.mean():.3f}")
        for code, one in health.items()]
chapter.measure("specialisation after stage 2.2, bits", health["2.2"].specialisation.mean())
Table(("router health", "norm of the gradient", "entropy, bits", "specialisation, bits"), rows, "Means over the layers")

# %% [markdown]
# And the voice? After stage 1 the model has heads and no experts for speech. In stage 2.1 it learns to talk, **behind closed
# doors**: only the audio experts are open. So we let the shipped model speak in both ways, with those doors and with all experts
# open. Two words are for your ears; a few lists give a number. A judge that shares nothing with the model wrote down what it heard.

# %%
from contextlib import nullcontext

from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.metrics import word_error_rate
from minideeptalk.inference.decoding import speak
from minideeptalk.teaching.samples import shipped_talker
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz import AudioClip

judge, words = Judge.load(shipped_run() / "judge"), "blue horse"
lists = [list(reply.words) for reply in spoken_material(1, 24 if chapter.quick else 200, "test").replies]
MOMENTS = {"after stage 1, all experts open": ("1-align", False), "after stage 2.1, only audio experts open": ("2.1-audio-experts", True),
           "after stage 2.1, all experts open": ("2.1-audio-experts", False), "after stage 3, all experts open": ("3-joint", False)}


def spoken_at(stage, doors):
    """Sounds of the two words and of each list, by the shipped model after a stage, with the doors of stage 2.1 or without."""
    talker = shipped_talker(stage)
    prompts = [talker.builder.say_prompt(text, "neutral") for text in (words.split(), *lists)]
    with forbid_experts(talker.model, text_side) if doors else nullcontext():
        answers = speak(talker.model, talker.builder, prompts, decoder=talker.decoder)
    return [talker.codec.decode(answer.codes) if len(answer.codes) else torch.zeros(1600) for answer in answers]


# %%
spoken = {name: spoken_at(*moment) for name, moment in MOMENTS.items()}
heard = {name: judge.transcribe(waves) for name, waves in spoken.items()}
wrong = {name: word_error_rate([" ".join(text) for text in lists], texts[1:]) for name, texts in heard.items()}
for name, rate in wrong.items():
    print(f"{name}: {rate:.0%} word errors in {len(lists)} lists")
Sounds([AudioClip(f"{name.capitalize()}, asked to say:", waves[0], words, "Are these the words?", heard=heard[name][0] or "(nothing)")
        for name, waves in spoken.items()])

# %% [markdown]
# (More than all words can be wrong: a word too many counts as an error, too.) Compare the two lines of stage 2.1: the same
# weights, and only the doors differ. With all experts open, steps of speech reach experts that never learnt to speak, and the audio experts are heard more softly,
# since the gate weights of a token sum to less. Which of the two counts more, this does not tell. So what
# stage 2.1 has taught is not yet of use to a model without doors, and at inference the paper's has none. Stage 3, in chapter 10,
# trains with all experts open.

# %% [markdown]
# ## What goes wrong: a gradient mask is not a freezer
#
# The usual way to freeze some rows of a tensor takes one line: after `backward()`, set their gradient to zero. It looks right.
# Then the optimizer steps.
#
# - **Momentum.** Adam does not step along the gradient but along its running mean. Rows that learnt in an earlier stage still
#   have one, and with a gradient of zero it fades over many steps, moving them all the while.
# - **Weight decay.** AdamW shrinks *every* weight of the tensor at each step, whatever its gradient.
#
# Eight experts learn together for a while. Then the last two shall go on alone. Four ways to keep the first six in place:

# %%
def drift(method, steps=60):
    """Largest movement of a frozen weight after each step of the second stage."""
    generator = torch.Generator().manual_seed(chapter.seed)
    weight, wanted = nn.Parameter(torch.randn(8, 4, generator=generator)), torch.randn(8, 4, generator=generator)
    optimizer = torch.optim.AdamW([weight], lr=1e-2, weight_decay=0.0)
    for _ in range(20):  # the earlier stage: all experts learn
        (weight - wanted).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    before, trained = weight.detach().clone(), weight
    if method == "bank":
        trained = nn.Parameter(weight.detach()[6:].clone())
    if method != "mask, optimizer goes on":
        decay = 0.1 if method == "mask, new optimizer, decay" else 0.0
        optimizer = torch.optim.AdamW([trained], lr=1e-2, weight_decay=decay)
    moved = []
    for _ in range(steps):
        (trained - (wanted[6:] if method == "bank" else wanted)).square().sum().backward()
        if method != "bank":
            trained.grad[:6] = 0.0  # the mask
        optimizer.step()
        optimizer.zero_grad()
        moved.append((weight.detach()[:6] - before[:6]).abs().max().item())
    return moved

# %%
looks = {"mask, optimizer goes on": (VERMILLION, "solid"), "mask, new optimizer, decay": (PURPLE, "dash"),
         "mask, new optimizer, no decay": (BLUE, "dot"), "bank": (GREEN, "dashdot")}
drifts = {method: drift(method) for method in looks}
figure = go.Figure()
for method, (colour, dash) in looks.items():
    figure.add_scatter(y=drifts[method], x=list(range(1, 61)), name=method, line=dict(color=colour, dash=dash, width=3))
    print(f"{method:30} moved a frozen weight by up to {drifts[method][-1]:.4f}")
assert drifts["bank"][-1] == 0 == drifts["mask, new optimizer, no decay"][-1]
assert min(drifts["mask, optimizer goes on"][-1], drifts["mask, new optimizer, decay"][-1]) > 0
figure.update_xaxes(title="steps of the second stage").update_yaxes(title="movement of a frozen weight")
told = ", ".join(f"{method} {moved[-1]:.3f}" for method, moved in drifts.items())
finish(figure, f"Curves of the movement of weights that should be frozen. After all steps: {told}.", height=380)

# %% [markdown]
# A mask with a new optimizer and no decay does hold, today. It holds by the grace of two settings somewhere else, and the day
# somebody resumes a run with its optimizer state, or adds decay, it fails without a sound. A bank holds because there is
# nothing to move. And it is cheaper: the optimizer keeps no state for what stands still.
#
# ## Try it live
#
# In Jupyter or Colab: choose a stage, type words to say and a question to answer in writing, and hear and read what the shipped
# model makes of them at that moment of its training. The players above are the explorer's twin on this page.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer_stages import StageExplorer

StageExplorer().show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 09-1: close some experts** · practice · difficulty ●●○○○ (2 of 5) · about 10 minutes · 2 points · needs softmax, masked_fill
#
# Close experts so that no token reaches them and no weight is lost.
#
# <details><summary>Hint 1, a question</summary>
#
# Which number has an exponential of exactly zero?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `logits.masked_fill(closed, value)` gives a new tensor; `closed` (E,) is spread over all tokens.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Fill with minus infinity; softmax over the last dimension; top-k. Do not renormalise.
#
# </details>
# </details>
# </details>

# %%
# Exercise 09-1: your code
def closed_gate(logits, closed, k):
    """logits (N, E), closed (E,) bool -> weights (N, k), indices (N, k); no token reaches a closed expert, no weight is lost."""
    raise NotImplementedError("your code here")

# %%
check("09-1", closed_gate)

# %% [markdown]
# <details>
# <summary>A solution of 09-1</summary>
#
# ```python
# def closed_gate(logits, closed, k):
#     """logits (N, E), closed (E,) bool -> weights (N, k), indices (N, k); no token reaches a closed expert, no weight is lost."""
#     open_logits = logits.masked_fill(closed, float("-inf"))  # (N, E)
#     return open_logits.softmax(dim=-1).topk(k, dim=-1)
# ```
#
# </details>
#
# **Exercise 09-2: a bank for those that learn** · practice · difficulty ●●●○○ (3 of 5) · about 20 minutes · 3 points · needs indexing, clone, leaves
#
# Open a bank for a stack of weights, with the table that says where each expert stands in it.
#
# <details><summary>Hint 1, a question</summary>
#
# If expert 4 stands second in the bank, what is `place[4]`, and what is `place[0]`, if expert 0 is not in it?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Sort the numbers first; then bank and places have one order. Indexing with a list copies, slicing does not.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Detach, index, clone, `requires_grad_()`; places full of -1, and at the sorted numbers 0, 1, 2 and so on.
#
# </details>
# </details>
# </details>

# %%
# Exercise 09-2: your code
def open_bank(weights, learning):
    """weights (E, ...), numbers of the experts that learn -> their own copy (n, ...) that wants gradients, and place (E,), -1 elsewhere."""
    raise NotImplementedError("your code here")

# %%
check("09-2", open_bank)

# %% [markdown]
# <details>
# <summary>A solution of 09-2</summary>
#
# ```python
# def open_bank(weights, learning):
#     """weights (E, ...), numbers of the experts that learn -> their own copy (n, ...) that wants gradients, and place (E,), -1 elsewhere."""
#     numbers = sorted(learning)
#     bank = weights.detach()[numbers].clone().requires_grad_()  # (n, ...)
#     place = torch.full((len(weights),), -1)  # (E,)
#     place[numbers] = torch.arange(len(numbers))
#     return bank, place
# ```
#
# </details>
#
# **Exercise 09-3: what really moved** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs torch.equal, dict
#
# Write the proof itself: which tensors moved, and in which rows.
#
# <details><summary>Hint 1, a question</summary>
#
# Two weights move by the same amount in opposite directions. What does the sum of the row say?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.equal(a, b)` is True only if every element is the same.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each name: the rows whose tensors are not equal; keep the name only if there are any.
#
# </details>
# </details>
# </details>

# %%
# Exercise 09-3: your code
def what_moved(before, after):
    """Two dicts of tensors by name -> dict from the names that moved to the list of rows (first axis) in which they did."""
    raise NotImplementedError("your code here")

# %%
check("09-3", what_moved)

# %% [markdown]
# <details>
# <summary>A solution of 09-3</summary>
#
# ```python
# def what_moved(before, after):
#     """Two dicts of tensors by name -> dict from the names that moved to the list of rows (first axis) in which they did."""
#     moved = {}
#     for name in before:
#         rows = [row for row in range(len(before[name])) if not torch.equal(before[name][row], after[name][row])]
#         if rows:
#             moved[name] = rows
#     return moved
# ```
#
# </details>
#
# **Exercise 09-4: put them back** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs optimizers
#
# There is a third way to freeze that is safe: let the optimizer do what it likes and put the frozen rows back after each step.
#
# <details><summary>Hint 1, a question</summary>
#
# When must the copy be made, and why must it be a copy?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Writing into a parameter needs `with torch.no_grad():`.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Clone the frozen rows, step, write them back into the same tensor.
#
# </details>
# </details>
# </details>

# %%
# Exercise 09-4: your code
def step_and_restore(optimizer, weight, frozen):
    """Take one step of the optimizer, then put the rows `frozen` of `weight` (E, ...) back, byte for byte, in place."""
    raise NotImplementedError("your code here")

# %%
check("09-4", step_and_restore)

# %% [markdown]
# <details>
# <summary>A solution of 09-4</summary>
#
# ```python
# def step_and_restore(optimizer, weight, frozen):
#     """Take one step of the optimizer, then put the rows `frozen` of `weight` (E, ...) back, byte for byte, in place."""
#     kept = weight.detach()[frozen].clone()
#     optimizer.step()
#     with torch.no_grad():
#         weight[frozen] = kept
# ```
#
# </details>
#
# ## What this run has shown

# %%
first, second = moved_rows(states["1"], states["2.1"]), moved_rows(states["2.1"], states["2.2"])
print(f"- Stage 2.1 moved {len(first)} tensors and stage 2.2 {len(second)}, of the experts exactly the chosen ones;")
print("  every other tensor is equal in every byte.")
print(f"- Text loss: {started:.3f} before, {opened:.3f} after stage 2.1 with all experts open, {shut:.2f} with the text")
print(f"  experts closed, {repaired:.3f} after stage 2.2.")
behind, opened_up = (wrong[f"after stage 2.1, {doors} open"] for doors in ("only audio experts", "all experts"))
print(f"- After stage 2.1 the shipped model said lists with {behind:.0%} word errors behind its doors, {opened_up:.0%} with all open.")
print(f"- A token's gate weights sum to {rows_at_21[0]:.2f} when masked before the softmax, {rows_at_21[1]:.2f} after it.")
print(f"- A gradient mask let frozen weights drift by {drifts['mask, optimizer goes on'][-1]:.3f} through momentum")
print(f"  and {drifts['mask, new optimizer, decay'][-1]:.3f} through decay; the bank by {drifts['bank'][-1]:.0f}.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): single-modality training of the experts; its published code masks logits before the
#   softmax.
# - Loshchilov and Hutter (2019), [Decoupled Weight Decay Regularization](https://arxiv.org/abs/1711.05101): AdamW, and decay
#   that asks no gradient.
# - Kingma and Ba (2015), [Adam](https://arxiv.org/abs/1412.6980): the running means that go on moving.
#
# Next: [chapter 10, together](10_together.ipynb).

# %%
chapter.footer()
