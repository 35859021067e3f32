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
# # Together
#
# You will open all doors, train speech and text at once, and then see who forgets what: the recipe and every rival, stage by
# stage, with intervals over seeds.
#
# ![Three boxes of experts. In stage 2.1 the text experts are shut and speech alone enters; in stage 2.2 the audio experts are shut and text alone enters; in stage 3 all doors are open and speech and text reach every expert. Below, two curves of text kept: skills that the joint text repeats stay high, written questions of skills that are asked aloud fall in stage 3.](../book/_static/10-together.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/10_together.ipynb)

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
chapter = open_chapter("10_together")  # mode="full" trains stage 3 longer and asks more questions

# %% [markdown]
# **After this chapter you can**
#
# 1. say what stage 3 trains, on what, and why its routing is open;
# 2. write the joint loss and the joint stage, and prove them equal to the library's, weight by weight;
# 3. read a forgetting curve: of covered and of uncovered skills, corrected for guessing, with its interval;
# 4. name the three places where text is lost, and measure each by putting parts of a model back;
# 5. say how a benchmark can hide forgetting.

# %%
chapter.diagram()

# %% [markdown]
# ## Who forgets what
#
# This is the picture the book has been working towards. Every line is an **arm** of the study: one way to get from a text model to one
# that speaks, with as much speech and as many updates as could be made equal (chapter 14 names the exceptions). Height is the **text kept**: the share of what the text model of stage 0 could do, each
# skill corrected for guessing. *Covered* skills are those whose text is repeated in after-training. No written *question* of an
# *uncovered* one comes back. Two of these, reverse and compare, are still asked aloud, written down and answered; the other five are gone altogether.
# A share below zero means: worse than guessing. A model that no longer answers with one of two candidates does not even guess.
# Each arm runs at the learning rate that its trials spoke for, and at a smaller one most forget less and learn less speech: chapter 14 draws these paths, and
# compares arms where they speak equally well.
#
# The solid line is the recipe. Move the slider to see a rival beside it, with its t interval (`95 %`, over seeds) as a band.
# The thin lines are all others; the table below the figure says in what each differs. A rival without stages 2.1 and 2.2
# trains their updates in one go, so its line has fewer points; our own arm, [`deeptalk-lanes`](../book/lanes.md), has no stage 2.2, and its few updates fall away.

# %%
import numpy as np
import plotly.graph_objects as go
import torch
from torch.nn import functional as F

from minideeptalk.baselines.budgets import REFERENCE
from minideeptalk.baselines.evidence import STAGE_CODES, kept_by_stage, kept_of, kept_over_seeds, kind_of, told
from minideeptalk.baselines.intervals import paired_interval, t_interval
from minideeptalk.baselines.summary import by_arm, committed_records
from minideeptalk.config import size_config
from minideeptalk.teaching import check
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import forgetting_map, rival_curves, routing_heat_map
from minideeptalk.viz.style import BLUE, VERMILLION, finish
from minideeptalk.world import CHANCE, FAMILIES

arms = {arm: runs for arm, runs in by_arm(committed_records()).items() if kind_of(arm) != "ablations"}
seeds = {arm: len(runs) for arm, runs in arms.items()}
print(f"{sum(seeds.values())} runs of {len(arms)} arms; {min(seeds.values())} to {max(seeds.values())} seeds each")


# %%
def curve(runs, group):
    """Points (place of the stage, mean, half-width) of one arm."""
    return [(STAGE_CODES.index(code), interval.mean, interval.half)
            for code, interval in kept_over_seeds(runs, group).items()]


lines = {arm: {group: curve(runs, group) for group in ("covered", "uncovered")} for arm, runs in arms.items()}
first = [arm for arm in (REFERENCE, "puremoe", "sequential") if arm in lines]  # the slider begins with the paper's rival
rival_curves({arm: lines[arm] for arm in dict.fromkeys([*first, *lines])}, REFERENCE, STAGE_CODES)

# %% [markdown]
# Here are the ends of the lines as numbers. Chapter 14 compares the arms in pairs, which is fairer, and sets beside them how well each of them speaks: an
# arm that learns nothing forgets nothing.

# %%
covered = set(size_config("nano").world.covered)
aloud = {name for name, family in FAMILIES.items() if family.spoken} - covered
SKILLS = {"covered": covered, "asked aloud only": aloud, "gone": set(FAMILIES) - covered - aloud, "all skills": set(FAMILIES)}
rows = []
for arm, runs in arms.items():
    ends = [t_interval(list(kept_of(runs, group).values())) for group in SKILLS.values()]
    changes = "the recipe; the others are told against it" if arm == REFERENCE else next(iter(runs.values()))["config"]["arm"]["changes"]
    rows.append((arm, changes, str(len(runs)), *(told(end) for end in ends)))
ears, gone = (kept_of(arms[REFERENCE], SKILLS[name]) for name in ("asked aloud only", "gone"))
print(f"{REFERENCE}, kept of skills asked aloud less kept of those that are gone: {told(paired_interval(ears, gone), signed=True)} points")
Table(("arm", "in what it differs", "seeds", *(f"{name}, %" for name in SKILLS)), rows, "Text kept at the end: mean over seeds and half of the 95 % t interval")

# %% [markdown]
# Look at the two columns in the middle. One might expect that what nobody practises is forgotten. The recipe loses most where it still practises, but by ear: its
# written questions of reverse and compare. Of the skills that are gone it loses little. Call it interference, not disuse. It is not a law: some arms, `sequential` among
# them, are the other way round.
#
# Which skills are they? Each row below is an arm, each column a skill, a star marks the covered ones. Move the slider from stage
# to stage: where does the first dark column appear, and in whose rows? An empty
# row says that this arm has no such stage.

# %%
some = next(iter(arms[REFERENCE].values()))
families, covered = list(some["metrics"]["text_accuracy"]["before"]), some["config"]["world"]["covered"]


def family_means(runs, code):
    """Mean over seeds of what an arm keeps of each family after a stage; empty where it lacks that stage."""
    found = [kept[code]["by_family"] for kept in map(kept_by_stage, runs.values()) if code in kept]
    return {family: float(np.mean([one[family] for one in found if family in one])) for family in families
            if any(family in one for one in found)}


kept = {code: {arm: family_means(runs, code) for arm, runs in arms.items()} for code in STAGE_CODES[1:]}
order = sorted(families, key=lambda family: (family not in covered, kept["3"][REFERENCE].get(family, 0)))
forgetting_map(kept, order, covered)

# %% [markdown]
# ## What stage 3 does
#
# Stages 2.1 and 2.2 had doors: each modality trained alone, among its own experts. But nobody talks like that. A spoken question
# is answered in text and in sound, in the same steps, and at inference the paper's model has no doors: every token may go to
# every expert. So stage 3 trains what inference will do. Three things change at once:
#
# - **the routing is open**: no expert is closed to anybody;
# - **the router learns**, and so do all experts, audio and text;
# - **the batches are mixed**: recognising, answering, speaking, styles, and text of the covered skills.
#
# Attention, norms and the rows of the words still stand. What learns, in numbers of weights:

# %%
from minideeptalk.experts import Selection
from minideeptalk.experts.partition import PARTS, parameters_of
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.teaching.samples import book_record, shipped_run
from minideeptalk.training.stages import EVERYTHING, speech_stages

joint = speech_stages(size_config("nano"))[-1]
model = shipped_stage("2.2-text-experts")
sizes = {part: sum(weight.numel() for weight in parameters_of(model, (part,)).values()) for part in PARTS}
rows = [(part.replace("_", " "), f"{count:,}", "learns" if part in joint.trainable else "stands")
        for part, count in sizes.items() if count]
parts_of_batch = sum(joint.tasks.values())
for task, weight in joint.tasks.items():
    print(f"{task.replace('_', ' '):15} {weight / parts_of_batch:4.0%} of a batch")
Table(("part", "weights", "in stage 3"), rows, f"{joint.updates} updates of {joint.batch} examples, rate {joint.learning_rate:g}")

# %% [markdown]
# ## Build it: the joint loss
#
# A batch of stage 3 holds text answers, spoken answers, transcripts. The loss has one term for the text stream, one for the
# seven codec streams, and one that keeps the routers balanced:
#
# $$\begin{aligned}L &= \underbrace{\mathrm{CE}_{\text{text}}}_{\text{where a word is due}} \\ &\quad {} + \frac{1}{7}\sum_{q=1}^{7}
# \underbrace{\mathrm{CE}_{q}}_{\text{where a code is due}} + \alpha\, L_{\text{balance}}.\end{aligned}$$
#
# Each cross-entropy is a mean over the steps that *have* such a target. A stream without targets is left out, not counted as
# zero. (The paper's published code averages its terms: eight where there is speech; in a batch that holds text alone, the text loss and a zero, which halves it.)

# %%
def my_joint_loss(model, batch, text_weight=1.0):
    """Scalar: text + mean over streams of the audio losses + weighted balance."""
    output = model(**batch.model_inputs(), real=batch.mask)
    hidden = output.hidden  # (B, T, D)
    total = model.config.balance_weight * model.balance_loss(output.routing, batch.mask)
    due = batch.text_target >= 0  # (B, T)
    if due.any():
        words = model.text_logits(hidden[due])  # (n, V)
        total = total + text_weight * F.cross_entropy(words, batch.text_target[due])
    if batch.code_target is not None:
        streams = []
        for q in range(batch.code_target.shape[-1]):
            due = batch.code_target[..., q] >= 0  # (B, T)
            codes = model.audio_logits(hidden[due])[:, q]  # (n, rows)
            streams.append(F.cross_entropy(codes, batch.code_target[..., q][due]))
        total = total + torch.stack(streams).mean()
    return total

# %%
from minideeptalk.training.losses import batch_loss

sampler = chapter_sampler(model, spoken_material(questions=300, replies=300))
model.eval()
for name, tasks in (("mixed", joint.tasks), ("text alone", {"covered_text": 1.0}), ("speech alone", {"speak": 1.0})):
    batch = sampler.batch(tasks, 16, f"loss-{chapter.seed}")
    with torch.no_grad():
        mine, theirs = my_joint_loss(model, batch), batch_loss(model, batch).total
    torch.testing.assert_close(mine, theirs)
    print(f"{name:13} loss {mine:.3f}: equal to the library's")

# %% [markdown]
# ## Build it: the joint stage
#
# The rest is a plain training loop: warm the rate up, let it fall along a cosine, clip the gradient, step. There is no bank and
# no closed door.

# %%
import math


def my_rate(step, stage):
    """Linear warm-up, then a cosine down to a tenth."""
    warm = max(1, round(stage.warmup * stage.updates))
    if step < warm:
        return stage.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, stage.updates - warm)
    return stage.learning_rate * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)


# %%
def my_joint_stage(model, stage, draw, seed):
    """Trains in place."""
    learners = list(parameters_of(model, stage.trainable).values())
    model.requires_grad_(False).train()
    for weight in learners:
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(learners, betas=(0.9, 0.98), weight_decay=stage.weight_decay, fused=True)
    for step in range(stage.updates):
        torch.manual_seed(seed * 1_000_003 + step)  # dropout, the same as the library's
        optimizer.param_groups[0]["lr"] = my_rate(step, stage)
        my_joint_loss(model, draw(step), stage.text_weight).backward()
        torch.nn.utils.clip_grad_norm_(learners, stage.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

# %% [markdown]
# ## The same as the library's?
#
# Two copies of the model after stage 2.2, a very short stage 3 for each, the same batches. Then every weight is compared: first what
# stood still, by bytes, and then what moved, against how far it moved. (The two add up floats in another order, and Adam divides by tiny
# numbers, so the last digits may differ.)

# %%
from dataclasses import replace

from minideeptalk.training.loop import train_stage

short = replace(joint, updates=5)


def draw(step):
    """The batch of an update; it depends on the seed and the number alone."""
    return sampler.batch(joint.tasks, joint.batch, f"{chapter.seed}-3-{step}")


mine, theirs = shipped_stage("2.2-text-experts"), shipped_stage("2.2-text-experts")
my_joint_stage(mine, short, draw, chapter.seed)
train_stage(theirs, short, draw, seed=chapter.seed, show_progress=False)
moved, apart = 0, 0.0
for (name, weight), other, old in zip(mine.named_parameters(), theirs.parameters(), model.parameters()):
    weight, other, old = (tensor.detach() for tensor in (weight, other, old))
    way = (other - old).norm()  # how far the library moved this tensor
    learns = any(mark in name for part in joint.trainable for mark in PARTS[part])
    assert learns if way > 0 else torch.equal(weight, old)
    if way > 0:
        moved, apart = moved + 1, max(apart, float((weight - other).norm() / way))
assert apart < 0.01
print(f"{moved} tensors moved, all of them parts of stage 3; mine ended where the library's did, up to {apart:.4%} of the way")

# %% [markdown]
# ## Build it: text kept
#
# How much text is left? Ask each skill its questions before and after. Some skills are answered by choosing one of two, so half of the
# answers come right by guessing. A drop from all right to half right is then not a loss of half: everything is gone. So each
# accuracy is first corrected for **chance**, then divided by what it was, and the mean is taken over skills. An accuracy below chance gives a
# negative share, so more than all of an ability can be lost.

# %%
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.records import relative_text_drop


def my_text_kept(before, after, names):
    """Mean over families of what is left of the ability above chance."""
    shares = []
    for name in names:
        start, end = ((accuracy[name] - CHANCE[name]) / (1 - CHANCE[name]) for accuracy in (before, after))
        if start >= 0.1:  # what was never learnt cannot be forgotten
            shares.append(end / start)
    return float(np.mean(shares))


accuracies = some["metrics"]["text_accuracy"]
drop = relative_text_drop(accuracies["before"], accuracies["after"], CHANCE, covered)
for group, names in (("all", families), ("covered", covered), ("uncovered", [f for f in families if f not in covered])):
    share = my_text_kept(accuracies["before"], accuracies["after"], names)
    np.testing.assert_allclose(1 - share, drop[group])
    print(f"{group:10} {share:.1%} kept in the first run of {REFERENCE}: equal to the library's")

# %% [markdown]
# ## The three places
#
# Text can be lost in three places.
#
# 1. **The choice of experts.** An expert that is given to speech takes with it what text kept there.
# 2. **The opening of the routing.** When the doors open, text tokens meet audio experts that have changed meanwhile, and a router that
#    learns sends them elsewhere.
# 3. **Drift of what both share**: attention, norms, the shared expert. The recipe freezes them. Some rivals do not.
#
# We have the shipped model after each stage, so we can look at the places one by one. `closed` means: no text token may go to an
# audio expert.

# %%
from contextlib import nullcontext

from minideeptalk.experts import forbid_experts

each = 40 if chapter.quick else 200
selection = Selection.load(shipped_run() / "selection.json")
groups = {"covered": covered, "uncovered": [family for family in families if family not in covered]}


def kept_of(model, closed=None):
    """Text kept of the covered and of the uncovered skills, on validation questions."""
    with forbid_experts(model, closed) if closed else nullcontext():
        after = text_accuracy(model, sampler.builder, "validation", each, seed=chapter.seed)
    return {group: my_text_kept(before, after, names) for group, names in groups.items()}


before = text_accuracy(shipped_stage("0-pretrain"), sampler.builder, "validation", each, seed=chapter.seed)
stages = {code: shipped_stage(name) for code, name in
          (("1", "1-align"), ("2.1", "2.1-audio-experts"), ("2.2", "2.2-text-experts"), ("3", "3-joint"))}
places = {}
for code, at_stage in stages.items():
    places[f"after stage {code}, all open"] = kept_of(at_stage)
    places[f"after stage {code}, audio experts closed"] = kept_of(at_stage, selection.audio_experts)

# %%
figure = go.Figure()
labels = [name.replace(", ", ",<br>") for name in places]
for group, colour, symbol in (("covered", BLUE, "circle"), ("uncovered", VERMILLION, "square-open")):
    figure.add_scatter(y=labels, x=[kept[group] for kept in places.values()], name=group, mode="markers",
                       marker=dict(color=colour, size=12, symbol=symbol, line=dict(width=2)),
                       hovertemplate="%{x:.0%}<extra></extra>")
figure.update_xaxes(title="text kept", tickformat=".0%").update_yaxes(autorange="reversed", type="category")
told_words = "; ".join(f"{name}: {kept['covered']:.0%} of covered, {kept['uncovered']:.0%} of uncovered" for name, kept in places.items())
finish(figure, f"Text kept by the shipped model after each stage, with audio experts open or closed to text. {told_words}.", height=480)

# %%
loss = {group: {
    "the choice of experts, before they have learnt anything else": places["after stage 1, all open"][group]
    - places["after stage 1, audio experts closed"][group],
    "stage 2.1, all open again": places["after stage 1, all open"][group] - places["after stage 2.1, all open"][group],
    "stage 2.2": places["after stage 2.1, all open"][group] - places["after stage 2.2, all open"][group],
    "stage 3": places["after stage 2.2, all open"][group] - places["after stage 3, all open"][group]}
    for group in groups}
rows = [(where, *(f"{100 * loss[group][where]:+.1f}" for group in groups)) for where in loss["covered"]]
for group in groups:
    chapter.measure(f"text kept after stage 2.2, {group}", places["after stage 2.2, all open"][group], grain=0.02)
    chapter.measure(f"text kept after stage 3, {group}", places["after stage 3, all open"][group], grain=0.02)
Table(("what happened", "lost of covered, points", "lost of uncovered, points"), rows, "The shipped run; a minus is a gain")

# %% [markdown]
# The first row is what the choice would cost if the audio experts were lost to text altogether. In stage 2.1 they are not: the
# text loss of that stage counts what is left once the doors are open again. Compare the last two rows: is the larger loss where a
# modality learns alone, or where all learn together?
#
# ## Put it back
#
# Stage 3 moves three things that text passes: audio experts, text experts and the router. Which of the changes costs text? A model is a
# dictionary of tensors, so there is a simple experiment: take the model after stage 3, and put **one** part back to what it was
# after stage 1. If text recovers, the loss was there.

# %%
def rows_of(part):
    """Names of tensors and their rows, for one of the three parts."""
    found = {}
    for name, weight in stages["3"].named_parameters():
        if part == "router" and ".router." in name:
            found[name] = list(range(len(weight)))
        if part != "router" and any(mark in name for mark in PARTS["experts"]):
            layer = int(name.split(".")[1]) - 1
            found[name] = list(selection.audio_experts[layer] if part == "audio experts" else selection.text_experts(layer))
    return found


# %%
def put_back(after, before, rows):
    """A new state: `after`, with some rows as they were `before`."""
    mixed = {name: tensor.clone() for name, tensor in after.items()}
    for name, numbers in rows.items():
        mixed[name][numbers] = before[name][numbers]
    return mixed


late, early = (stages[code].state_dict() for code in ("3", "1"))
patient = shipped_stage("3-joint")
restored = {"nothing": kept_of(patient)}
for part in ("router", "audio experts", "text experts"):
    patient.load_state_dict(put_back(late, early, rows_of(part)))
    restored[part] = kept_of(patient)
everything = {name: list(range(len(late[name]))) for part in list(restored)[1:] for name in rows_of(part)}
patient.load_state_dict(put_back(late, early, everything))
restored["all three"] = kept_of(patient)
still_new = {name for name, weight in patient.state_dict().items() if not torch.equal(weight, early[name])}
assert all(any(mark in name for part in ("adapter", "audio_embedding", "audio_heads") for mark in PARTS[part]) for name in still_new)

# %%
rows = [(part, *(f"{restored[part][group]:.1%}" for group in groups)) for part in restored]
dearest = max(("router", "audio experts", "text experts"), key=lambda part: restored[part]["uncovered"])
gain = restored[dearest]["uncovered"] - restored["nothing"]["uncovered"]
print(f"Of the three, putting back the {dearest} does most for uncovered skills: {100 * gain:+.1f} points.")
assert places["after stage 3, audio experts closed"]["uncovered"] > places["after stage 3, all open"]["uncovered"], "the text below says so"
assert np.isclose(restored["all three"]["uncovered"], places["after stage 1, all open"]["uncovered"])
Table(("put back to stage 1", "covered kept", "uncovered kept"), rows, "The shipped model after stage 3, one part at a time")

# %% [markdown]
# With all three put back, the model answers as it did after stage 1, and what still differs from then are the parts that text never
# passes: adapter, codec rows and heads. The assertions in the cells say so.
#
# Compare the rows of the router and of the audio experts. Where each of them alone gives back nearly all, the loss needs *both*: text
# that is sent to the audio experts, and audio experts that are no longer what they were. Which of the two comes out ahead may then
# change with the questions asked.
#
# ## Where the tokens go
#
# The other side of the same story: the routers. Each row is a layer, each column an expert, white dots mark the audio experts, the
# upper map is for text tokens and the lower one for audio tokens. Move the slider over the stages, and watch the columns with dots
# when you arrive at stage 3.

# %%
shipped = book_record()
routing_heat_map(shipped)

# %%
ringed = {row["layer"]: row["experts"] for row in shipped["selection"]["audio_experts"]}


def to_audio_experts(record, stage, modality):
    """Share of a modality's choices that go to audio experts, mean over layers."""
    rows = [row for row in record["loads"] if (row["stage"], row["modality"]) == (stage, modality)]
    return float(np.mean([sum(row["load"][expert] for expert in ringed[row["layer"]]) / sum(row["load"]) for row in rows]))


share = {code: [to_audio_experts(shipped, code, modality) for modality in ("text", "audio")] for code in STAGE_CODES}
rows = [(f"after stage {code}", *(f"{value:.0%}" for value in values)) for code, values in share.items()]
print(f"Text sent {share['2.2'][0]:.0%} of its choices to audio experts before stage 3, and {share['3'][0]:.0%} after it.")
Table(("when", "text tokens", "audio tokens"), rows, f"Share of choices that go to the {len(ringed[1])} audio experts of a layer")

# %% [markdown]
# Read the last two rows. Where text and audio go to the same experts after stage 3, the partition of chapters 08 and 09 is undone:
# experts that were set apart for speech now work for both. (Text tokens are here those of covered text and the words beside speech.) But what the text experts
# knew is still there: in the figure of the places, close the audio experts to text once more after stage 3, and uncovered skills come back. So text has not
# forgotten the skills, it is sent past them. Nothing in an open stage 3 holds the partition, neither here nor in the paper's code. Rivals that do hold it, token by
# token, are in the first figure: `deeptalk-lanes`, `hard-routing` and `deeptalk-by-token`. The last two are not surely better than the recipe for it.
#
# ## Run it small
#
# Now train. From the shipped model after stage 2.2, twice, with the same batches: once the recipe's stage 3, once a stage 3 in
# which **everything** learns, attention and norms too, as in `puremoe` and `sequential`. It is short, so expect the beginning of what the full
# stage does, not its end.

# %%
from minideeptalk.training.health import router_health

updates = 60 if chapter.quick else joint.updates
probes = [sampler.batch({"speak": 1.0}, 32, f"speech-{chapter.seed}"), sampler.batch({"covered_text": 1.0}, 32, f"text-{chapter.seed}")]
fresh = chapter_sampler(model, spoken_material(60, 60, "test"), "test")
unheard = fresh.batch({"recognise": 1.0, "speak": 2.0}, 64, "unheard")


def judged(model):
    """Text kept by group, audio loss on speech that was never trained, and health of the routers."""
    with torch.no_grad():
        audio = batch_loss(model.eval(), unheard, balance=False).audio.mean().item()
    return kept_of(model) | {"audio": audio, "health": router_health(model, probes)}


trained, seen = {}, {"before": judged(model)}
for name, parts in (("the recipe's stage 3", joint.trainable), ("everything learns", EVERYTHING)):
    trained[name] = shipped_stage("2.2-text-experts")
    stage = replace(joint, updates=updates, trainable=parts)
    train_stage(trained[name], stage, draw, seed=chapter.seed, show_progress=False)
    seen[name] = judged(trained[name])

# %%
rows = [(name, f"{one['covered']:.1%}", f"{one['uncovered']:.1%}", f"{one['audio']:.3f}", f"{one['health'].gradient.mean():.2f}",
         f"{one['health'].entropy.mean():.2f}", f"{one['health'].specialisation.mean():.3f}") for name, one in seen.items()]
for name in list(seen)[1:]:
    chapter.measure(f"uncovered text kept, {name}", seen[name]["uncovered"], grain=0.02)
    chapter.measure(f"audio loss, {name}", seen[name]["audio"])
assert all(one["audio"] < seen["before"]["audio"] + 0.1 for one in seen.values())
Table(("model", "covered kept", "uncovered kept", "audio loss, nats", "gradient of the router", "entropy, bits", "specialisation, bits"), rows,
      f"After {updates} updates of stage 3, from the same start")

# %% [markdown]
# And the third place, drift of the shared parts? In the second run they moved. Put them back, one at a time, and see whose
# change it was.

# %%
model_now = trained["everything learns"]
now, then = model_now.state_dict(), model.state_dict()
drift, healed = {}, {"nothing": seen["everything learns"]}
for part in ("attention", "experts", "shared", "dense", "norms", "text_embedding", "router"):
    names = [name for name in parameters_of(model, (part,))]
    change = sum((now[name] - then[name]).square().sum() for name in names)
    drift[part] = float((change / sum(then[name].square().sum() for name in names)).sqrt())
    rows_back = {name: list(range(len(now[name]))) for name in names}
    patient.load_state_dict(put_back(now, then, rows_back))
    healed[part] = kept_of(patient)
rows = [(part.replace("_", " "), f"{drift[part]:.1%}" if part in drift else "", f"{one['covered']:.1%}", f"{one['uncovered']:.1%}")
        for part, one in healed.items()]
furthest, dearest_part = max(drift, key=drift.get), max(drift, key=lambda part: healed[part]["uncovered"])
print(f"Furthest moved: {furthest.replace('_', ' ')}. Put back alone, {dearest_part.replace('_', ' ')} gives uncovered skills most.")
Table(("put back", "had moved by", "covered kept", "uncovered kept"), rows, "The run in which everything learns")

# %% [markdown]
# How far a part has moved need not tell what its movement costs: the line above names both. And the parts are not additive, since they
# have learnt to work with each other. A part put back alone may even do harm.
#
# ## What goes wrong: a benchmark that cannot see
#
# Everybody measures forgetting somehow. Here is the same loss, of the same runs, measured in four ways. The first two are what you
# would report if your text benchmark held the skills that your after-training repeats, or if you forgot that some questions
# can be guessed.

# %%
def measured_in_four_ways(runs):
    """Share of text ability lost, the mean over seeds, by four benchmarks."""
    found = []
    for record in runs.values():
        text = record["metrics"]["text_accuracy"]
        raw = {name: 1 - text["after"][name] / text["before"][name] for name in families}
        found.append([np.mean([raw[name] for name in covered]), np.mean(list(raw.values())),
                      record["metrics"]["relative_text_drop"]["all"], record["metrics"]["relative_text_drop"]["uncovered"]])
    return np.mean(found, axis=0)


ways = ("covered skills, guessing counts", "all skills, guessing counts", "all skills, corrected", "uncovered skills, corrected")
table = {arm: measured_in_four_ways(runs) for arm, runs in arms.items()}
hidden = max(table, key=lambda arm: table[arm][3] - table[arm][0])
print(f"The widest gap: {hidden} would report {table[hidden][0]:.1%} lost by the first, and has lost {table[hidden][3]:.1%} by the last.")
Table(("arm", *ways), [(arm, *(f"{value:.1%}" for value in values)) for arm, values in table.items()], "Text lost, by four benchmarks")

# %% [markdown]
# So ask of every claim about forgetting: on which skills, were they in the training mixture, and what would guessing have scored?
# The paper measures on public benchmarks, whose like may well be in its after-training text. Nobody outside can tell.
#
# ## Try it live
#
# In Jupyter or Colab: choose a stage, type words to say and a question of an uncovered skill, and read and hear what becomes of it as
# the stages go by. The figure of the three places is its twin on this page.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer_stages import StageExplorer

item = FAMILIES["reverse"].items("test", 1, seed=chapter.seed)[0]
StageExplorer(question=" ".join(item.question)).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 10-1: one loss for both** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs means, None
#
# Write the loss of a joint batch, of which some parts may be missing.
#
# <details><summary>Hint 1, a question</summary>
#
# If a batch has no speech at all, what should its loss be?
#
# <details><summary>Hint 2, a nudge</summary>
#
# The seven streams are first averaged among themselves; then speech as a whole is added to text.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Begin with `weight * balance`; add the text if there is one; add the mean of the audio if there is one.
#
# </details>
# </details>
# </details>

# %%
# Exercise 10-1: your code
def joint_loss(text, audio, balance, weight):
    """text () or None, audio (Q,) or None, balance (), its weight -> text + mean of audio + weighted balance, without what is None."""
    raise NotImplementedError("your code here")

# %%
check("10-1", joint_loss)

# %% [markdown]
# <details>
# <summary>A solution of 10-1</summary>
#
# ```python
# def joint_loss(text, audio, balance, weight):
#     """text () or None, audio (Q,) or None, balance (), its weight -> text + mean of audio + weighted balance, without what is None."""
#     total = weight * balance
#     if text is not None:
#         total = total + text
#     if audio is not None:
#         total = total + audio.mean()
#     return total
# ```
#
# </details>
#
# **Exercise 10-2: text kept** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs dicts, means
#
# From accuracies before and after to the one number that the claim rests on.
#
# <details><summary>Hint 1, a question</summary>
#
# An accuracy of one half, where guessing gives one half: how much ability is that?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Corrected: `(accuracy - chance) / (1 - chance)`. It is 0 for guessing and 1 for all right.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each family: correct both; skip it if the first is below 0.1; keep the ratio. Then the mean of the ratios.
#
# </details>
# </details>
# </details>

# %%
# Exercise 10-2: your code
def text_kept(before, after, chance):
    """Accuracies by family -> mean over families of after / before, each corrected for chance; families below 0.1 before are left out."""
    raise NotImplementedError("your code here")

# %%
check("10-2", text_kept)

# %% [markdown]
# <details>
# <summary>A solution of 10-2</summary>
#
# ```python
# def text_kept(before, after, chance):
#     """Accuracies by family -> mean over families of after / before, each corrected for chance; families below 0.1 before are left out."""
#     kept = []
#     for family in before:
#         start = (before[family] - chance[family]) / (1 - chance[family])
#         end = (after[family] - chance[family]) / (1 - chance[family])
#         if start >= 0.1:
#             kept.append(end / start)
#     return sum(kept) / len(kept)
# ```
#
# </details>
#
# **Exercise 10-3: a curve from a record** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs dicts of dicts
#
# A record holds its curves as rows: name, stage, step, value. Make the points of a forgetting curve from them.
#
# <details><summary>Hint 1, a question</summary>
#
# Which rows of a record belong to text accuracy, and which of those to the families that were asked for?
#
# <details><summary>Hint 2, a nudge</summary>
#
# The names are `text_accuracy/add` and so on; there are rows named `loss` too.
#
# <details><summary>Hint 3, almost the code</summary>
#
# A dict of dicts, stage then family, in which a later step overwrites an earlier one; then the mean of each stage.
#
# </details>
# </details>
# </details>

# %%
# Exercise 10-3: your code
def forgetting_points(rows, families):
    """Rows {name, stage, step, value} -> dict from stage to the mean accuracy of these families at its last step, in order."""
    raise NotImplementedError("your code here")

# %%
check("10-3", forgetting_points)

# %% [markdown]
# <details>
# <summary>A solution of 10-3</summary>
#
# ```python
# def forgetting_points(rows, families):
#     """Rows {name, stage, step, value} -> dict from stage to the mean accuracy of these families at its last step, in order."""
#     last = {}
#     for row in rows:
#         family = row["name"].removeprefix("text_accuracy/")
#         if row["name"].startswith("text_accuracy/") and family in families:
#             stage = last.setdefault(row["stage"], {})
#             if row["step"] >= stage.get(family, (-1, 0.0))[0]:
#                 stage[family] = (row["step"], row["value"])
#     return {stage: sum(value for _, value in values.values()) / len(values) for stage, values in last.items()}
# ```
#
# </details>
#
# **Exercise 10-4: put a part back** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs indexing, clone
#
# The experiment of this chapter as a function: put some rows of a model back, and harm neither of its states.
#
# <details><summary>Hint 1, a question</summary>
#
# If you write into a tensor of the model after training, what will the next experiment start from?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `tensor.clone()` has storage of its own; `mixed[name][numbers] = ...` writes rows.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Clone every tensor of `after` into a new dict; for each name in `rows`, write those rows of `before`.
#
# </details>
# </details>
# </details>

# %%
# Exercise 10-4: your code
def put_back(after, before, rows):
    """Two dicts of tensors by name, and rows by name -> a new dict: `after`, but with these rows as they were `before`."""
    raise NotImplementedError("your code here")

# %%
check("10-4", put_back)

# %% [markdown]
# <details>
# <summary>A solution of 10-4</summary>
#
# ```python
# def put_back(after, before, rows):
#     """Two dicts of tensors by name, and rows by name -> a new dict: `after`, but with these rows as they were `before`."""
#     mixed = {name: tensor.clone() for name, tensor in after.items()}
#     for name, numbers in rows.items():
#         mixed[name][numbers] = before[name][numbers]
#     return mixed
# ```
#
# </details>
#
# ## What this run has shown

# %%
ends = {arm: list(kept_over_seeds(runs, "uncovered").values())[-1] for arm, runs in arms.items()}
best, worst = (pick(ends, key=lambda arm: ends[arm].mean) for pick in (max, min))
print(f"- {len(arms)} arms and {sum(seeds.values())} runs; of uncovered skills {REFERENCE} keeps {told(ends[REFERENCE])} %,")
print(f"  the most is kept by {best} ({told(ends[best])} %), the least by {worst} ({told(ends[worst])} %).")
print("- The joint loss and the joint stage by hand equal the library's in every tensor.")
for where in list(loss["uncovered"])[1:]:
    print(f"- Uncovered skills in the shipped run, {where}: {0 - 100 * loss['uncovered'][where]:+.1f} points.")
alone = (f"{part} {100 * (restored[part]['uncovered'] - restored['nothing']['uncovered']):+.1f}" for part in ("router", "audio experts", "text experts"))
print(f"- Of what stage 3 moved, put back alone, for uncovered skills: {', '.join(alone)} points.")
print(f"- A benchmark of covered skills would have reported {table[hidden][0]:.1%} lost of {hidden}, where {table[hidden][3]:.1%} is.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): the joint stage, and a relative drop of the text benchmarks of 5.5 %.
# - McCloskey and Cohen (1989), [Catastrophic Interference in Connectionist Networks](https://doi.org/10.1016/S0079-7421(08)60536-8):
#   where forgetting in networks was first described.
# - Kirkpatrick et al. (2017), [Overcoming catastrophic forgetting in neural networks](https://arxiv.org/abs/1612.00796): weights that
#   matter to old tasks, and what it costs to hold them.
# - Wortsman et al. (2022), [Robust fine-tuning of zero-shot models](https://arxiv.org/abs/2109.01903): models mixed with what they were.
#
# Next: [chapter 11, better sounding by preference](11_preference.ipynb).

# %%
chapter.footer()
