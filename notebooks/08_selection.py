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
# # Choosing the speakers
#
# You will choose the experts that learn to speak, by the paper's rule and by six rivals, and then find out what the rule does
# not know: a busy expert need not be an important one.
#
# ![Experts as points, text load to the right and audio load upwards. A curved dashed line, audio load times one minus text load, separates three squares with much sound and little text, which will speak, from nine circles that stay with text. A point with much sound and much text stays with text.](../book/_static/08-selection.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/08_selection.ipynb)

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
chapter = open_chapter("08_selection")  # mode="full" measures on more text and trains longer

# %% [markdown]
# **After this chapter you can**
#
# 1. compute the paper's selection score from loads, and name six other formulas;
# 2. say why the divisor of a load, of which the paper is silent, decides what the formula does;
# 3. measure what an expert is worth by closing it, and say how much, or how little, its load tells about that;
# 4. compare formulas by what they take from text and what they hold of sound, with random draws as the control;
# 5. say what happens when there are no more audio experts than a token needs.

# %%
chapter.diagram()

# %% [markdown]
# ## The rule
#
# Chapter 07 left us with two loads for every expert $e$ of every layer: $\rho^A_e$, how busy sound keeps it, and $\rho^T_e$,
# how busy text does. Some experts are about to be given away. They will learn to speak, and what text kept in them is at risk.
# So give away those with much sound and little text. The paper's **selection score** says it in one product,
#
# $$s_e = \rho^A_e \,(1 - \rho^T_e),$$
#
# and the experts with the largest $s_e$ of each layer become its **audio experts**. All others stay **text experts**.
#
# We record the loads of the shipped miniature after stage 1, as in chapter 07.

# %%
import numpy as np
import plotly.graph_objects as go
import torch
from torch.nn import functional as F

from minideeptalk.experts import FORMULAS, NORMALISERS, LoadRecorder, Modality, forbid_experts, select_audio_experts
from minideeptalk.teaching import check
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.selection import SelectionExplorer
from minideeptalk.viz.style import BLUE, GREEN, MARKERS, PURPLE, VERMILLION, finish

spoken = spoken_material(questions=300, replies=200)
model = shipped_stage("1-align")
sampler = chapter_sampler(model, spoken)
SOUND = {"recognise": 1.0, "answer_aloud": 1.0, "speak": 1.0}

# %%
written = 0  # steps of the text batches
with LoadRecorder(model) as recorder, torch.no_grad():
    for number in range(8):
        for tasks in (SOUND, {"covered_text": 1.0}):
            batch = sampler.batch(tasks, 64, f"profile-{chapter.seed}-{number}")
            written += 0 if tasks is SOUND else int((batch.modality >= 0).sum())
            recorder.modality(batch.modality)
            model(**batch.model_inputs())
loads = recorder.loads()
print(f"{1 - written / loads.tokens[[Modality.TEXT_PROMPT, Modality.TEXT_ANSWER], 0].sum():.0%} of the text steps stand in speech batches")

# %% [markdown]
# Every point below is an expert. Squares are chosen. The dashed line is the formula's border: above and to the left of it an
# expert is given to speech (with *worst first*, below and to the right; *random* and *by index* have no border). Choose the layer, the formula, the normaliser (more about it soon) and the number of audio experts.
# Which expert is busiest with sound, and is it chosen?

# %%
SelectionExplorer(loads, count=4, seed=chapter.seed)

# %% [markdown]
# ## Build it: the normaliser
#
# A recorder gives counts. To become a *load*, a count has to be divided by something, and the paper does not say by what. There
# are three natural divisors:
#
# - **share**: all choices of the layer. Loads sum to 1.
# - **fraction**: all tokens. A load is the fraction of tokens that came to this expert; loads sum to $K.$
# - **max**: the count of the layer's busiest expert, whose load is then 1.

# %%
def my_load(counts, tokens, normaliser):
    """counts (L, E), tokens (L,) -> loads (L, E)."""
    divisors = {"share": counts.sum(axis=1), "fraction": tokens, "max": counts.max(axis=1)}  # (L,) each
    return counts / divisors[normaliser][:, None]


def both_loads(normaliser):
    """Loads (L, E) of sound and of text; rows of the counts: text prompt, audio prompt, text, spoken answer."""
    rows = {"audio": [1, 3], "text": [0, 2]}
    return [my_load(loads.counts[kinds].sum(axis=0), loads.tokens[kinds].sum(axis=0), normaliser)
            for kinds in rows.values()]


for normaliser in NORMALISERS:
    audio, text = both_loads(normaliser)
    np.testing.assert_allclose([audio, text], loads.share(normaliser))
    print(f"{normaliser:9} text loads of layer 1 sum to {text[0].sum():5.2f}, the largest is {text[0].max():.2f}")

# %% [markdown]
# ## Build it: seven formulas
#
# The product is one way to say *much sound and little text*. A reviewer of the paper asked: why this one? So here are its
# rivals. Three more use the loads. Three are controls: the product upside down, blind chance, and the last experts by number,
# as a later paper, MoST, splits its experts.

# %%
def my_scores(formula, audio, text, seed=0):
    """Loads (L, E) of sound and text -> scores (L, E); the largest are chosen."""
    if formula == "random":
        return np.random.default_rng(seed).random(audio.shape)
    if formula == "by_index":
        return np.tile(np.arange(audio.shape[1], dtype=float), (len(audio), 1))
    return {"product": audio * (1 - text), "difference": audio - text, "ratio": audio / (text + 1e-9),
            "audio_only": audio, "worst_first": -audio * (1 - text)}[formula]


def my_choice(scores, count):
    """Per layer the `count` experts with the largest scores; of equal scores the lower index wins."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]  # (L, count)
    return tuple(tuple(sorted(layer)) for layer in order.tolist())


rows = []
audio, text = both_loads("max")
score = my_scores("product", audio, text)[0]
for expert in np.argsort(-score)[:6]:
    rows.append((f"expert {expert}", f"{audio[0, expert]:.2f}", f"{text[0, expert]:.2f}", f"{score[expert]:.2f}"))
Table(("layer 1", "audio load", "text load", "score"), rows, "The first six by the paper's rule, normaliser max")

# %% [markdown]
# ## The same as the library's?

# %%
compared = 0
for normaliser in NORMALISERS:
    audio, text = both_loads(normaliser)
    for formula in FORMULAS:
        for count in range(1, loads.num_experts):
            theirs = select_audio_experts(loads, count, formula, normaliser, seed=chapter.seed)
            assert my_choice(my_scores(formula, audio, text, chapter.seed), count) == theirs.audio_experts
            compared += 1
print(f"{compared} selections, {len(FORMULAS)} formulas with {len(NORMALISERS)} normalisers: equal to the library's")

# %% [markdown]
# ## Why the normaliser matters
#
# Take *share* and many experts. A text load is then about $1/E$, so $1 - \rho^T$ is nearly 1 for everybody, and the product
# chooses as if text did not exist. With *max*, the expert that text visits most has $1 - \rho^T = 0$ and is safe, however much
# sound it gets. The formula is the same; the rule is not.
#
# How many choices of the product are also choices of *audio only*? We ask our own loads, and, at the paper's size, invented
# ones: `200` layers of `64` experts with random loads.

# %%
def shared_choices(audio, text, count):
    """Share of the product's choices that audio load alone would have made too."""
    mine = my_choice(my_scores("product", audio, text), count)
    theirs = my_choice(audio, count)
    return np.mean([len(set(a) & set(b)) / count for a, b in zip(mine, theirs)])


rng = np.random.default_rng(chapter.seed)
invented = rng.exponential(size=(2, 200, 64))  # (2, L, E) loads of sound and of text
tables = {"this miniature": {}, "64 experts, invented": {}}
for normaliser in NORMALISERS:
    tables["this miniature"][normaliser] = both_loads(normaliser)
    tokens = invented.sum(axis=2) / 6  # six choices a token
    tables["64 experts, invented"][normaliser] = [my_load(counts, total, normaliser)
                                                  for counts, total in zip(invented, tokens)]

# %%
counts = {"this miniature": [2, 3, 4, 6, 8, 10], "64 experts, invented": [6, 12, 18, 24, 32, 40]}
looks = dict(zip(NORMALISERS, ((BLUE, "solid"), (VERMILLION, "dash"), (GREEN, "dot"))))
figure, choices = go.Figure(), []
for world, by_normaliser in tables.items():
    ys = [[shared_choices(*by_normaliser[name], count) for count in counts[world]] for name in NORMALISERS]
    xs = [[count / (16 if world == "this miniature" else 64) for count in counts[world]]] * len(NORMALISERS)
    choices.append(dict(label=world, method="restyle", args=[{"x": xs, "y": ys}]))
for number, name in enumerate(NORMALISERS):
    x, y = (choices[0]["args"][0][axis][number] for axis in "xy")
    figure.add_scatter(x=x, y=y, name=name, mode="lines+markers", line=dict(color=looks[name][0], dash=looks[name][1]))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="loads of "), pad=dict(t=70))
figure.update_layout(sliders=[slider])
figure.update_xaxes(title="share of experts given to speech", tickformat=".0%")
figure.update_yaxes(title="same as by audio load alone", tickformat=".0%", range=[0, 1.05])
six = {name: shared_choices(*tables["64 experts, invented"][name], 6) for name in NORMALISERS}
told = ", ".join(f"{value:.0%} with {name}" for name, value in six.items())
finish(figure, "Curves of how many choices of the product audio load alone would also make, against the share of "
               f"experts chosen, for three normalisers. For 6 of 64 invented experts: {told}.", height=400)

# %%
for name, value in six.items():
    print(f"6 of 64 experts, {name:8}: {6 * value:.1f} of 6 are those that audio load alone would choose")
    chapter.measure(f"choices shared with audio only, {name}", value)
assert six["share"] > six["fraction"] > six["max"]

# %% [markdown]
# So our default is *max*: it is the one under which the text term does what it is there for. What the paper took is not known.
#
# ## Build it: importance
#
# Now the deeper question. The rule assumes that an expert which text seldom visits is an expert that text does not need. Is it
# so? We can measure it: **close** one expert, so that the router sends its tokens to the next best, and see how much the text
# loss rises. That rise is the expert's **importance**. It is measured on all ten skills, on questions that training never saw.

# %%
from minideeptalk.config import size_config
from minideeptalk.tasks import collate
from minideeptalk.world import FAMILIES

each = 12 if chapter.quick else 60
items = [item for family in FAMILIES.values() for item in family.items("validation", each, seed=chapter.seed)]
skill = np.array([name for name in FAMILIES for _ in range(each)])
covered = np.isin(skill, size_config("nano").world.covered)
exam = collate([sampler.builder.chat(item.question, item.answer) for item in items], sampler.builder.silence)


@torch.no_grad()
def item_losses(model):
    """(N,) mean loss of the words of each answer, in nats."""
    hidden = model(**exam.model_inputs()).hidden  # (N, T, D)
    wanted = exam.text_target >= 0  # (N, T)
    losses = F.cross_entropy(model.text_logits(hidden[wanted]), exam.text_target[wanted], reduction="none")
    sums = torch.zeros(len(wanted)).index_add(0, wanted.nonzero()[:, 0], losses)  # (N,)
    return (sums / wanted.sum(dim=1)).numpy()

# %%
def my_importance(model):
    """Rise (L, E, N) of the loss of each item when one expert is closed."""
    base = item_losses(model)
    rise = np.zeros((loads.num_layers, loads.num_experts, len(items)))
    for layer in range(loads.num_layers):
        for expert in range(loads.num_experts):
            with forbid_experts(model, {layer: [expert]}):
                rise[layer, expert] = item_losses(model) - base
    return base, rise


base, rise = my_importance(model)
print(f"text loss with everybody open: {base.mean():.3f} nats")
order = np.argsort(-rise.mean(axis=2), axis=None)[:3]
for layer, expert in zip(*np.unravel_index(order, rise.shape[:2])):
    print(f"without expert {expert} of layer {layer + 1}: {rise[layer, expert].mean():+.3f}")

# %% [markdown]
# The library's `measure_importance` does the same for any loss and any mixture of experts. We compare six experts, to save time.

# %%
from minideeptalk.experts import measure_importance

theirs = measure_importance(model, lambda model: float(item_losses(model).mean()), layers=[1], experts=range(6))
np.testing.assert_allclose(theirs.rise[1, :6], rise[1, :6].mean(axis=1), atol=1e-6)
print("layer 2, experts 0 to 5: equal to the library's")

# %% [markdown]
# ## Load is not importance
#
# If the rule's assumption were true, the points below would rise from left to right: much text load, much to lose. Move the
# slider to see it for the skills that the profile has seen (the covered ones), for the others, and for each skill alone.

# %%
text_load = loads.share("max")[1]  # (L, E)
views = {"all skills": np.ones(len(items), dtype=bool), "covered skills": covered, "uncovered skills": ~covered,
         **{name: skill == name for name in FAMILIES}}


def ranks(values):
    """Ranks from 0; equal values share the mean of theirs."""
    flat = np.ravel(values)
    return (flat[None] < flat[:, None]).sum(1) + ((flat[None] == flat[:, None]).sum(1) - 1) / 2


def spearman(first, second):
    return np.corrcoef(ranks(first), ranks(second))[0, 1]


agreement = {name: spearman(text_load, rise[:, :, view].mean(axis=2)) for name, view in views.items()}
figure, choices = go.Figure(), []
for name, view in views.items():
    ys = [rise[layer][:, view].mean(axis=1).tolist() for layer in range(loads.num_layers)]
    words = f"{name}: ranks agree by {agreement[name]:+.2f}"
    choices.append(dict(label=name, method="update", args=[{"y": ys}, {"title.text": words}]))

# %%
for layer, (colour, mark) in enumerate(zip((BLUE, VERMILLION, GREEN), MARKERS)):
    figure.add_scatter(x=text_load[layer], y=choices[0]["args"][0]["y"][layer], mode="markers", name=f"layer {layer + 1}",
                       marker=dict(color=colour, symbol=mark, size=9), text=[f"expert {e}" for e in range(16)],
                       hovertemplate="%{text}: load %{x:.2f}, rise %{y:+.3f}<extra></extra>")
figure.add_hline(y=0, line=dict(color="#767676", width=1))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="text loss of "), pad=dict(t=70))
title = dict(text=choices[0]["args"][1]["title.text"], font=dict(size=14))
figure.update_layout(title=title, sliders=[slider], margin=dict(t=44))
figure.update_xaxes(title="text load (busiest expert = 1)").update_yaxes(title="rise of the loss without it, nats")
told = ", ".join(f"{name} {value:+.2f}" for name, value in list(agreement.items())[:3])
finish(figure, f"Points of {text_load.size} experts: text load against the rise of the text loss when the expert is "
               f"closed. Rank correlations: {told}. A slider chooses the skills.", height=420)

# %%
resampled = np.random.default_rng(chapter.seed)
draws = []
for _ in range(400):
    some = resampled.integers(text_load.size, size=text_load.size)  # experts, drawn with replacement
    draws.append(spearman(text_load.ravel()[some], rise.mean(axis=2).ravel()[some]))
low, high = np.quantile(draws, [0.025, 0.975])
print(f"rank correlation of load and importance: {agreement['all skills']:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}")
harmless = (rise.mean(axis=2) < 0.002).mean()
print(f"{harmless:.0%} of the experts can be closed one at a time with a rise below 0.002 nats")
chapter.measure("rank correlation of text load and importance", agreement["all skills"], grain=0.1)
chapter.measure("text loss with everybody open", base.mean());

# %% [markdown]
# Read the number above before you read on. An interval that spans zero does not say that there is no relation, only that so few questions do not show one. Measured
# on more text, load and importance on the same skills, and in several text models, they agree weakly ([chapter 14](14_does_it_hold.ipynb)): too little to rely on for
# one expert. (Mind also that to close an expert makes the others of a token weigh more.) There are reasons. A busy expert may be easily replaced by the next best, together with the
# shared expert that is always there. A rarely visited expert may hold the one fact that nobody else knows. And the written questions
# and answers of the profile were of covered skills only, for whoever adapts a published model has no more. (The rest of the text load
# comes from the speech batches: transcripts, and requests to say words. So the *questions* of two uncovered skills were counted when they
# were written down, but never their answers.)
#
# Does that sink the method? Not yet. The paper gives experts away and then *repairs* text in stage 2.2. What counts in the end
# is the whole recipe, and chapter 10 measures that. But it does say that load is a stand-in, chosen because it is cheap, and
# that a better one may exist.
#
# ## Run it small: what each formula takes, and what it holds
#
# A fair comparison of formulas needs two axes. What does text lose *at once* when the chosen experts are closed to it? And how
# much of the sound do they already serve? A good choice is to the right and low. Random draws show what no rule at all would
# give.

# %%
def trial(formula, normaliser, count, seed=0):
    """Share of sound that the chosen experts hold, and rise of the text loss, covered and not, when they are closed."""
    chosen = select_audio_experts(loads, count, formula, normaliser, seed).audio_experts
    audio_share = loads.share("share")[0]  # (L, E)
    held = np.mean([audio_share[layer, list(experts)].sum() for layer, experts in enumerate(chosen)])
    with forbid_experts(model, chosen):
        lost = item_losses(model) - base
    return held, lost[covered].mean(), lost[~covered].mean(), lost.mean()


numbers = (2, 4, 6)
trials = {(formula, count): trial(formula, "max", count) for count in numbers for formula in FORMULAS
          if formula != "random"}
chance = {count: [trial("random", "max", count, seed) for seed in range(6)] for count in numbers}
shown = []
for formula in FORMULAS:
    row = np.mean(chance[4], axis=0) if formula == "random" else trials[formula, 4]
    shown.append((formula.replace("_", " "), f"{row[0]:.0%}", f"{row[1]:.3f}", f"{row[2]:.3f}"))
Table(("formula", "sound held", "text lost, covered", "text lost, uncovered"), shown, "Four audio experts; text lost in nats")

# %%
named = [formula for formula in FORMULAS if formula != "random"]
figure, choices = go.Figure(), []
for column, which in ((3, "all skills"), (1, "covered skills"), (2, "uncovered skills")):
    for count in numbers:
        xs = [[trials[name, count][0]] for name in named] + [[row[0] for row in chance[count]]]
        ys = [[trials[name, count][column]] for name in named] + [[row[column] for row in chance[count]]]
        choices.append(dict(label=f"{count} audio experts, {which}", method="restyle", args=[{"x": xs, "y": ys}]))
start = choices[1]["args"][0]
for number, name in enumerate([*named, "random, six draws"]):
    colour = "#767676" if name.startswith("random") else (VERMILLION, BLUE, GREEN, PURPLE, BLUE, GREEN)[number]
    figure.add_scatter(x=start["x"][number], y=start["y"][number], mode="markers", name=name.replace("_", " "),
                       marker=dict(symbol=MARKERS[number], size=8 if name.startswith("random") else 13, color=colour))
slider = dict(active=1, steps=choices, currentvalue=dict(prefix="shown: "), pad=dict(t=100))
figure.update_layout(sliders=[slider])
figure.update_xaxes(title="share of the sound that they hold", tickformat=".0%")
figure.update_yaxes(title="rise of the text loss, nats")
told = "; ".join(f"{name.replace('_', ' ')} {trials[name, 4][3]:.2f}" for name in named)
finish(figure, "Points of seven formulas: share of sound held by the chosen experts against the rise of the text loss "
               f"when they are closed. With four audio experts the rises are: {told}.", height=460)

# %%
random_covered, random_uncovered = (np.mean([row[place] for row in chance[4]]) for place in (1, 2))
chapter.measure("sound held by the product's choice", trials["product", 4][0])
chapter.measure("text lost by the product's choice, covered skills", trials["product", 4][1])
chapter.measure("text lost by the product's choice, uncovered skills", trials["product", 4][2])
chapter.measure("text lost by a random choice, all skills", np.mean([row[3] for row in chance[4]]));

# %% [markdown]
# Three things to look for. The four rules that ask for much sound hold more of it than chance does; that is what the first
# factor is for. On *covered* skills, compare the product with the product upside down: those skills are what the profile has
# seen. On *uncovered* skills see where it stands among the random draws: it may stand anywhere, because nobody has counted for
# them. **A profile protects what is in it.** And all of this is one moment, with experts closed and nothing repaired. Chapter 14 shows
# which of these rules have been trained to the end, and what became of them.
#
# ## What goes wrong: as many speakers as a token needs
#
# The paper's model gives six experts to speech, and each token goes to six experts. In stage 2.1, where only audio experts are
# open, there is then nothing left to choose: **every token goes to all of them**. What does that do to the router?

# %%
from minideeptalk.model import sequence_balance_loss

speech = sampler.batch(SOUND, 64, f"speech-{chapter.seed}")


def open_only(count):
    """Router numbers of layer 2 with only `count` audio experts open, averaged over tokens of speech."""
    chosen = select_audio_experts(loads, count)
    with forbid_experts(model, [chosen.text_experts(layer) for layer in range(loads.num_layers)]):
        routing = model(**speech.model_inputs()).routing[1]
    probabilities, real = routing.probabilities, speech.mask
    sets = {tuple(sorted(pair)) for pair in routing.indices[real].tolist()}
    weights = routing.weights[real].sum(dim=-1).mean().item()
    balance = sequence_balance_loss(probabilities, routing.indices, real)
    router = model.mixtures()[1].router.weight
    gradient, = torch.autograd.grad(balance, router)
    entropy = -(probabilities[real].clamp(min=1e-12).log2() * probabilities[real]).sum(-1).mean().item()
    return len(sets), weights, balance.item(), gradient.norm().item(), entropy

# %%
model.requires_grad_(True)
degenerate = {count: open_only(count) for count in (2, 3, 4, 6, 8, 12)}
rows = [(str(count), str(sets), f"{weights:.2f}", f"{balance:.2f}", f"{gradient:.4f}", f"{entropy:.2f}")
        for count, (sets, weights, balance, gradient, entropy) in degenerate.items()]
Table(("audio experts", "pairs in use", "sum of gate weights", "balance loss", "its gradient", "entropy, bits"), rows,
      "Layer 2 in stage 2.1, two experts a token")

# %% [markdown]
# Look at the first line. There is one pair. The gate weights sum to exactly 1, where an open router gives much less, so the
# experts' answer is suddenly louder (with more experts it is louder too, but less). The balance loss is a constant and its gradient is rounding: it can balance nothing. So
# our sizes have more audio experts than a token needs, and the paper's case is there to be tried.
#
# Does the number matter for what is *learnt*? A short stage 2.1 for three numbers, same batches, judged on the same fresh
# speech with only the audio experts open:

# %%
from dataclasses import replace

from minideeptalk.training.health import router_health
from minideeptalk.training.loop import train_stage
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.stages import speech_stages

stage = speech_stages(size_config("nano"))[1]
stage = replace(stage, updates=30 if chapter.quick else 400)
fresh = chapter_sampler(model, spoken_material(60, 60, "test"), "test")
unheard = fresh.batch({"recognise": 1.0, "speak": 2.0}, 64, "unheard")


def speak_with(count):
    """Audio loss, rise of the text loss and router health after a short stage 2.1 with `count` audio experts."""
    pupil = shipped_stage("1-align")
    chosen = select_audio_experts(loads, count)
    train_stage(pupil, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"{chapter.seed}-{step}"),
                seed=chapter.seed, selection=[list(experts) for experts in chosen.audio_experts], show_progress=False)
    with forbid_experts(pupil, [chosen.text_experts(layer) for layer in range(loads.num_layers)]), torch.no_grad():
        audio = batch_loss(pupil, unheard, balance=False).audio.mean().item()
    return audio, item_losses(pupil).mean() - base.mean(), router_health(pupil, [unheard, exam])

# %%
learnt = {count: speak_with(count) for count in (2, 4, 8)}
rows = [(str(count), f"{audio:.3f}", f"{lost:+.3f}", f"{health.gradient.mean():.2f}", f"{health.entropy.mean():.2f}",
         f"{health.specialisation.mean():.3f}") for count, (audio, lost, health) in learnt.items()]
spread = max(row[0] for row in learnt.values()) - min(row[0] for row in learnt.values())
print(f"audio loss differs by {spread:.3f} nats between the numbers")
chapter.measure("audio loss with four audio experts", learnt[4][0])
Table(("audio experts", "audio loss", "text loss, change", "gradient of the router", "entropy, bits", "specialisation, bits"),
      rows, f"After {stage.updates} updates of stage 2.1")

# %% [markdown]
# Set the difference above beside the losses themselves. After few updates, do not expect much of it: the adapter and the heads
# learn first, and they are as large in all three. The paper reports that text *and* speech get worse beyond 24 audio experts, of 64 routed ones. To see such a
# thing you need training to the end: the ablations of chapter 14 do that.
#
# ## Try it live
#
# In Jupyter or Colab: choose a formula, a normaliser and a number, close what they choose, and ask the model a question without
# these experts. The explorer near the top is its twin on this page.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer_selection import SelectionTrial


def loss_by_skill(model):
    losses = item_losses(model)
    return {name: float(losses[skill == name].mean()) for name in FAMILIES}


SelectionTrial(model, sampler.builder, loads, loss_by_skill).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 08-1: from count to load** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs sums over a dimension
#
# Turn counts into loads in all three ways.
#
# <details><summary>Hint 1, a question</summary>
#
# What should the loads of one layer sum to, in each of the three?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `counts.sum(dim=1)` and `counts.amax(dim=1)` have one number a layer, (L,).
#
# <details><summary>Hint 3, almost the code</summary>
#
# Pick the divisor (L,) by name; give it a last dimension with `[:, None]`; divide, into a new tensor.
#
# </details>
# </details>
# </details>

# %%
# Exercise 08-1: your code
def normalise(counts, tokens, how):
    """counts (L, E), tokens (L,), how "share", "fraction" or "max" -> loads (L, E)."""
    raise NotImplementedError("your code here")

# %%
check("08-1", normalise)

# %% [markdown]
# <details>
# <summary>A solution of 08-1</summary>
#
# ```python
# def normalise(counts, tokens, how):
#     """counts (L, E), tokens (L,), how "share", "fraction" or "max" -> loads (L, E)."""
#     if how == "share":
#         divisor = counts.sum(dim=1)  # (L,) all choices of the layer
#     elif how == "fraction":
#         divisor = tokens  # (L,)
#     else:
#         divisor = counts.amax(dim=1)  # (L,) the busiest expert
#     return counts / divisor[:, None]
# ```
#
# </details>
#
# **Exercise 08-2: the choice** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs sorting
#
# The paper's Algorithm 1 in a few lines: score, rank, take the best of each layer.
#
# <details><summary>Hint 1, a question</summary>
#
# Two experts with the same score: which one would another reader of your code get?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `sorted` with the key `(-score, expert)` puts the largest score first and, of equal ones, the lower number.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each layer of `(audio * (1 - text)).tolist()`: sort the experts by that key, keep `count`, sort them again by number.
#
# </details>
# </details>
# </details>

# %%
# Exercise 08-2: your code
def choose_speakers(audio, text, count):
    """audio load and text load (L, E) -> a list for each layer: its `count` experts with the best product score, rising."""
    raise NotImplementedError("your code here")

# %%
check("08-2", choose_speakers)

# %% [markdown]
# <details>
# <summary>A solution of 08-2</summary>
#
# ```python
# def choose_speakers(audio, text, count):
#     """audio load and text load (L, E) -> a list for each layer: its `count` experts with the best product score, rising."""
#     scores = audio * (1 - text)  # (L, E)
#     chosen = []
#     for layer in scores.tolist():
#         order = sorted(range(len(layer)), key=lambda expert: (-layer[expert], expert))
#         chosen.append(sorted(order[:count]))
#     return chosen
# ```
#
# </details>
#
# **Exercise 08-3: do the ranks agree** · practice · difficulty ●●●○○ (3 of 5) · about 20 minutes · 2 points · needs sorting, means
#
# Loads and rises of a loss live on different scales, and one huge value would rule an ordinary correlation. Compare ranks.
#
# <details><summary>Hint 1, a question</summary>
#
# Several experts have the load zero. Which of them should have the lowest rank?
#
# <details><summary>Hint 2, a nudge</summary>
#
# A rank is the number of smaller values; add half of the others that are equal.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Ranks of both; subtract their means; sum of products, divided by the product of the two norms; as a float.
#
# </details>
# </details>
# </details>

# %%
# Exercise 08-3: your code
def rank_correlation(first, second):
    """Two lists of numbers, equally long -> Spearman's correlation, -1 to 1; equal numbers share the mean of their ranks."""
    raise NotImplementedError("your code here")

# %%
check("08-3", rank_correlation)

# %% [markdown]
# <details>
# <summary>A solution of 08-3</summary>
#
# ```python
# def rank_correlation(first, second):
#     """Two lists of numbers, equally long -> Spearman's correlation, -1 to 1; equal numbers share the mean of their ranks."""
#     def ranks(values):
#         return [sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2 for value in values]
#
#     a, b = torch.tensor(ranks(first)).double(), torch.tensor(ranks(second)).double()
#     a, b = a - a.mean(), b - b.mean()
#     return float((a * b).sum() / (a.norm() * b.norm()))
# ```
#
# </details>
#
# **Exercise 08-4: one expert at a time** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs functions as arguments
#
# Measure importance when all you have is a function that gives the loss for a list of closed experts.
#
# <details><summary>Hint 1, a question</summary>
#
# When you close expert 3, should expert 2 be open again?
#
# <details><summary>Hint 2, a nudge</summary>
#
# The loss with nothing closed is needed once.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Base with an empty list; for each expert the loss of a list with this one alone, less the base; keep the sign.
#
# </details>
# </details>
# </details>

# %%
# Exercise 08-4: your code
def importances(loss_of, experts):
    """loss_of(closed) gives the loss with a list of experts closed -> the rise of the loss for each expert alone."""
    raise NotImplementedError("your code here")

# %%
check("08-4", importances)

# %% [markdown]
# <details>
# <summary>A solution of 08-4</summary>
#
# ```python
# def importances(loss_of, experts):
#     """loss_of(closed) gives the loss with a list of experts closed -> the rise of the loss for each expert alone."""
#     base = loss_of([])
#     return [loss_of([expert]) - base for expert in range(experts)]
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- With shares, {six['share']:.0%} of the product's choices are those of audio load alone; with max, {six['max']:.0%}.")
print(f"- Text load and importance: rank correlation {agreement['all skills']:+.2f}, interval {low:+.2f} to {high:+.2f}.")
print(f"- The paper's rule held {trials['product', 4][0]:.0%} of the sound with 4 of 16 experts a layer;")
print(f"  a random choice {np.mean([row[0] for row in chance[4]]):.0%}.")
print(f"- Closed, its choice cost text {trials['product', 4][1]:.3f} nats on covered skills (random choices {random_covered:.3f})")
print(f"  and {trials['product', 4][2]:.3f} on uncovered ones (random choices {random_uncovered:.3f}).")
print(f"- With two audio experts and two experts a token, {degenerate[2][0]} pair is in use, and its gate weights")
print(f"  sum to {degenerate[2][1]:.2f}.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): the selection score, and random choices as a control.
# - Lou, Yang and You (2026), [MoST: Mixing Speech and Text with Modality-Aware Mixture of
#   Experts](https://arxiv.org/abs/2601.10272): experts split by number.
# - Lu et al. (2024), [Not All Experts are Equal](https://arxiv.org/abs/2402.14800): choosing experts by what is lost without
#   them.
# - Michel, Levy and Neubig (2019), [Are Sixteen Heads Really Better than One?](https://arxiv.org/abs/1905.10650): closing one
#   part at a time, and how little is lost.
#
# Next: [chapter 09, one modality at a time](09_freezing.ipynb).

# %%
chapter.footer()
