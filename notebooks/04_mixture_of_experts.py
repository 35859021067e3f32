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
# # A mixture of experts
#
# You will build the layer that lets one model be many: a router sends every token to a few small networks, and after a minute of
# training you will *see* which network works for whom.
#
# ![Six tokens pass a router. Each goes to two of four experts, and every token also passes the shared expert; the answers are added.](../book/_static/04-router.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/04_mixture_of_experts.ipynb)

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
chapter = open_chapter("04_mixture_of_experts")  # mode="full" trains longer

# %% [markdown]
# **After this chapter you can**
#
# 1. write a router with softmax, top-k and both kinds of gate weights, and say which the paper uses;
# 2. compute the experts twice, by a clear loop and by one grouped product, and prove that the two agree in output and gradient;
# 3. say why a router with one expert a token may learn nothing at all, and see it in the gradient;
# 4. read a routing heat map, and tell an even load from a useful one.

# %%
chapter.diagram()

# %% [markdown]
# ## Why many small networks
#
# A feed-forward layer treats every token alike: all its weights work on the word `seven` and on the sound of a vowel. When such
# a model learns to speak, the weights that do arithmetic are the weights that must now make sound, and arithmetic suffers.
#
# A **mixture of experts** has many small feed-forward networks, the *routed experts*, and a *router* that picks a few of them for each
# token. The others do not run. That buys two things. The layer can hold many more weights than one token pays for. And, what
# matters in this book, different kinds of token may come to use different weights, so that one kind can learn without
# disturbing the other. DeepTalk lives on that: it looks for the experts that sound uses much and text little, and gives those to speech.
#
# How does one token choose? The router gives each expert a **score**, softmax turns scores into probabilities, and the $K$ most probable
# experts get the token. Move $K$ below: the chosen experts are the solid bars.

# %%
import time

import plotly.graph_objects as go
import torch
from torch import nn
from torch.nn import functional as F

from minideeptalk.teaching import check
from minideeptalk.teaching.tables import Table
from minideeptalk.viz.style import BLUE, HEAT, PURPLE, VERMILLION, finish

torch.set_printoptions(precision=3, sci_mode=False)
B, T = 4, 64   # sequences, steps
D, H = 16, 16  # width, hidden width of one expert
E, K = 12, 2   # experts, chosen experts

# %%
scores = torch.randn(E, generator=torch.Generator().manual_seed(3))
probabilities = scores.softmax(dim=0).tolist()
ranked = sorted(range(E), key=lambda expert: -probabilities[expert])

figure = go.Figure()
choices = []
for k in range(1, E + 1):
    opacity = [1.0 if expert in ranked[:k] else 0.25 for expert in range(E)]
    kept = sum(probabilities[expert] for expert in ranked[:k])
    words = f"{k} of {E} experts run: {kept:.0%} of the probability"
    changes = [{"marker.opacity": [opacity]}, {"title.text": words}]
    choices.append(dict(label=str(k), method="update", args=changes))
bars, title = choices[K - 1]["args"]
figure.add_bar(x=list(range(E)), y=probabilities, marker=dict(color=BLUE, opacity=bars["marker.opacity"][0]))
slider = dict(active=K - 1, steps=choices, currentvalue=dict(prefix="K = "), pad=dict(t=40))
figure.update_layout(title=dict(text=title["title.text"], font=dict(size=14)), sliders=[slider])
figure.update_xaxes(title="expert", dtick=1).update_yaxes(title="probability")
finish(figure, f"Bars of the router's probabilities for one token over {E} experts. A slider chooses K; "
               "the K largest bars are solid, the others pale.", height=380)

# %% [markdown]
# ## Build it: the router
#
# The router is one matrix, a row for each expert. For a token $x$ the scores are $W x$, and
#
# $$p = \mathrm{softmax}(W x),$$
#
# $$w_e = p_e \quad\text{or}\quad w_e = \frac{p_e}{\sum_{j \in \mathcal{K}} p_j},$$
#
# where $\mathcal{K}$ holds the $K$ experts with the largest $p$.
#
# The two forms of the weight $w_e$ are a real choice, called **renormalising**. DeepSeek-V2-Lite, the model that DeepTalk starts
# from, does not renormalise: a token whose router is unsure gets a quieter answer. Mixtral does. Our config field is
# `renormalise`, and its default is the paper's.

# %%
class MyRouter(nn.Module):
    """Softmax over all experts, then top-k."""

    def __init__(self, width, experts, chosen, renormalise):
        super().__init__()
        self.chosen, self.renormalise = chosen, renormalise
        self.weight = nn.Parameter(torch.randn(experts, width) * width ** -0.5)

    def forward(self, tokens):
        probabilities = F.linear(tokens, self.weight).softmax(dim=-1)  # (N, E)
        weights, indices = probabilities.topk(self.chosen, dim=-1)  # (N, K), (N, K)
        if self.renormalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)  # (N, K)
        return probabilities, weights, indices


tokens = torch.randn(B * T, D)  # (N, D)
router = MyRouter(D, E, K, renormalise=False)
probabilities, weights, indices = router(tokens)
print("the first token goes to experts", indices[0].tolist(), "with weights", weights[0].data)

# %% [markdown]
# ## Build it: the experts, by a loop
#
# Each expert is a small gated network, a *SwiGLU*: one half of its hidden units opens or closes the other half,
# $\;\mathrm{down}(\mathrm{silu}(\mathrm{gate}\,x) \cdot \mathrm{up}\,x)$. The clear way to run them is to ask each expert in turn which tokens are its own.

# %%
def my_loop(tokens, indices, weights, gate_up, down):
    """tokens (N, D), indices and weights (N, K), gate_up (E, 2H, D), down (E, D, H) -> (N, D)."""
    output = torch.zeros_like(tokens)
    for expert, (gate_up_weight, down_weight) in enumerate(zip(gate_up, down)):
        rows, slots = (indices == expert).nonzero(as_tuple=True)  # (n,), (n,) this expert's tokens
        gate, up = (tokens[rows] @ gate_up_weight.T).chunk(2, dim=-1)  # (n, H), (n, H)
        hidden = F.silu(gate) * up * weights[rows, slots, None]  # (n, H)
        output.index_add_(0, rows, hidden @ down_weight.T)  # (N, D)
    return output


gate_up = nn.Parameter(torch.randn(E, 2 * H, D) * D ** -0.5)
down = nn.Parameter(torch.randn(E, D, H) * H ** -0.5)
my_loop(tokens, indices, weights, gate_up, down).shape

# %% [markdown]
# The routing weight multiplies the hidden units and not the output. That is the same number, since `down` is linear; where
# experts are narrower than the model, it is cheaper.
#
# ## Build it: the experts, by one grouped product
#
# The loop starts a dozen small operations for each expert, and looks through all choices each time. So: sort all choices by
# expert, gather the tokens in that order, and let a *grouped* matrix product multiply each segment with its own
# expert's weights. (On a CPU that is still one product for each expert, started from C++; some GPUs have one kernel for all of them.)

# %%
def my_grouped(tokens, indices, weights, gate_up, down):
    """The same sum as `my_loop`."""
    experts, chosen = len(gate_up), indices.shape[1]
    order = indices.flatten().argsort(stable=True)  # (N*K,) choices, sorted by expert
    rows = order // chosen  # (N*K,) the token behind each choice
    counts = torch.bincount(indices.flatten(), minlength=experts)  # (E,)
    ends = counts.cumsum(0).to(torch.int32)  # (E,) where each expert's segment ends
    gate_up_rows = F.grouped_mm(tokens[rows], gate_up.transpose(1, 2), offs=ends)  # (N*K, 2H)
    gate, up = gate_up_rows.chunk(2, dim=-1)  # (N*K, H), (N*K, H)
    hidden = F.silu(gate) * up * weights.flatten()[order, None]  # (N*K, H)
    results = F.grouped_mm(hidden, down.transpose(1, 2), offs=ends)  # (N*K, D)
    return torch.zeros_like(tokens).index_add(0, rows, results)  # (N, D)


arguments = tokens, indices, weights, gate_up, down
apart = (my_loop(*arguments) - my_grouped(*arguments)).abs().max()
print(f"largest difference between loop and grouped: {apart:.1e}")
assert apart < 1e-5

# %% [markdown]
# ## Build it: shared experts
#
# Some work is the same for every token, and it would be a waste if each routed expert had to learn it. A **shared expert** runs
# always and has no gate. DeepSeek calls this shared expert isolation; the paper's model has two beside its 64 routed
# experts. The layer adds both answers.

# %%
class MyMixture(nn.Module):
    """Routed experts plus a shared one."""

    def __init__(self, chosen=K, renormalise=False, path=my_grouped):
        super().__init__()
        self.router = MyRouter(D, E, chosen, renormalise)
        self.gate_up = nn.Parameter(torch.randn(E, 2 * H, D) * D ** -0.5)
        self.down = nn.Parameter(torch.randn(E, D, H) * H ** -0.5)
        self.shared_gate_up = nn.Linear(D, 2 * H, bias=False)
        self.shared_down = nn.Linear(H, D, bias=False)
        self.path = path

    def forward(self, tokens):
        probabilities, weights, indices = self.router(tokens)
        routed = self.path(tokens, indices, weights, self.gate_up, self.down)  # (N, D)
        gate, up = self.shared_gate_up(tokens).chunk(2, dim=-1)  # (N, H), (N, H)
        return routed + self.shared_down(F.silu(gate) * up), probabilities, indices

# %% [markdown]
# ## The same as the library's?
#
# The library's layer is `minideeptalk.model.MixtureOfExperts`. We give it our weights and ask for the same output and the same gradients,
# with random routing, and again with tokens that are nearly all alike, so that some experts get everything and others nothing.

# %%
from minideeptalk.model import DeepTalkConfig, MixtureOfExperts


def library_copy(mine, implementation):
    """The library's layer with the weights of ours."""
    config = DeepTalkConfig(width=D, heads=2, experts=E, experts_per_token=K, expert_hidden=H,
                            shared_experts=1, experts_implementation=implementation)
    layer = MixtureOfExperts(config)
    pairs = [(layer.router.weight, mine.router.weight),
             (layer.experts.gate_up_proj, mine.gate_up), (layer.experts.down_proj, mine.down),
             (layer.shared.gate_up.weight, mine.shared_gate_up.weight),
             (layer.shared.down.weight, mine.shared_down.weight)]
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)
    return layer, pairs

# %%
even = torch.randn(B, T, D)  # (B, T, D)
skewed = torch.randn(D) + 0.01 * torch.randn(B, T, D)  # nearly one token, so few experts

for name, sequences in (("even", even), ("skewed", skewed)):
    for implementation in ("loop", "grouped"):
        mine = MyMixture()
        layer, pairs = library_copy(mine, implementation)
        ours, _, indices = mine(sequences.flatten(0, 1))
        theirs, routing = layer(sequences)
        torch.testing.assert_close(theirs.flatten(0, 1), ours, atol=1e-5, rtol=1e-5)
        ours.square().mean().backward()
        theirs.square().mean().backward()
        for their_weight, our_weight in pairs:
            torch.testing.assert_close(their_weight.grad, our_weight.grad, atol=1e-5, rtol=1e-5)
        empty = E - len(indices.unique())
        print(f"{name} tokens, {implementation} path: equal to the library's; {empty} experts had no token")
assert empty > 0

# %% [markdown]
# ## Which path is faster?
#
# Both compute the same numbers; the library takes the grouped one. We time them forwards and backwards, in turns, and keep the best of some rounds, so that
# a busy moment hits neither alone.
#
# A third one takes part: the loop as one would write it first, with `gate_up[expert]` for an expert's weights. It gives the same numbers. But the gradient of such an
# index is a table as large as *all* experts, filled with zeros but for one, and there is one for each expert. `zip` takes the table apart once instead.

# %%
def seconds(path, count, width=128, experts=16, hidden=128):
    """CPU seconds of one forward and backward pass with `count` tokens."""
    x = torch.randn(count, width, requires_grad=True)
    weights, indices = torch.rand(count, experts).softmax(-1).topk(2, dim=-1)
    gate_up = torch.randn(experts, 2 * hidden, width, requires_grad=True)
    down = torch.randn(experts, width, hidden, requires_grad=True)
    start = time.process_time()
    path(x, indices, weights, gate_up, down).square().mean().backward()
    return time.process_time() - start


def my_indexed_loop(tokens, indices, weights, gate_up, down):
    """`my_loop`, which takes each expert's weights by its number."""
    return my_loop(tokens, indices, weights, [gate_up[e] for e in range(len(gate_up))], [down[e] for e in range(len(down))])


paths = {"loop": my_loop, "loop, weights by index": my_indexed_loop, "grouped": my_grouped}
counts = [64, 256, 1024, 4096]
rounds = 5 if chapter.quick else 20
best = {(name, count): 9.0 for name in paths for count in counts}
for _ in range(rounds):
    for name, count in best:
        best[name, count] = min(best[name, count], seconds(paths[name], count))

# %%
figure = go.Figure()
for name, colour, dash in zip(paths, (VERMILLION, PURPLE, BLUE), ("dash", "dot", "solid")):
    micro = [1e6 * best[name, count] / count for count in counts]
    figure.add_scatter(x=counts, y=micro, name=name, mode="lines+markers", line=dict(color=colour, dash=dash))
figure.update_xaxes(title="tokens in the batch", type="log", tickvals=counts)
figure.update_yaxes(title="µs a token", type="log", tickvals=[1, 2, 5, 10, 20, 50, 100])
ratios = [best["loop", count] / best["grouped", count] for count in counts]
for ratio, count in zip(ratios, counts):
    by_index = best["loop, weights by index", count] / best["grouped", count]
    print(f"at {count} tokens the loop takes {ratio:.2f} times as long as the grouped path, with weights by index {by_index:.2f} times")
finish(figure, "Microseconds a token against tokens in the batch, for two loops and the grouped path.", height=360)

# %% [markdown]
# ## Run it small
#
# Now a world in which specialising pays. There are six **families** of tokens. Each has its own centre and, hidden from the model, its own
# linear map; the layer must learn all six maps. The family's name is not in the input: the router has to find it.

# %%
FAMILIES = ["add", "lookup", "repeat", "vowel", "plosive", "pause"]
hidden_truth = torch.Generator().manual_seed(1)
centres = torch.randn(6, D, generator=hidden_truth)  # (G, D)
maps = torch.randn(6, D, D, generator=hidden_truth) * D ** -0.5  # (G, D, D)


def batch(size, seed):
    """Tokens (N, D), what should come out (N, D), and each token's family (N,)."""
    generator = torch.Generator().manual_seed(seed)
    family = torch.randint(6, (size,), generator=generator)
    tokens = centres[family] + 0.7 * torch.randn(size, D, generator=generator)  # (N, D)
    return tokens, torch.einsum("nd,nde->ne", tokens, maps[family]), family

# %% [markdown]
# Left alone, a router tends to send everything to the experts that are already good. The **balance loss** pushes against that: for every
# sequence it multiplies $f_e$, the share of choices that an expert got, counted in even shares ($1$ is even), with the mean probability it was
# given, $P_e$, and sums over experts,
#
# $$\mathcal{L}_\text{balance} = \sum_{e=1}^{E} f_e\, P_e, \qquad f_e = \frac{E}{K T}\, n_e,$$
#
# where $n_e$ of the sequence's $K T$ choices went to expert $e$. It is 1 when all experts are used alike. The library's is `sequence_balance_loss`; you will write your own in the exercises.

# %%
from minideeptalk.model import sequence_balance_loss


def load_table(layer, size=6000):
    """(G, E): of each family's choices, the share that went to each expert; and the test error."""
    tokens, wanted, family = batch(size, seed=10**6)
    with torch.no_grad():
        output, _, indices = layer(tokens)
    table = torch.zeros(6, E)
    for group in range(6):
        table[group] = torch.bincount(indices[family == group].flatten(), minlength=E)
    return table / table.sum(dim=1, keepdim=True), (F.mse_loss(output, wanted) / wanted.var()).item()

# %%
def train(layer, balance, updates, snapshots=()):
    """AdamW on the task plus `balance` times the balance loss; returns the load tables asked for."""
    optimizer = torch.optim.AdamW(layer.parameters(), lr=5e-3, weight_decay=0.0)
    tables = {}
    for update in range(updates + 1):
        if update in snapshots:
            tables[update] = load_table(layer)[0]
        tokens, wanted, _ = batch(512, seed=1000 * chapter.seed + update)
        output, probabilities, indices = layer(tokens)
        one_sequence = probabilities[None], indices[None], torch.ones(1, 512, dtype=torch.bool)
        loss = F.mse_loss(output, wanted) + balance * sequence_balance_loss(*one_sequence)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return tables

# %%
updates = 400 if chapter.quick else 3000
snapshots = [0, 10, 25, 50, 100, 200, updates]
torch.manual_seed(chapter.seed)
mixture = MyMixture()
tables = train(mixture, balance=0.01, updates=updates, snapshots=snapshots)
table, error = load_table(mixture)
chapter.measure("error of the mixture, as a share of the target's variance", error);

# %% [markdown]
# Who works for whom? Rows are families, columns are experts, and a row adds up to one. Move through training.

# %%
def sorted_columns(table):
    """Experts in the order of the family that uses them most, which makes a staircase."""
    best, family = table.max(dim=0)  # (E,), (E,)
    return sorted(range(E), key=lambda expert: (family[expert].item(), -best[expert].item()))


def heat_map(tables, alt, prefix="update "):
    """Heat map of load tables, with a slider over them."""
    columns = sorted_columns(list(tables.values())[-1])
    pictures = {update: table[:, columns].tolist() for update, table in tables.items()}
    steps = [dict(label=str(name), method="restyle", args=[{"z": [z]}]) for name, z in pictures.items()]
    figure = go.Figure(go.Heatmap(
        z=list(pictures.values())[-1], x=[str(expert) for expert in columns], y=FAMILIES, zmin=0, zmax=0.5,
        colorscale=HEAT, xgap=1, ygap=1, colorbar=dict(tickformat=".0%", thickness=12)))
    slider = dict(active=len(steps) - 1, steps=steps, currentvalue=dict(prefix=prefix), pad=dict(t=45))
    figure.update_layout(sliders=[slider])
    figure.update_xaxes(title="expert", type="category").update_yaxes(autorange="reversed")
    return finish(figure, alt, height=400)


heat_map(tables, "Heat map of six token families by twelve experts. At the start every family uses many "
                 "experts; after training each family keeps to a few, though two may share theirs.")

# %% [markdown]
# **Specialisation** in one number: how many bits an expert's number tells about the family, the mutual information of the table. It is zero when
# every family uses the same experts, and $\log_2 6$ when the expert gives the family away. And a control: a dense network with the *same
# active weights*, which is what a mixture has to beat.

# %%
def specialisation(table):
    """Mutual information of family and expert in bits, each family counted alike."""
    joint = table / table.sum()  # (G, E)
    apart = joint.sum(dim=0) * joint.sum(dim=1, keepdim=True)  # (G, E)
    return (joint * ((joint + 1e-12) / (apart + 1e-12)).log2()).sum().item()


class Dense(nn.Module):
    """One gated network as wide as the K chosen experts and the shared one together."""

    def __init__(self, hidden=(K + 1) * H):
        super().__init__()
        self.gate_up = nn.Linear(D, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, D, bias=False)

    def forward(self, tokens):
        gate, up = self.gate_up(tokens).chunk(2, dim=-1)
        count = len(tokens)  # it pretends to have one expert, so that the same loop trains it
        return self.down(F.silu(gate) * up), torch.ones(count, 1), torch.zeros(count, 1, dtype=torch.long)

# %%
torch.manual_seed(chapter.seed)
dense = Dense()
train(dense, balance=0.0, updates=updates)
dense_error = load_table(dense)[1]
chapter.measure("error of the dense network", dense_error)
chapter.measure("specialisation of the mixture, bits", specialisation(table))
chapter.measure("busiest expert, times its even share", (table.mean(dim=0).max() * E).item());

# %% [markdown]
# ## What goes wrong: one expert a token
#
# Take $K = 1$ and renormalise, as two well-known teaching codes do. The single weight is divided by itself: it is 1, whatever the
# router says. The output then does not depend on the router's probabilities at all, and the task gives the router **no gradient**.
# Here is the size of that gradient, with the balance loss off.

# %%
def router_gradient(chosen, renormalise):
    """Norm of the task's gradient on the router's matrix."""
    torch.manual_seed(chapter.seed)
    layer = MyMixture(chosen, renormalise)
    tokens, wanted, _ = batch(512, seed=5)
    F.mse_loss(layer(tokens)[0], wanted).backward()
    return layer.router.weight.grad.norm().item()


print("K   plain weights   renormalised")
for k in (1, 2, 3, 4):
    print(f"{k}   {router_gradient(k, False):13.2e}   {router_gradient(k, True):12.2e}")
assert router_gradient(1, True) < 1e-6 < router_gradient(1, False)

# %% [markdown]
# With $K = 1$ and renormalising, what is left is rounding. Nothing fails loudly: the experts still learn, the loss still falls, and with a balance loss the load
# even looks perfect, because the balance loss is now the only thing that moves the router. That is why this book always reports **load and specialisation
# together**. Three runs tell it all.

# %%
runs = {"K = 1, plain": (1, False, 0.01), "K = 1, renormalised": (1, True, 0.01),
        "K = 2, no balance loss": (2, False, 0.0)}
rows, trapped = [("K = 2, balance loss", error, specialisation(table), table)], {}
for name, (chosen, renormalise, balance) in runs.items():
    torch.manual_seed(chapter.seed)
    layer = MyMixture(chosen, renormalise)
    train(layer, balance, updates)
    trapped[name], trapped_error = load_table(layer)
    rows.append((name, trapped_error, specialisation(trapped[name]), trapped[name]))
shown = []
for name, its_error, bits, its_table in rows:
    load = its_table.mean(dim=0) * E  # 1 is the even share
    shown.append((name, f"{its_error:.3f}", f"{bits:.2f}", f"{load.max():.2f}", f"{load.min():.2f}"))
chapter.measure("specialisation of the trapped router, bits", rows[2][2])
torch.manual_seed(chapter.seed)
floor = specialisation(load_table(MyMixture(1, True))[0])
print(f"The same router (K = 1) before any training: {floor:.2f} bits.")
Table(("router", "error", "bits", "busiest expert", "idlest expert"), shown, "Load and specialisation together; a load of 1 is the even share")

# %%
heat_map({"plain": trapped["K = 1, plain"], "renormalised": trapped["K = 1, renormalised"]},
         "Heat maps of two routers with one expert a token. The plain one is a staircase of specialists; "
         "the renormalised one is smeared, although its experts are equally busy.", prefix="K = 1, ")

# %% [markdown]
# A router that was never trained tells some bits already: it cuts the space of tokens somewhere, and families lie on different sides. So
# compare the bits with that number and not with zero. The trapped router has nothing that pulls it towards families: only the balance loss, which spreads
# tokens whatever they are, and chance move it. Over seeds its bits vary widely; it may lose half of them or keep what it told untrained.
#
# Compare the first row of the table with the last, too: in a world this small a weak balance loss hardly matters. Make it stronger in `train`, and watch load
# and error move apart.
#
# A second trap lies in the order of two words. *Softmax, then top-k* and *top-k, then softmax* give the same experts, and once renormalised the same
# weights, since softmax over a subset is renormalised softmax. Without renormalising they differ. The paper's model takes softmax first.

# %%
logits = torch.randn(5, E)
first = logits.softmax(dim=-1).topk(K, dim=-1).values  # (5, K)
second = logits.topk(K, dim=-1).values.softmax(dim=-1)  # (5, K)
torch.testing.assert_close(first / first.sum(dim=-1, keepdim=True), second)
print("softmax first:", first[0])
print("top-k first:  ", second[0])

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder (shape, type, mechanism, behaviour, gradient) and
# tells you on which rung you stand.
#
# **Exercise 04-1: the gate** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs softmax, topk
#
# Write the gate with both kinds of weights.
#
# <details><summary>Hint 1, a question</summary>
#
# Over which of the two dimensions do the probabilities of one token add up to one?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `tensor.topk(k, dim=-1)` gives values and indices, the largest first.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Softmax over experts; top-k of the result; if asked, divide the k values by their sum, keeping the dimension.
#
# </details>
# </details>
# </details>

# %%
# Exercise 04-1: your code
def top_k_gate(logits, k, renormalise):
    """logits (N, E) -> weights (N, k) and indices (N, k), the largest first."""
    raise NotImplementedError("your code here")

# %%
check("04-1", top_k_gate)

# %% [markdown]
# <details>
# <summary>A solution of 04-1</summary>
#
# ```python
# def top_k_gate(logits, k, renormalise):
#     """logits (N, E) -> weights (N, k) and indices (N, k), the largest first."""
#     probabilities = logits.softmax(dim=-1)  # (N, E)
#     weights, indices = probabilities.topk(k, dim=-1)  # (N, k)
#     if renormalise:
#         weights = weights / weights.sum(dim=-1, keepdim=True)  # (N, k)
#     return weights, indices
# ```
#
# </details>
#
# **Exercise 04-2: the balance loss** · practice · difficulty ●●●○○ (3 of 5) · about 20 minutes · 3 points · needs scatter or bincount
#
# Write the balance loss for a batch of sequences. Each sequence is judged alone: two sequences that are lopsided in opposite ways do not make
# up for each other.
#
# <details><summary>Hint 1, a question</summary>
#
# If all experts were used alike, how many of the $T \cdot K$ choices of one sequence would each get?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.zeros_like(probabilities).scatter(2, indices, 1.0)` marks what was chosen, in the shape (B, T, E).
#
# <details><summary>Hint 3, almost the code</summary>
#
# Counts a sequence, times E / (K T); mean probability a sequence; multiply, sum over experts, mean over the batch.
#
# </details>
# </details>
# </details>

# %%
# Exercise 04-2: your code
def balance_loss(probabilities, indices):
    """probabilities (B, T, E), indices (B, T, K) -> one number, 1 where use is even."""
    raise NotImplementedError("your code here")

# %%
check("04-2", balance_loss)

# %% [markdown]
# <details>
# <summary>A solution of 04-2</summary>
#
# ```python
# def balance_loss(probabilities, indices):
#     """probabilities (B, T, E), indices (B, T, K) -> one number, 1 where use is even."""
#     steps, experts = probabilities.shape[1:]
#     hits = torch.zeros_like(probabilities).scatter(2, indices, 1.0)  # (B, T, E)
#     frequency = hits.sum(dim=1) * experts / (indices.shape[-1] * steps)  # (B, E)
#     mean_probability = probabilities.mean(dim=1)  # (B, E)
#     return (frequency * mean_probability).sum(dim=-1).mean()
# ```
#
# </details>
#
# **Exercise 04-3: who works for whom** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs indexing, bincount
#
# Make the table behind the heat map, for tokens of which some are padding. Chapter 07 measures the load of each modality with exactly this.
#
# <details><summary>Hint 1, a question</summary>
#
# A group has n tokens that are not padding. How many choices is that?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `indices[(groups == group) & mask]` are the choices of one group; `torch.bincount(..., minlength=experts)` counts them.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each group: choices, counts, divided by the number of choices, or by 1 when there are none.
#
# </details>
# </details>
# </details>

# %%
# Exercise 04-3: your code
def load_by_group(indices, groups, mask, experts, num_groups):
    """indices (N, K), groups (N,), mask (N,) -> (G, E), shares of each group's choices."""
    raise NotImplementedError("your code here")

# %%
check("04-3", load_by_group)

# %% [markdown]
# <details>
# <summary>A solution of 04-3</summary>
#
# ```python
# def load_by_group(indices, groups, mask, experts, num_groups):
#     """indices (N, K), groups (N,), mask (N,) -> (G, E), shares of each group's choices."""
#     table = torch.zeros(num_groups, experts)
#     for group in range(num_groups):
#         chosen = indices[(groups == group) & mask]  # (n, K)
#         counts = torch.bincount(chosen.flatten(), minlength=experts)  # (E,)
#         table[group] = counts / max(1, chosen.numel())
#     return table
# ```
#
# </details>
#
# ## What this run has shown

# %%
better = dense_error / error
bits = specialisation(table)
print(f"- With the same active weights, the mixture's error was {better:.1f} times smaller than the dense one's.")
print(f"- Its experts tell the family with {bits:.2f} of {torch.tensor(6.).log2():.2f} bits. Nobody told them.")
print(f"- The trapped router (K = 1, renormalised) kept its experts busy but told {rows[2][2]:.2f} bits,")
print(f"  where the plain one told {rows[1][2]:.2f}.")
print(f"- Loop and grouped path agree; at {counts[-1]} tokens the loop took {ratios[-1]:.2f} times as long.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific MoE](https://arxiv.org/abs/2506.21864):
#   the paper that this book rebuilds; its first versions are titled DeepTalk.
# - DeepSeek-AI (2024), [DeepSeek-V2](https://arxiv.org/abs/2405.04434): the router, the shared experts and the balance loss that DeepTalk starts from.
# - Dai et al. (2024), [DeepSeekMoE](https://arxiv.org/abs/2401.06066): fine-grained and shared experts.
# - Fedus, Zoph and Shazeer (2022), [Switch Transformers](https://arxiv.org/abs/2101.03961): one expert a token, with the plain weight, for this reason.
# - Shazeer et al. (2017), [Outrageously Large Neural Networks](https://arxiv.org/abs/1701.06538): where it began for language.
# - Shazeer (2020), [GLU Variants Improve Transformer](https://arxiv.org/abs/2002.05202): SwiGLU.
#
# Next: [chapter 05, a text model that has something to lose](05_text_model.ipynb).

# %%
chapter.footer()
