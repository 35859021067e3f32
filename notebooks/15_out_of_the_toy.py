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
# # Out of the toy
#
# You will take the tools of this book to things that were not made for it: the experts of other people's language models, the
# voices of people, a codec and an encoder trained on years of speech, and several GPUs at once.
#
# ![The miniature drawn as a board with three sockets: ear, experts and codec. Below, three pieces from outside wait to be plugged in: Whisper's encoder into the ear's socket, any mixture of experts into the middle one, and Mimi or SNAC into the codec's. On the left a human voice arrives; on the right two GPUs share the work.](../book/_static/15-sockets.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/15_out_of_the_toy.ipynb)

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
chapter = open_chapter("15_out_of_the_toy")  # mode="full" takes more seeds and more speech

# %% [markdown]
# **After this chapter you can**
#
# 1. record which expert serves which token in any mixture of experts of `transformers`, and close an expert from outside;
# 2. say what such a profile shows by chance alone, and so what it has to show before you believe it;
# 3. read recordings of people at any sample rate without changing how long they last, and test why a model refuses them;
# 4. put a pretrained codec and a pretrained encoder where ours were;
# 5. share a batch among several GPUs so that they train as one, and estimate how fast a GPU can be at best.

# %%
chapter.diagram()

# %% [markdown]
# ## One recorder, many families
#
# So far all experts were ours. In `transformers` there are dozens of families of mixtures of experts, and each names its parts
# differently. But each has, in every such layer, a **router** that gives scores, and a module of **stacked experts** that is told
# which experts each token goes to. That is all a recorder needs.
#
# Checkpoints of these families are gigabytes. So here we build tiny ones from their own code, with **random weights**: enough to
# prove that the tools fit. What they measure on random weights means nothing, and that turns out to be useful.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import soundfile
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM

from minideeptalk.config import SAMPLE_RATE, STYLES, size_config
from minideeptalk.evaluation.load_and_importance import rank_correlation
from minideeptalk.experts import LoadRecorder, Modality, find_routers, forbid_experts, measure_importance
from minideeptalk.experts.distance import modality_distance
from minideeptalk.model import DeepTalkConfig, DeepTalkModel
from minideeptalk.speech.features import log_mel, resample
from minideeptalk.teaching import check
from minideeptalk.teaching.samples import shipped_run
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import AudioClip
from minideeptalk.viz.style import BLUE, GREEN, HEAT, MARKERS, PURPLE, VERMILLION, finish

NETWORK = False  # True lets the cells that say so download checkpoints; nothing else here needs a network

# %%
COMMON = dict(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=2, num_experts_per_tok=2, max_position_embeddings=64, pad_token_id=0,
              bos_token_id=1, eos_token_id=2)
LATENT = dict(n_routed_experts=8, n_shared_experts=1, moe_intermediate_size=16, first_k_dense_replace=1,
              num_hidden_layers=3, kv_lora_rank=8, q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=8,
              v_head_dim=8, n_group=1, topk_group=1, topk_method="greedy")
FAMILIES = {
    "OLMoE": ("olmoe", dict(num_experts=8)),
    "Qwen2-MoE": ("qwen2_moe", dict(num_experts=8, moe_intermediate_size=16, shared_expert_intermediate_size=16)),
    "Mixtral": ("mixtral", dict(num_local_experts=8)),
    "DeepSeek-V2": ("deepseek_v2", LATENT),
    "Granite": ("granitemoe", dict(num_local_experts=8)),
}


def tiny_model(family, seed=0):
    """A mixture of experts with random weights; routers random enough to use many experts."""
    torch.manual_seed(seed)
    name, choices = FAMILIES[family]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **{**COMMON, **choices})).eval()
    for _, router in find_routers(model):
        torch.nn.init.normal_(router.weight)
    return model

# %% [markdown]
# A profile compares two kinds of token. These models read text only, so take two kinds of text: rows from one half of the
# vocabulary, and rows from the other. The recorder is told the kind of each token before each forward, as in chapter 07; it calls
# the kinds *text* and *audio*, and what you announce under these names is your affair.

# %%
def two_kinds(seed, rows=8, steps=32):
    """Token ids (B, T) and kinds (B, T): first half of the rows of one kind, second half of the other."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(30, (2 * rows, steps), generator=generator)  # (B, T)
    kinds = torch.full_like(ids, Modality.TEXT_PROMPT)
    kinds[rows:] = Modality.AUDIO_PROMPT
    return torch.where(kinds == Modality.TEXT_PROMPT, 3 + ids, 33 + ids), kinds


@torch.no_grad()
def profile(model, ids, kinds):
    """The load of every expert by kind of token, as the library counts it."""
    with LoadRecorder(model) as recorder:
        recorder.modality(kinds)
        model(ids)
    return recorder.loads()


models = {family: tiny_model(family, chapter.seed) for family in FAMILIES}
ids, kinds = two_kinds(chapter.seed)
loads = {family: profile(model, ids, kinds) for family, model in models.items()}

# %%
figure, choices = go.Figure(), []
names = [f"layer {layer}, {kind}" for layer in (1, 2) for kind in ("first kind", "second kind")]
for family, measured in loads.items():
    second, first = measured.share("share")  # (L, E) each
    rows = [row.round(3).tolist() for layer in range(2) for row in (first[layer], second[layer])]
    router = type(find_routers(models[family])[0][1]).__name__
    choices.append(dict(label=family, method="update", args=[{"z": [rows]}, {"title.text": f"{family}, {router}"}]))
highest = max(float(measured.share("share").max()) for measured in loads.values())
figure.add_heatmap(z=choices[0]["args"][0]["z"][0], x=list(range(8)), y=names, zmin=0, zmax=highest, colorscale=HEAT,
                   xgap=2, ygap=2, colorbar=dict(thickness=12, tickformat=".0%"),
                   hovertemplate="%{y}, expert %{x}: %{z:.0%} of choices<extra></extra>")
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="family: "), pad=dict(t=60))
figure.update_layout(sliders=[slider], title=dict(text=choices[0]["args"][1]["title.text"], font=dict(size=14)),
                     margin=dict(t=44))
figure.update_xaxes(title="expert", dtick=1, showgrid=False).update_yaxes(autorange="reversed", showgrid=False)
busiest = loads["OLMoE"].share("share")[1][0]
finish(figure, "Heat map of two layers and two kinds of token by eight experts; a slider chooses the family. In OLMoE, "
               f"layer 1, expert {busiest.argmax()} takes {busiest.max():.0%} of the first kind's choices. The rows of "
               "the two kinds differ in every family, although all weights are random.", height=400)

# %% [markdown]
# Look at two rows of one layer: they differ. Some experts seem to prefer one kind. Remember that, we come back to it.
#
# ## Build it: a recorder that knows no names
#
# How does one find the experts of a model whose code one has not read? By what they must have: a number of experts, and weights
# stacked in three dimensions, one slice an expert. And where does one listen? At the door: when the module is called, the
# choices are among its arguments, as whole numbers $(N, K)$. What is heard there is what was **executed**, after every top-k, bias and mask.

# %%
def stacked_experts(model):
    """Modules with a number of experts and a 3-D `down_proj`."""
    return [module for module in model.modules() if isinstance(getattr(module, "num_experts", None), int)
            and getattr(getattr(module, "down_proj", None), "ndim", 0) == 3]


for family, model in models.items():
    print(f"{family:12}", *(f"{type(module).__name__} with {module.num_experts}" for module in stacked_experts(model)))

# %%
@torch.no_grad()
def my_profile(model, ids, kinds):
    """Choices (2, L, E) of tokens of the two kinds."""
    places = stacked_experts(model)
    counts = torch.zeros(2, len(places), places[0].num_experts)

    def listen_at(layer):
        def before(module, args, kwargs):
            chosen = next(value for value in (*args, *kwargs.values()) if value.dtype == torch.int64)  # (N, K)
            for kind in (0, 1):
                mine = chosen[kinds.flatten() == kind].flatten()
                counts[kind, layer] += torch.bincount(mine, minlength=module.num_experts)
        return before

    handles = [place.register_forward_pre_hook(listen_at(layer), with_kwargs=True)
               for layer, place in enumerate(places)]
    try:
        model(ids)
    finally:
        for handle in handles:
            handle.remove()
    return counts

# %% [markdown]
# ## The same as the library's?

# %%
for family, model in models.items():
    mine = my_profile(model, ids, kinds)
    theirs = loads[family].counts[[Modality.TEXT_PROMPT, Modality.AUDIO_PROMPT]]  # (2, L, E)
    assert np.array_equal(mine.numpy(), theirs)
    before = model(ids).logits
    expert = int(mine[0, 0].argmax())
    with forbid_experts(model, {0: [expert]}):
        closed = my_profile(model, ids, kinds)
        assert closed[:, 0, expert].sum() == 0 and closed.sum() == mine.sum()
    assert torch.equal(model(ids).logits, before)
    print(f"{family:12} {int(mine.sum()):5} choices counted alike; expert {expert} of layer 1 closed and opened again")

# %% [markdown]
# `forbid_experts` closes an expert in a model whose code knows of no such thing. While a router runs, it catches the router's
# product and puts the closed columns so low that top-k passes them over. Afterwards the model gives the same numbers, bit for bit.
#
# ## What random weights show
#
# Now the useful part. These models have learnt nothing. Whatever their profile shows, **chance** shows it. We take several seeds of
# each family and ask for two numbers that papers like to quote: how differently the two kinds use the experts (the
# Jensen-Shannon distance of chapter 07, from 0 to 1), and how well an expert's load agrees with its importance (chapter 08).

# %%
def by_chance(family, seed):
    """Distance of the two kinds, and correlation of load and importance, in a model that has learnt nothing."""
    model = tiny_model(family, seed)
    ids, kinds = two_kinds(seed)
    text = ids[:8]

    def text_loss(model):
        return float(F.cross_entropy(model(text).logits[:, :-1].flatten(0, 1), text[:, 1:].flatten()))

    measured = profile(model, ids, kinds)
    rise = measure_importance(model, text_loss).rise  # (L, E)
    agreement = rank_correlation(measured.share("max")[1].ravel(), rise.ravel())  # as in chapter 08
    return float(modality_distance(measured).mean()), float(agreement)


seeds = range(10 * chapter.seed, 10 * chapter.seed + (6 if chapter.quick else 30))
chance = {family: np.array([by_chance(family, 1000 * number + seed) for seed in seeds])  # (seeds, 2) each; no two families share a seed
          for number, family in enumerate(FAMILIES)}

# %%
rows = [(family, f"{values[:, 0].mean():.2f}", f"{values[:, 0].min():.2f} to {values[:, 0].max():.2f}",
         f"{values[:, 1].mean():+.2f}", f"{values[:, 1].min():+.2f} to {values[:, 1].max():+.2f}")
        for family, values in chance.items()]
Table(("random weights", "distance", "its range over seeds", "load and importance", "their range over seeds"), rows,
      f"What chance alone shows, {len(seeds)} seeds of each family")

# %% [markdown]
# So a distance well above zero is **no** evidence of learnt specialisation. Two kinds of token that look different arrive differently
# at the routers, and any router, a random one too, then splits them somehow. And load and importance can agree, or disagree, quite a
# bit with nothing behind it. A profile of a real model has to be held against a **null**, and there are two:
#
# - **shuffled kinds**: deal the kinds out at random. What is left comes from having counted too few tokens.
# - **random weights**: the same architecture on the same input, never trained. What is left is there without any learning.
#
# We do both for the one trained model that we have at hand: our own, after stage 3, on spoken and written questions.

# %%
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material

miniature = shipped_stage("3-joint")
sampler = chapter_sampler(miniature, spoken_material(questions=80, replies=40))
batches = [sampler.batch(tasks, 48, f"profile-{chapter.seed}-{number}") for number in range(2)
           for tasks in ({"recognise": 1.0, "answer_aloud": 1.0}, {"covered_text": 1.0})]

# %%
def sound_and_text(model, shuffled=False):
    """Mean distance over layers of sound and text; `shuffled` deals the kinds out at random."""
    generator = torch.Generator().manual_seed(chapter.seed)
    with LoadRecorder(model) as recorder, torch.no_grad():
        for batch in batches:
            kinds = batch.modality.clone()
            if shuffled:
                real = kinds >= 0
                kinds[real] = torch.randint(2, (int(real.sum()),), generator=generator)
            recorder.modality(kinds)
            model(**batch.model_inputs())
    return float(modality_distance(recorder.loads()).mean())


trained, shuffled = sound_and_text(miniature), sound_and_text(miniature, shuffled=True)
untrained = []
for seed in range(5):
    torch.manual_seed(100 * chapter.seed + seed)
    untrained.append(sound_and_text(DeepTalkModel(miniature.config).eval()))
chapter.measure("distance of sound and text, trained", trained)
chapter.measure("the same, shuffled kinds", shuffled)
chapter.measure("the same, never trained", float(np.mean(untrained)))
print(f"never trained, {len(untrained)} seeds: from {min(untrained):.2f} to {max(untrained):.2f}")

# %% [markdown]
# There are tokens enough: shuffled, the distance is nearly gone. But the untrained twin uses its experts for sound and for text about as
# differently as the trained model does. Sound and words *look* different, and that suffices. So this number, quoted alone, cannot tell
# whether anything was learnt. A question that can tell is another: close some experts, and measure what the model can no longer do (chapter 08).
#
# ## With a real checkpoint
#
# The cell below is all it takes. It runs when you set `NETWORK = True` at the top, and downloads Granite, the smallest
# real mixture that we know of that needs no GPU; it is a few gigabytes. Any other name of `transformers` goes too. The
# two kinds are prose and program text; for a spoken model, announce its audio tokens as `Modality.AUDIO_PROMPT`.

# %%
TEXTS = {"prose": "The sea was calm that morning, and nobody on the pier spoke of the storm.",
         "program": "def add(a, b):\n    return a + b\n\nfor i in range(10):\n    print(add(i, 1))"}
if NETWORK:
    from transformers import AutoTokenizer

    name = "ibm-granite/granite-3.1-1b-a400m-base"
    tokenizer = AutoTokenizer.from_pretrained(name)
    real = AutoModelForCausalLM.from_pretrained(name, dtype=torch.bfloat16).eval()
    with LoadRecorder(real) as recorder, torch.no_grad():
        for kind, text in zip((Modality.TEXT_PROMPT, Modality.AUDIO_PROMPT), TEXTS.values()):
            tokens = tokenizer(text, return_tensors="pt").input_ids  # (1, T)
            recorder.modality(torch.full_like(tokens, kind))
            real(tokens)
    print("distance of prose and program text by layer:", modality_distance(recorder.loads()).round(2))
else:
    print("NETWORK is False: no checkpoint was downloaded, and this page claims nothing about one")

# %% [markdown]
# Give it pages of text, not two sentences, and run the shuffled control before you believe the result.
#
# ## Recordings of people
#
# The library reads three public corpora through torchaudio's classes, and any folder of sounds with transcripts. It downloads only
# when asked, with `download=True`.
#
# | call | what it is |
# | --- | --- |
# | `librispeech(root, "dev-clean")` | sentences from audio books, many readers |
# | `speech_commands(root, "testing")` | single words, thousands of people |
# | `ljspeech(root)` | one reader, a day of sentences |
# | `folder_of_recordings(folder)` | yours: names like `7_jackson_32.wav`, or a `transcripts.json` |
#
# The last one fits the [Free Spoken Digit Dataset](https://github.com/Jakobovski/free-spoken-digit-dataset) as it is. If you have
# cloned it, name its folder `recordings` in the environment variable `MINIDEEPTALK_FSDD` before you open this notebook, and people will be heard below. In any case
# we make such a folder ourselves: synthetic voices, single digits, and 8 kHz, the rate of a telephone, as in the original.

# %%
from minideeptalk.speech.corpora import folder_of_recordings
from minideeptalk.speech.synthesis import Synthesizer
from minideeptalk.speech.voices import HELD_OUT_VOICE, USER_VOICES

DIGITS = "zero one two three four five six seven eight nine".split()
speaker, workplace = Synthesizer(), tempfile.TemporaryDirectory()


def digit_folder(name, voices, rate):
    """A folder of spoken digits, `7_amy_0.wav` and so on, at `rate` Hz."""
    folder = Path(workplace.name, name)
    folder.mkdir()
    for voice in voices:
        for number, word in enumerate(DIGITS):
            for take, style in enumerate(STYLES):
                waveform = speaker.speak(word, voice=voice, style=style).waveform
                path = folder / f"{number}_{voice.name}_{take}.wav"
                soundfile.write(path, resample(waveform, SAMPLE_RATE, rate), rate)
    return folder


strange = folder_of_recordings(digit_folder("held-out", [HELD_OUT_VOICE], 8_000))
print(len(strange), "recordings;", strange[0].path.name, f"says {strange[0].words!r} in {strange[0].seconds:.2f} s")
HUMAN = os.environ.get("MINIDEEPTALK_FSDD")
print("recordings of people:", HUMAN or "none here (MINIDEEPTALK_FSDD names no folder)")

# %% [markdown]
# ## Build it: a second is a second
#
# A file holds numbers, and a header that says how many of them make a second. Forget the header, and the numbers still play, only
# too fast or too slow. So read the rate, average the channels, resample to 16 kHz, and then **compare the seconds**.

# %%
def my_waveform(path):
    """A WAV or FLAC file of any rate -> (N,) at 16 kHz, and its seconds by header and by samples."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)  # (n, channels)
    waveform = resample(samples.mean(axis=1), rate)  # (N,)
    return waveform, len(samples) / rate, len(waveform) / SAMPLE_RATE


for recording in strange:
    waveform, said, got = my_waveform(recording.path)
    assert abs(said - got) < 0.01 and said == recording.seconds
    np.testing.assert_allclose(waveform.numpy(), recording.waveform(), atol=1e-6)
print(f"{len(strange)} recordings: waveform and seconds equal to the library's")

# %% [markdown]
# ## A voice meets the toy
#
# The ear of our miniature has met a few synthetic voices that ask questions. When it is not sure, the miniature says "I did not
# understand" (chapter 03). What does it do with a voice from outside?
#
# Beware of a quick answer. A human digit of that data set differs from the ear's training in **three** ways: the voice is human, the
# sound is as narrow as a telephone's, and it is one word, not a question. If the ear refuses, which was it? We change one thing
# at a time.

# %%
from minideeptalk.hearing import Ear
from minideeptalk.hearing.data import question_items

ear = Ear.load(shipped_run() / "ear")
items = question_items(size_config("nano"), "test", 56 if chapter.quick else 280, seed=100 + chapter.seed)


def asked(voices):
    """Whole questions of the test split, in these voices and all styles."""
    return [(speaker.speak(item.question, voice=voices[number % len(voices)], style=STYLES[number % 4]).waveform,
             " ".join(item.question)) for number, item in enumerate(items)]


def narrowed(group, rate=8_000):
    """The same sounds after a line that carries `rate` samples a second."""
    return [(resample(resample(sound, SAMPLE_RATE, rate), rate, SAMPLE_RATE).numpy(), words) for sound, words in group]


def read(folder, every=1):
    return [(recording.waveform(), recording.words) for recording in folder_of_recordings(folder)[::every]]

# %%
groups = {"questions, trained voices": asked(USER_VOICES), "questions, new voice": asked([HELD_OUT_VOICE]),
          "digits, trained voices": read(digit_folder("trained", USER_VOICES, SAMPLE_RATE)),
          "digits, trained voices, telephone": read(digit_folder("narrow", USER_VOICES, 8_000)),
          "digits, new voice, telephone": [(one.waveform(), one.words) for one in strange]}
groups["questions, trained voices, telephone"] = narrowed(groups["questions, trained voices"])
groups = {name: groups[name] for name in sorted(groups, key=lambda name: (name[0] == "d", "new" in name, name))}
if HUMAN:
    groups["digits, people, telephone"] = read(HUMAN, every=4 if chapter.quick else 1)

# %%
heard = {name: ear.listen([log_mel(torch.as_tensor(sound)) for sound, _ in group]) for name, group in groups.items()}
sure = {name: np.array([one.confidence for one in hearings]) for name, hearings in heard.items()}
right = {name: np.array([" ".join(one.words) == words for one, (_, words) in zip(heard[name], group)])
         for name, group in groups.items()}
understood = {name: values >= float(ear.threshold) for name, values in sure.items()}
rows = [(name, str(len(group)), f"{understood[name].mean():.0%}", f"{right[name].mean():.0%}",
         f"{right[name][understood[name]].mean():.0%}" if understood[name].any() else "-")
        for name, group in groups.items()]
Table(("what is said", "how many", "understood", "words right", "right where understood"), rows,
      "What the ear makes of voices; it is judged on every word")

# %%
for name in groups:
    if "people" not in name:
        chapter.measure(f"understood: {name}", understood[name].mean(), grain=1 / len(sure[name]))
people = (chapter.record or {}).get("values", {}).get("understood: digits, people, telephone")
if HUMAN:
    chapter.measure("understood: digits, people, telephone", understood["digits, people, telephone"].mean())
    chapter.measure("words right: digits, people", right["digits, people, telephone"].mean())
    chapter.measure("how many digits of people", len(right["digits, people, telephone"]))
elif people:
    count, correct = (chapter.record["values"][what]["mean"] for what in
                      ("how many digits of people", "words right: digits, people"))
    print(f"No people here. The record, made where they were, says: of {count:.0f} human digits the ear")
    print(f"understood {people['mean']:.1%}, and had the word right, sure or not, in {correct:.1%}.")

# %% [markdown]
# Compare rows that differ in one thing. The ear knows *questions*: a lone word already makes it unsure, even in a voice that it
# was trained on. A new voice costs much, and the guard does not notice: it believes most of what it hears there, and is wrong in about half of that (the last column). And look
# at what the **telephone** does to voices that it knows perfectly well: few questions are believed any more, next to no digit, and what it still believes is wrong.
#
# So if you, or we, had played telephone recordings of people to this ear and seen it refuse them all, we would have written: it knows a human voice
# from a synthetic one. The control says that nothing of the kind was shown. A refusal is *right*, since the words would be wrong; but the width of the band alone
# is enough to explain it. To learn something about human voices, take recordings of full width. Speech Commands has some, one call away:

# %%
if NETWORK:
    from minideeptalk.speech.corpora import speech_commands

    wide = [one for one in speech_commands(workplace.name, "testing", download=True) if one.words in DIGITS][::10]
    listened = ear.listen([log_mel(torch.from_numpy(one.waveform())) for one in wide])
    print(len(wide), "digits of people, 16 kHz:", sum(map(ear.understands, listened)), "understood,",
          sum(" ".join(one.words) == clip.words for one, clip in zip(listened, wide)), "right")
else:
    print("NETWORK is False: human voices at full width stay an open question on this page")

# %% [markdown]
# How narrow may the sound be? We send the questions through lines of less and less width. A line of so many samples a second carries tones up to half as
# many hertz.

# %%
rates = [16_000, 15_000, 14_000, 13_000, 12_000, 11_000, 10_000, 9_000, 8_000]
band = []
for rate in rates:
    listened = ear.listen([log_mel(torch.as_tensor(sound)) for sound, _ in
                           narrowed(groups["questions, trained voices"], rate)])
    band.append((np.mean([ear.understands(one) for one in listened]),
                 np.mean([" ".join(one.words) == words for one, (_, words) in
                          zip(listened, groups["questions, trained voices"])])))
figure = go.Figure()
for number, (name, colour, dash) in enumerate((("understood", BLUE, "solid"), ("all words right", GREEN, "dash"))):
    figure.add_scatter(x=[rate / 2000 for rate in rates], y=[point[number] for point in band], name=name,
                       mode="lines+markers", line=dict(color=colour, dash=dash, width=3))
figure.update_xaxes(title="highest tone, kHz")
figure.update_yaxes(title="share of questions", tickformat=".0%", range=[0, 1.02])
told = "; ".join(f"{rate / 2000:g} kHz: {first:.0%} and {second:.0%}" for rate, (first, second) in zip(rates, band))
finish(figure, "Two curves over the highest tone that the line carries: share of questions understood, and share with "
               f"all words right. {told}.", height=340)

# %% [markdown]
# It was trained on sound of one width only, so anything else is strange to it. People's recordings come in every width; a pretrained encoder has met most of them.
#
# The threshold is a choice (made after the ear's training, on speech that should, and on sounds that should not, be understood). Move it, and see what each group
# pays.

# %%
levels = sorted({round(level, 2) for level in np.linspace(0.05, 0.95, 19)} | {round(float(ear.threshold), 2)})
figure, choices = go.Figure(), []
for level in levels:
    shares = [float((sure[name] >= level).mean()) for name in groups]
    wrong = [float(((sure[name] >= level) & ~right[name]).mean()) for name in groups]
    choices.append(dict(label=f"{level:.2f}", method="restyle", args=[{"x": [shares, wrong]}]))
start = levels.index(round(float(ear.threshold), 2))
shown = choices[start]["args"][0]["x"]
labels = [name.replace(", ", ",<br>") for name in groups]
for name, values, colour, pattern in (("understood", shown[0], BLUE, ""),
                                      ("understood, but wrongly", shown[1], VERMILLION, "/")):
    figure.add_bar(y=labels, x=values, name=name, orientation="h", hovertemplate="%{x:.0%}<extra></extra>",
                   marker=dict(color=colour, pattern=dict(shape=pattern)))
slider = dict(active=start, steps=choices, currentvalue=dict(prefix="threshold "), pad=dict(t=60))
figure.update_layout(sliders=[slider], barmode="group", legend=dict(y=1.0, yanchor="top"), margin=dict(t=50))
figure.update_xaxes(title="share of the group", tickformat=".0%", range=[0, 1]).update_yaxes(autorange="reversed")
told = "; ".join(f"{name} {share:.0%}, wrongly {bad:.0%}" for name, share, bad in zip(groups, *shown))
finish(figure, "Bars for each group of recordings: the share that the ear trusts itself to understand, and the share "
               f"in which it is then wrong; a slider moves the threshold. At the ear's own: {told}.", height=470)

# %% [markdown]
# ## A pretrained codec
#
# Our codec is k-means on a spectrogram, fitted in seconds on one voice. **Mimi**, **EnCodec**, **DAC** and **SNAC** are networks trained on thousands of
# hours, and sound like people. All do what ours does: residual vector quantisation (chapter 02). They differ in how many steps a
# second they make and how many codes a step, and that decides what a language model has to write.
#
# `PretrainedCodec` puts any of them behind our interface: `encode` gives a table `(T, Q)`, `decode` takes one. The numbers
# of Mimi and EnCodec are read from their classes, whose defaults are the published checkpoints; those of DAC and SNAC are written out.

# %%
from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, MimiConfig, MimiModel

from minideeptalk.codec import Codec, PyramidCodec
from minideeptalk.codec.pretrained import PretrainedCodec, pyramid_to_table, table_to_pyramid

ours, mimi, encodec = PyramidCodec.load(shipped_run() / "codec"), MimiConfig(), EncodecConfig()
codecs = {"ours, at mini": (ours.sample_rate / ours.step_samples, ours.num_codebooks, size_config("mini").codec.codebook_size),
          "Mimi, 8 of its codebooks": (mimi.sampling_rate / mimi.frame_size, 8, mimi.codebook_size),
          "SNAC, 24 kHz": (24_000 / (512 * 4), 7, 4096), "DAC, 16 kHz": (16_000 / 320, 12, 1024),
          "EnCodec, 24 kHz, 8 of its codebooks": (encodec.sampling_rate / encodec.hop_length, 8, encodec.codebook_size)}
width = size_config("mini").model.width
rows = [(name, f"{rate:.4g}", str(columns), f"{size:,}", f"{rate * columns:.0f}",
         f"{rate * columns * np.log2(size):,.0f}", f"{2 * columns * size * width / 1e6:.1f} million")
        for name, (rate, columns, size) in codecs.items()]
heads = ("codec", "steps a second", "codes a step", "entries", "codes a second", "bits a second", "weights")
Table(heads, rows,
      "What a codec asks of the language model; the last column: embeddings and heads at the width of mini")

# %% [markdown]
# **Mimi** has our step of 80 ms to the sample, so it fits our streams without any other change. The last column is the price: with
# thousands of entries, the tables alone weigh a good part of the whole rest of `mini`, or more than all of it. How much is that rest?

# %%
with torch.device("meta"):  # shapes alone, no memory
    whole = DeepTalkModel(DeepTalkConfig.from_size(size_config("mini").model, len(miniature.embedding.text.weight), size_config("mini").ear.width))
rest = sum(weight.numel() for name, weight in whole.named_parameters() if "embedding.audio" not in name and "audio_heads" not in name)
print(f"mini without its audio tables: {rest / 1e6:.1f} million weights")

# %% [markdown]
# ## Build it: SNAC's pyramid as a table
#
# The paper takes **SNAC**. Its levels run at different rates: for each coarse code there are two middle ones and four fine ones. A
# language model wants a table with a row for each step. So write into each row what is said *in that step*: one, two and four
# codes, seven in all. Our own codec is built in the same shape.
#
# ```
# step     coarse   middle   fine
# first    c0       m0 m1    f0 f1 f2 f3
# second   c1       m2 m3    f4 f5 f6 f7
# ```
#
# The order *within* a row is a convention. Some programs walk down the pyramid like a tree, `c0 m0 f0 f1 m1 f2 f3`; ours goes level by
# level. Swap them, and every code is valid and the sound is noise.

# %%
def my_table(levels):
    """Codes (T,), (2T,), (4T,) -> (T, 7)."""
    steps = len(levels[0])
    return torch.cat([level.reshape(steps, -1) for level in levels], dim=1)


def my_levels(table):
    return [part.flatten() for part in table.split([1, 2, 4], dim=1)]


generator = torch.Generator().manual_seed(chapter.seed)
levels = [torch.randint(4096, (10 * width,), generator=generator) for width in (1, 2, 4)]
assert torch.equal(my_table(levels), pyramid_to_table(levels))
for mine, theirs, level in zip(my_levels(my_table(levels)), table_to_pyramid(my_table(levels)), levels):
    assert torch.equal(mine, level) and torch.equal(theirs, level)
print("there and back: equal to the library's;", "first row:", my_table(levels)[0].tolist())

# %% [markdown]
# Then the real classes, tiny and with random weights: they hiss, but shapes and seconds are those of the published ones.

# %%
small_mimi = MimiModel(MimiConfig(num_filters=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                                  num_key_value_heads=2, intermediate_size=16, codebook_size=16, codebook_dim=8,
                                  vector_quantization_hidden_dimension=8, upsample_groups=16))
small_dac = DacModel(DacConfig(encoder_hidden_size=4, decoder_hidden_size=32, codebook_size=16, n_codebooks=12,
                               downsampling_ratios=[2, 4, 5, 8]))
small_encodec = EncodecModel(EncodecConfig(num_filters=4, hidden_size=8, codebook_size=16))
question = torch.from_numpy(groups["questions, trained voices"][0][0])  # (N,) at 16 kHz
rows = []
for name, codec in (("Mimi", PretrainedCodec(small_mimi, num_codebooks=8)), ("DAC", PretrainedCodec(small_dac)),
                    ("EnCodec", PretrainedCodec(small_encodec, num_codebooks=8, sample_rate=24_000)), ("ours", ours)):
    assert isinstance(codec, Codec)
    sound = question if codec.sample_rate == SAMPLE_RATE else resample(question, SAMPLE_RATE, codec.sample_rate)
    codes = codec.encode(sound)  # (T, Q)
    back = codec.decode(codes)  # (T * step_samples,)
    assert abs(len(back) / codec.sample_rate - len(question) / SAMPLE_RATE) < codec.step_samples / codec.sample_rate
    rows.append((name, f"{codec.sample_rate:,}", str(tuple(codes.shape)), f"{len(back) / codec.sample_rate:.2f}"))
Table(("codec", "rate at our side", "codes", "seconds back"), rows,
      f"A question of {len(question) / SAMPLE_RATE:.2f} s through each")

# %% [markdown]
# With a network, hear the real one, beside ours. It is a download of some hundred megabytes.

# %%
if NETWORK:
    real_codec = PretrainedCodec.from_pretrained("kyutai/mimi", num_codebooks=8)
    clips = [AudioClip(name, codec.decode(codec.encode(question)), groups["questions, trained voices"][0][1],
                       "How much of the voice is left?") for name, codec in (("Ours:", ours), ("Mimi:", real_codec))]
    display(Sounds(clips))  # noqa: F821 - a notebook has it

# %% [markdown]
# ## A pretrained ear
#
# The paper's ear is a large pretrained encoder. **Whisper's** can take its place. Three things differ from ours. It has its own features, at
# `100` frames a second. It always looks at half a minute, most of it silence. And it gives `50` frames a second, with no CTC to
# say where the words are; so we average four neighbours, and get one frame for each step of the model.

# %%
from transformers import WhisperConfig, WhisperModel

from minideeptalk.hearing.pretrained import WhisperEar
from minideeptalk.tasks import ExampleBuilder, collate
from minideeptalk.world import Tokenizer

torch.manual_seed(chapter.seed)
small = WhisperConfig(d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1,
                      decoder_attention_heads=2, decoder_ffn_dim=64, max_source_positions=250, vocab_size=8,
                      pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)
whisper_ear = WhisperEar(WhisperModel(small))  # random weights; its window is 5 s
frames = whisper_ear.listen([whisper_ear.features(question)])[0].frames  # (T, D)

# %%
def my_frames(waveform, size=4):
    """Whisper's states of the sounding part, four neighbours averaged: (T, D)."""
    features = whisper_ear.features(waveform)  # (F + 2, 80), at 100 Hz
    window = torch.full((80, 2 * small.max_source_positions), max(float(features.max()) - 2.0, -1.5))
    window[:, : len(features)] = features.T
    with torch.no_grad():
        states = whisper_ear.encoder(window[None]).last_hidden_state[0]  # (250, D), at 50 Hz
    sounding = states[: -(-(len(features) - 2) // 2)]
    return torch.stack([group.mean(dim=0) for group in sounding.split(size)])


torch.testing.assert_close(my_frames(question), frames)
print(f"{len(question) / SAMPLE_RATE:.2f} s: {len(frames)} frames of {frames.shape[1]} numbers, equal to the library's")

# %%
tokenizer = Tokenizer()
config = DeepTalkConfig(vocab_size=len(tokenizer), ear_width=whisper_ear.width, width=64, layers=2)
listener, builder = DeepTalkModel(config), ExampleBuilder(config, tokenizer)
words = groups["questions, trained voices"][0][1].split()
batch = collate([builder.recognise(frames, tuple(words))], builder.silence)
hidden = listener(**batch.model_inputs()).hidden  # (B, T, D)
with torch.device("meta"):  # the published sizes, without memory for their weights
    published = WhisperModel(WhisperConfig()).get_encoder()
rows = [("ours", f"{sum(w.numel() for w in ear.parameters()) / 1e6:.1f} million", str(ear.width), "words",
         f"{len(ear.listen([log_mel(question)])[0].frames)}"),
        ("Whisper tiny", f"{sum(w.numel() for w in published.parameters()) / 1e6:.1f} million",
         str(published.config.d_model), "steps", f"{len(frames)}")]
Table(("ear", "weights", "width", "one frame for each of its", "frames of this question"), rows,
      f"“{' '.join(words)}”, {len(words)} words")

# %% [markdown]
# The language model took the frames as it takes ours: only `ear_width` changed. Yet the recipe would need more than that. Our
# adapter sees one frame at a time, and reads well because one frame is one **word**. With several frames a word, the frozen
# text model of stage 1 has to put words together itself. The paper's model, thousands of times larger, does. Whether ours could,
# with how much training, we have not measured.
#
# ## Several GPUs
#
# Larger models need more than one GPU. The simplest way to use several is **data parallel**: a copy of the model in each of $R$ processes,
# each with its own rows of the batch; after `backward()` the gradients are averaged, and every copy takes the same step.
#
# ## Build it: the average that is not the mean
#
# There is a trap in *averaged*. Our loss is a mean over the words of the batch. Let one process have many words in its rows and another few. The
# average of their two means is not the mean of all words: in it, a word counts more where words are few. So each process
# weighs its loss by its share of the words,
#
# $$ w_r = R\,\frac{n_r}{\sum_s n_s}, \qquad \frac1R \sum_r w_r \nabla \ell_r = \nabla \ell. $$

# %%
from minideeptalk.training.losses import batch_loss
from minideeptalk.training.processes import rows_of

learner = shipped_stage("0-pretrain").train()
text_sampler = chapter_sampler(learner)


def gradient(batch, weight=1.0):
    """The gradient of the text loss of a batch, as one long vector."""
    learner.zero_grad()
    (batch_loss(learner, batch, balance=False).total * weight).backward()
    return torch.cat([w.grad.flatten() for w in learner.parameters() if w.grad is not None])

# %%
errors = {"plain average": [], "weighed": []}
for number in range(8):
    whole = text_sampler.batch({"all_text": 1.0}, 8, f"parallel-{chapter.seed}-{number}")
    parts = [rows_of(whole, process, 2) for process in (0, 1)]
    assert sorted(sum((part.text.tolist() for part in parts), [])) == sorted(whole.text.tolist())
    counts = torch.tensor([int((part.text_target >= 0).sum()) for part in parts])
    weights = (2 * counts / counts.sum()).tolist()
    wanted = gradient(whole)
    for name, factors in (("plain average", [1.0, 1.0]), ("weighed", weights)):
        averaged = sum(gradient(part, factor) for part, factor in zip(parts, factors)) / 2
        errors[name].append(float((averaged - wanted).norm() / wanted.norm()))
for name, values in errors.items():
    print(f"{name:14} error of the gradient: {np.mean(values):.1e} of its length, {max(values):.1e} at most")
assert max(errors["weighed"]) < 1e-4 < np.mean(errors["plain average"])  # with equal counts both are right

# %% [markdown]
# ## Run it small: two processes, one model
#
# The library's training loop does this by itself where several processes run it. All of them draw the same batch, from its number, and each
# takes its rows; so a run on two GPUs is the *same run*, with the same tokens counted, and only ends sooner. Here are two processes on this very
# processor; on a machine with GPUs the line would be
#
# ```
# accelerate launch --num_processes 2 train.py weights-
# ```

# %%
import subprocess
import sys

Path(workplace.name, "train.py").write_text('''
import os, sys, torch
from dataclasses import replace
from safetensors.torch import save_file
from minideeptalk.config import size_config
from minideeptalk.teaching.material import chapter_sampler, shipped_stage
from minideeptalk.training.loop import train_stage
from minideeptalk.training.stages import pretrain_stage

torch.set_num_threads(1)
model = shipped_stage("0-pretrain")
sampler = chapter_sampler(model)
stage = replace(pretrain_stage(size_config("nano")), updates=4, batch=16)
draw = lambda step: sampler.batch(stage.tasks, stage.batch, str(step))
result = train_stage(model, stage, draw, seed=0, show_progress=False)
save_file(model.state_dict(), sys.argv[1] + os.environ.get("RANK", "alone"), {"tokens": str(result["tokens"])})
''')


def launch(**variables):
    command = [sys.executable, str(Path(workplace.name, "train.py")), str(Path(workplace.name, "weights-"))]
    return subprocess.Popen(command, env={**os.environ, "ACCELERATE_USE_CPU": "true", **variables})

# %%
import socket

from safetensors import safe_open
from safetensors.torch import load_file

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    meet = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
started = [launch(), *(launch(RANK=rank, LOCAL_RANK=rank, **meet) for rank in "01")]
assert [process.wait(timeout=600) for process in started] == [0, 0, 0]
ends = {name: load_file(Path(workplace.name, f"weights-{name}")) for name in ("alone", "0", "1")}
tokens = {name: safe_open(Path(workplace.name, f"weights-{name}"), "pt").metadata()["tokens"] for name in ends}
assert all(torch.equal(ends["0"][name], ends["1"][name]) for name in ends["0"])
assert len(set(tokens.values())) == 1
begin = learner.state_dict()

# %%
def length(difference):
    return sum(float(value.square().sum()) for value in difference.values()) ** 0.5


travelled = length({name: ends["alone"][name] - begin[name] for name in begin})
apart = length({name: ends["alone"][name] - ends["0"][name] for name in begin})
chapter.measure("error of the plain average of gradients", float(np.mean(errors["plain average"])))
print(f"the two processes: equal in every byte; {tokens['0']} tokens counted by each, as by one process alone")
print(f"one process and two ended {apart / travelled:.1e} of the way apart, by the rounding of sums")

# %% [markdown]
# What stays to be done around the loop is to let one process alone make the speech and write the files; the library's whole recipe
# (`minideeptalk train`) still expects to be one process.
#
# ## How fast could it be?
#
# Before one buys a GPU hour, a sheet of paper tells the best case. For each token a machine has to do some operations, and to move some
# bytes. It cannot be faster than either allows. Operations for each byte decide which of the two is the wall: this is the **roofline**.
#
# *All that follows is an estimate*, from what the makers' data sheets promise and what large matrix products reach of it; we have measured none
# of it.

# %%
MACHINES = {"T4": (40e12, 260e9), "H200": (790e12, 4.3e12)}  # operations and bytes a second, assumed sustained
shapes = {}
for name in ("nano", "mini", "base"):
    size = size_config(name)
    with torch.device("meta"):
        shapes[name] = DeepTalkModel(DeepTalkConfig.from_size(size.model, len(tokenizer), size.ear.width,
                                                              codebook_size=size.codec.codebook_size))


def training_token(model, tokens=65_536):
    """Operations and bytes to train on one token, `tokens` a step; 16-bit values, written and read once."""
    config = model.config
    operations = 6 * model.active_parameters()  # a product and a sum for each weight; backward costs twice as much
    chosen = config.experts_per_token + config.shared_experts
    values = config.layers * (8 * config.width + chosen * (2 * config.width + 3 * config.expert_hidden))
    stored = sum(weight.numel() for weight in model.parameters())
    return operations, 3 * 2 * 2 * values + 32 * stored / tokens  # AdamW reads and writes 32 bytes a weight and step


def talking_token(model):
    """The same to say one token alone: every active weight is read, and used once."""
    return 2 * model.active_parameters(), 2 * model.active_parameters()

# %%
from minideeptalk.benchmarks.roofline import step_work  # `minideeptalk bench train` counts in the same way

for name, model in shapes.items():
    stored = sum(weight.numel() for weight in model.parameters())
    library = step_work(size_config(name).model, 65_536, stored, model.active_parameters(), torch.bfloat16)
    np.testing.assert_allclose([65_536 * part for part in training_token(model)], (library.operations, library.bytes))

# %%
points = {f"{name}, training": training_token(model) for name, model in shapes.items()}
points |= {f"{name}, talking": talking_token(model) for name, model in shapes.items()}
best = {machine: {name: min(peak / operations, memory / moved) for name, (operations, moved) in points.items()}
        for machine, (peak, memory) in MACHINES.items()}
rows = [(name, f"{operations / moved:.0f}", *(f"{float(f'{best[machine][name]:.2g}'):,.0f}" for machine in MACHINES),
         *("memory" if memory / moved < peak / operations else "arithmetic" for peak, memory in MACHINES.values()))
        for name, (operations, moved) in points.items()]
heads = ("work", "operations a byte", *(f"tokens a second, {machine}" for machine in MACHINES),
         *(f"held back by, of these two, {machine}" for machine in MACHINES))
Table(heads, rows, "Upper bounds, estimated; a real step reaches a part of them")

# %%
figure, choices = go.Figure(), []
reach = np.geomspace(0.5, 1000, 40)
dots = np.array([operations / moved for operations, moved in points.values()])
assert max(dots) < min(peak / memory for peak, memory in MACHINES.values())
for machine, (peak, memory) in MACHINES.items():
    roofs = [(np.minimum(peak, memory * x) / 1e12).round(3).tolist() for x in (reach, dots)]
    choices.append(dict(label=machine, method="update",
                        args=[{"y": [roofs[0]] + [roofs[1][n::3] for n in range(3)]},
                              {"title.text": f"{machine}: {peak / memory:.0f} operations a byte at the bend"}]))
figure.add_scatter(x=reach, y=choices[0]["args"][0]["y"][0], name="the roof", line=dict(color=PURPLE, width=3))
for number, (name, colour) in enumerate(zip(shapes, (BLUE, VERMILLION, GREEN))):
    figure.add_scatter(x=dots[number::3], y=choices[0]["args"][0]["y"][1 + number], name=name, mode="markers",
                       marker=dict(color=colour, symbol=MARKERS[number], size=11), text=["training", "talking"],
                       hovertemplate=name + ", %{text}: %{y:.2f} million million operations a second<extra></extra>")
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="machine: "), pad=dict(t=70))
figure.update_layout(sliders=[slider], title=dict(text=choices[0]["args"][1]["title.text"], font=dict(size=14)),
                     margin=dict(t=44))
figure.update_xaxes(type="log", title="operations for each byte moved")
figure.update_yaxes(type="log", title="10¹² operations a second, at best")
told = "; ".join(f"{machine}, mini: training {bounds['mini, training']:,.0f} and talking "
                 f"{bounds['mini, talking']:,.0f} tokens a second at best" for machine, bounds in best.items())
finish(figure, "Roofline: a line that rises with the operations for each byte and then bends flat; points of three "
               f"sizes, training to the right, talking far left. Estimated: {told}.", height=430)

# %% [markdown]
# All points stand left of the bend: small models wait for **memory**, not for arithmetic. That is why the expert layer of this library is written
# to move few bytes, and why a machine with many times the arithmetic is not as many times faster here. When it talks, a model reads
# every active weight to make a single token, so it cannot come near the roof's flat part; a batch of speakers would.
#
# There is a third wall, on no data sheet: every operation must be *started*, a few microseconds each on a GPU. A small model that talks to one person makes hundreds of tiny
# operations a token and waits mostly for that. (And weights this small may stay in a GPU's cache.) So for *talking* at nano and mini these numbers are neither in reach nor strict bounds.
#
# ## What goes wrong: a rate taken for another
#
# LJSpeech, like our synthesiser inside, has `22_050` samples a second. Take them for `16_000`, as a loader does that ignores the header.
# There is no error. Listen.

# %%
from minideeptalk.errors import LearnerError
from minideeptalk.speech.corpora import same_seconds

raw = [resample(sound, SAMPLE_RATE, 22_050) for sound, _ in groups["questions, trained voices"]]
said, words = groups["questions, trained voices"][0]
Sounds([AudioClip("Resampled, as it was said:", said, words, f"{len(said) / SAMPLE_RATE:.2f} s."),
        AudioClip("Taken for 16 kHz:", raw[0], words, f"{len(raw[0]) / SAMPLE_RATE:.2f} s, slow and deep.")])

# %%
listened = ear.listen([log_mel(sound) for sound in raw])
slow = np.array([" ".join(one.words) == words for one, (_, words)
                 in zip(listened, groups["questions, trained voices"])])
print(f"all words right: {right['questions, trained voices'].mean():.0%} when resampled, {slow.mean():.0%} otherwise;",
      f"understood: {np.mean([ear.understands(one) for one in listened]):.0%}")
chapter.measure("words right at the wrong rate", slow.mean(), grain=1 / len(slow))
try:
    same_seconds(len(raw[0]) / SAMPLE_RATE, len(said) / SAMPLE_RATE, "question.wav")
except LearnerError as error:
    print("the library's check:", error)

# %% [markdown]
# ## What goes wrong: two processes, one batch
#
# The other classic has no symptom either. Every process seeds its random numbers alike, and so draws the **same** rows. Two GPUs then compute
# one gradient twice; their average is that gradient. All runs well, at double the price and with half the batch.

# %%
whole = text_sampler.batch({"all_text": 1.0}, 8, f"twice-{chapter.seed}")
same = [rows_of(whole, 0, 2), rows_of(whole, 0, 2)]
averaged = sum(gradient(part) for part in same) / 2
assert torch.equal(averaged, gradient(same[0]))
seen = len({tuple(row) for part in same for row in part.text.tolist()})
print(f"two processes saw {seen} of {len(whole.text)} rows; the average of their gradients is the gradient of one")

# %% [markdown]
# The cure is to let each process say which rows it takes, and to test it: together, all rows, none twice.
#
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 15-1: a second is a second** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs mean, a function as argument
#
# Bring any sound to 16 kHz mono, and leave its seconds alone.
#
# <details><summary>Hint 1, a question</summary>
#
# How many samples do half a second have at each of the two rates?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `resample(waveform, source, target)` is given; it filters what the new rate cannot hold. Channels are the last dimension.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Mean over dimension 1, then resample from `rate` to 16,000.
#
# </details>
# </details>
# </details>

# %%
# Exercise 15-1: your code
def as_16_khz(samples, rate, resample):
    """samples (n, channels) at `rate` Hz, resample(waveform, source, target) -> (N,) mono at 16,000 Hz that lasts as many seconds."""
    raise NotImplementedError("your code here")

# %%
check("15-1", as_16_khz)

# %% [markdown]
# <details>
# <summary>A solution of 15-1</summary>
#
# ```python
# def as_16_khz(samples, rate, resample):
#     """samples (n, channels) at `rate` Hz, resample(waveform, source, target) -> (N,) mono at 16,000 Hz that lasts as many seconds."""
#     mono = samples.mean(dim=1)  # (n,)
#     return resample(mono, rate, 16_000)  # (N,)
# ```
#
# </details>
#
# **Exercise 15-2: a pyramid in seven columns** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs reshape, cat
#
# Write the three levels of a pyramid into one table.
#
# <details><summary>Hint 1, a question</summary>
#
# Which two codes of the middle level belong to step 1?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `level.reshape(steps, -1)` puts neighbours in time into one row.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Reshape all three levels to (T, ...) and concatenate along dimension 1.
#
# </details>
# </details>
# </details>

# %%
# Exercise 15-2: your code
def columns_of_pyramid(coarse, middle, fine):
    """Codes (T,), (2T,), (4T,) -> table (T, 7): coarse | middle a b | fine a b c d; each row is what is said in one step."""
    raise NotImplementedError("your code here")

# %%
check("15-2", columns_of_pyramid)

# %% [markdown]
# <details>
# <summary>A solution of 15-2</summary>
#
# ```python
# def columns_of_pyramid(coarse, middle, fine):
#     """Codes (T,), (2T,), (4T,) -> table (T, 7): coarse | middle a b | fine a b c d; each row is what is said in one step."""
#     steps = len(coarse)
#     return torch.cat([level.reshape(steps, -1) for level in (coarse, middle, fine)], dim=1)  # (T, 7)
# ```
#
# </details>
#
# **Exercise 15-3: whose rows are these** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs range, lists
#
# Deal the rows of a batch out to several processes, and leave pairs together: in stage 4 the chosen takes fill the first half of the rows and
# the rejected ones the second.
#
# <details><summary>Hint 1, a question</summary>
#
# If process 0 takes row 2 of eight, which other row has to come along?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Deal out the first half only, in turn; the second half follows.
#
# <details><summary>Hint 3, almost the code</summary>
#
# `range(process, rows // 2, processes)`, and the same numbers plus half.
#
# </details>
# </details>
# </details>

# %%
# Exercise 15-3: your code
def rows_of_process(rows, process, processes):
    """Numbers of the rows of a batch that one process trains on; row i and row i + rows / 2 are a pair. `rows` is even."""
    raise NotImplementedError("your code here")

# %%
check("15-3", rows_of_process)

# %% [markdown]
# <details>
# <summary>A solution of 15-3</summary>
#
# ```python
# def rows_of_process(rows, process, processes):
#     """Numbers of the rows of a batch that one process trains on; row i and row i + rows / 2 are a pair. `rows` is even."""
#     half = rows // 2
#     mine = list(range(process, half, processes))
#     return mine + [half + row for row in mine]
# ```
#
# </details>
#
# **Exercise 15-4: the mean of everybody's tokens** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs weighted means
#
# Put the gradients of several processes together so that every token counts alike.
#
# <details><summary>Hint 1, a question</summary>
#
# A process has the mean of its gradients. How do you get their sum?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Weights that sum to one. And what is the mean over no token at all?
#
# <details><summary>Hint 3, almost the code</summary>
#
# Sum `gradient * count / total`, but leave out processes whose count is 0: there, the gradient may be nan, and nan times 0 is nan.
#
# </details>
# </details>
# </details>

# %%
# Exercise 15-4: your code
def joint_gradient(gradients, counts):
    """Each process's gradient of the mean loss over its own tokens, and how many these were -> the gradient of the mean over all tokens."""
    raise NotImplementedError("your code here")

# %%
check("15-4", joint_gradient)

# %% [markdown]
# <details>
# <summary>A solution of 15-4</summary>
#
# ```python
# def joint_gradient(gradients, counts):
#     """Each process's gradient of the mean loss over its own tokens, and how many these were -> the gradient of the mean over all tokens."""
#     total = sum(counts)
#     return sum(gradient * (count / total) for gradient, count in zip(gradients, counts) if count)
# ```
#
# </details>
#
# **Exercise 15-5: under the roof** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs nothing but arithmetic
#
# Say how fast a machine can be at best, and why not faster.
#
# <details><summary>Hint 1, a question</summary>
#
# How many tokens a second would arithmetic allow, if memory were endlessly fast?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Both limits hold at the same time, and a machine reads while it calculates.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Two divisions; the smaller one, and its name.
#
# </details>
# </details>
# </details>

# %%
# Exercise 15-5: your code
def under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second):
    """What a token needs and what a machine can do -> tokens a second at best, and what holds it back: "arithmetic" or "memory"."""
    raise NotImplementedError("your code here")

# %%
check("15-5", under_the_roof)

# %% [markdown]
# <details>
# <summary>A solution of 15-5</summary>
#
# ```python
# def under_the_roof(operations, moved_bytes, operations_a_second, bytes_a_second):
#     """What a token needs and what a machine can do -> tokens a second at best, and what holds it back: "arithmetic" or "memory"."""
#     by_arithmetic, by_memory = operations_a_second / operations, bytes_a_second / moved_bytes
#     return min(by_arithmetic, by_memory), "arithmetic" if by_arithmetic < by_memory else "memory"
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- One recorder counted {len(FAMILIES)} families alike; in each an expert was closed, its code untouched.")
print(f"- Sound and text use the experts of the trained miniature {trained:.2f} apart, of its untrained twin "
      f"{np.mean(untrained):.2f}.")
agreements = np.concatenate([values[:, 1] for values in chance.values()])
print(f"- By chance, load and importance correlated from {agreements.min():+.2f} to {agreements.max():+.2f}.")
print(f"- The ear understood {understood['questions, trained voices'].mean():.0%} of questions in trained voices,")
print(f"  {understood['questions, new voice'].mean():.0%} in a new voice, and, in trained voices through a telephone, "
      f"{understood['questions, trained voices, telephone'].mean():.0%}.")
print(f"- The plain average of gradients was wrong by {np.mean(errors['plain average']):.1%}, the weighed one")
print(f"  by {np.mean(errors['weighed']):.0e} of their length; two processes ended with equal bytes.")

# %% [markdown]
# ## References
#
# - Muennighoff et al. (2024), [OLMoE](https://arxiv.org/abs/2409.02060); Jiang et al. (2024), [Mixtral of
#   Experts](https://arxiv.org/abs/2401.04088); DeepSeek-AI (2024), [DeepSeek-V2](https://arxiv.org/abs/2405.04434): families of
#   mixtures of experts.
# - Radford et al. (2022), [Robust Speech Recognition via Large-Scale Weak Supervision](https://arxiv.org/abs/2212.04356): Whisper.
# - Défossez et al. (2022), [High Fidelity Neural Audio Compression](https://arxiv.org/abs/2210.13438): EnCodec. Kumar et al. (2023),
#   [High-Fidelity Audio Compression with Improved RVQGAN](https://arxiv.org/abs/2306.06546): DAC.
# - Défossez et al. (2024), [Moshi](https://arxiv.org/abs/2410.00037): Mimi. Siuzdak et al. (2024),
#   [SNAC](https://arxiv.org/abs/2410.14411).
# - Panayotov et al. (2015), [LibriSpeech](https://www.openslr.org/12); Warden (2018), [Speech
#   Commands](https://arxiv.org/abs/1804.03209); Ito and Johnson (2017), [LJSpeech](https://keithito.com/LJ-Speech-Dataset/);
#   Jackson et al., [Free Spoken Digit Dataset](https://github.com/Jakobovski/free-spoken-digit-dataset).
# - Williams, Waterman and Patterson (2009), [Roofline](https://doi.org/10.1145/1498765.1498785).
# - Li et al. (2020), [PyTorch Distributed](https://arxiv.org/abs/2006.15704): data parallel training.
#
# This was the last chapter. The [map](../book/index.md) shows where to read on, and the reference every part of the library.

# %%
chapter.footer()
