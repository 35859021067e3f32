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
# # What the words do not say
#
# You will say the same words in four moods to three kinds of systems, find out which of them *can* know the mood and which
# do, and build a recogniser of anger that turns out to be a volume meter.
#
# ![Three systems as rows of boxes between a question in an angry wave and its answer. Cascade: ear, text model, synthesiser, joined by thin lines that carry words only. Modular: ear, frozen language model, talker, joined by a thick line that could carry more than words, but is taught words. Native: ear and one model, joined by a thick line; the style goes all the way to the answer.](../book/_static/13-style.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/13_speaking_style.ipynb)

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
chapter = open_chapter("13_speaking_style")  # mode="full" asks more questions

# %% [markdown]
# **After this chapter you can**
#
# 1. measure a voice: how high it is, how far it moves and how fast it goes;
# 2. say where the speaking style passes in a cascade, in a modular system and in a native model, and where it is lost;
# 3. prove that a cascade is at chance, whatever its parts are;
# 4. read a table of who is taken for whom, and say whether a score may be luck;
# 5. match loudness, and say what a recogniser learns when you forget to.

# %%
chapter.diagram()

# %% [markdown]
# ## The same words, four times
#
# Somebody asks the miniature to repeat three words, and does it four times: plainly, happily, sadly and angrily. The words
# are the same. Look at the melody, and listen: the players stand below it.

# %%
import math

import numpy as np
import plotly.graph_objects as go
import torch
from torch.nn import functional as F

from minideeptalk.baselines.style_study import EXAMPLE
from minideeptalk.config import HOP, SAMPLE_RATE, STYLES
from minideeptalk.speech.loudness import decibels, normalise_loudness
from minideeptalk.speech.pitch import HIGHEST_HZ, LOWEST_HZ, QUIET_BELOW_PEAK_DB, VOICED_CORRELATION, WINDOW, pitch
from minideeptalk.speech.synthesis import Synthesizer
from minideeptalk.speech.voices import HELD_OUT_VOICE, USER_VOICES
from minideeptalk.speech.voices import STYLES as STYLE_SETTINGS
from minideeptalk.teaching import check
from minideeptalk.teaching.samples import shipped_run, shipped_talker
from minideeptalk.teaching.sound_slider import SoundSlider
from minideeptalk.training.preparation import Tools
from minideeptalk.viz import AudioClip
from minideeptalk.viz.style import BLUE, GREEN, HEAT, INK, PURPLE, VERMILLION, finish

# %%
speaker, tools = Synthesizer(), Tools.load(shipped_run())
said = {name: torch.from_numpy(speaker.speak(EXAMPLE, voice="amy", style=name).waveform) for name in STYLES}  # (N,) each
melodies = {name: pitch(sound) for name, sound in said.items()}
colours = dict(zip(STYLES, (BLUE, GREEN, PURPLE, VERMILLION)))
dashes = dict(zip(STYLES, ("solid", "dash", "dot", "dashdot")))


def melody_figure(tracks, active, alt):
    """Pitch over time, one line for each name; a slider makes one of them bold."""
    figure, choices = go.Figure(), []
    for name, track in tracks.items():
        look = dict(color=colours[name], dash=dashes[name], width=3)
        figure.add_scatter(x=np.arange(len(track)) * HOP / SAMPLE_RATE, y=track, name=name, mode="lines+markers",
                           marker=dict(size=4), line=look, opacity=1.0 if name == active else 0.5)
        opacity = [float(other == name) or 0.5 for other in tracks]
        choices.append(dict(label=name, method="restyle", args=[{"opacity": opacity}]))
    slider = dict(active=list(tracks).index(active), steps=choices, currentvalue=dict(prefix="style: "), pad=dict(t=50))
    figure.update_layout(sliders=[slider])
    figure.update_xaxes(title="seconds").update_yaxes(title="pitch, Hz", rangemode="tozero")
    return finish(figure, alt, height=420)

# %%
told = "; ".join(f"{name}: mean {one.mean:.0f} Hz, spread {one.spread:.0f} Hz, {len(said[name]) / SAMPLE_RATE:.1f} s"
                 for name, one in melodies.items())
melody_figure({name: one.track for name, one in melodies.items()}, "happy",
              f"Pitch over time of the same words in four styles. {told}.")

# %%
SoundSlider([AudioClip(f"A user, {name}:", said[name], EXAMPLE,
                       f"Level {decibels(said[name].numpy()):.1f} dB, as all the others.") for name in STYLES], STYLES, "style: ", active=1)

# %% [markdown]
# Three things differ: how **high** the voice is, how far it **moves**, and how **fast** it goes. (Anger has a rougher timbre
# too.) One thing does not differ: all four clips are equally **loud**. That is not how people are. It is done on purpose, and
# the end of this chapter shows why.
#
# | system | what lies between hearing and speaking | so it can know |
# | --- | --- | --- |
# | **cascade** | a transcript | the words |
# | **modular** | vectors for each word, into a frozen language model; its states, into a talker | what the interface was taught to let through |
# | **native** | one model that reads and writes sound | all that the ear heard |
#
# All three use the same ear here, and an ear that hears everything. The rest of the chapter follows the style from there.
#
# ## Build it: the pitch of a voice
#
# A voiced sound repeats itself, once for each flap of the vocal folds. So shift the waveform and compare it with itself:
# where it resembles itself best, you have shifted it by one **period**. Two periods would do as well, and so the rule is to
# take the *first peak* that is nearly as good as the best.

# %%
def my_likeness(frame):
    """(960,) -> how much the frame resembles itself at each lag, from the highest pitch to the lowest."""
    frame = frame - frame.mean()
    lags = np.arange(int(SAMPLE_RATE / HIGHEST_HZ), int(SAMPLE_RATE / LOWEST_HZ) + 2)
    return lags, np.array([(frame[:-lag] * frame[lag:]).sum() / np.sqrt(
        max((frame[:-lag] ** 2).sum() * (frame[lag:] ** 2).sum(), 1e-12)) for lag in lags])


def my_pitch(frame):
    """Pitch in Hz of one frame, and how sure it is."""
    lags, likeness = my_likeness(frame)
    inner = likeness[1:-1]
    peaks = np.where((inner >= likeness[:-2]) & (inner > likeness[2:]), inner, -1.0)
    first = int(np.argmax(peaks >= 0.9 * peaks.max()))
    left, top, right = likeness[first:first + 3]
    bend = left - 2 * top + right  # a parabola through three points finds the top between two samples
    shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5) if abs(bend) > 1e-9 else 0.0
    return SAMPLE_RATE / (lags[first] + 1 + shift), top

# %% [markdown]
# Consonants and pauses have no pitch: frames that resemble themselves too little, or are too quiet, do not count. Is the
# result the library's?

# %%
def my_track(waveform):
    """(N,) -> pitch (F,) of each frame of 20 ms; nan where there is no voice."""
    padded = F.pad(waveform, ((WINDOW - HOP) // 2, WINDOW)).double().numpy()
    frames = [padded[start:start + WINDOW] for start in range(0, len(waveform) // HOP * HOP, HOP)]
    power = np.array([10 * np.log10((frame**2).mean() + 1e-12) for frame in frames])
    found = [my_pitch(frame) for frame in frames]
    voiced = [sure > VOICED_CORRELATION and level > max(power.max() - QUIET_BELOW_PEAK_DB, -60)
              for (_, sure), level in zip(found, power)]
    return np.array([hz if voice else np.nan for (hz, _), voice in zip(found, voiced)])


for name, sound in said.items():
    mine, theirs = my_track(sound), melodies[name].track
    same = np.isclose(mine, theirs, rtol=1e-3, equal_nan=True)
    assert same.mean() > 0.98, (name, mine[~same], theirs[~same])  # a frame at the edge of a threshold may fall either way
    print(f"{name:8} {np.isfinite(mine).sum()} voiced frames; {same.mean():.0%} of all frames as the library has them")

# %% [markdown]
# ## A cascade cannot know, whatever it is made of
#
# Now the first system. Its ear writes a transcript, a text model answers it, a synthesiser reads the answer out. We have the
# first two parts at hand: the shipped ear, and the text model as it was before it ever heard a sound. Ask it the same words
# in four styles and look at what arrives.

# %%
from minideeptalk.baselines.cascade import Transcripts
from minideeptalk.inference.decoding import answer_in_text, speak
from minideeptalk.model import AudioToken
from minideeptalk.teaching.material import shipped_stage, spoken_material
from minideeptalk.teaching.tables import Table
from minideeptalk.world import Tokenizer

ear, text_model = tools.ear, shipped_stage("0-pretrain")
cascade = Transcripts(text_model.config, Tokenizer(), ear)  # prompts as a cascade's text model reads them
native = shipped_talker()
rows = []
for name, sound in said.items():
    heard = native.listen(sound)
    prompt = cascade.heard_prompt(heard.frames, AudioToken.MIRROR)
    answer = answer_in_text(text_model, cascade, [prompt])[0].words
    rows.append((name, " ".join(cascade.tokenizer.decode(prompt.text)), " ".join(answer), heard.style))
Table(("asked", "the text model reads", "it answers", "the ear would have said"), [
    tuple(cell.replace("<", "&lt;") for cell in row) for row in rows], "A cascade hears the same words in four styles")

# %% [markdown]
# The ear heard the style, as the last column shows. The text model reads the same tokens each time. What comes after can be
# as clever as you like: it is a function, and a function gives equal things for equal things. So take all four styles of one
# question. A cascade gives *one* answer to all of them, in *one* style, and that style is right for exactly one of the four.
#
# Here are some synthesisers that try. The last one is as good as any could ever be: it knows the whole test by heart, words
# and styles.

# %%
texts = [f"say {a} {b}" for a in ("blue", "red", "green", "black") for b in ("cat", "drum", "horse", "fish")]
test = [(text, name) for text in texts for name in STYLES]
draw = np.random.default_rng(chapter.seed)
table = {text: STYLES[draw.integers(4)] for text in texts}
synthesisers = {
    "always neutral": lambda text: "neutral",
    "a style for each text, by lot": table.__getitem__,
    "long words sadly": lambda text: "sad" if len(text) > 12 else "happy",
    "the best style for each text, by heart": lambda text: max(STYLES, key=lambda name: test.count((text, name))),
}
for name, chosen in synthesisers.items():
    score = np.mean([chosen(text) == wanted for text, wanted in test])
    print(f"{name}: {score:.2%} mirrored")
    assert score == 1 / len(STYLES)

# %% [markdown]
# This is chance **by construction**, no matter of training. There is one way out, and it is worth knowing: mishearing. If an
# ear makes other mistakes when somebody is angry, the mistakes tell of the anger. So a transcript is blind only as far as it
# is right.
#
# ## Build it: a judge that cannot hear volume
#
# To tell whether an answer has the right style we need somebody to judge. The **style judge** is a small network, trained on
# original speech of the assistant. It takes the mean off the log-mel first. A louder recording has the same number added to
# all of its log-mel, so the mean takes the volume off, and contrast and melody stay. Two convolutions follow, and the mean
# and the spread over time of what they find.

# %%
judge = tools.style_judge


def my_judge(waveform):
    """(N,) -> one score for each style (4,)."""
    mel = judge.log_mel(waveform)  # (F, 80)
    states = (mel - mel.mean()).T[None]  # (1, 80, F)
    for number, convolution in enumerate(judge.convolutions):
        states = F.conv1d(states, convolution.weight, convolution.bias, stride=2 - number, padding=2)
        states = F.gelu(states)  # (1, 64, T)
    mean = states.mean(dim=2)
    spread = ((states - mean[..., None]).square().mean(dim=2) + 1e-5).sqrt()
    return (torch.cat([mean, spread], dim=1) @ judge.head.weight.T + judge.head.bias)[0]


replies = {name: torch.from_numpy(speaker.speak("blue horse drum", style=name).waveform) for name in STYLES}
for name, sound in replies.items():
    features = judge.features(sound)
    torch.testing.assert_close(my_judge(sound), judge(features[None], torch.tensor([len(features)]))[0], atol=1e-4, rtol=1e-4)
    for louder in (0.25, 1.0, 4.0):
        assert STYLES[int(my_judge(louder * sound).argmax())] == judge.classify([louder * sound])[0] == name
print("four styles, three volumes: scores equal to the library's, and the style does not depend on the volume")

# %% [markdown]
# ## Run it small: the native model, live
#
# Now the shipped miniature. We ask it test questions in trained voices and all styles, twice. First to *name* the style in a
# word, then to *mirror* it: to answer aloud in the style of the asker. The judge says in which style it answered. A score
# alone would hide who is taken for whom, so we count in a table.

# %%
from minideeptalk.baselines.style_study import confusion
from minideeptalk.evaluation.spoken import Examiners, style


def my_confusion(asked, found, columns=STYLES):
    """Counts: a row for each style asked in, a column for each style found."""
    counts = [[0] * len(columns) for _ in STYLES]
    for one, other in zip(asked, found):
        if other in columns:
            counts[STYLES.index(one)][columns.index(other)] += 1
    return counts


# %%
spoken = spoken_material(questions=80 if chapter.quick else 400, replies=40 if chapter.quick else 200, split="test")
questions = [question for question in spoken.questions if question.voice != HELD_OUT_VOICE.name]
asked = [question.style for question in questions]
model, builder = native.model, native.builder
named = [" ".join(answer.words) for answer in answer_in_text(
    model, builder, [builder.heard_prompt(question.frames, AudioToken.NAME_STYLE) for question in questions])]
prompts = [builder.heard_prompt(question.frames, AudioToken.MIRROR) for question in questions]
answers = speak(model, builder, prompts, decoder=native.decoder)
examiners = Examiners(tools.codec, tools.judge, tools.style_judge)
sounds = examiners.sounds(answers)
mirrored = tools.style_judge.classify(sounds)
live = {"named": my_confusion(asked, named), "mirrored": my_confusion(asked, mirrored)}

# %%
assert live["named"] == confusion(asked, named) and live["mirrored"] == confusion(asked, mirrored)
library = style(model, builder, examiners, questions, spoken.replies, native.decoder)
shares = {"named": np.trace(live["named"]) / len(asked), "mirrored": np.trace(live["mirrored"]) / len(asked)}
np.testing.assert_allclose([shares["named"], shares["mirrored"]], [library["recognised"], library["mirrored"]])
print(f"{len(asked)} questions: tables and shares equal to the library's")
chapter.measure("style named, native", shares["named"], 1 / len(asked))
chapter.measure("style mirrored, native", shares["mirrored"], 1 / len(asked))
chapter.measure("style mirrored, ceiling", library["ceiling"], 1 / len(spoken.replies))
commonest = max(map(asked.count, STYLES)) / len(asked)
print(f"chance: {1 / len(STYLES):.0%}; always answering in the commonest style: {commonest:.0%}")
Table(("asked in", *STYLES), [(name, *map(str, row)) for name, row in zip(STYLES, live["mirrored"])],
      "The shipped miniature mirrors: questions by the style asked in, row, and the style found, column")

# %% [markdown]
# **Chance** is a guess, one in four. The **ceiling** is what the judge says of original speech that went through the codec:
# no answer of the model can be expected to do better. And did it keep the words while it minded the style? The judge of words
# wrote the answers down.

# %%
right = [text == " ".join(question.item.answer) for text, question in zip(tools.judge.transcribe(sounds), questions)]
plain = speak(model, builder, [builder.heard_prompt(question.frames, AudioToken.ANSWER) for question in questions],
              decoder=native.decoder)
right_plainly = [text == " ".join(question.item.answer) for text, question in zip(
    tools.judge.transcribe(examiners.sounds(plain)), questions)]
chapter.measure("right words, mirrored", np.mean(right), 1 / len(asked))
chapter.measure("right words, neutral", np.mean(right_plainly), 1 / len(asked));

# %% [markdown]
# ## Three systems, side by side
#
# The rivals were trained with the machinery of chapter 14: the **cascade**, and a **modular** thinker-talker. In the modular
# one the language model is frozen, so it cannot forget any text. An adapter learns to turn the ear's vectors into words as
# the model knows them, and a talker beside it reads the model's states and speaks. All three had the same ear, the same speech and equally many updates
# after stage 0, half as many as the shipped miniature of the section before. Not all is equal: the rivals hold a second whole model, and what speaks in them is handed
# its words, while the native model has to find them.
#
# A score counts each style equally here, whether it was asked for often or seldom. So whoever always answers in the same
# style scores exactly chance, and not the share of the commonest style.

# %%
from minideeptalk.baselines.evidence import metric, told as in_percent
from minideeptalk.baselines.intervals import paired_interval, t_interval
from minideeptalk.baselines.style_study import PLACES
from minideeptalk.baselines.summary import by_arm, committed_records
from minideeptalk.teaching.findings import book_finding

finding = book_finding("nano-style", "style")
result = finding["result"]
NAMES = {"deeptalk-aligned": "native", "modular": "modular", "modular-joined": "modular, joined", "cascade": "cascade"}
fewest, systems = min(run["updates"] for run in result["runs"]), {}
for run in result["runs"]:
    longer = "" if run["updates"] == fewest else ", longer trained"
    systems.setdefault(NAMES[run["arm"]] + longer, []).append(run)
items = result["runs"][0]["items"]

# %%
def summed(name, kind):
    """Table of a system over its seeds, as shares of each row: (4, columns)."""
    counts = np.sum([run[kind] for run in systems[name]], axis=0)
    return counts / counts.sum(axis=1, keepdims=True)


def score(run, kind):
    """Share of right styles, each style counted equally."""
    counts = np.array(run[kind])
    return np.mean(np.diag(counts[:, :4]) / counts.sum(axis=1))


def shown(values, blind=False):
    """Mean, and the half-width of the interval where more than one seed was run."""
    interval = t_interval(values)
    half = f" ± {interval.half:.0%}" if interval.half else ""
    return f"{interval.mean:.0%}{half}{', by construction' if blind else ''}"

# %%
rows = []
for name, runs in systems.items():
    blind = runs[0]["reads_words_only"]
    scores = [1 / len(STYLES)] if blind else [score(run, "named") for run in runs]
    rows.append((name, f"{runs[0]['updates']:,}", shown(scores, blind), shown([score(run, "mirrored") for run in runs]),
                 shown([run["right_words"] for run in runs]), str(len(runs))))
rows.append(("chance", "-", f"{result['chance']:.0%}", f"{result['chance']:.0%}", "-", "-"))
heard = [run["probes"]["ear"]["accuracy"] for runs in systems.values() for run in runs]
rows.append(("ceiling", "-", f"{np.mean(heard):.0%}", f"{result['ceiling']['mirrored']:.0%}", "-", "-"))
Table(("system", "updates", "style named", "style mirrored", "right words while mirroring", "seeds"), rows,
      f"Test split, {items} questions, trained voices. Ceilings: a linear reading of the ear's vectors, and the judge on "
      "original speech")

# %% [markdown]
# Read the last two shares of a row together. The native model gives the style back most often, and it has the right words least often: it must find what the
# rivals' voices are handed, and pays for it here. A style is worth less on the wrong words.
#
# May such a score be luck? Let ten thousand guessers take the test that the first run of each system took, and see how many
# do as well. (An exercise below calculates it exactly.)

# %%
guessers = np.random.default_rng(chapter.seed)
for name, runs in systems.items():
    right_styles = int(np.trace(np.array(runs[0]["mirrored"])))
    lucky = (guessers.binomial(items, 1 / len(STYLES), size=10_000) >= right_styles).mean()
    print(f"{name}: {right_styles} of {items} styles mirrored; {lucky:.1%} of the guessers do at least as well")

# %% [markdown]
# Is it *being native* that does it? The study of chapter 14 has more native models, one text model and one voice in one set of weights, all. Here are their plain
# shares, in which styles that are asked more often count more; so the cascade's, whose voice never changes, stands below them.

# %%
study = by_arm(committed_records())


def plain_share(arm, kind):
    """Percent of right styles over the seeds of an arm; nothing where it was not asked."""
    values = list(metric(study[arm], "style_accuracy", kind).values())
    return in_percent(t_interval(values)) if values else ""


rows = [(f"{arm}, {words}", str(len(study[arm])), plain_share(arm, "recognised"), plain_share(arm, "mirrored"))
        for arm, words in (("puremoe", "everything learns"), ("deeptalk-aligned", "the recipe"), ("deeptalk", "the paper's own layout"),
                           ("cascade", "a voice that never changes"))]
Table(("system", "seeds", "style named", "style mirrored"), rows, "Percent of test questions, with 95 % t intervals over seeds")

# %% [markdown]
# Native is a possibility, no guarantee. The model that trains everything mirrors nearly always, and forgets its text; the recipe, most of whose weights stand still, less
# often; and in the paper's own layout, whose speech is hardly understood, a style comes back no more often than from a voice that never changes.
#
# And who is taken for whom? Move the slider through the systems.

# %%
views = [(name, kind) for name in systems for kind in ("named", "mirrored")]
figure, choices = go.Figure(), []
for name, kind in views:
    shares_of = summed(name, kind)
    z = np.pad(shares_of, ((0, 0), (0, 5 - shares_of.shape[1])))
    words = f"{name}, {kind}: {np.trace(shares_of[:, :4]) / 4:.0%} right"
    cells = [[f"{value:.0%}" for value in row] for row in z]
    choices.append(dict(label=f"{name}, {kind}", method="update",
                        args=[{"z": [z.round(3).tolist()], "text": [cells]}, {"title.text": words}]))
start = choices[1]["args"]
figure.add_heatmap(z=start[0]["z"][0], text=start[0]["text"][0], texttemplate="%{text}", x=[*STYLES, "no style"],
                   y=list(STYLES), zmin=0, zmax=1, colorscale=HEAT, xgap=2, ygap=2, showscale=False)
slider = dict(active=1, steps=choices, currentvalue=dict(prefix="system: "), pad=dict(t=60))
figure.update_layout(sliders=[slider], title=dict(text=start[1]["title.text"], font=dict(size=14)), margin=dict(t=44))
figure.update_xaxes(title="found", showgrid=False).update_yaxes(title="asked in", autorange="reversed", showgrid=False)
told = "; ".join(choice["args"][1]["title.text"] for choice in choices)
finish(figure, "Tables of the style asked in against the style found; a slider moves through the systems, named and "
               f"mirrored. {told}.", height=440)

# %% [markdown]
# The cascade's rows are all alike, but for the judge's mistakes: it answers everybody in one voice, since its text model sees no difference, and asked for
# the name of the style it goes on answering the question. In the mirrored rows that gives chance. Of the names it gets none right, since it never says one; the
# table grants it the share of a guess.
#
# ## Hear them side by side
#
# The same question in four styles, and what the systems answered, one after the other in the order of the table, with equal
# loudness. The figure shows the melodies of the answers; style and players move together.

# %%
ORDER = tuple(systems)
spoken_by = {}
for name in ORDER:
    for example in systems[name][0]["examples"]:
        codes = torch.tensor(example["codes"]).reshape(-1, 7)
        sound = tools.codec.decode(codes).numpy() if len(codes) else np.zeros(1600, dtype=np.float32)
        spoken_by[name, example["style"]] = (torch.from_numpy(normalise_loudness(sound)), example["answer"])
looks = dict(zip(ORDER, ((VERMILLION, "solid"), (BLUE, "dash"), (GREEN, "dot"), (PURPLE, "dashdot"))))
tracks = {key: pitch(sound).track for key, (sound, _) in spoken_by.items()}
longest = max(map(len, tracks.values()))
times = (np.arange(longest) * HOP / SAMPLE_RATE).round(3)


def padded(track):
    """As long as the longest, with None where there is no voice."""
    values = [None if np.isnan(hz) else round(float(hz), 1) for hz in track]
    return values + [None] * (longest - len(values))

# %%
figure = go.Figure()
for name in ORDER:
    colour, dash = looks[name]
    figure.add_scatter(x=times, y=padded(tracks[name, "happy"]), name=name, mode="lines+markers", marker=dict(size=4),
                       line=dict(color=colour, dash=dash, width=3))
choices = [dict(label=one, method="restyle", args=[{"y": [padded(tracks[name, one]) for name in ORDER]}])
           for one in STYLES]
slider = dict(active=1, steps=choices, currentvalue=dict(prefix="asked in the style: "), pad=dict(t=50))
figure.update_layout(sliders=[slider])
figure.update_xaxes(title="seconds").update_yaxes(title="pitch of the answer, Hz", rangemode="tozero")


def mean_hz(name, one):
    track = tracks[name, one]
    return f"{np.nanmean(track):.0f}" if np.isfinite(track).any() else "no voice"


told = "; ".join(f"{name}: " + ", ".join(f"{one} {mean_hz(name, one)}" for one in STYLES) for name in ORDER)
finish(figure, "Pitch of the systems' answers over time; a slider chooses the style of the question. Mean pitch in Hz: "
               f"{told}.", height=420)

# %%
gap, players = torch.zeros(SAMPLE_RATE // 4), []
for one in STYLES:
    wave = torch.cat([part for name in ORDER for part in (spoken_by[name, one][0], gap)])
    judged = dict(zip(ORDER, judge.classify([spoken_by[name, one][0] for name in ORDER])))
    players.append(AudioClip(f"Asked in the style {one}; {'; '.join(ORDER)}:", wave,
                             " / ".join(spoken_by[name, one][1] for name in ORDER),
                             "The style judge: " + ", ".join(f"{name} {found}" for name, found in judged.items()) + "."))
SoundSlider(players, STYLES, "asked in the style: ", active=1)

# %% [markdown]
# Over all test questions, how do the voices move with the style of the asker? A system that mirrors has four different rows;
# a system that does not has the same numbers four times, up to the words.

# %%
rows = []
for name, runs in systems.items():
    for one in STYLES:
        values = [[run["voices"][one][what] for run in runs] for what in ("hz", "spread_hz", "seconds_per_word")]
        hz, spread, pace = (np.mean(column) for column in values)
        rows.append((f"{name}, asked {one}", f"{hz:.0f}", f"{spread:.0f}", f"{pace:.2f}"))
Table(("answers of", "pitch, Hz", "spread, Hz", "seconds a word"), rows, "Means over the test questions and seeds")

# %% [markdown]
# ## Where the style is lost
#
# The modular system *could* know: its adapter gets the ear's vectors, styles and all. Where does it lose them? A **linear
# probe** tells: a linear reading, trained on the vectors at one place, of the style of the question. We look at four places
# on the way:
#
# - **ear**: the mean of the ear's vectors, the same for all systems;
# - **read**: what the language model gets to read of them;
# - **thought**: its last state before it answers, one step;
# - **voice**: the state of whatever makes the sound, before its first code.
#
# A control, the same probe trained on shuffled styles, shows what such a reading finds where there is nothing.

# %%
figure = go.Figure()
for name, runs in systems.items():
    means = [np.mean([run["probes"][place]["accuracy"] for run in runs]) for place in PLACES]
    colour, dash = looks[name]
    figure.add_scatter(x=list(PLACES), y=means, name=name, mode="lines+markers",
                       line=dict(color=colour, dash=dash, width=3),
                       marker=dict(size=9))
control = np.mean([run["probes"][place]["control"] for run in result["runs"] for place in PLACES])
figure.add_hline(y=control, line=dict(color=INK, dash="dot"), annotation_text="control", annotation_position="bottom left")
figure.update_yaxes(title="style read right", range=[0, 1.05], tickformat=".0%").update_xaxes(title="place")
at = {name: {place: np.mean([run["probes"][place]["accuracy"] for run in runs]) for place in PLACES}
      for name, runs in systems.items()}
told = "; ".join(f"{name}: " + ", ".join(f"{place} {value:.0%}" for place, value in row.items())
                 for name, row in at.items())
finish(figure, f"Lines over four places: the share of styles that a linear probe reads right. {told}. "
               f"Control {control:.0%}.", height=360)

# %%
for name, row in at.items():
    print(f"{name}:", ", ".join(f"{place} {value:.0%}" for place, value in row.items()))
print(f"control: {control:.0%}")

# %% [markdown]
# Read each line from the left. All begin alike: the **ear** holds the style. In the *cascade* it is gone as soon as the words
# are written down, and nothing later can bring it back. In the *native* model the loss asks for the style at the far end,
# when the answer has to sound like the question, and gradients flow all the way from there to the adapter: whatever is needed
# on the way is learnt on the way.
#
# Mind what the third place is: a single state. Later steps, and the talker of the modular system too, can look back at all the heard frames. So a line that falls from
# *read* to *thought* does not prove that the style is gone: the native line falls there, too, and a native model can mirror more than a probe finds in that state.
#
# The *modular* system is worth a second look. What its adapter lets through is read at the second place, and what of it arrives in the
# state from which the answer begins, at the third. A frozen model may have no use for what no text ever had. This one was asked to name styles in
# some of its examples, and the table above shows how far that went. From the *sound* its adapter learns nothing, because we cut that
# gradient, and `recognise` pulls its frames towards words. So the row says what this interface keeps. The arm `modular-joined` (*modular, joined* above) lets the
# gradient through, and its line shows how little that changes while the model between stays frozen. Which of the other differences counts, the frozen reader, frames that are
# pulled towards words or the marks that are left out, these runs do not tell. In any modular system somebody decides what passes the interface, and has to
# decide again for all that matters in speech: style, age, a laugh, a cough. A native model is not asked what to keep.
#
# How did our modular rival learn to hear at all? At first it did not. The paper's gated MLP alone begins far louder than
# a word, and a frozen reader cannot turn it down: what the attention adds to so loud a step is too little, and the norms take
# the loudness out of the gradient. Three things made the rival hear. Its adapter begins as loud as a word. It is taught the
# embeddings of the words. And the marks before and after what is heard, which no text ever had, are left out. The native model had the
# same trouble, if less.
# That is why its adapter levels what it hears ([chapter 03](03_hearing.ipynb)); the ablation `heard-as-it-comes` of
# [chapter 14](14_does_it_hold.ipynb) leaves that out. The lines below say how loud a heard frame is, without that last step and
# with it. (Before it, the gated MLP may grow as loud as it likes: nothing after it can tell.) The last two say what levelling brings and costs.

# %%
from minideeptalk.baselines.modular import with_talker

with torch.no_grad():
    vectors = torch.cat([question.frames for question in questions])
    word = text_model.embedding.text.weight.std()
    levelled, rival = shipped_stage("1-align").adapter, with_talker(text_model, None).adapter
    for who, heard in (("gated MLP, untrained", text_model.adapter.gated(vectors)), ("gated MLP after stage 1", levelled.gated(vectors)),
                       ("the same, levelled", levelled(vectors)), ("the modular rival's, untrained", rival(vectors))):
        print(f"{who:32} {7 * heard.std() / word:6.1f} times as loud as a word")  # a heard frame stands in all seven codec rows
for what, path in (("questions answered in text", ("spoken_qa_text",)), ("styles mirrored", ("style_accuracy", "mirrored"))):
    gain = paired_interval(metric(study["deeptalk-aligned"], *path), metric(study["heard-as-it-comes"], *path))
    print(f"{what}, levelled less as it comes: {in_percent(gain, signed=True)} points, pairs of seeds: {gain.count}")

# %% [markdown]
# ## What goes wrong: the anger that was only volume
#
# Real angry people are loud. Our synthesiser is louder too when it is angry; the library takes that out of every clip
# (`normalise_loudness`). What if somebody forgets? We put the volumes back, as the synthesiser's own settings have them, and
# train a small recogniser on numbers that you know by now: pitch, spread, pace, and **level**. It keeps the mean of each
# style and takes the nearest.

# %%
WORDS = "red blue green cat dog horse fish drum box hat ring cup".split()
draw = np.random.default_rng(100 + chapter.seed)


def clips(count):
    """Lists of three words by all users' voices in all styles: (waveform, style), all equally loud."""
    made = []
    for number in range(count):
        words, name = tuple(draw.choice(WORDS, 3, replace=False)), STYLES[number % 4]
        voice = USER_VOICES[number // 4 % len(USER_VOICES)]
        made.append((speaker.speak(words, voice=voice, style=name).waveform, name))
    return made


def forgotten(waveform, name):
    """The clip as loud as the synthesiser's setting for this style would make it."""
    return waveform * STYLE_SETTINGS[name].volume / STYLE_SETTINGS["neutral"].volume


def features(waveform, with_level):
    """Pitch in octaves, spread relative to it, seconds, and (if wanted) level in dB."""
    voice = pitch(waveform)
    found = [np.log2(voice.mean), voice.spread / voice.mean, len(waveform) / SAMPLE_RATE]
    return np.nan_to_num(found + ([decibels(waveform)] if with_level else []))

# %%
class NearestMean:
    """Standardise the features, keep the mean of each style, take the nearest."""

    def __init__(self, waveforms, names, with_level):
        self.with_level = with_level
        table = np.stack([features(wave, with_level) for wave in waveforms])  # (N, features)
        self.middle, self.scale = table.mean(axis=0), table.std(axis=0)
        ready = (table - self.middle) / self.scale
        self.means = np.stack([ready[[name == one for name in names]].mean(axis=0) for one in STYLES])  # (4, features)

    def name(self, waveform):
        point = (features(waveform, self.with_level) - self.middle) / self.scale
        return STYLES[int(((self.means - point) ** 2).sum(axis=1).argmin())]

    def score(self, waveforms, names):
        return np.mean([self.name(wave) == name for wave, name in zip(waveforms, names)])

# %%
training, testing = clips(168 if chapter.quick else 840), clips(112 if chapter.quick else 560)
matched, names = [wave for wave, _ in testing], [name for _, name in testing]
loud = [forgotten(wave, name) for wave, name in testing]
kinds = [name for _, name in training]
honest = NearestMean([wave for wave, _ in training], kinds, with_level=False)
fooled = NearestMean([forgotten(wave, name) for wave, name in training], kinds, with_level=True)
rows = [("loudness matched, no level", shown([honest.score(matched, names)]), shown([honest.score(loud, names)])),
        ("loudness forgotten, with level", shown([fooled.score(matched, names)]), shown([fooled.score(loud, names)]))]
chapter.measure("recogniser, loudness matched", honest.score(matched, names), 1 / len(names))
chapter.measure("recogniser, loudness forgotten", fooled.score(loud, names), 1 / len(names))
chapter.measure("the same, volumes equal", fooled.score(matched, names), 1 / len(names))
Table(("trained on", "test, equally loud", "test, as loud as each style is"), rows, "Styles recognised; chance is one in four")

# %% [markdown]
# The careless recogniser looks like the better one. Its report would say so. But turn the volume of a **sad** voice up, and
# nothing else:

# %%
gains = list(range(-9, 25, 3))
sad = [forgotten(wave, name) for wave, name in testing if name == "sad"][:20]
called = {who: [np.mean([recogniser.name(wave * 10 ** (gain / 20)) == "angry" for wave in sad]) for gain in gains]
          for who, recogniser in (("loudness forgotten", fooled), ("loudness matched", honest))}
figure = go.Figure()
for (who, values), colour, dash in zip(called.items(), (VERMILLION, BLUE), ("solid", "dash")):
    figure.add_scatter(x=gains, y=values, name=who, mode="lines+markers", line=dict(color=colour, dash=dash, width=3))
figure.update_xaxes(title="volume turned up by, dB")
figure.update_yaxes(title="sad voices called angry", range=[-0.03, 1.05], tickformat=".0%")
chapter.measure("sad voices called angry at the loudest", called["loudness forgotten"][-1], 1 / len(sad))
finish(figure, "Share of sad voices that are called angry, over the volume. " + "; ".join(
    f"{who}: {values[0]:.0%} at {gains[0]} dB, {values[-1]:.0%} at {gains[-1]} dB"
    for who, values in called.items()) + ".", height=340)

# %% [markdown]
# It has not become deaf to the rest: with volumes equal it does about as well as the honest one. But much of its good score was volume, and enough volume overrules
# all else. A good score on a test with the same flaw will not tell you. So match what should play no part *before* training, and then
# turn the knob and look whether the answer moves. The library does both: all speech is matched, and ear and judge take the
# level off once more.
#
# ## Try it live
#
# In Jupyter or Colab: type a question, choose voice and style, let the miniature answer *in my style*, or load a recording. A
# human voice is beyond what it was trained for; it will mostly say that it did not understand.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer import TalkExplorer

TalkExplorer(native, question=EXAMPLE).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 13-1: who is taken for whom** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs lists, indexing
#
# Count who is taken for whom.
#
# <details><summary>Hint 1, a question</summary>
#
# A happy question was answered sadly. Which row is that, and which column?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `names.index(name)` is the number of a style. Start from a table of zeros with a whole-number dtype.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each pair: if what was found is one of the names, add one at (row of asked, column of found). Leave anything else out.
#
# </details>
# </details>
# </details>

# %%
# Exercise 13-1: your code
def confusion_table(asked, found, names):
    """Styles asked and found (equally long lists) and the C names -> counts (C, C): row asked in, column found."""
    raise NotImplementedError("your code here")

# %%
check("13-1", confusion_table)

# %% [markdown]
# <details>
# <summary>A solution of 13-1</summary>
#
# ```python
# def confusion_table(asked, found, names):
#     """Styles asked and found (equally long lists) and the C names -> counts (C, C): row asked in, column found."""
#     table = torch.zeros(len(names), len(names), dtype=torch.long)
#     for one, other in zip(asked, found):
#         if other in names:
#             table[names.index(one), names.index(other)] += 1
#     return table
# ```
#
# </details>
#
# **Exercise 13-2: as loud as the others** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs decibels, boolean masks
#
# Make a clip as loud as it should be, pauses left aside.
#
# <details><summary>Hint 1, a question</summary>
#
# Two people say the same, one with long pauses. Which of them does a mean over the whole clip make louder?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Power is the mean of the squares; its level in dB is ten times the logarithm. A gain works on the amplitude, and power goes
# with its square.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Frames of 320 samples; keep those whose power is at least 1e-4 of the loudest frame's; level from their mean power; multiply
# the clip by 10 ** ((target - level) / 20).
#
# </details>
# </details>
# </details>

# %%
# Exercise 13-2: your code
def match_loudness(waveform, target_db):
    """waveform (N,), N a multiple of 320 -> scaled so that the mean power of its sounding frames is `target_db` dB."""
    raise NotImplementedError("your code here")

# %%
check("13-2", match_loudness)

# %% [markdown]
# <details>
# <summary>A solution of 13-2</summary>
#
# ```python
# def match_loudness(waveform, target_db):
#     """waveform (N,), N a multiple of 320 -> scaled so that the mean power of its sounding frames is `target_db` dB."""
#     power = waveform.reshape(-1, 320).square().mean(dim=1)  # (F,) frames of 20 ms
#     sounding = power[power >= power.max() * 10 ** (-40 / 10)]  # pauses are more than 40 dB below the loudest frame
#     level = 10 * torch.log10(sounding.mean())
#     return waveform * 10 ** ((target_db - level) / 20)
# ```
#
# </details>
#
# **Exercise 13-3: how high is this voice** · practice · difficulty ●●●○○ (3 of 5) · about 25 minutes · 3 points · needs autocorrelation
#
# Find the pitch of one frame, without falling an octave.
#
# <details><summary>Hint 1, a question</summary>
#
# A tone of 200 Hz repeats after 80 samples. What does it do after 160?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Divide each product by the energies of the two parts that meet; then a perfect repetition scores 1 at every lag, and lags
# can be compared.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Mean off; for each lag from rate / highest to rate / lowest the normalised product; then walk up the lags and stop at the
# first peak that reaches nine tenths of the best.
#
# </details>
# </details>
# </details>

# %%
# Exercise 13-3: your code
def pitch_of_frame(frame, rate, lowest, highest):
    """frame (N,), samples a second, range in Hz -> pitch in Hz, from the first lag that resembles nearly best."""
    raise NotImplementedError("your code here")

# %%
check("13-3", pitch_of_frame)

# %% [markdown]
# <details>
# <summary>A solution of 13-3</summary>
#
# ```python
# def pitch_of_frame(frame, rate, lowest, highest):
#     """frame (N,), samples a second, range in Hz -> pitch in Hz, from the first lag that resembles nearly best."""
#     frame = frame - frame.mean()
#     lags = np.arange(int(rate / highest), int(rate / lowest) + 1)
#     likeness = []
#     for lag in lags:
#         here, later = frame[:-lag], frame[lag:]
#         likeness.append((here * later).sum() / np.sqrt((here**2).sum() * (later**2).sum() + 1e-12))
#     likeness = np.array(likeness)  # one for each lag
#     for place in range(1, len(lags) - 1):
#         is_peak = likeness[place - 1] <= likeness[place] > likeness[place + 1]
#         if is_peak and likeness[place] >= 0.9 * likeness.max():
#             return rate / lags[place]
#     return rate / lags[likeness.argmax()]
# ```
#
# </details>
#
# **Exercise 13-4: may it be luck** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs binomial distribution
#
# A system names a few more styles than a guesser would. May that be luck?
#
# <details><summary>Hint 1, a question</summary>
#
# In how many ways can two right answers lie among ten?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `math.comb(total, count)`. And "at least" is a sum.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Add up, for each count from `right` to `total`: ways, times chance to the power of count, times the rest to the power of the
# others.
#
# </details>
# </details>
# </details>

# %%
# Exercise 13-4: your code
def chance_of_luck(right, total, chance):
    """Right answers, questions, chance of each guess -> probability that a guesser gets at least so many right."""
    raise NotImplementedError("your code here")

# %%
check("13-4", chance_of_luck)

# %% [markdown]
# <details>
# <summary>A solution of 13-4</summary>
#
# ```python
# def chance_of_luck(right, total, chance):
#     """Right answers, questions, chance of each guess -> probability that a guesser gets at least so many right."""
#     return sum(math.comb(total, count) * chance**count * (1 - chance) ** (total - count) for count in range(right, total + 1))
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- The shipped miniature named {shares['named']:.0%} of the styles and mirrored {shares['mirrored']:.0%}, live, on")
print(f"  {len(asked)} questions; chance is {1 / len(STYLES):.0%}, the judge's ceiling {library['ceiling']:.0%}.")
for name, runs in systems.items():
    print(f"- Recorded, {name}: mirrored {shown([score(run, 'mirrored') for run in runs])}; the style can be read from")
    print(f"  {at[name]['read']:.0%} of what its language model reads, {at[name]['voice']:.0%} where the voice begins.")
print(f"- With loudness matched, a small recogniser was right in {honest.score(matched, names):.0%}; with loudness forgotten in")
print(f"  {fooled.score(loud, names):.0%}, and in {fooled.score(matched, names):.0%} once the volumes were equal.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): native against modular systems, and why paralinguistic features speak for the former.
# - Wang et al. (2024), [Freeze-Omni: A Smart and Low Latency Speech-to-speech Dialogue Model with Frozen
#   LLM](https://arxiv.org/abs/2411.00774): a modular system whose language model stays frozen.
# - Xu et al. (2025), [Qwen2.5-Omni Technical Report](https://arxiv.org/abs/2503.20215): thinker and talker.
# - Deng, Sun and Woodland (2024), [Wav2Prompt: End-to-End Speech Prompt Generation and Tuning For LLM in Zero and Few-shot
#   Learning](https://arxiv.org/abs/2406.00522): teaching an adapter the embeddings of the words.
# - Alain and Bengio (2016), [Understanding intermediate layers using linear classifier probes](https://arxiv.org/abs/1610.01644).
# - Hewitt and Liang (2019), [Designing and Interpreting Probes with Control Tasks](https://arxiv.org/abs/1909.03368).
#
# Next: [chapter 14, does it hold?](14_does_it_hold.ipynb)

# %%
chapter.footer()
