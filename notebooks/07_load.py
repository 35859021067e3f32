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
# # Alignment, and the load of each expert
#
# You will give a finished text model ears and a mouth without moving one of the weights it thinks with, and then count, expert
# by expert, who works for words and who for sound.
#
# ![Text tokens and sound tokens pass the same router and the same experts. For each expert a bar upwards counts how often text asked it and a bar downwards how often sound did. Two experts with long bars down and short bars up are framed.](../book/_static/07-load.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/07_load.ipynb)

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
chapter = open_chapter("07_load")  # mode="full" aligns as long as the recipe does

# %% [markdown]
# **After this chapter you can**
#
# 1. say what stage 1 trains, and prove that the model's text is the same, bit for bit, afterwards;
# 2. write a recorder that counts which expert every token goes to, and prove that it counts like the library's;
# 3. turn two loads into one distance, and say what that distance would be by chance;
# 4. say what padding and prompts do to a load, and which of them must never be counted;
# 5. read gradient, entropy and specialisation of a router together.

# %%
chapter.diagram()

# %% [markdown]
# ## Watch one question pass
#
# The miniature of this book has three layers with experts. In each of them the router gives every token to two of sixteen
# experts. We ask the finished miniature one of the recorded questions and listen to its routers. Move the slider: the model
# reads who speaks, hears word by word, and then answers, one step of 80 milliseconds at a time. Bright is a large gate weight;
# a white dot marks an expert that was chosen to learn speech. (One row of the model speaks here, which is easier to watch. The talker of
# chapter 00 uses two and is right more often; chapter 12 tells why.)

# %%
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from minideeptalk.experts import Selection
from minideeptalk.speech.files import read_audio
from minideeptalk.teaching import check
from minideeptalk.teaching.routing_trace import trace_answer
from minideeptalk.teaching.samples import sample_clips, shipped_run, shipped_talker
from minideeptalk.viz.steps import routing_by_step
from minideeptalk.viz.style import BLUE, GREEN, HEAT, VERMILLION, finish

talker = shipped_talker()
clip = sample_clips("question")[1]
trace = trace_answer(talker, talker.listen(torch.from_numpy(read_audio(clip.path))))
chosen = Selection.load(shipped_run() / "selection.json").audio_experts
print(f"“{clip.words}” → “{trace.answer}”, {len(trace.labels)} steps, {trace.prompt_steps} of them the prompt")
routing_by_step(trace.labels, trace.weights, chosen)

# %% [markdown]
# One question is an anecdote. To choose experts we need to know who works for whom over *all* tokens, and that is this chapter:
# first the model must hear and speak at all (stage 1), then we count.
#
# ## Build it: stage 1, alignment
#
# The text model has never met a sound. Before any expert can be called good for speech, sound has to reach the experts in a
# form they can use. Stage 1 does only that. It trains the parts on the border and leaves the whole text model alone:
#
# - the **adapter**, which turns what the ear hears into vectors that the model can read;
# - the **audio rows** of the embedding, with the small vectors of chapter 06's counter (`elapsed`), and the **audio heads**, with which it reads and writes codes.
#
# The paper says that it trains the adapter alone here; its code also trains the whole table of words and codes, so there text moves in stage 1 already. Our audio rows and
# heads are new and have to learn somewhere; our text rows stand still. What counts is what does *not* move.

# %%
from minideeptalk.config import size_config
from minideeptalk.experts.partition import PARTS, parameters_of
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.teaching.tables import Table
from minideeptalk.training.stages import speech_stages

align = speech_stages(size_config("nano"))[0]
model = shipped_stage("0-pretrain")
rows = []
for part in PARTS:
    size = sum(weight.numel() for weight in parameters_of(model, (part,)).values())
    if size:
        rows.append((part.replace("_", " "), f"{size:,}", "learns" if part in align.trainable else "stands still"))
Table(("part of the model", "weights", "in stage 1"), rows, "What stage 1 trains, read from the stage itself")

# %% [markdown]
# We need some speech. The cell below lets the book's voices say a few hundred questions and answers; the shipped ear turns the
# questions into one vector a word, the shipped codec turns the answers into codes. The stage trains on three tasks: write down
# what is heard, answer it in writing, and say given words.

# %%
spoken = spoken_material(questions=400, replies=300)
sampler = chapter_sampler(model, spoken)
print(len(spoken.questions), "questions and", len(spoken.replies), "replies")
print("tasks of stage 1 with their weights:", align.tasks)
heard = sampler.batch({"recognise": 1.0}, 64, f"heard-{chapter.seed}")  # 64 spoken questions of the training split
written = sampler.batch({"all_text": 1.0}, 64, f"written-{chapter.seed}")  # 64 written ones

# %% [markdown]
# Now the loop: a batch, the loss on the text it should write and on the codes it should make, a step. Only the border is given
# to the optimizer.

# %%
from dataclasses import replace

from minideeptalk.training.loop import learning_rate
from minideeptalk.training.losses import batch_loss


def my_alignment(model, stage):
    """Trains the border in place; returns rows of (update, text loss, mean audio loss)."""
    trained = list(parameters_of(model, stage.trainable).values())
    optimizer = torch.optim.AdamW(trained, lr=stage.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    curve = []
    for update in range(stage.updates):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(update, stage)
        batch = sampler.batch(stage.tasks, stage.batch, f"{chapter.seed}-{update}")
        parts = batch_loss(model, batch, balance=False)
        gradients = torch.autograd.grad(parts.total, trained)  # the rest of the model gets none
        for weight, gradient in zip(trained, gradients):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(trained, stage.clip)
        optimizer.step()
        if update % 10 == 0 or update == stage.updates - 1:
            curve.append((update, parts.text.item(), parts.audio.mean().item()))
    return curve

# %%
@torch.no_grad()
def next_words_right(model, batch):
    """Share of the words to be written that the model ranks first, given those before."""
    logits = model.text_logits(model(**batch.model_inputs()).hidden)  # (B, T, V)
    wanted = batch.text_target >= 0
    return (logits.argmax(-1)[wanted] == batch.text_target[wanted]).float().mean().item()


with torch.no_grad():
    text_before = model(**written.model_inputs()).hidden  # (B, T, D)
weights_before = {name: value.clone() for name, value in model.state_dict().items()}
heard_before = next_words_right(model, heard)
short = replace(align, updates=align.updates if not chapter.quick else 150)
curve = my_alignment(model, short)
heard_after = next_words_right(model, heard)
print(f"next words of heard questions, those before them given, ranked first: {heard_before:.1%} before, {heard_after:.1%} after")
chapter.measure("words heard right after alignment", heard_after, grain=0.005);

# %%
figure = go.Figure()
updates = [row[0] for row in curve]
for column, name, colour, dash in ((1, "text to be written", BLUE, "solid"), (2, "codes to be spoken", VERMILLION, "dash")):
    figure.add_scatter(x=updates, y=[row[column] for row in curve], name=name, mode="lines+markers",
                       line=dict(color=colour, dash=dash))
figure.update_xaxes(title="updates of stage 1").update_yaxes(title="loss, nats a token", rangemode="tozero")
finish(figure, f"Two falling loss curves over {short.updates} updates: text goes from {curve[0][1]:.1f} to "
               f"{curve[-1][1]:.1f} nats, codes from {curve[0][2]:.1f} to {curve[-1][2]:.1f}.", height=320)

# %% [markdown]
# And the text? A written question passes the text rows, attention, routers and experts, none of which moved. So its answer is
# not *nearly* the same: it is the same.

# %%
with torch.no_grad():
    text_after = model(**written.model_inputs()).hidden
assert torch.equal(text_before, text_after)
moved = [name for name, value in model.state_dict().items() if not torch.equal(value, weights_before[name])]
assert set(moved) == set(parameters_of(model, align.trainable))
print("text, bit for bit as before:", torch.equal(text_before, text_after))
print("tensors that moved:", *moved, sep="\n  ")

# %% [markdown]
# ## Build it: a recorder of load
#
# As a summary of the paper tells it, the load of each expert is measured for sound and for text. The script that did so was not published, so we write
# one. Where should it listen? Not at the router: what the router *wants* may still be changed by masks and biases. We listen at
# the door of the experts, where the chosen numbers come in. PyTorch calls a function of ours before a module runs, a **forward
# pre-hook**, and shows it the module's inputs.
#
# The hook sees a flat row of tokens. It cannot know which are text; we tell it, with one number for each token.

# %%
from minideeptalk.experts import LoadRecorder, Modality, find_experts, modality_distance

print({kind.name: int(kind) for kind in Modality})
example = sampler.batch({"answer_aloud": 1.0}, 1, "one")
print("one spoken answer:", [int(kind) for kind in example.modality[0]])

# %%
class MyRecorder:
    """Counts (4, L, E): how many tokens of each modality each expert of each layer received."""

    def __init__(self, model):
        self.modules = [module for _, module in find_experts(model)]
        self.counts = torch.zeros(4, len(self.modules), self.modules[0].num_experts, dtype=torch.long)

    def __enter__(self):
        self.handles = [module.register_forward_pre_hook(self.hook(layer))
                        for layer, module in enumerate(self.modules)]
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()

    def hook(self, layer):
        def before_experts(module, arguments):
            indices = arguments[1]  # (N, K) the experts of each token
            for kind in range(4):
                chosen = indices[self.kinds == kind].flatten()  # (n*K,)
                self.counts[kind, layer] += torch.bincount(chosen, minlength=self.counts.shape[2])
        return before_experts

# %%
def profile_batches(sampler, count=4, size=64):
    """Batches of sound and of text, in turn. The text is what after-training may see."""
    sound = {"recognise": 1.0, "answer_aloud": 1.0, "speak": 1.0}
    return [sampler.batch(tasks, size, f"profile-{chapter.seed}-{number}")
            for number in range(count) for tasks in (sound, {"covered_text": 1.0})]


batches = profile_batches(sampler)
with MyRecorder(model) as mine, LoadRecorder(model) as theirs, torch.no_grad():
    for batch in batches:
        mine.kinds = batch.modality.flatten()  # (N,)
        theirs.modality(batch.modality)
        model(**batch.model_inputs())
loads = theirs.loads()
counted = {kind.name.lower().replace("_", " "): int(loads.tokens[kind, 0]) for kind in Modality if kind >= 0}
print("tokens:", counted)

# %% [markdown]
# ## The same as the library's?
#
# `LoadRecorder` is ours with more checks: it refuses a forward pass that nobody announced, and it works for any
# mixture-of-experts model of the transformers library, because it looks for what experts *have* and not for what they are
# called.

# %%
ours = mine.counts.double().numpy()
assert (ours == loads.counts).all()
assert ours[:, 0].sum() == 2 * loads.tokens[:, 0].sum()  # every token is counted once for each of its two experts
print(f"{int(ours.sum())} choices in {ours.shape[1]} layers: equal to the library's, every single count")

# %% [markdown]
# ## Build it: from counts to a distance
#
# Divide each row by its sum, and a modality has a **load**: which share of its choices each expert got. Call them $p$ for sound
# and $q$ for text. How different are they? Mix them half and half, $m = (p + q)/2$, and ask how many bits it costs to describe
# each with the mixture instead of with itself:
#
# $$\begin{aligned}\mathrm{JS}(p, q) &= \tfrac12 \sum_e p_e \log_2 \frac{p_e}{m_e} \\ &\quad {} + \tfrac12 \sum_e q_e \log_2 \frac{q_e}{m_e}, \\
# d(p, q) &= \sqrt{\mathrm{JS}(p, q)}.\end{aligned}$$
#
# This is the **Jensen-Shannon divergence**, from 0 (the same experts) to 1 bit (no expert in common). Its root is a true
# *distance*. And it is an old acquaintance: for two kinds of token it equals the *specialisation* of chapter 04, the bits that
# an expert's number tells about the kind.

# %%
def my_distance(p, q):
    """Two loads (..., E) that sum to 1 -> their Jensen-Shannon distance (...)."""
    middle = (p + q) / 2
    bits = [torch.where(load > 0, load * (load / middle).log2(), 0.0).sum(-1) for load in (p, q)]
    return (sum(bits) / 2).clamp(min=0).sqrt()


def specialisation(table):
    """Chapter 04: mutual information of row and column in bits, each row counted alike."""
    joint = table / table.sum()  # (G, E)
    apart = joint.sum(dim=0) * joint.sum(dim=1, keepdim=True)  # (G, E)
    return torch.where(joint > 0, joint * (joint / apart).log2(), 0.0).sum()


audio, text = torch.from_numpy(loads.share("share"))  # (L, E), (L, E)
distance = my_distance(audio, text)  # (L,)
torch.testing.assert_close(distance, torch.from_numpy(modality_distance(loads)))
for layer in range(len(distance)):
    table = torch.stack([audio[layer], text[layer]])
    torch.testing.assert_close(distance[layer] ** 2, specialisation(table), atol=1e-6, rtol=1e-6)
    print(f"layer {layer + 1}: distance {distance[layer]:.3f}, its square is the specialisation in bits")

# %% [markdown]
# **What would chance give?** Two samples of the *same* tokens never have quite the same load. So every distance needs its
# floor: we deal the text batches into two hands and measure the distance between them.

# %%
def recorded(model, batches):
    """Loads of a model on some batches."""
    with LoadRecorder(model) as recorder, torch.no_grad():
        for batch in batches:
            recorder.modality(batch.modality)
            model(**batch.model_inputs())
    return recorder.loads()


texts = [sampler.batch({"covered_text": 1.0}, 64, f"floor-{chapter.seed}-{number}") for number in range(8)]
halves = []
for part in (texts[0::2], texts[1::2]):
    counts = torch.from_numpy(recorded(model, part).counts.sum(axis=0))  # (L, E)
    halves.append(counts / counts.sum(dim=-1, keepdim=True))
floor = my_distance(*halves)
print("distance of text from text, by layer:", *(f"{value:.3f}" for value in floor))
chapter.measure("distance of the modalities, mean of layers", distance.mean().item())
chapter.measure("distance of text from text, mean of layers", floor.mean().item())
assert floor.max() < distance.min()

# %% [markdown]
# ## Run it small: who works for whom, stage by stage
#
# The library's samples hold the miniature after every stage of its training. We give all of them the same tokens and record
# their loads. Move through the stages: above are text tokens, below are tokens of sound, and bright columns are busy experts.
# *own 1* is the model that you have just aligned.

# %%
from minideeptalk.records.rows import load_rows
from minideeptalk.training.health import router_health
from minideeptalk.viz import routing_heat_map

STAGES = ("0-pretrain", "1-align", "2.1-audio-experts", "2.2-text-experts", "3-joint")
models = {"own 1": model, **{stage: shipped_stage(stage) for stage in STAGES}}
by_stage = {name: recorded(each, batches) for name, each in models.items()}
rows = [row for name in (*STAGES, "own 1") for row in load_rows(name, by_stage[name].share("share"))]
routing_heat_map({"loads": rows, "selection": None})

# %%
distances = {name: modality_distance(each) for name, each in by_stage.items()}
figure = go.Figure()
for layer, (colour, dash) in enumerate(((BLUE, "solid"), (VERMILLION, "dash"), (GREEN, "dot"))):
    figure.add_scatter(x=[stage.split("-")[0] for stage in STAGES], y=[distances[stage][layer] for stage in STAGES],
                       name=f"layer {layer + 1}", mode="lines+markers", line=dict(color=colour, dash=dash, width=3))
figure.add_scatter(x=[stage.split("-")[0] for stage in STAGES], y=[floor.mean().item()] * len(STAGES), mode="lines",
                   name="text from text", line=dict(color="#767676", width=1.5))
figure.update_xaxes(title="after stage", type="category")
figure.update_yaxes(title="distance of sound and text", rangemode="tozero")
means = {stage: distances[stage].mean() for stage in STAGES}
told = ", ".join(f"{value:.2f} after stage {stage.split('-')[0]}" for stage, value in means.items())
finish(figure, f"Lines of the Jensen-Shannon distance in three layers over the stages. The mean is {told}; "
               f"text from text has {floor.mean():.2f}.", height=360)

# %% [markdown]
# Nobody has yet told any expert to specialise, and the routers have not moved since text pretraining: what you see after stage
# 1 is how sound, once it has been translated by the adapter, *happens* to fall on experts that text has shaped. That is the raw
# material of the next chapter. After that the distance *falls*, in the very stages that train one modality at a time. All doors are open here; the router stands still
# until stage 3, and what it sees of sound changes. Chapter 10 finds the partition gone after stage 3. (The grey line was measured on your own model alone.)
#
# Is the router well? Three numbers, always together. The **gradient** is what the task asks of the router (in stages 1 and 2 it
# is frozen, so nothing comes of it). The **entropy** says how unsure it is: 4 bits would be a router that does not care which
# of sixteen experts it takes. The **specialisation** is the square of the distance above.

# %%
health = {stage: router_health(models[stage], batches[:4]) for stage in STAGES}
looks = {"gradient": "norm of the gradient", "entropy": "entropy, bits", "specialisation": "specialisation, bits"}
figure, choices = go.Figure(), []
codes = [stage.split("-")[0] for stage in STAGES]
for what, title in looks.items():
    ys = [[getattr(health[stage], what)[layer] for stage in STAGES] for layer in range(3)]
    choices.append(dict(label=what, method="update", args=[{"y": ys}, {"yaxis.title.text": title}]))
for layer, (colour, pattern) in enumerate(((BLUE, ""), (VERMILLION, "/"), (GREEN, "."))):
    figure.add_bar(x=codes, y=choices[0]["args"][0]["y"][layer], name=f"layer {layer + 1}",
                   marker=dict(color=colour, pattern_shape=pattern))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="show "), pad=dict(t=60))
figure.update_layout(sliders=[slider], barmode="group")
figure.update_xaxes(title="after stage", type="category").update_yaxes(title="norm of the gradient")
told = "; ".join(f"stage {code}: entropy {health[stage].entropy.mean():.2f}, specialisation "
                 f"{health[stage].specialisation.mean():.2f} bits" for code, stage in zip(codes, STAGES))
finish(figure, f"Bars of router health by stage and layer; a slider chooses the measure. Means of layers: {told}.",
       height=400)

# %% [markdown]
# ## What goes wrong: counting what is not there
#
# A batch holds sequences of unequal length, and the shorter ones are filled up with **padding**. Padding passes the model like
# any token, and the router sends it somewhere. Count it, and experts look busy that have served nobody. It is worse than
# noise, since it pulls: as far as both modalities are padded alike, it makes them look alike; as far as one is padded more, it
# makes up a difference that belongs to nobody.
#
# **Prompts** are another matter. They are real tokens, and whether they belong to the load is a decision. By the same
# summary, the inputs are of one modality each; of prompts it says nothing, and our default counts them. But batches of sound hold text too: the marks of a turn, the words that
# are to be said, and transcripts. We count these as text, and they are a third of it ([chapter 08](08_selection.ipynb) prints the share).

# %%
POLICIES = ("padding counted too", "prompts and answers", "answers only")


def with_padding(part, kind):
    """Loads of some batches when padding counts as the kind of its batch; real tokens keep their own."""
    with LoadRecorder(model) as recorder, torch.no_grad():
        for batch in part:
            recorder.modality(batch.modality.masked_fill(batch.modality < 0, int(kind)))  # the mistake
            model(**batch.model_inputs())
    return recorder.loads()


def policy_loads(policy):
    """Loads (2, L, E) of sound and text in your aligned model under one way of counting."""
    if policy == "padding counted too":
        both = with_padding(batches[0::2], Modality.SPOKEN_ANSWER).merge(with_padding(batches[1::2], Modality.TEXT_ANSWER))
        return torch.from_numpy(both.share("share"))
    return torch.from_numpy(replace(loads, count_prompts=policy == "prompts and answers").share("share"))

# %%
policies = {name: policy_loads(name) for name in POLICIES}
padding = [1 - torch.cat([b.mask.flatten() for b in batches[side::2]]).float().mean().item() for side in (0, 1)]
print(f"padding: {padding[0]:.0%} of all positions in batches of sound, {padding[1]:.0%} in batches of text")
for name, each in policies.items():
    print(f"{name:20} distance by layer", *(f"{value:.3f}" for value in my_distance(*each)))
closer = my_distance(*policies[POLICIES[0]]) < my_distance(*policies[POLICIES[1]])  # (L,)
print(f"counting padding brings sound and text closer in {int(closer.sum())} of {len(closer)} layers")

# %%
figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16,
                       subplot_titles=("text tokens", "tokens of sound"))
pictures = {name: [each[side].tolist() for side in (1, 0)] for name, each in policies.items()}
highest = max(each.max().item() for each in policies.values())
for row, z in enumerate(pictures[POLICIES[1]], start=1):
    figure.add_trace(go.Heatmap(z=z, y=[1, 2, 3], coloraxis="coloraxis", xgap=1, ygap=1), row=row, col=1)
steps = [dict(label=name, method="update", args=[{"z": picture}, {}]) for name, picture in pictures.items()]
slider = dict(active=1, steps=steps, currentvalue=dict(prefix="counting: "), pad=dict(t=60))
figure.update_layout(sliders=[slider], coloraxis=dict(
    colorscale=HEAT, cmin=0, cmax=highest, colorbar=dict(thickness=12, tickformat=".0%", title=dict(text="load"))))
figure.update_yaxes(title="layer", autorange="reversed", tickvals=[1, 2, 3], showgrid=False)
figure.update_xaxes(showgrid=False, dtick=2, range=[-0.5, 15.5]).update_xaxes(title="expert", row=2, col=1)
told = "; ".join(f"{name}: {my_distance(*each).mean():.2f}" for name, each in policies.items())
finish(figure, "Heat maps of load by layer and expert for text and for sound; a slider chooses what is counted. "
               f"Mean distance of the two maps: {told}.", height=430).update_layout(margin=dict(t=40))

# %%
ranks = {name: (each[0] * (1 - each[1] / each[1].amax(dim=-1, keepdim=True))).argsort(dim=-1, descending=True)
         for name, each in policies.items()}  # much sound and little text comes first
for name in (POLICIES[0], POLICIES[2]):
    same = [len(set(ranks[name][layer, :4].tolist()) & set(ranks[POLICIES[1]][layer, :4].tolist())) for layer in range(3)]
    print(f"{name}: of the four experts that a layer would give to speech, {same} are those of “{POLICIES[1]}”")
chapter.measure("distance when padding counts, mean of layers", my_distance(*policies[POLICIES[0]]).mean().item())
chapter.measure("distance of answers only, mean of layers", my_distance(*policies[POLICIES[2]]).mean().item());

# %% [markdown]
# So the way of counting can change who is chosen, before any formula is applied. The recorder of the library therefore takes one
# number for *every* token, with -1 for padding, keeps the four kinds apart, and leaves the question of prompts to the end:
# `ExpertLoads.count_prompts`.
#
# A second mistake is quieter. A recorder that remembers the kinds of the *last* batch counts a new one under them, and nothing
# crashes as long as the sizes fit. Ours does not allow it.

# %%
from minideeptalk.errors import LearnerError

with LoadRecorder(model) as recorder, torch.no_grad():
    recorder.modality(batches[0].modality)
    model(**batches[0].model_inputs())
    try:
        model(**batches[0].model_inputs())  # nobody said what these tokens are
    except LearnerError as error:
        print(error)

# %% [markdown]
# ## Try it live
#
# In Jupyter or Colab the cell below gives you the question of the first figure for yourself: type a question in the words of
# the world, choose a voice and a style, press *Ask*, hear the answer, and let the experts light up token by token. A short
# recording of your own can be loaded as well; the ear has only met synthetic voices, so expect it to say that it did not
# understand. On this page the cell is not run; the slider at the top shows the same for one question.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer_routing import RoutingExplorer

RoutingExplorer(talker, chosen, question="say red cat").show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 07-1: count by modality** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs indexing, bincount
#
# Write the inner part of a recorder: count choices by modality, and let padding count nowhere.
#
# <details><summary>Hint 1, a question</summary>
#
# What does `counts[-1] += 1` do in Python, and is it an error?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `indices[kinds == kind]` are the choices of one modality; `torch.bincount(..., minlength=experts)` counts them.
#
# <details><summary>Hint 3, almost the code</summary>
#
# A table of zeros (4, E); for each of the four kinds, select, flatten, count, write the row.
#
# </details>
# </details>
# </details>

# %%
# Exercise 07-1: your code
def count_by_modality(indices, kinds, experts):
    """indices (N, K), kinds (N,) with 0 to 3 for a modality and -1 for padding -> counts (4, E) of integers."""
    raise NotImplementedError("your code here")

# %%
check("07-1", count_by_modality)

# %% [markdown]
# <details>
# <summary>A solution of 07-1</summary>
#
# ```python
# def count_by_modality(indices, kinds, experts):
#     """indices (N, K), kinds (N,) with 0 to 3 for a modality and -1 for padding -> counts (4, E) of integers."""
#     counts = torch.zeros(4, experts, dtype=torch.long)
#     for kind in range(4):
#         chosen = indices[kinds == kind]  # (n, K)
#         counts[kind] = torch.bincount(chosen.flatten(), minlength=experts)  # (E,)
#     return counts
# ```
#
# </details>
#
# **Exercise 07-2: two batches, one load** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs sums
#
# A load is measured over many batches of unequal size. Add them up, so that each *token* weighs the same. Here we divide by **tokens**,
# not by choices: the load of an expert is the fraction of all tokens that reached it, so with K experts a token the loads add up to K.
# (Chapter 08 compares this with the share that we used above.)
#
# <details><summary>Hint 1, a question</summary>
#
# One batch has a hundred tokens and one has ten. How much should an expert's load in the small one count?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Shares cannot be averaged, but counts can be added.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Sum of the counts, divided by the sum of the tokens, or by 1 when there are none.
#
# </details>
# </details>
# </details>

# %%
# Exercise 07-2: your code
def merged_load(counts, tokens):
    """counts: list of (E,), tokens: list of numbers, one for each batch -> (E,) fraction of all tokens that hit each expert."""
    raise NotImplementedError("your code here")

# %%
check("07-2", merged_load)

# %% [markdown]
# <details>
# <summary>A solution of 07-2</summary>
#
# ```python
# def merged_load(counts, tokens):
#     """counts: list of (E,), tokens: list of numbers, one for each batch -> (E,) fraction of all tokens that hit each expert."""
#     total = sum(counts)  # (E,)
#     return total / max(1, sum(tokens))
# ```
#
# </details>
#
# **Exercise 07-3: how far apart** · practice · difficulty ●●●○○ (3 of 5) · about 20 minutes · 2 points · needs logarithms
#
# Write the Jensen-Shannon distance so that it survives idle experts.
#
# <details><summary>Hint 1, a question</summary>
#
# What is $0 \log 0$, and what does PyTorch say it is?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Keep only the experts with a load above zero before you take a logarithm; `tensor.log2()` is to base 2.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Middle; for each load, the sum of load times log2(load / middle) where load > 0; half the sum of both; its root.
#
# </details>
# </details>
# </details>

# %%
# Exercise 07-3: your code
def load_distance(first, second):
    """Two loads (E,) that each sum to 1 -> their Jensen-Shannon distance, 0 to 1."""
    raise NotImplementedError("your code here")

# %%
check("07-3", load_distance)

# %% [markdown]
# <details>
# <summary>A solution of 07-3</summary>
#
# ```python
# def load_distance(first, second):
#     """Two loads (E,) that each sum to 1 -> their Jensen-Shannon distance, 0 to 1."""
#     middle = (first + second) / 2  # (E,)
#     divergence = 0.0
#     for load in (first, second):
#         used = load > 0  # an expert without load adds nothing
#         divergence = divergence + (load[used] * (load[used] / middle[used]).log2()).sum() / 2
#     return divergence.clamp(min=0).sqrt()
# ```
#
# </details>
#
# **Exercise 07-4: a hook that leaves no trace** · practice · difficulty ●●●○○ (3 of 5) · about 20 minutes · 3 points · needs forward hooks, try and finally
#
# Listen to a module while something runs, and leave it exactly as it was, even when the run breaks off.
#
# <details><summary>Hint 1, a question</summary>
#
# Where must a line stand that has to run whether or not an error was raised?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `module.register_forward_pre_hook(function)` gives back a handle with a `remove` method; what the function returns replaces
# the input.
#
# <details><summary>Hint 3, almost the code</summary>
#
# A list; a hook that appends a detached clone of the first argument and returns nothing; register; try run, finally remove.
#
# </details>
# </details>
# </details>

# %%
# Exercise 07-4: your code
def listen(module, run):
    """Call run() and return the list of first arguments that `module` received meanwhile; no hook stays behind."""
    raise NotImplementedError("your code here")

# %%
check("07-4", listen)

# %% [markdown]
# <details>
# <summary>A solution of 07-4</summary>
#
# ```python
# def listen(module, run):
#     """Call run() and return the list of first arguments that `module` received meanwhile; no hook stays behind."""
#     heard = []
#
#     def before(module, arguments):
#         heard.append(arguments[0].detach().clone())
#
#     handle = module.register_forward_pre_hook(before)
#     try:
#         run()
#     finally:
#         handle.remove()
#     return heard
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- After {short.updates} updates of the border alone, {heard_after:.0%} of next words of heard questions were ranked first,")
print("  those before them given; the model's text stayed the same, bit for bit.")
print(f"- Sound and text were {distance.mean():.2f} apart in their use of experts; text and text {floor.mean():.2f}.")
print(f"- In the shipped run the distance went from {means[STAGES[0]]:.2f} before alignment to {means[STAGES[1]]:.2f}")
print(f"  after it, and was {means[STAGES[-1]]:.2f} at the end.")
print(f"- Counting padding would have made it {my_distance(*policies[POLICIES[0]]).mean():.2f};")
print(f"  counting answers only, {my_distance(*policies[POLICIES[2]]).mean():.2f}.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): the stages, and the choice of experts from their load by modality. Its recorder is not
#   published; ours is written from the description.
# - Lin (1991), [Divergence Measures Based on the Shannon Entropy](https://doi.org/10.1109/18.61115): the Jensen-Shannon
#   divergence.
# - Xue et al. (2024), [OpenMoE](https://arxiv.org/abs/2402.01739): what routers of open models specialise in, and how early it
#   is settled.
# - Muennighoff et al. (2024), [OLMoE](https://arxiv.org/abs/2409.02060): domain and vocabulary specialisation of experts,
#   measured by load.
#
# Next: [chapter 08, choosing the speakers](08_selection.ipynb).

# %%
chapter.footer()
