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
# # A text model that has something to lose
#
# You will train the text model that everything after this puts at risk, and build the examination that can later say what was lost.
#
# ![The model reads the steps user, say, red, cat, assistant, red, cat. Over the question nobody asks for a guess. From the step assistant on it must give the next word: red, cat, end. The loss is taken on those three alone.](../book/_static/05-answers.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/05_text_model.ipynb)

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
chapter = open_chapter("05_text_model")  # mode="full" trains longer

# %% [markdown]
# **After this chapter you can**
#
# 1. turn a question and its answer into inputs and targets, and say which steps the loss is taken on, and why;
# 2. train a small text model in seconds, and say whether your run is inside the recorded band;
# 3. measure exact match in one pass, and prove that it is what greedy decoding would score;
# 4. read an accuracy above chance, and name the skills that can be forgotten unnoticed;
# 5. see a kind measure flatter a model, and see eight averaged rows drown a word.

# %%
chapter.diagram()

# %% [markdown]
# ## Something to lose
#
# DeepTalk takes a finished text model, DeepSeek-V2-Lite, and teaches it to speak. The claim of the paper is about what that costs: of its text ability
# little is lost. To rebuild the claim we need a text model that *has* abilities, so our training begins with a stage that the paper
# could skip. We call it **stage 0**.
#
# The library brings two of its checkpoints: the text model after stage 0, and the finished miniature, which has learnt to hear and to speak since.
# `data_samples/texts.json` has five test questions of each skill. Ask both models all of them, in writing.

# %%
import json
import math
from dataclasses import replace

import plotly.graph_objects as go
import torch
from torch.nn import functional as F

from minideeptalk.config import size_config
from minideeptalk.inference.decoding import answer_in_text
from minideeptalk.teaching import check
from minideeptalk.teaching.samples import book_record, samples_folder, shipped_talker
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.style import BLUE, GREEN, PURPLE, VERMILLION, finish
from minideeptalk.world import CHANCE, FAMILIES

text_model, finished = shipped_talker("0-pretrain"), shipped_talker()
texts = json.loads((samples_folder() / "texts.json").read_text(encoding="utf8"))

# %%
def written(talker, questions):
    """The model's greedy answers to typed questions."""
    prompts = [talker.builder.text_prompt(question.split()) for question in questions]
    return [" ".join(answer.words) for answer in answer_in_text(talker.model, talker.builder, prompts)]


questions = [item["question"] for item in texts]
before, after = written(text_model, questions), written(finished, questions)
rows = []
for family in [name for name, family in FAMILIES.items() if family.kind == "exact"]:
    own = [number for number, item in enumerate(texts) if item["family"] == family]
    right = [[answers[number] == texts[number]["answer"] for number in own] for answers in (before, after)]
    lost = [number for number in own if before[number] == texts[number]["answer"] != after[number]]
    shown = (lost or own)[0]  # an answer that was lost, where there is one
    counts = [f"{sum(side)} of {len(own)}" for side in right]
    rows.append((family, questions[shown], before[shown], after[shown], *counts))
Table(("skill", "question", "stage 0 writes", "finished model writes", "stage 0 right", "finished right"), rows,
      "Test questions answered in writing, before and after learning to speak")

# %% [markdown]
# The table shows an answer that was lost, where there is one. (Grammar and story are missing: they are a choice between two endings, and come below.) Five questions a
# skill show that something happens, and no more. The rest of this chapter makes
# the model after stage 0, and a measure that can be trusted with the difference.
#
# ## Which word next?
#
# A language model does one thing. At each step it has seen some words, and gives every word of its vocabulary a probability to come next. Move through one question
# and its answer: the bars are the likeliest next words of the stage-0 model.

# %%
tokenizer = text_model.builder.tokenizer
item = texts[0]
spoken = ["<user>", *item["question"].split(), "<assistant>", *item["answer"].split()]
with torch.no_grad():
    hidden = text_model.model(torch.tensor([tokenizer.encode(spoken)])).hidden[0]  # (T, D)
    guesses = text_model.model.text_logits(hidden).softmax(dim=-1)  # (T, V)
asked = spoken.index("<assistant>")
wanted = [None] * asked + [*item["answer"].split(), "<end>"]

best = guesses.topk(5)  # values and indices (T, 5)
pictures = []
for step, word in enumerate(spoken):
    names = tokenizer.decode(best.indices[step].tolist())
    colours = [VERMILLION if name == wanted[step] else BLUE for name in names]
    title = f"after “{word}” comes “{wanted[step]}”" if wanted[step] else f"after “{word}”: nobody asks for a guess"
    pictures.append((names, best.values[step].tolist(), colours, title))

# %%
steps = []
for word, (names, shares, colours, title) in zip(spoken, pictures):
    changes = [{"x": [shares], "y": [names], "marker.color": [colours]}, {"title.text": title}]
    steps.append(dict(label=word, method="update", args=changes))
names, shares, colours, title = pictures[asked]
figure = go.Figure(go.Bar(x=shares, y=names, orientation="h", marker=dict(color=colours), showlegend=False,
                          hovertemplate="%{y}: %{x:.1%}<extra></extra>"))
slider = dict(active=asked, steps=steps, currentvalue=dict(prefix="it has read up to: "), pad=dict(t=50))
figure.update_layout(title=dict(text=title, font=dict(size=14)), sliders=[slider])
figure.update_xaxes(range=[0, 1.05], tickformat=".0%", title="probability of the next word")
figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
finish(figure, f"The five likeliest next words at each step of “{' '.join(spoken)}”. Over the question the guesses mean "
               f"nothing. From <assistant> on the likeliest words are {', '.join(p[0][0] for p in pictures[asked:])}.",
       height=330).update_layout(margin=dict(t=48))

# %% [markdown]
# Over the question the guesses make no sense, and they need not. A question of our world is drawn by lot: nobody can know which number comes next. To train
# on that would spend the model's few weights on learning to shrug. So the loss is taken on the **answer** alone, from the step
# `<assistant>`, where the first word is due, up to the `<end>`. Most chat models are trained like this.
#
# ## Build it: an example
#
# The target of a step is the *next* word, so the targets are the inputs moved by one. Where nobody asks, the target is `-100`, the number that
# torch's cross-entropy leaves out.

# %%
IGNORE = -100


def my_example(question, answer):
    """Lists of words -> inputs (T,) and targets (T,)."""
    prompt = ["<user>", *question, "<assistant>"]
    inputs = tokenizer.encode([*prompt, *answer])  # (T,)
    targets = [IGNORE] * (len(prompt) - 1) + tokenizer.encode([*answer, "<end>"])  # (T,)
    return inputs, targets


inputs, targets = my_example(["say", "red", "cat", "backwards"], ["cat", "red"])
for word, target in zip(tokenizer.decode(inputs), targets):
    print(f"{word:12} ->  {'' if target == IGNORE else tokenizer.decode([target])[0]}")

# %% [markdown]
# ## Build it: a batch and its loss
#
# Examples differ in length, so shorter ones are filled up on the right. A causal model cannot look to the right, so the filling changes nothing for the
# real steps; its own targets are `-100`. The loss is the mean over the steps that have a target of
#
# $$-\log p(\text{target}),$$
#
# the **cross-entropy**, in nats. It is zero for a model that is sure and right; guessing among all $V$ words costs $\log V$.
#
# The model's last vector becomes scores by a product with the *same* table that turns words into vectors. Such a head is called **tied**.

# %%
def my_batch(examples):
    """Inputs and targets as tensors (B, T), filled up on the right."""
    longest = max(len(inputs) for inputs, _ in examples)
    text = torch.zeros(len(examples), longest, dtype=torch.long)  # (B, T)
    target = torch.full((len(examples), longest), IGNORE)  # (B, T)
    for row, (inputs, targets) in enumerate(examples):
        text[row, :len(inputs)] = torch.tensor(inputs)
        target[row, :len(targets)] = torch.tensor(targets)
    return text, target


def my_loss(model, text, target):
    """Mean cross-entropy of the answers in nats, and what the routers did."""
    output = model(text)
    logits = F.linear(output.hidden, model.embedding.text.weight)  # (B, T, V), the tied head
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE), output.routing

# %% [markdown]
# ## Build it: the learning rate
#
# The first updates are made with a small rate, because nothing is in its place yet; that is the **warm-up**. Then the rate falls along half a cosine to
# a tenth of its peak: large steps find the region, small ones settle in it. Move the share of warm-up.

# %%
from minideeptalk.training.loop import learning_rate
from minideeptalk.training.stages import pretrain_stage

recipe = pretrain_stage(size_config("nano"))
print(f"stage {recipe.code}, {recipe.title}: {recipe.updates} updates of {recipe.batch} examples, "
      f"peak rate {recipe.learning_rate}, warm-up {recipe.warmup:.0%}")

updates = list(range(0, recipe.updates, 20))
curves = {share: [learning_rate(update, replace(recipe, warmup=share)) for update in updates]
          for share in (0.0, recipe.warmup, 0.1, 0.3, 0.6)}
steps = [dict(label=f"{share:.0%}", method="restyle", args=[{"y": [curve]}]) for share, curve in curves.items()]
figure = go.Figure(go.Scatter(x=updates, y=curves[recipe.warmup], mode="lines", line=dict(color=BLUE, width=3),
                              hovertemplate="update %{x}: %{y:.2g}<extra></extra>"))
slider = dict(active=1, steps=steps, currentvalue=dict(prefix="warm-up: "), pad=dict(t=60))
figure.update_layout(sliders=[slider])
figure.update_yaxes(title="learning rate", range=[0, 1.05 * recipe.learning_rate]).update_xaxes(title="update")
finish(figure, "The learning rate over the updates: it climbs in a straight line during the warm-up, then falls along "
               "half a cosine to a tenth of its peak.", height=320)

# %% [markdown]
# ## Build it: the loop
#
# Draw a batch, take the loss, add the balance loss of chapter 04, cut a gradient that is too long, make a step. Everything that learns is the text side; codec
# rows and heads get no gradient, since no sound is in the batch.

# %%
def my_training(model, draw, stage, watch=None, every=0):
    """Train in place; returns the loss of each update."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=stage.learning_rate, betas=(0.9, 0.98),
                                  weight_decay=stage.weight_decay)
    losses = []
    for update in range(stage.updates):
        if watch and update % every == 0:
            watch(update)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(update, stage)
        model.train()
        text, target, real = draw(update)  # (B, T) each
        loss, routing = my_loss(model, text, target)
        optimizer.zero_grad()
        (loss + model.config.balance_weight * model.balance_loss(routing, real)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), stage.clip)
        optimizer.step()
        losses.append(loss.item())
    return losses

# %% [markdown]
# ## Build it: the examination
#
# When is an answer right? We ask for **exact match**: all words, in their order, and then the end. Greedy decoding takes the likeliest word at each step,
# reads it back, and goes on. That is one pass of the model for each word.

# %%
@torch.no_grad()
def my_decode(model, question, longest=12):
    """Greedy decoding: a list of words up to <end>."""
    words = ["<user>", *question, "<assistant>"]
    start = len(words)
    while len(words) < start + longest:
        hidden = model(torch.tensor([tokenizer.encode(words)])).hidden[0, -1]  # (D,)
        word = tokenizer.decode([model.text_logits(hidden).argmax().item()])[0]
        if word == "<end>":
            return words[start:]
        words.append(word)
    return [*words[start:], "..."]  # never ended, so never right

# %% [markdown]
# There is a shorter way. Give the model the question *and the right answer*, and look whether its first choice at each answer step is the right next word. This is
# **teacher forcing**: the model never reads its own mistakes.
#
# Is that not too kind? Not if every step has to be right. If the first choice at the first step is right, decoding reads back
# the right word, so it comes to the second step with just what the teacher would have given; and so on to the end. If some first choice is wrong, decoding
# leaves the right answer there, and so does the verdict. The two agree on every question, and one pass does all words of many examples.

# %%
@torch.no_grad()
def my_right(model, items):
    """Is the answer that greedy decoding would give exactly right? One verdict an item."""
    model.eval()
    text, target = my_batch([my_example(item.question, item.answer) for item in items])  # (B, T), (B, T)
    choice = model.text_logits(model(text).hidden).argmax(dim=-1)  # (B, T)
    return ((choice == target) | (target == IGNORE)).all(dim=1).tolist()

# %% [markdown]
# Two skills, grammar and story, are **choices**: two endings, one of them right. There the model need not write; it is right when it
# gives the right ending the higher probability, each read word by word, as in training.

# %%
@torch.no_grad()
def my_score(model, question, answer):
    """Log-probability of an answer with its end, in nats."""
    text, target = my_batch([my_example(question, answer)])  # (1, T), (1, T)
    nats = F.cross_entropy(model.text_logits(model(text).hidden)[0], target[0], reduction="sum")
    return -nats.item()


def my_accuracy(model, items):
    """Share of items of one family that the model solves."""
    if FAMILIES[items[0].family].kind == "exact":
        return sum(my_right(model, items)) / len(items)
    scores = [[my_score(model, item.question, ending) for ending in (item.answer, item.wrong)] for item in items]
    return sum(good > bad for good, bad in scores) / len(items)

# %% [markdown]
# ## The same as the library's?
#
# Examples and loss first, on some questions of each skill.

# %%
from minideeptalk.evaluation.text_skills import answers_right, family_accuracy, text_accuracy
from minideeptalk.tasks import collate
from minideeptalk.training.losses import batch_loss

builder = text_model.builder
sample = [item for family in FAMILIES.values() for item in family.items("validation", 8)]
theirs = [builder.chat(item.question, item.answer) for item in sample]
mine = [my_example(item.question, item.answer) for item in sample]
assert [(example.text, example.text_target) for example in theirs] == mine

batch = collate(theirs, builder.silence)
text, target = my_batch(mine)
assert torch.equal(batch.text, text) and torch.equal(batch.text_target, target)
with torch.no_grad():
    loss, _ = my_loss(text_model.model.eval(), text, target)
    torch.testing.assert_close(batch_loss(text_model.model, batch).text, loss, atol=1e-5, rtol=1e-4)
print(f"{len(sample)} examples and their loss, {loss:.3f} nats, equal the library's.")

# %% [markdown]
# Then the loop, from the same seed and with the same batches. The library's runs on accelerate and does not compute the filling, so sums
# are rounded otherwise.

# %%
from minideeptalk.model import DeepTalkConfig, DeepTalkModel
from minideeptalk.tasks import TaskSampler
from minideeptalk.training.loop import train_stage


def small_model(multiplier=80.0):
    """A text model much smaller than nano's; always the same one for a seed."""
    torch.manual_seed(chapter.seed)
    return DeepTalkModel(DeepTalkConfig(
        vocab_size=len(tokenizer), codebook_size=128, ear_width=128, width=64, layers=3, heads=4, dense_hidden=192,
        experts=8, experts_per_token=2, expert_hidden=64, embedding_multiplier=multiplier))


sampler = TaskSampler(builder, size_config("nano").world)
small = replace(recipe, updates=600 if chapter.quick else 3000, batch=32, learning_rate=4e-3)


def draw(update):
    """The batch of an update: every skill, drawn at random, the same for a seed."""
    batch = sampler.batch(small.tasks, small.batch, f"chapter 05/{chapter.seed}/{update}")
    return batch.text, batch.text_target, batch.mask

# %%
short = replace(small, updates=21)
library = small_model()
their_run = train_stage(library, short, seed=chapter.seed, show_progress=False, draw_batch=lambda update:
                        sampler.batch(small.tasks, small.batch, f"chapter 05/{chapter.seed}/{update}"))
their_losses = {point["step"]: point["value"] for point in their_run["curves"] if point["name"] == "text_loss"}
beginner = small_model()
my_losses = my_training(beginner, draw, short)
for update, loss in their_losses.items():
    print(f"update {update}: the library's loss {loss:.4f}, ours {my_losses[update]:.4f}")
    assert abs(loss - my_losses[update]) < 0.02 * loss
for weight, other in zip(beginner.parameters(), library.parameters()):  # losses alone would not tell a loop without weight decay
    torch.testing.assert_close(weight, other, atol=1e-3, rtol=0)

# %% [markdown]
# Last the verdicts: by decoding word by word, by one pass of ours, and by the library's. Two models sit the examination, the one after stage 0 and the beginner of those
# few updates, so that both outcomes occur.

# %%
verdicts = []
for model in (text_model.model, beginner):
    forced = my_right(model, sample)
    decoded = [tuple(my_decode(model, item.question)) == tuple(item.answer) for item in sample]
    assert forced == decoded == answers_right(model, builder, theirs)
    verdicts += forced
    for name, family in FAMILIES.items():
        items = [item for item in sample if item.family == name]
        assert my_accuracy(model, items) == family_accuracy(model, builder, items)
assert any(verdicts) and not all(verdicts)
print(f"{sum(verdicts)} of {len(verdicts)} answers are right, whichever way it is measured.")

# %% [markdown]
# ## The whole of stage 0, from its record
#
# At `nano` stage 0 takes minutes, so the book keeps its record. Each point is the loss of one batch, so the curve is rough. Most is
# learnt early; the long rest is for the hard skills.

# %%
record = book_record()
points = [(row["step"], row["value"]) for row in record["curves"]
          if row["stage"] == "0" and row["name"] == "text_loss"]
guess = math.log(record["config"]["model_config"]["vocab_size"])
figure = go.Figure([
    go.Scatter(x=[x for x, _ in points], y=[y for _, y in points], mode="lines", name="stage 0",
               line=dict(color=BLUE, width=2), hovertemplate="update %{x}: %{y:.2f} nats<extra></extra>"),
    go.Scatter(x=[0, points[-1][0]], y=[guess, guess], mode="lines", name="guessing any word", hoverinfo="skip",
               line=dict(color="#767676", width=2, dash="dot"))])
figure.update_yaxes(title="loss on answers, nats", type="log", tickvals=[0.05, 0.1, 0.2, 0.5, 1, 2, 5])
figure.update_xaxes(title="update")
cost = record["budget"]["by_stage"]["0"]
print(f"{cost['updates']} updates, {cost['tokens']:,} tokens, {cost['trainable']:,} weights trained, "
      f"on {record['device']['name']}")
finish(figure, f"The loss of stage 0 on a logarithmic axis: from {points[0][1]:.1f} nats at the first update, more than "
               f"guessing costs, it falls fast and then slowly, to {points[-1][1]:.2f} at the last.", height=360)

# %% [markdown]
# ## The benchmark of ten families
#
# The paper measures text ability on public benchmarks such as MMLU and BBH; ours is the ten families on held-out combinations. Raw shares cannot be compared with
# each other, since a coin is right half of the time in *compare* and never in *repeat*. An accuracy $a$ with **chance** $c$ is worth
#
# $$\frac{a - c}{1 - c}$$
#
# above chance: zero for guessing, one for all right.

# %%
from minideeptalk.records.abilities import percent
from minideeptalk.records.forgetting import corrected, relative_text_drop


def my_corrected(accuracy, chance):
    """0 at chance, 1 when all is right."""
    return (accuracy - chance) / (1 - chance)


metrics = record["metrics"]
chances, learnt = metrics["chance"]["text_accuracy"], metrics["text_accuracy"]["before"]
covered = record["config"]["world"]["covered"]
rows = []
for family, accuracy in learnt.items():
    worth = my_corrected(accuracy, chances[family])
    assert worth == corrected(accuracy, chances[family])
    shown = "under 0.1 %" if chances[family] < 0.001 else percent(chances[family])
    rows.append((family, percent(accuracy), shown, percent(worth), "yes" if family in covered else "no"))
Table(("skill", "right", "by chance", "above chance", "covered"), rows,
      f"After stage 0, {metrics['counts']['text_items_per_family']} held-out questions a skill")

# %% [markdown]
# That column is what there is to lose. One rule goes with it: a skill that was never learnt cannot be forgotten, so the library leaves out of its sums what
# stands below a tenth above chance.
#
# ## What can be forgotten
#
# Here the same column once more, from the record, after each stage. Move from stage 0 to the last. Which bars shrink: those whose text is *covered*, repeated in
# after-training, or the others?

# %%
stages = list(dict.fromkeys(row["stage"] for row in record["curves"]))
at_end = {stage: {} for stage in stages}
for row in record["curves"]:
    if row["name"].startswith("text_accuracy/"):
        family = row["name"].removeprefix("text_accuracy/")
        at_end[row["stage"]][family] = my_corrected(row["value"], chances[family])  # the last one stays
order = sorted(learnt, key=lambda family: (family not in covered, family))
heights = {stage: [max(0.0, values[family]) for family in order] for stage, values in at_end.items() if values}

steps = [dict(label=stage, method="restyle", args=[{"y": [bars, heights["0"]]}]) for stage, bars in heights.items()]
colours = [BLUE if family in covered else VERMILLION for family in order]
figure = go.Figure([
    go.Bar(x=order, y=heights["0"], name="now (blue: covered)", marker=dict(color=colours), width=0.7,
           hovertemplate="%{x}: %{y:.0%}<extra></extra>"),
    go.Scatter(x=order, y=heights["0"], mode="markers", name="after stage 0", hoverinfo="skip",
               marker=dict(symbol="line-ew-open", size=9, color="#767676", line=dict(width=3)))])
slider = dict(active=0, steps=steps, currentvalue=dict(prefix="after stage "), pad=dict(t=70))
figure.update_layout(sliders=[slider])
figure.update_yaxes(title="above chance", tickformat=".0%", range=[0, 1.04])
drop = metrics["relative_text_drop"]
finish(figure, f"Bars of ten text skills above chance, after each stage. Over the whole run {percent(drop['covered'])} of "
               f"the covered skills and {percent(drop['uncovered'])} of the others is lost, "
               f"most of {max(drop['by_family'], key=drop['by_family'].get)}.", height=380)

# %%
mine = {family: 1 - my_corrected(metrics["text_accuracy"]["after"][family], chances[family])
        / my_corrected(learnt[family], chances[family]) for family in learnt}
theirs = relative_text_drop(learnt, metrics["text_accuracy"]["after"], chances, covered)
assert all(abs(mine[family] - theirs["by_family"][family]) < 1e-9 for family in theirs["by_family"])
worst = sorted(mine, key=mine.get)[-3:]
print("Lost most:", ", ".join(f"{family} ({percent(mine[family])})" for family in reversed(worst)))
kinds = {"rehearsed": covered, "a rule, its text not repeated": ("compare", "sort", "count"), "a memory": ("facts",)}
for kind, names in kinds.items():
    print(f"Lost of {kind}:", ", ".join(f"{family} {percent(mine[family])}" for family in names))

# %% [markdown]
# Three kinds of skill are in these bars. A **rehearsed** one (*add*) is held up by its own text, which comes again. A **rule** whose written text does not come again (*compare*, which is
# still asked aloud, *sort* and *count*) can bend, and need not: see above what each of the three lost. A **memory** (*facts*) has no rule behind it: what is gone cannot be worked out again. And watch *reverse*. It
# is not covered, but up to its last word it looks like *repeat*, which is, and which speaking practises all the time: say the words, in their order. Chapter 10 compares methods on
# all of this.
#
# ## Run it small
#
# Now your own stage 0: the small model of above, for some seconds. After every seventy-five updates it sits the examination, on validation questions; the test
# stays closed until the end.

# %%
families = list(FAMILIES)
model, snapshots = small_model(), {}


def watch(update, model=None, table=snapshots):
    """Examine the model and note what it can do above chance."""
    accuracy = text_accuracy(model, builder, "validation", count=60)
    table[update] = {name: my_corrected(value, CHANCE[name]) for name, value in accuracy.items()}


losses = my_training(model, draw, small, lambda update: watch(update, model), every=75)
watch(small.updates, model)


def ability(model):
    """What the model can do above chance in each family, on the test."""
    accuracy = text_accuracy(model, builder, "test", count=100)
    return {name: my_corrected(value, CHANCE[name]) for name, value in accuracy.items()}


mine = ability(model)
mean = sum(mine.values()) / len(mine)

# %%
last = losses[-50:]
chapter.measure("loss of the last fifty updates, nats", sum(last) / len(last))
chapter.measure("above chance, mean of ten skills", mean, grain=0.002);

# %%
bars = {update: [max(0.0, table[name]) for name in families] for update, table in snapshots.items()}
steps = [dict(label=str(update), method="restyle", args=[{"y": [heights]}]) for update, heights in bars.items()]
figure = go.Figure(go.Bar(x=families, y=bars[small.updates], marker=dict(color=GREEN), width=0.7,
                          hovertemplate="%{x}: %{y:.0%}<extra></extra>"))
slider = dict(active=len(steps) - 1, steps=steps, currentvalue=dict(prefix="after update "), pad=dict(t=60))
figure.update_layout(sliders=[slider])
figure.update_yaxes(title="above chance", tickformat=".0%", range=[0, 1.04])
first = next(name for table in snapshots.values() for name, value in table.items() if value > 0.5)
finish(figure, f"Bars of ten skills above chance while the small model trains. The first to pass half is {first}; "
               f"at the end the best is {max(mine, key=mine.get)} and the weakest {min(mine, key=mine.get)}.", height=360)

# %% [markdown]
# Go through the updates. Skills do not grow together: they come one after another, and some come suddenly. Grammar hangs on a single word of the question and is among
# the first; a list to be turned around takes many words in a new order. What must be learnt by heart comes last: each fact has to be met many times, so the recipe
# of stage 0 draws the hard families more often. (A bar that is missing stands at chance or below. A model that writes neither of two
# numbers is worse than a coin.)
#
# ## What goes wrong: a kind measure
#
# Exact match is strict. Why not count right *words*? Teacher forcing makes it tempting: the number falls out of the same pass. Here are both, for the model you
# just trained.

# %%
@torch.no_grad()
def words_right(model, items):
    """Share of target words, ends included, that are the model's first choice under teacher forcing."""
    text, target = my_batch([my_example(item.question, item.answer) for item in items])  # (B, T), (B, T)
    right = model.text_logits(model(text).hidden).argmax(dim=-1) == target  # (B, T)
    return right[target != IGNORE].float().mean().item()


generated = [name for name, family in FAMILIES.items() if family.kind == "exact"]
tests = {name: FAMILIES[name].items("test", 100) for name in generated}
by_word = [words_right(model, tests[name]) for name in generated]
by_answer = [sum(my_right(model, tests[name])) / len(tests[name]) for name in generated]
figure = go.Figure([
    go.Bar(x=generated, y=by_word, name="right words", marker=dict(color=PURPLE, pattern=dict(shape="/"))),
    go.Bar(x=generated, y=by_answer, name="right answers", marker=dict(color=BLUE))])
figure.update_layout(barmode="group").update_yaxes(tickformat=".0%", range=[0, 1.04])
gap = max(zip(generated, by_word, by_answer), key=lambda row: row[1] - row[2])
finish(figure, f"Right words beside right answers of eight skills. The gap is widest in {gap[0]}: {gap[1]:.0%} of the words "
               f"but {gap[2]:.0%} of the answers.", height=340)

# %%
print(f"{gap[0]}: {gap[1]:.0%} of the words are right, and {gap[2]:.0%} of the answers.")
assert gap[1] > gap[2]

# %% [markdown]
# Every answer has an `<end>`, which is easy, and teacher forcing puts the model back on the road after each mistake. In use nobody does. And a
# measure that starts so high has little room to fall: forgetting would look small.
#
# ## What goes wrong: a mean of eight drowns the word
#
# In the model that will speak, a step has eight rows, one of text and seven of codec codes, and the paper takes their **mean**. In pure text the seven hold nothing but padding, so
# every word is divided by eight. (The paper's code adds seven learnt vectors of padding, too; ours adds none, as chapter 06 will show.) Is that bad? The layers begin by normalising, so they do not see the size. But the *residual stream* does: the word is what the
# first attention adds to. Here are the two sizes in a fresh model, without and with the factor `embedding_multiplier`.

# %%
def sizes(multiplier):
    """Mean length of a word's vector, and of what the first attention adds to it, before any training."""
    model, added = small_model(multiplier), []
    model.layers[0].attention.register_forward_hook(lambda module, inputs, output: added.append(output))
    text, _, real = draw(0)
    with torch.no_grad():
        word = model.embedding(text, None)[real].norm(dim=-1).mean().item()  # (B, T, D) inside
        model(text)
    return word, added[0][real].norm(dim=-1).mean().item()


names = {1.0: "the bare mean", 8.0: "the sum of the rows", 80.0: "the mean, times 80"}
measured = {multiplier: sizes(multiplier) for multiplier in names}
steps = [dict(label=name, method="restyle", args=[{"x": [list(measured[multiplier])]}])
         for multiplier, name in names.items()]
figure = go.Figure(go.Bar(x=list(measured[1.0]), y=["the word", "what attention adds"], orientation="h",
                          marker=dict(color=[BLUE, VERMILLION]), hovertemplate="%{y}: %{x:.2f}<extra></extra>"))
slider = dict(active=0, steps=steps, currentvalue=dict(prefix="a step is "), pad=dict(t=60))
figure.update_layout(sliders=[slider]).update_yaxes(autorange="reversed")
figure.update_xaxes(title="length of the vector", range=[0, 1.05 * max(max(pair) for pair in measured.values())])
told = "; ".join(f"{names[m]}: word {pair[0]:.2f}, attention {pair[1]:.2f}" for m, pair in measured.items())
finish(figure, f"Bars of a word's length and of what attention adds, in a fresh model. {told}.", height=280)

# %%
shrunk = measured[1.0][1] / measured[1.0][0]
print(f"With the bare mean, attention's answer is {shrunk:.0f} times as long as the word itself.")

# %% [markdown]
# The mean is one reason. The other is that a new table of words begins small, with a standard deviation of `0.1`: the plain sum of the
# rows is too short as well. The factor `80` undoes both, `8` for the mean and `10` for the table.
#
# After the first attention, the word at a step is a whisper under a mixture of all words before it. A later layer that wants to know *which word stands here*, to copy
# it or to turn a list around, has to dig it out. Optimisers can repair much, since the table may grow; but it takes time. Same seed, same
# batches, same updates, only the factor is missing:

# %%
drowned = small_model(1.0)
my_training(drowned, draw, small)
theirs = ability(drowned)
theirs_mean = sum(theirs.values()) / len(theirs)
rows = [(name, percent(mine[name]), percent(theirs[name])) for name in families]
rows.append(("mean of ten", percent(mean), percent(theirs_mean)))
chapter.measure("above chance without the factor, mean of ten skills", theirs_mean, grain=0.002)
grown = drowned.embedding.text.weight.norm(dim=-1).mean() / small_model(1.0).embedding.text.weight.norm(dim=-1).mean()
print(f"The table of words has grown {grown:.1f} times by itself.")
Table(("skill", "mean, times 80", "bare mean"), rows, f"Above chance, after {small.updates} updates each")

# %% [markdown]
# Compare row by row, and mind that a single seed is no verdict. The chapter's record has several. And mind what was taken away: mean and small table at once, and with the
# optimizer's even steps the factor also lets words move faster. So this run says nothing about the mean alone.

# %%
if chapter.record:
    bands = chapter.record["values"]
    with_factor, without = (bands[f"above chance{more}, mean of ten skills"] for more in ("", " without the factor"))
    print(f"Over {chapter.record['runs']} recorded runs: {percent(with_factor['mean'])} with the factor,")
    print(f"{percent(without['mean'])} without; the bands reach from {percent(with_factor['low'])} to "
          f"{percent(with_factor['high'])} and from {percent(without['low'])} to {percent(without['high'])}.")

# %% [markdown]
# If the two bands overlap, runs of this length do not settle it: the loss of the bare mean may be small, and it is no disaster. Whether longer
# training makes up for it they cannot say; `mode="full"` is one try. The lesson is older than this model:
# when a pretrained model gets new inputs, look at the *size* of what enters the stream. Whoever averages a word with seven empty rows has changed the
# text model before the first update.
#
# ## Ask it yourself
#
# In Jupyter or Colab, run the next cell: type a question, choose the model before or after learning to speak, and see what it would say, word by word, and what else
# was likely. On this page the cell is not run; the first figure of the chapter is its silent twin.

# %% tags=["skip-execution"]
from minideeptalk.inference.talker import Talker
from minideeptalk.teaching.explorer_text import TextExplorer

yours = Talker(model, text_model.ear, text_model.codec)
TextExplorer({"after stage 0": text_model, "finished": finished, "yours": yours}).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check.
#
# **Exercise 05-1: the loss on answers** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs boolean masks, cross_entropy
#
# Write the loss with a mask instead of `ignore_index`, for scores that the model has already given.
#
# <details><summary>Hint 1, a question</summary>
#
# A batch has one answer of two words and one of four. How many numbers do you average?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `logits[mask]` with a mask (B, T) picks rows: (n, V).
#
# <details><summary>Hint 3, almost the code</summary>
#
# Mask: targets are not -100. Cross-entropy of the picked logits and the picked targets.
#
# </details>
# </details>
# </details>

# %%
# Exercise 05-1: your code
def answer_loss(logits, targets):
    """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> mean cross-entropy in nats."""
    raise NotImplementedError("your code here")

# %%
check("05-1", answer_loss)

# %% [markdown]
# <details>
# <summary>A solution of 05-1</summary>
#
# ```python
# def answer_loss(logits, targets):
#     """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> mean cross-entropy in nats."""
#     wanted = targets != -100  # (B, T)
#     return F.cross_entropy(logits[wanted], targets[wanted])
# ```
#
# </details>
#
# **Exercise 05-2: up quickly, down slowly** · practice · difficulty ●●○○○ (2 of 5) · about 10 minutes · 1 point · needs cosine
#
# Write the schedule of the figure above: a straight climb during the warm-up, then half a cosine down to a tenth of the peak. Updates count from 0, and the first
# already has a rate above zero.
#
# <details><summary>Hint 1, a question</summary>
#
# What happens in an update whose rate is zero? Is it worth its time?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `(1 + math.cos(math.pi * p)) / 2` goes from 1 to 0 while p goes from 0 to 1.
#
# <details><summary>Hint 3, almost the code</summary>
#
# In the warm-up: peak * (update + 1) / warm. After it: peak * (0.1 + 0.9 * cosine part). Guard both divisions against zero.
#
# </details>
# </details>
# </details>

# %%
# Exercise 05-2: your code
def rate_at(update, updates, peak, warmup=0.03):
    """Number of an update, how many there are, highest rate, share of warm-up -> the learning rate of this update."""
    raise NotImplementedError("your code here")

# %%
check("05-2", rate_at)

# %% [markdown]
# <details>
# <summary>A solution of 05-2</summary>
#
# ```python
# def rate_at(update, updates, peak, warmup=0.03):
#     """Number of an update, how many there are, highest rate, share of warm-up -> the learning rate of this update."""
#     warm = max(1, round(warmup * updates))
#     if update < warm:
#         return peak * (update + 1) / warm
#     progress = (update - warm) / max(1, updates - warm)  # from 0 up to 1
#     return peak * (0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2)
# ```
#
# </details>
#
# **Exercise 05-3: right, and nothing but right** · practice · difficulty ●●○○○ (2 of 5) · about 10 minutes · 2 points · needs argmax, boolean masks
#
# Give the verdict on whole answers from scores and targets, as in the examination above, but without a model.
#
# <details><summary>Hint 1, a question</summary>
#
# What should happen at a step where nobody asked for a guess?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `argmax(dim=-1)` is the first choice; `a | b` is true where either is.
#
# <details><summary>Hint 3, almost the code</summary>
#
# First choice equals target, or target is -100; then `all(dim=1)`, then a list.
#
# </details>
# </details>
# </details>

# %%
# Exercise 05-3: your code
def exact_match(logits, targets):
    """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> list of B bools: is the whole answer right?"""
    raise NotImplementedError("your code here")

# %%
check("05-3", exact_match)

# %% [markdown]
# <details>
# <summary>A solution of 05-3</summary>
#
# ```python
# def exact_match(logits, targets):
#     """logits (B, T, V), targets (B, T) with -100 where nothing is asked -> list of B bools: is the whole answer right?"""
#     first_choice = logits.argmax(dim=-1)  # (B, T)
#     right = (first_choice == targets) | (targets == -100)  # (B, T)
#     return right.all(dim=1).tolist()
# ```
#
# </details>
#
# **Exercise 05-4: how sure is a share** · practice · difficulty ●●●○○ (3 of 5) · about 15 minutes · 2 points · needs nothing but arithmetic
#
# Two hundred questions were asked, and a share was right. Which *true* shares could have given that count? Wilson's interval answers: all $p$ from which the observed
# share lies no more than $z$ standard errors away, $|\hat p - p| \le z \sqrt{p (1 - p) / n}$. Solved for $p$, its edges are
#
# $$\frac{\hat p + \frac{z^2}{2n} \pm z \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{z^2}{4 n^2}}}{1 + \frac{z^2}{n}}.$$
#
# <details><summary>Hint 1, a question</summary>
#
# All of twenty answers were right. Would you bet that the model never errs?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Compute the middle and the reach apart; both are divided by the same number.
#
# <details><summary>Hint 3, almost the code</summary>
#
# share = right / asked; middle = (share + z²/2n) / (1 + z²/n); reach = z * sqrt(...) / (1 + z²/n).
#
# </details>
# </details>
# </details>

# %%
# Exercise 05-4: your code
def interval(right, asked, z=1.96):
    """Right answers, questions asked -> lowest and highest share that the count still agrees with (Wilson's interval)."""
    raise NotImplementedError("your code here")

# %%
check("05-4", interval)

# %% [markdown]
# <details>
# <summary>A solution of 05-4</summary>
#
# ```python
# def interval(right, asked, z=1.96):
#     """Right answers, questions asked -> lowest and highest share that the count still agrees with (Wilson's interval)."""
#     share = right / asked
#     middle = (share + z * z / (2 * asked)) / (1 + z * z / asked)
#     reach = z * math.sqrt(share * (1 - share) / asked + z * z / (4 * asked * asked)) / (1 + z * z / asked)
#     return middle - reach, middle + reach
# ```
#
# </details>
#
# Then go back to the first table of this chapter: how sure are five of five?
#
# ## What this run has shown

# %%
tops = sorted(mine, key=mine.get)
print(f"- {small.updates} updates of {small.batch} examples gave a text model that stands {percent(mean)} above chance,")
print(f"  best in {tops[-1]}, weakest in {tops[0]}; stage 0 of the record stands at "
      f"{percent(sum(my_corrected(learnt[n], chances[n]) for n in learnt) / len(learnt))}.")
print(f"- One teacher-forced pass gave the verdict of greedy decoding on all of {len(verdicts)} answers.")
print(f"- In {gap[0]} it has {gap[1]:.0%} of the words right and {gap[2]:.0%} of the answers.")
print(f"- Without the factor on the mean of eight rows, the same updates gave {percent(theirs_mean)}.")
print(f"- Learning to speak took {percent(drop['covered'])} of the covered skills and {percent(drop['uncovered'])}")
print("  of the others: what there was to lose, and what was lost.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific MoE](https://arxiv.org/abs/2506.21864):
#   the paper that this book rebuilds; its first versions are titled DeepTalk.
# - DeepSeek-AI (2024), [DeepSeek-V2](https://arxiv.org/abs/2405.04434): the text model that the paper starts from.
# - French (1999), [Catastrophic forgetting in connectionist networks](https://doi.org/10.1016/S1364-6613(99)01294-2): the problem, told early and well.
# - Kirkpatrick et al. (2017), [Overcoming catastrophic forgetting in neural networks](https://arxiv.org/abs/1612.00796): another way to protect old weights.
# - Loshchilov and Hutter (2017), [SGDR](https://arxiv.org/abs/1608.03983) and (2019), [Decoupled Weight Decay Regularization](https://arxiv.org/abs/1711.05101):
#   the cosine and the optimiser.
# - Press and Wolf (2017), [Using the Output Embedding to Improve Language Models](https://arxiv.org/abs/1608.05859): the tied head.
# - Williams and Zipser (1989), [A Learning Algorithm for Continually Running Fully Recurrent Neural Networks](https://doi.org/10.1162/neco.1989.1.2.270):
#   teacher forcing.
# - Wilson (1927), [Probable Inference, the Law of Succession, and Statistical Inference](https://doi.org/10.1080/01621459.1927.10502953): the interval of exercise 05-4.
#
# Next: [chapter 06, two streams at once](06_two_streams.ipynb).

# %%
chapter.footer()
