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
# # Real time
#
# You will make the finished miniature speak *while* it thinks, step by step and chunk by chunk, prove that it says what it said
# before, and see where every millisecond of the wait goes.
#
# ![A timeline. When the question ends, four blocks of computing follow each other: encode, prefill, steps and codec. Then the first chunk of sound begins, while further steps and codec blocks go on above it. Later chunks overlap a little and fade into each other. Below, two rows of steps: the first says when a word begins, the second writes which word it is.](../book/_static/12-time.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/12_real_time.ipynb)

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
chapter = open_chapter("12_real_time")  # mode="full" asks more questions

# %% [markdown]
# **After this chapter you can**
#
# 1. name the parts of the wait between a question and the first sound of its answer, and measure them;
# 2. write a cache that reads every step once, and say what the cache has to be told besides keys and values;
# 3. cut an answer into chunks of sound that join without a click, and choose the first chunk's size;
# 4. decode in two rows, one that speaks and one that writes, and say what that buys and what it costs;
# 5. turn the knobs of sampling, and hear what each of them does to a voice.

# %%
chapter.diagram()

# %% [markdown]
# ## Hear the wait
#
# A listener counts from the end of the question. What passes until the first sound is the **latency**. After that, only one thing
# matters: the next piece of sound has to be there before the last one is over.
#
# A finished answer can be made in two ways. *All at once*: think to the end, make the sound, play it. *Streaming*: play the first
# chunk as soon as it exists. The miniature is small, so on a machine of today you would hardly hear the difference. Below is the same
# answer as a slower machine would give it. Each clip begins with the question.

# %%
import time

import numpy as np
import plotly.graph_objects as go
import torch

from minideeptalk.codec import StreamingDecoder
from minideeptalk.config import HOP, SAMPLE_RATE, STEP_SAMPLES, STEP_SECONDS
from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.metrics import edit_distance, word_error_rate
from minideeptalk.inference.decoding import SpokenDecoder, answer_in_text, speak, speak_in_steps
from minideeptalk.inference.parallel import ParallelDecoder, in_writing
from minideeptalk.inference.talker import AUDIBLE
from minideeptalk.model import AudioToken
from minideeptalk.speech.files import read_audio
from minideeptalk.teaching import check
from minideeptalk.teaching.explorer_time import pieces_of_answer
from minideeptalk.teaching.samples import book_record, sample_clips, shipped_run, shipped_talker
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import AudioClip
from minideeptalk.viz.latency import parts_timeline, playback_figure
from minideeptalk.viz.style import BLUE, VERMILLION, finish

# %%
talker, judge = shipped_talker(), Judge.load(shipped_run() / "judge")
model, builder, codec = talker.model, talker.builder, talker.codec
clips = sample_clips("question")
waveforms = [torch.from_numpy(read_audio(clip.path)) for clip in clips]
number = next(place for place, waveform in enumerate(waveforms) if clips[place].family == "repeat")
prompt = builder.heard_prompt(talker.listen(waveforms[number]).frames, AudioToken.ANSWER)
tries = [pieces_of_answer(talker, prompt) for _ in range(8)]
said, pieces = min(tries, key=lambda attempt: attempt[1][-1].ready)  # the try that other programs disturbed least
slow = 1.5 / pieces[-1].ready  # so many times slower that the whole answer takes a second and a half
question = waveforms[number]
waits = {"all at once": pieces[-1].ready, "streaming": pieces[0].ready}
answer_sound = torch.cat([piece.samples for piece in pieces])

# %%
players = []
for name, ready in waits.items():
    silence = torch.zeros(round(slow * ready * SAMPLE_RATE))
    hint = f"The wait is {slow * ready:.2f} s on a machine {slow:.0f} times slower than this one."
    sound = torch.cat([question, silence, answer_sound])
    players.append(AudioClip(f"{name.capitalize()}:", sound, f"{clips[number].words} … {' '.join(said)}", hint))
Sounds(players)

# %% [markdown]
# ## Where the wait goes
#
# The wait has parts, and they add up. In the order in which they happen:
#
# | part | what happens |
# | --- | --- |
# | encode | the ear listens to the whole question |
# | prefill | the language model reads the prompt, and makes its first step |
# | lead | steps that hold text alone, before any sound may begin |
# | delay | steps until the slowest codec stream has reached the first frame |
# | step | further steps until the first chunk is whole |
# | codec | codes become samples |
# | leading silence | the voice itself does not begin at once; nothing is computed here |
#
# Our layout has no lead: words and sound begin together. We time twenty answers, with a stopwatch between the parts, and take
# for each part the median. Of the whole wait we also want `p90`: the time within which nine of ten answers have begun. A mean would
# hide the one in ten for which a listener already wonders whether anybody is there.

# %%
def my_parts(waveform):
    """Milliseconds of each part of the wait for one answer's first chunk of sound."""
    marks = [time.perf_counter()]

    def lap():
        marks.append(time.perf_counter())
        return 1e3 * (marks[-1] - marks[-2])

    parts = {}
    prompt = builder.heard_prompt(talker.listen(waveform).frames, AudioToken.ANSWER)
    parts["encode"] = lap()
    speaking = ParallelDecoder(model, builder, [prompt])
    speaking.step()
    parts |= {"prefill": lap(), "lead": 0.0}
    for part, frames in (("delay", 1), ("step", talker.first_frames)):
        while speaking.frames_ready() < frames:
            speaking.step()
        parts[part] = lap()
    codes = speaking.frames(0, 0, talker.first_frames).clamp(max=codec.codebook_size - 1)
    sound = StreamingDecoder(codec).push(codes)
    parts["codec"] = lap()
    loud = (sound.abs() > AUDIBLE).nonzero()
    parts["leading silence"] = 1e3 * (float(loud[0]) if len(loud) else len(sound)) / SAMPLE_RATE
    return parts

# %%
runs = [my_parts(waveform) for waveform in waveforms[:23]][3:]  # the first three warm up
medians = {part: float(np.median([run[part] for run in runs])) for part in runs[0]}
computing = [sum(value for part, value in run.items() if part != "leading silence") for run in runs]
p50, p90 = np.percentile([sum(run.values()) for run in runs], [50, 90])
print(f"{len(runs)} answers on one thread; computing alone: p50 {np.percentile(computing, 50):.0f} ms, "
      f"p90 {np.percentile(computing, 90):.0f} ms")
parts_timeline(medians, p50, p90)

# %% [markdown]
# These times belong to the machine that ran this page, and change a little with every run. What you should look at is their
# *proportions*: what would you make faster first? From here on we count CPU time where we can: it is steadier, and on one thread of a
# quiet machine it is the same.
#
# Two more numbers to set beside them. The book's run record holds the same parts, measured once on a quiet machine. And the time
# of a single step, which comes again and again, tells what the paper's delays would cost here: the slowest stream of the `stream` pattern
# lags seven steps behind the text.

# %%
from minideeptalk.model import delays


def time_of(work, times=20):
    """CPU milliseconds of one call on one thread, the best of some: what other programs do is not counted."""
    laps = []
    for _ in range(times):
        began = time.process_time()
        work()
        laps.append(1e3 * (time.process_time() - began))
    return min(laps)


speaking = ParallelDecoder(model, builder, [prompt])
speaking.step()
step_ms = time_of(speaking.step)
recorded = book_record()["metrics"]["first_audio_ms"]
print(f"one step of two rows: {step_ms:.1f} ms for {1e3 * STEP_SECONDS:.0f} ms of sound")
print(f"the record: p50 {recorded['p50']:.0f} ms, p90 {recorded['p90']:.0f} ms, leading silence in it")
lags = {pattern: max(delays(pattern, 7)) for pattern in ("none", "level", "stream")}
rows = [(pattern, f"{lag}", f"{lag * step_ms:.0f}", f"{lag * 1e3 * STEP_SECONDS:.0f}") for pattern, lag in lags.items()]
heads = ("delay pattern", "steps before the first frame is whole", "ms here", "ms if a step took as long as its sound")
Table(heads, rows, "What a delay adds to the wait")

# %% [markdown]
# The last column is the reason to care. A large model on a small machine may need nearly a step's time for each step. Then seven
# steps are more than half a second of the wait, whatever else you do.
#
# All this is the shipped miniature, the smallest size. The next one, `mini`, is measured by a benchmark of its own, `minideeptalk bench talk`,
# with the parts apart, in one row and in two (more about rows below), and up to the end of a long answer. It also lets this model and
# transformers' `generate` write the same number of words, on models of equal active size.

# %%
from minideeptalk.teaching.samples import bench_record

bench = bench_record("talk", "mini")
rows, where = [], "not taken yet"
if bench is None:
    rows.append(("minideeptalk bench talk", "-", "-"))
else:
    rows += [(part, f"{value['p50']:.1f} ms", f"{value['p90']:.1f} ms") for part, value in bench["latency_ms"].items()]
    rows += [(bar["claim"], f"{bar['measured']:.2f}", f"at most {bar['at_most']:g}") for bar in bench["bars"]]
    rows += [(f"{row['name']}: {row['shape']}", f"{row['milliseconds']:.1f} ms", "") for row in bench["rows"]
             if "words after" in row["shape"]]
    where = f"{bench['device']['name']}, {bench['threads']} thread, {bench['rounds']} answers, {bench['date'][:10]}"
Table(("part, claim or writer", "p50, or measured", "p90, or bar"), rows, f"The benchmark at mini ({where})")

# %% [markdown]
# ## Build it: a memory for keys and values
#
# To choose the next step, attention looks at all steps before it. A decoder that reads everything again at every step does
# $1 + 2 + \dots + T$ steps of work for $T$ steps. But a step that was read never changes: attention is causal, so what is new cannot touch what is
# old. All that later steps ask of it are its **keys and values**. So keep them.
#
# Our model asks two things of a cache: how long it is, and to `update`: append some steps of one layer, and give back all.
# The buffer is made once, with room for everything to come, so that no step copies what was there.

# %%
class MyCache:
    """Keys and values of each layer, in buffers with room for `room` steps."""

    def __init__(self, room=256):
        self.room, self.buffers, self.lengths = room, {}, {}

    def get_seq_length(self):
        return self.lengths.get(0, 0)

    def update(self, key, value, layer):
        """key, value (B, heads, T, size) of new steps -> all so far, (B, heads, S, size) each."""
        start = self.lengths.get(layer, 0)
        end = start + key.shape[2]
        if layer not in self.buffers:
            batch, heads, _, size = key.shape
            self.buffers[layer] = torch.empty(2, batch, heads, self.room, size)
        for buffer, new in zip(self.buffers[layer], (key, value)):
            buffer[:, :, start:end] = new
        self.lengths[layer] = end
        return tuple(buffer[:, :, :end] for buffer in self.buffers[layer])

# %% [markdown]
# **The same as without it?** We read a question step by step, and all at once. Then a longer text both ways, with a stopwatch.

# %%
@torch.no_grad()
def read(text, cache=None):
    """Hidden states (T, D) of words (T,)."""
    return model(text=text[None], cache=cache).hidden[0]


sentence = torch.tensor(builder.text_prompt("cup red mia horse which color".split()).text)
whole = read(sentence)
cache = MyCache()
step_by_step = torch.cat([read(sentence[step:step + 1], cache) for step in range(len(sentence))])
torch.testing.assert_close(step_by_step, whole, atol=1e-4, rtol=1e-4)
print(f"{len(sentence)} steps, read one by one with the cache: equal to all at once")

long = sentence.repeat(20)[:120]
again, cached, cache = [], [], MyCache()
for step in range(len(long)):
    again.append(time_of(lambda: read(long[:step + 1]), 1))
    cached.append(time_of(lambda: read(long[step:step + 1], cache), 1))
tokens = {"read again": len(long) * (len(long) + 1) // 2, "cached": len(long)}
print(f"steps of work for {len(long)} steps: {tokens['read again']} read again, {tokens['cached']} with the cache")

# %%
def smooth(values, width=7):
    """Running medians, so that a hiccup of the machine does not make a spike."""
    half = width // 2
    windows = [values[max(0, place - half):place + half + 1] for place in range(len(values))]
    return [float(np.median(window)) for window in windows]


figure = go.Figure()
ends = {}
for name, times, colour, dash in (("read again", again, VERMILLION, "dash"), ("cached", cached, BLUE, "solid")):
    line, ends[name] = dict(color=colour, dash=dash, width=3), smooth(times)[-1]
    figure.add_scatter(y=np.round(smooth(times), 3), name=name, mode="lines", line=line)
figure.update_xaxes(title="step").update_yaxes(title="ms for this step", rangemode="tozero")
finish(figure, f"Time of each step over {len(long)} steps. Read again, it grows to {ends['read again']:.1f} ms; cached, it stays "
               f"near {ends['cached']:.1f} ms.", height=320)

# %% [markdown]
# ## Build it: an answer as a stream of steps
#
# Chapter 06 decoded an answer by reading all of it at every step. Here is the same with the cache. After the prompt, each turn of the
# loop reads *one* step of eight rows. Mind the line with `place`: in this model positions count **words**, and a step on which a word
# still sounds stays where it is. The cache cannot know that; it has to be told. What happens if you forget it comes
# under *What goes wrong*.

# %%
from minideeptalk.inference.memory import left_padded


def prompt_rows(prompt):
    """The rows of one prompt, (1, T, ...), by the names of the model's arguments."""
    return {name: rows for name, rows in left_padded([prompt], builder, "cpu").items() if name != "real"}


def next_rows(held, codes, count):
    """The rows of one step: a word id, codes (Q,), and how long the word has been sounding."""
    return {"text": torch.tensor([[held]]), "codes": codes[None, None], "elapsed": torch.tensor([[count]])}

# %%
@torch.no_grad()
def my_stream(prompt, longest=100):
    """One row; yields the word id and the codes (Q,) of each step, and reads each step once."""
    cache, size, held, count = MyCache(), codec.codebook_size, builder.wait, 0
    inputs = prompt_rows(prompt)
    place = torch.arange(len(prompt))[None]  # (1, T): every step of a prompt is a place of its own
    for step in range(longest):
        hidden = model(**inputs, positions=place, cache=cache).hidden[0, -1]  # (D,)
        word = model.text_logits(hidden).argmax().item()
        scores = model.audio_logits(hidden)  # (Q, codes + specials)
        codes = scores[:, :size].argmax(dim=-1)  # (Q,)
        if step == 0:
            codes = torch.full_like(codes, builder.silence)  # sound lags one step behind its word
        elif scores[0, size + AudioToken.EOA] > scores[0, codes[0]]:
            return  # the first stream says: over
        yield word, codes
        if word == builder.end:
            return
        begins = word != builder.wait
        held, count = (word, 1) if begins else (held, count + 1)
        place = place[:, -1:] + int(begins)  # (1, 1)
        inputs = next_rows(held, codes, count)

# %% [markdown]
# **The same as the library's?** Word for word and code for code, over all shipped questions:

# %%
heard = [talker.listen(waveform).frames for waveform in waveforms]
prompts = [builder.heard_prompt(frames, AudioToken.ANSWER) for frames in heard]
compared = 0
for asked in prompts:
    mine = list(my_stream(asked))
    for speaking, ready in speak_in_steps(model, builder, asked):
        pass
    theirs = speaking.answer(0)
    words = [word for word, _ in mine if word not in (builder.wait, builder.end)]
    assert builder.tokenizer.decode(words) == theirs.words
    spoken_codes = torch.stack([codes for _, codes in mine])[1:]  # (F, Q), the lag of one undone
    assert torch.equal(spoken_codes, theirs.codes)
    compared += len(mine)
print(f"{len(prompts)} answers, {compared} steps: equal to the library's")

# %% [markdown]
# ## Build it: sound in chunks
#
# The codec turns codes into a log-mel picture, step by step. But from picture to sound it must guess a **phase**, by
# Griffin and Lim's method, which looks at a whole stretch at once. Decode two neighbouring chunks apart, and their phases do not fit: at the
# **seam** the wave breaks, and one expects a click.
#
# The way out has two halves. *Context*: decode each chunk together with a little of the past, so that the phase has settled by the
# time the new part begins. *Cross-fade*: hold back the last samples of each chunk, and let the next one's version of them come in while the old
# one goes out. The two weights sum to one at every sample.

# %%
def my_chunks(codes, first=2, later=4, context=2, held=2):
    """Codes (F, Q) -> pieces of sound, one after the other; `context` in steps, `held` in frames of 20 ms."""
    held_samples = held * HOP
    fade = torch.sin(0.5 * torch.pi * torch.linspace(0, 1, held_samples)).square()  # (held samples,)
    start, tail, pieces = 0, None, []
    while start < len(codes):
        end = min(start + (later if start else first), len(codes))
        before = max(0, start - context)
        sound = codec.decode(codes[before:end])  # ((end - before) * 1280,)
        if tail is not None:
            sound = sound[(start - before) * STEP_SAMPLES - held_samples:]
            sound[:held_samples] = tail * (1 - fade) + sound[:held_samples] * fade
        cut = len(sound) - held_samples
        pieces.append(sound[:cut])
        start, tail = end, sound[cut:]
    return [*pieces, tail]

# %% [markdown]
# **The same as the library's?** Sample for sample:

# %%
answers = speak(model, builder, prompts, decoder=ParallelDecoder)
answers = [answer for answer in answers if len(answer.codes) > 8]
for answer in answers:
    stream, mine = StreamingDecoder(codec), my_chunks(answer.codes)
    parts = [answer.codes[:2], *answer.codes[2:].split(4)]
    theirs = [*(stream.push(part) for part in parts), stream.flush()]
    assert len(mine) == len(theirs) and all(torch.equal(one, other) for one, other in zip(mine, theirs))
    assert sum(map(len, mine)) == len(answer.codes) * STEP_SAMPLES  # nothing lost, nothing twice
print(f"{len(answers)} answers in chunks: sample for sample the library's")

# %% [markdown]
# ## What a seam sounds like
#
# Four ways of joining the same codes, in chunks of two steps. Look at the wave around a seam, and listen; slider and player move
# together.

# %%
joints = {"whole": None, "cross-faded": (2, 2), "overlapping, cut": (2, 0), "apart": (0, 0)}


def joined(codes, joint, first=2, later=4):
    """One sound (F * 1280,) from codes (F, Q)."""
    return codec.decode(codes) if joint is None else torch.cat(my_chunks(codes, first, later, *joint))


longest = max(answers, key=lambda answer: len(answer.codes))
waves = {name: joined(longest.codes, joint, 2, 2) for name, joint in joints.items()}
places = range(2 * STEP_SAMPLES, len(waves["whole"]) - STEP_SAMPLES, 2 * STEP_SAMPLES)
seam = max(places, key=lambda place: waves["whole"][place - 400:place + 400].abs().mean())  # a loud one
around = np.arange(-480, 480, 2)
curves = {name: np.round(wave[seam + around].numpy(), 4).tolist() for name, wave in waves.items()}
figure = go.Figure(go.Scatter(x=around / 16, y=curves["apart"], mode="lines", line=dict(color=BLUE, width=2)))
steps = [dict(label=name, method="restyle", args=[{"y": [curve]}]) for name, curve in curves.items()]
figure.update_layout(sliders=[dict(active=3, steps=steps, currentvalue=dict(prefix="joined: "), pad=dict(t=60))])
figure.add_vline(x=0, line=dict(color=VERMILLION, width=2, dash="dot"))
figure.update_xaxes(title="ms before and after the seam").update_yaxes(title="amplitude")
finish(figure, "The wave around a seam, for four ways of joining. Decoded apart, it fades out before the seam and in after "
               "it; cross-faded, it goes through.", height=320)

# %%
from minideeptalk.teaching.sound_slider import SoundSlider

hints = ("All at once: the best that this codec can do.", "Chunks of two steps, joined well.",
         "With context, but cut hard: listen for crackle.", "A flutter, six times a second.")
words = " ".join(longest.words)
players = [AudioClip(f"{name.capitalize()}:", wave, words, hint) for (name, wave), hint in zip(waves.items(), hints)]
SoundSlider(players, tuple(joints), "joined: ", active=3)

# %% [markdown]
# One might expect a click where chunks are decoded apart. Look at the wave: there is none. The codec believes that silence lies before and after
# what it decodes, so each chunk fades in and out by itself, and what you hear is a **hole** at every seam. The click comes when the hole is filled, by
# context, but the two waves are cut together hard. So we count three things, over all seams of all answers:
#
# - the **loudness** within five milliseconds of the seam, or of the middle of the cross-fade, against the whole decode at the same place;
# - the **click score**: the sharpest bend of the wave at the seam, against the bends around it, and how often it beats `99` of `100` places
#   elsewhere;
# - the **distance** of the frames at a seam from the log-mel picture that the codes ask for.

# %%
from minideeptalk.speech.features import log_mel


def click_score(wave, place):
    """Sharpest bend at a place of a wave (N,), over the root mean square of the bends around it."""
    bend = wave[2:] - 2 * wave[1:-1] + wave[:-2]  # (N - 2,)
    near, wide = bend[place - 8:place + 8], bend[max(0, place - 800):place + 800]
    return float(near.abs().max() / (wide.square().mean().sqrt() + 1e-6))


def loudness(wave, place):
    return float(wave[place - 80:place + 80].square().mean().sqrt())


def seams_of(wave, codes, whole, back=0):
    """So many samples back from each seam: loudness against the whole, dB; click score; distance of the picture; a click score elsewhere."""
    off = (log_mel(wave) - codec.decode_mel(codes)).abs().mean(dim=1)  # (4 F,)
    for place in range(2 * STEP_SAMPLES - back, len(wave) - STEP_SAMPLES, 2 * STEP_SAMPLES):
        ratio = (loudness(wave, place) + 1e-5) / (loudness(whole, place) + 1e-5)
        frame = place // HOP
        change = 20 * np.log10(ratio) if loudness(whole, place) > AUDIBLE else np.nan
        distance = float(off[frame - 1:frame + 1].mean())
        yield change, click_score(wave, place), distance, click_score(wave, place - 1000)

# %%
asked_words = [" ".join(answer.words) for answer in answers]
sounds = {name: [joined(answer.codes, joint, 2, 2) for answer in answers] for name, joint in joints.items()}
found = {name: [] for name in joints}
for name, made in sounds.items():
    for wave, answer, whole in zip(made, answers, sounds["whole"]):
        found[name] += seams_of(wave, answer.codes, whole, back=HOP if name == "cross-faded" else 0)  # two frames are faded
tables = {name: np.array(rows) for name, rows in found.items()}  # (seams, 4) each
sharp = np.quantile(tables["whole"][:, 3], 0.99)
wrong = {name: word_error_rate(asked_words, judge.transcribe(made)) for name, made in sounds.items()}
seams = {name: (np.nanmedian(table[:, 0]), (table[:, 1] > sharp).mean(), np.median(table[:, 2]))
         for name, table in tables.items()}

# %%
rows = [(name, f"{drop:+.1f} dB", f"{share:.0%}", f"{off:.2f}", f"{wrong[name]:.0%}")
        for name, (drop, share, off) in seams.items()]
for name, (drop, share, off) in seams.items():
    chapter.measure(f"distance at seams, {name}", off)
chapter.measure("loudness at seams, apart, dB", seams["apart"][0])
heads = ("joined", "loudness at the seam", "sharper than 99 of 100 places", "distance, nats", "word errors (judge)")
Table(heads, rows, f"Medians over {len(found['whole'])} seams of {len(answers)} answers")

# %% [markdown]
# The row *whole* says what no joining can beat. Each other row pays somewhere: apart in loudness; a hard cut in clicks, and in distance; and the cross-fade, while it lasts,
# in loudness and distance, since two waves whose phases differ partly cancel where they are mixed. The judge of words hardly minds any of it; your ear does. The cross-fade has
# a second price: it holds back two frames of 20 ms, so the first chunk sounds for that much less.
#
# ## How small may the first chunk be?
#
# The smaller the first chunk, the sooner it sounds. But it has to last until the second one is ready, and that takes the steps of the second chunk. If
# it does not last, the voice **stutters**. So the right size depends on how fast the machine is, compared with the sound: on the **real-time factor**,
# seconds of computing for a second of sound.
#
# We measure what a step and what a chunk cost here, and then play the answer on machines that are so many times slower. Each lane is a way of cutting; blank
# space between chunks is silence where nobody wanted it.

# %%
cuts = {"first 1, then 1": (1, 1), "first 1, then 4": (1, 4), "first 2, then 4": (2, 4), "first 8, then 8": (8, 8),
        "all at once": (99, 99)}
frames = len(longest.codes)
chunk_ms = {size: time_of(lambda: codec.decode(longest.codes[:size + 2]), 9) for size in (1, 2, 4, 8)}
chunk_ms[99] = time_of(lambda: codec.decode(longest.codes), 5)
before_ms = min(run["encode"] + run["prefill"] for run in runs)

# %%
def when_heard(first, later, slower):
    """Chunks as (second at which it begins, seconds that it lasts), on a machine so many times slower."""
    ready, begun, over, done = before_ms, [], 0.0, 0
    while done < frames:
        size = min(later if done else first, frames - done)
        ready += (size + (0 if done else 1)) * step_ms + chunk_ms[later if done else first]
        start = max(1e-3 * slower * ready, over)
        over = start + size * STEP_SECONDS
        begun.append((start, over - start))
        done += size
    return begun

# %%
factor = (step_ms + chunk_ms[4] / 4) / (1e3 * STEP_SECONDS)  # real-time factor here, chunks of four
paces = {f"{target:g}": target / factor for target in (0.1, 0.2, 0.5, 0.8, 1.0, 1.5)}
situations = {pace: {name: when_heard(*cut, slower) for name, cut in cuts.items()} for pace, slower in paces.items()}
print(f"a chunk of four steps: {4 * step_ms:.0f} ms of steps, {chunk_ms[4]:.0f} ms of codec")
print(f"real-time factor here: {factor:.2f}")
playback_figure(situations, "real-time factor ", active=3)

# %% [markdown]
# Move the slider from the left. As long as the factor is small, everything flows and the smallest first chunk is best. The first lane to break is *first 1, then 4*:
# beyond a factor of a quarter, its one step of sound is over before four more are ready. From about a half on, chunks of one step stutter at every seam: each pays the codec
# for its context again, so this lane costs about twice the factor on the slider. Beyond one, whoever streams falls further behind with every chunk; only a first
# chunk that is long enough to hold that lead back would flow.
# That is why this project asks for a real-time factor of at most a fifth *throughout*: also at the end of a long answer.
#
# Why not chunks of one step always, on a fast machine? Each chunk is a seam more, and costs more codec time. Does the judge understand the words less
# well? We let it listen to all answers, cut in each way:

# %%
heard_rates, costs = {}, {}
for name, (first, later) in cuts.items():
    joint = None if name == "all at once" else (2, 2)
    made = [joined(answer.codes, joint, first, later) for answer in answers]
    heard_rates[name] = word_error_rate(asked_words, judge.transcribe(made))
    costs[name] = chunk_ms[later] / min(later, frames) / (1e3 * STEP_SECONDS)
waits = {name: before_ms + (min(first, frames) + 1) * step_ms + chunk_ms[first] for name, (first, _) in cuts.items()}
rows = [(name, f"{waits[name]:.0f}", f"{costs[name]:.2f}", f"{heard_rates[name]:.0%}") for name in cuts]
for name in ("first 1, then 1", "first 2, then 4", "all at once"):
    chapter.measure(f"word errors, {name}", heard_rates[name], grain=0.02)
Table(("cut", "first sound, ms", "real-time factor of the codec", "word errors (judge)"), rows,
      f"{len(answers)} answers, each cut in five ways")

# %% [markdown]
# ## Two rows, one mouth
#
# Now to the words. Speaking disturbs thinking: a small model that writes and speaks at once finds fewer right answers than one that only writes.
# Mini-Omni, and after it the paper, uses a trick that costs no training: **batch-parallel decoding**. The batch has two rows. Row one speaks. Row two gets the
# same question without the trigger, so it answers in writing, which it does better. Each word that row two finds takes the place of
# row one's own.
#
# In the paper's layout all words stand ahead, so row two is simply one word further at each step. In ours a word stands where it sounds. So the speaking row
# still says *when* a word begins, and the writing row says *which*. While a word sounds, the writing row stands still.
#
# ## Build it: the second row
#
# The library does both in one batch. To see that nothing else is in it, we do one after the other: first the written answer, then a speaking
# row that takes its words from there.

# %%
@torch.no_grad()
def my_two_rows(prompt, longest=100):
    """Words that were said and codes (F, Q) of an answer whose words come from the written answer."""
    written = answer_in_text(model, builder, [in_writing(prompt, builder)])[0]
    to_say = [*builder.tokenizer.encode(written.words), builder.end]
    cache, size, held, count = MyCache(), codec.codebook_size, builder.wait, 0
    inputs = prompt_rows(prompt)
    place, spoken, said = torch.arange(len(prompt))[None], [], []
    for step in range(longest):
        hidden = model(**inputs, positions=place, cache=cache).hidden[0, -1]  # (D,)
        wish = model.text_logits(hidden).argmax().item()
        word = builder.wait if wish == builder.wait else to_say.pop(0)  # it says when, the other says which
        codes = model.audio_logits(hidden)[:, :size].argmax(dim=-1)  # (Q,); no early end: the text decides
        codes = torch.full_like(codes, builder.silence) if step == 0 else codes
        spoken.append(codes)
        if word == builder.end:
            break
        begins = word != builder.wait
        said += [word] if begins else []
        held, count = (word, 1) if begins else (held, count + 1)
        place = place[:, -1:] + int(begins)  # (1, 1)
        inputs = next_rows(held, codes, count)
    return builder.tokenizer.decode(said), torch.stack(spoken)[1:]

# %% [markdown]
# **The same as the library's?** The library keeps both rows in one batch, in one memory.

# %%
some_prompts = prompts[::2]
for asked in some_prompts:
    words, codes = my_two_rows(asked)
    theirs = speak(model, builder, [asked], decoder=ParallelDecoder)[0]
    assert words == theirs.words and torch.equal(codes, theirs.codes)
print(f"{len(some_prompts)} answers in two rows: equal to the library's")

# %% [markdown]
# ## Run it small: what the second row is worth
#
# Questions and word lists that training never combined, asked in the voices that it knows. One row against two: are the words right, does the
# judge understand them, and how many word errors does it find when the model is told what to say? The intervals are from resampling the *same*
# questions for both, which is fairer than two intervals apart.

# %%
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.teaching.material import spoken_material
from minideeptalk.world import FAMILIES

spoken = spoken_material(questions=160 if chapter.quick else 400, replies=100 if chapter.quick else 300, split="test")
asked = [question for question in spoken.questions if question.voice != HELD_OUT_VOICE.name]
right = [" ".join(question.item.answer) for question in asked]
question_prompts = [builder.heard_prompt(question.frames, AudioToken.ANSWER) for question in asked]
say_prompts = [builder.say_prompt(reply.words, reply.style) for reply in spoken.replies]
texts = [" ".join(reply.words) for reply in spoken.replies]
print(f"{len(asked)} questions and {len(texts)} lists, such as: {' '.join(asked[0].item.question)} ({right[0]}); {texts[0]}")

# %%
def sound_of(answer):
    return codec.decode(answer.codes) if len(answer.codes) else torch.zeros(STEP_SAMPLES)


def trial(decoder):
    """For each question: right in text, right to the judge; for each list: wrong words; answers and all frames."""
    given = speak(model, builder, question_prompts, decoder=decoder)
    lists = speak(model, builder, say_prompts, decoder=decoder)
    heard = judge.transcribe([sound_of(answer) for answer in given])
    wrong = [edit_distance(text.split(), found.split())
             for text, found in zip(texts, judge.transcribe([sound_of(answer) for answer in lists]))]
    return {"text": np.array([" ".join(answer.words) == text for answer, text in zip(given, right)]),
            "speech": np.array([found == text for found, text in zip(heard, right)]),
            "wrong": np.array(wrong), "answers": given,
            "frames": sum(len(answer.codes) for answer in [*given, *lists])}

# %%
trials = {"one row": trial(SpokenDecoder), "two rows": trial(ParallelDecoder)}
word_counts = np.array([len(text.split()) for text in texts])
draws = np.random.default_rng(chapter.seed)


def interval(one, two, weights):
    """95 % interval of the difference of two weighted means over the same items."""
    found = []
    for _ in range(1000):
        some = draws.integers(len(one), size=len(one))
        found.append((two[some].sum() - one[some].sum()) / weights[some].sum())
    return np.quantile(found, [0.025, 0.975])

# %%

names = {"text": "question answered, right in text", "speech": "question answered, right to the judge",
         "wrong": "word errors of lists"}
rows, gains = [], {}
for key, name in names.items():
    one, two = trials["one row"][key].astype(float), trials["two rows"][key].astype(float)
    weights = word_counts.astype(float) if key == "wrong" else np.ones(len(one))
    rates = [values.sum() / weights.sum() for values in (one, two)]
    low, high = interval(one, two, weights)
    gains[key] = (*rates, low, high)
    rows.append((name, f"{len(one)}", f"{rates[0]:.0%}", f"{rates[1]:.0%}", f"{low:+.0%} to {high:+.0%}"))
heads = ("what", "items", "one row", "two rows", "difference, 95 % interval")
Table(heads, rows, "Held-out questions and lists, one row against two")

# %%
for key, name in names.items():
    for number, count in enumerate(("one row", "two rows")):
        chapter.measure(f"{name}, {count}", gains[key][number], grain=1 / len(trials["one row"][key]))
steps_ms = {}
for name, decoder in (("one row", SpokenDecoder), ("two rows", ParallelDecoder)):
    laps = []
    for waveform_prompt in prompts[:10]:
        speaking = decoder(model, builder, [waveform_prompt])
        speaking.step()
        laps.append(time_of(speaking.step, 8))
    steps_ms[name] = float(np.median(laps))
print(f"a step costs {steps_ms['one row']:.1f} ms in one row and {steps_ms['two rows']:.1f} ms in two: "
      f"{steps_ms['two rows'] / steps_ms['one row']:.2f} times as much, until the text ends")

# %% [markdown]
# Read the intervals, not only the two numbers before them. One that spans zero means: these items cannot tell the two apart. And two rows need not
# mean double the time: both go through the same weights in one pass, and part of what a small step costs is the way there, paid once. The ratio above says how
# much is left to pay for the second row, and that row leaves as soon as its text ends.
#
# Where does the difference come from? Ask the same model the same questions for text alone, and you see what row two would write.

# %%
written = answer_in_text(model, builder, [in_writing(prompt, builder) for prompt in question_prompts])
in_text = np.array([" ".join(answer.words) == text for answer, text in zip(written, right)])
steps_taken = {"text only": np.mean([len(answer.words) + 1 for answer in written]),
               "text and speech": np.mean([len(answer.codes) for answer in trials["two rows"]["answers"]])}
chapter.measure("right in text only", in_text.mean(), grain=1 / len(in_text))
families = sorted({question.item.family for question in asked})
rows, better = [], []
for family in families:
    of_family = np.array([question.item.family == family for question in asked])
    shares = [FAMILIES[family].chance, *(values[of_family].mean() for values in (
        in_text, trials["one row"]["text"], trials["two rows"]["text"]))]
    rows.append((family, f"{of_family.sum()}", *(f"{share:.0%}" for share in shares)))
    better += [family] if shares[2] > shares[3] else []
same = np.mean([one.words == other.words for one, other in zip(written, trials["two rows"]["answers"])])
print(f"steps for an answer: {steps_taken['text only']:.1f} in text only, {steps_taken['text and speech']:.1f} aloud")
print(f"two rows say the words of text only in {same:.0%} of the answers")
print(f"skills in which one row had more right: {', '.join(better) or 'none'}")
Table(("skill", "questions", "chance", "text only", "one row", "two rows"), rows, "Right answers in text, skill by skill")

# %% [markdown]
# *Two rows* gives the answers of *text only*: that is what it is for. So it wins where the model writes better than it thinks while it speaks, and it
# passes on each mistake that writing makes. The last line above names the skills, if any, for which one row was better; a single question may decide that.
#
# **Text only** is a mode of its own: leave the trigger out, and the model writes. It takes a step for each word and one for the end, and no codec. If nobody is
# listening, there is no need to wait for a voice.
#
# ## The knobs: temperature and top-k
#
# So far every token was the likeliest one. **Temperature** divides the scores before the softmax: below one the likely becomes likelier, above one the rare gets a
# chance. **Top-k** draws from the $k$ likeliest tokens only. Words stay greedy here, since a wrong word is simply wrong; it is the *codes*
# that we draw. Choose a temperature and a top-k, and listen.

# %%
from minideeptalk.inference.sampling import Sampling
from minideeptalk.teaching.sound_grid import SoundGrid

temperatures, tops = (0.3, 0.7, 1.0, 1.5), (1, 4, 16, 0)
listed = next(place for place, reply in enumerate(spoken.replies) if len(reply.words) == 3)
some = say_prompts[listed:listed + (12 if chapter.quick else 80)]
some_texts = texts[listed:listed + len(some)]
grid, errors = {}, np.zeros((len(temperatures), len(tops)))
for row, temperature in enumerate(temperatures):
    for column, top in enumerate(tops):
        sampling = Sampling(temperature, top, seed=chapter.seed, text=Sampling())
        given = speak(model, builder, some, sampling, decoder=ParallelDecoder)
        made = [sound_of(answer) for answer in given]
        heard = judge.transcribe(made)
        errors[row, column] = word_error_rate(some_texts, heard)
        name = f"Temperature {temperature}, top-k {top or 'all'}:"
        grid[row, column] = AudioClip(name, made[0], some_texts[0], heard=heard[0])

# %%
rows = [f"temperature {temperature}" for temperature in temperatures]
columns = [f"top-k {top or 'all'}" for top in tops]
clips_of_grid = [[grid[row, column] for column in range(len(tops))] for row in range(len(temperatures))]
SoundGrid(clips_of_grid, rows, columns, ("temperature", "how many codes to draw from"), active=(2, 3))

# %%
names = [str(top) if top else "all" for top in tops]
shown = [[f"{value:.0%}" for value in row] for row in errors]
figure = go.Figure(go.Heatmap(
    z=errors.round(3), x=names, y=[str(value) for value in temperatures], zmin=0, text=shown, texttemplate="%{text}",
    colorscale="Cividis", colorbar=dict(thickness=12, tickformat=".0%")))
figure.update_xaxes(title="top-k", type="category", showgrid=False)
figure.update_yaxes(title="temperature", type="category", showgrid=False)
told = "; ".join(f"temperature {temperature}: {', '.join(row)}" for temperature, row in zip(temperatures, shown))
finish(figure, f"Word errors of {len(some)} lists, top-k of {', '.join(names)}. {told}.", height=340)

# %% [markdown]
# The first column is the same in every row. Why? With $k = 1$ there is nothing to draw from, whatever the temperature. At the other corner the voice dissolves: seven
# streams are drawn apart, so a step's codes stop fitting together, and each odd frame is read back and leads to the next.
#
# So is greedy best? For *words*, on this model and these few lists, compare the first column with the others. For the *melody* of a voice it need not be: greedy speech is
# always the same speech. And preference training, in chapter 11, lives on samples that differ.
#
# ## The knobs: a penalty for repetition
#
# Models that choose the likeliest token like to run in circles. A **repetition penalty** makes what was said already less likely: a positive score is
# divided by it, a negative one multiplied. It sounds harmless. What does it do to the answers, if words are punished, and what to the
# voice, if codes are?

# %%
penalties, plain, repeated = (1.0, 1.1, 1.3, 2.0), Sampling(), {}
in_text_prompts = [in_writing(prompt, builder) for prompt in question_prompts]
for penalty in penalties:
    punished = Sampling(repetition_penalty=penalty)
    given = answer_in_text(model, builder, in_text_prompts, sampling=punished)
    correct = np.mean([" ".join(answer.words) == text for answer, text in zip(given, right)])
    codes_punished = Sampling(repetition_penalty=penalty, text=plain)
    lists = speak(model, builder, some, codes_punished, decoder=ParallelDecoder)
    wrong = word_error_rate(some_texts, judge.transcribe([sound_of(answer) for answer in lists]))
    repeated[penalty] = (correct, wrong)
doubled = sum(len(set(text.split())) < len(text.split()) for text in right)
came = [code in column[:place] for answer in answers for column in answer.codes.T.tolist()
        for place, code in enumerate(column)]
print(f"{doubled} of {len(right)} right answers hold a word twice")
print(f"{np.mean(came):.0%} of the spoken codes stood in their stream of the same answer before")
rows = [(f"{penalty:g}", *(f"{value:.0%}" for value in values)) for penalty, values in repeated.items()]
heads = ("penalty", "right in text, words punished", "word errors, codes punished")
Table(heads, rows, "What a penalty for repetition does")

# %%
chapter.measure("right in text, penalty 2 on words", repeated[2.0][0], grain=1 / len(right))
chapter.measure("word errors, penalty 2 on codes", repeated[2.0][1], grain=0.03);

# %% [markdown]
# Words first. No answer of this world needs a word twice, so a penalty can hit no right one; where a wrong answer said a word twice, it may even help. In a world
# in which some answers repeat a word, each of them would have to fight the penalty. The voice is another matter. A code that comes again is no stutter: the same sound needs the same code, in the next word as in this one. So the
# penalty, once it is large enough to be felt, takes from speech what it is made of: look at the last row. It mends a fault, running in circles, and you should
# first look whether your model has it.
#
# ## Several turns
#
# A conversation goes on. With a memory, the second question needs no second reading of the first: its keys and values are still there. One step closes the old
# answer, and the new prompt follows. But **training knew single turns only**. So the past is something that the model has never seen, and we had better measure what it
# makes of it.

# %%
from minideeptalk.inference.conversation import Conversation

count = 30 if chapter.quick else 150
typed_prompts = [builder.text_prompt(question.item.question) for question in asked]
turns, after_one = {}, []
for way, given in (("heard", in_text_prompts), ("typed", typed_prompts)):
    for past in (0, 1, 3):
        solved = []
        for place in range(1, 2 * count, 2):
            talk = Conversation(model, builder)
            for _ in range(past):
                talk.ask(given[place - 1])
            words = " ".join(talk.ask(given[place]).words)
            solved.append(words == right[place])
            if way == "heard" and past == 1:
                after_one.append((place, words))
        turns[way, past] = float(np.mean(solved))
        chapter.measure(f"second question right, {way}, {past} before it", turns[way, past], grain=1 / count)

# %%
def words_of(place):
    """The words of a question and of its right answer."""
    return {*asked[place].item.question, *right[place].split()}


missed = [(place, words.split()) for place, words in after_one if words != right[place]]
for whose, here, there in (("first", -1, 0), ("second", 0, -1)):
    alone = [word in words_of(place + here) - words_of(place + there) for place, words in missed for word in words]
    print(f"of the words of wrong second answers, {np.mean(alone):.0%} belong to the {whose} turn alone")
cut = np.mean([len(words) < len(right[place].split()) for place, words in missed])
print(f"{cut:.0%} of the wrong answers have fewer words than the right one")
shown = [(" ".join(asked[place - 1].item.question), " ".join(asked[place].item.question), words, right[place])
         for place, words in after_one[:4]]
Table(("first question", "second question", "answer to the second", "right"), shown, "The first four pairs, heard")

# %% [markdown]
# One question before, and the second is hardly ever answered. The lines above say whose words the wrong answers are made of, and how many break
# off too early; read some of them in the table. That is no fault of the memory, which gives exactly what a second reading would; a test of the library holds that. The *model* has never seen anything before a question, so it never learnt to
# leave the old one alone. A miniature that should hold conversations has to be trained on conversations, as the paper's is, with the task code `CONV`.
# Until then, begin each question with an empty memory, as `minideeptalk talk` does.
#
# ## What goes wrong: a cache that is not told its positions
#
# Leave `positions` out, and nothing fails. The model counts steps by itself, as every text model does, and every number is a valid place. But this
# one learnt that places stand still while a word sounds.

# %%
@torch.no_grad()
def untold_stream(prompt, longest=60):
    """As `my_stream`, but the cache counts steps, and nobody tells it about words."""
    cache, size, held, count, words, spoken = MyCache(), codec.codebook_size, builder.wait, 0, [], []
    inputs = prompt_rows(prompt)
    for step in range(longest):
        hidden = model(**inputs, cache=cache).hidden[0, -1]  # (D,)
        word = model.text_logits(hidden).argmax().item()
        codes = model.audio_logits(hidden)[:, :size].argmax(dim=-1)  # (Q,)
        codes = torch.full_like(codes, builder.silence) if step == 0 else codes
        spoken.append(codes)
        if word == builder.end:
            break
        words += [word] if word != builder.wait else []
        held, count = (word, 1) if word != builder.wait else (held, count + 1)
        inputs = next_rows(held, codes, count)
    return builder.tokenizer.decode(words), torch.stack(spoken)[1:]

# %%
told = speak(model, builder, some)
untold = [untold_stream(prompt) for prompt in some]
rates = {"told": word_error_rate(some_texts, [answer.words for answer in told]),
         "not told": word_error_rate(some_texts, [words for words, _ in untold])}
for name, rate in rates.items():
    chapter.measure(f"wrong words in the text stream, positions {name}", rate, grain=0.02)
worst = max(range(len(some)), key=lambda place: edit_distance(some_texts[place].split(), untold[place][0]))
hints = (f"Asked to say “{some_texts[worst]}”.", "The same weights, the same prompt.")
Sounds([AudioClip("Told its positions:", sound_of(told[worst]), " ".join(told[worst].words), hints[0]),
        AudioClip("Not told:", codec.decode(untold[worst][1]), " ".join(untold[worst][0]), hints[1])])

# %% [markdown]
# ## What goes wrong: padding that is read
#
# Questions have unequal lengths. To decode them in one batch, the shorter ones are padded *on the left*, so that all end at the same step. A cache keeps
# padding like everything else, unless attention is told, by a mask, that it does not exist.

# %%
short, long_one = min(prompts, key=len), max(prompts, key=len)
batch = left_padded([short, long_one], builder, "cpu")
alone = answer_in_text(model, builder, [in_writing(short, builder)])[0].words


@torch.no_grad()
def first_scores(masked):
    """Scores (V,) of the first word after the shorter question, read in one batch with the longer one."""
    inputs = {name: rows for name, rows in batch.items() if name != "real"}
    real = batch["real"] if masked else None
    return model.text_logits(model(**inputs, attention_mask=real).hidden[0, -1])


with torch.no_grad():
    reference = model.text_logits(model(**prompt_rows(short)).hidden[0, -1])
off = {masked: float((first_scores(masked) - reference).abs().max()) for masked in (True, False)}
print(f"{len(long_one) - len(short)} steps of padding; scores of the first word differ by {off[True]:.1e} with the mask "
      f"and by {off[False]:.2f} without it")

# %% [markdown]
# ## Turn the knobs yourself
#
# In Jupyter or Colab, run the next cell: let the model say some words, choose rows, chunks and knobs, and see when each chunk was ready. On this page the cell is not run; the
# figures and players above are its twins.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer_time import TimeExplorer

TimeExplorer(talker, " ".join(longest.words)).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check.
#
# **Exercise 12-1: room for the past** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs slices
#
# One layer's keys, in a buffer with room ahead. Write new steps into their place; only when the room is used up, go on with a larger buffer.
#
# <details><summary>Hint 1, a question</summary>
#
# If you add exactly the room that is missing, how often will everything be copied?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `buffer[:, :, length:end] = new` writes in place. `buffer.new_empty(...)` makes a larger one of the same kind.
#
# <details><summary>Hint 3, almost the code</summary>
#
# `end = length + new.shape[2]`. If `end` is more than the room: a buffer with twice the room, or with room for `end` if that is more, filled steps copied over. Then write, and return both.
#
# </details>
# </details>
# </details>

# %%
# Exercise 12-1: your code
def remember(buffer, length, new):
    """buffer (B, heads, room, size) of which `length` steps are filled, new (B, heads, T, size) -> the buffer to go on with, its new length."""
    raise NotImplementedError("your code here")

# %%
check("12-1", remember)

# %% [markdown]
# <details>
# <summary>A solution of 12-1</summary>
#
# ```python
# def remember(buffer, length, new):
#     """buffer (B, heads, room, size) of which `length` steps are filled, new (B, heads, T, size) -> the buffer to go on with, its new length."""
#     end = length + new.shape[2]
#     if end > buffer.shape[2]:
#         room = max(end, 2 * buffer.shape[2])
#         roomier = buffer.new_empty(*buffer.shape[:2], room, buffer.shape[3])
#         roomier[:, :, :length] = buffer[:, :, :length]
#         buffer = roomier
#     buffer[:, :, length:end] = new
#     return buffer, end
# ```
#
# </details>
#
# **Exercise 12-2: a cross-fade** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs slices, weights
#
# Join sounds that overlap. The old one goes out in a straight line while the new one comes in.
#
# <details><summary>Hint 1, a question</summary>
#
# If both pieces agree where they overlap, what should the seam be?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.linspace(0, 1, overlap)` and one minus it. For an overlap of zero, count the cut from the front: `len(whole) - overlap`.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each next piece: cut the whole at `len(whole) - overlap`; seam = its end times `1 - rise`, plus the piece's beginning times `rise`; put together
# the whole up to the cut, the seam, and the rest of the piece.
#
# </details>
# </details>
# </details>

# %%
# Exercise 12-2: your code
def cross_fade(pieces, overlap):
    """Sounds of which each repeats the last `overlap` samples of the one before, faded one into the other -> one sound."""
    raise NotImplementedError("your code here")

# %%
check("12-2", cross_fade)

# %% [markdown]
# <details>
# <summary>A solution of 12-2</summary>
#
# ```python
# def cross_fade(pieces, overlap):
#     """Sounds of which each repeats the last `overlap` samples of the one before, faded one into the other -> one sound."""
#     rise = torch.linspace(0, 1, overlap)  # (overlap,)
#     whole = pieces[0]
#     for piece in pieces[1:]:
#         cut = len(whole) - overlap
#         seam = whole[cut:] * (1 - rise) + piece[:overlap] * rise
#         whole = torch.cat([whole[:cut], seam, piece[overlap:]])
#     return whole
# ```
#
# </details>
#
# **Exercise 12-3: does it stutter?** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs loops
#
# You know when each chunk is ready and how long it lasts. When does each begin to sound, and how long is the silence before it?
#
# <details><summary>Hint 1, a question</summary>
#
# A chunk that is ready early: what does it wait for? And one that is late: what does the listener wait for?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Keep the moment at which the chunk before is over, counted from when it really began.
#
# <details><summary>Hint 3, almost the code</summary>
#
# `start = max(ready, over)`, the gap is `start - over`, and then `over = start + length`. The first chunk has no gap.
#
# </details>
# </details>
# </details>

# %%
# Exercise 12-3: your code
def playback(ready, lengths):
    """When each chunk of sound is ready and how long it lasts, in seconds -> two lists: when each begins to sound, and the silence before it."""
    raise NotImplementedError("your code here")

# %%
check("12-3", playback)

# %% [markdown]
# <details>
# <summary>A solution of 12-3</summary>
#
# ```python
# def playback(ready, lengths):
#     """When each chunk of sound is ready and how long it lasts, in seconds -> two lists: when each begins to sound, and the silence before it."""
#     begins, silences, over = [], [], None
#     for moment, length in zip(ready, lengths, strict=True):
#         start = moment if over is None else max(moment, over)
#         silences.append(0.0 if over is None else start - over)
#         begins.append(start)
#         over = start + length
#     return begins, silences
# ```
#
# </details>
#
# **Exercise 12-4: two rows, one mouth** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs lists
#
# Batch-parallel decoding without a model: wishes of the speaking row on one side, words of the writing row on the other.
#
# <details><summary>Hint 1, a question</summary>
#
# The speaking row wants to end, but two words are left. Who decides?
#
# <details><summary>Hint 2, a nudge</summary>
#
# A wish is either `wait` or it is not. Which token it is does not matter.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each wish: if it is `wait`, append `wait`. Else append the next word, or `end` if there is none, and stop after `end`.
#
# </details>
# </details>
# </details>

# %%
# Exercise 12-4: your code
def one_mouth(speaker, writer, wait, end):
    """speaker: the token that the speaking row would choose at each step; writer: the words of the writing row -> the token of each step.

    The speaking row says *when* (any token but `wait`), the writing row says *which*; after its last word comes `end`, and nothing after that.
    """
    raise NotImplementedError("your code here")

# %%
check("12-4", one_mouth)

# %% [markdown]
# <details>
# <summary>A solution of 12-4</summary>
#
# ```python
# def one_mouth(speaker, writer, wait, end):
#     """speaker: the token that the speaking row would choose at each step; writer: the words of the writing row -> the token of each step.
#
#     The speaking row says *when* (any token but `wait`), the writing row says *which*; after its last word comes `end`, and nothing after that.
#     """
#     said, words = [], list(writer)
#     for wish in speaker:
#         if wish == wait:
#             said.append(wait)
#             continue
#         said.append(words.pop(0) if words else end)
#         if said[-1] == end:
#             break
#     return said
# ```
#
# </details>
#
# **Exercise 12-5: a penalty for repetition** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs torch.where
#
# Make less likely what was said already.
#
# <details><summary>Hint 1, a question</summary>
#
# A score of minus four, divided by two: is the token now more likely, or less?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.where(condition, a, b)` takes from `a` where the condition holds.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Punished scores: divided where positive, multiplied elsewhere. Then punished where seen, the old ones elsewhere.
#
# </details>
# </details>
# </details>

# %%
# Exercise 12-5: your code
def punish(scores, seen, penalty):
    """scores (..., V), seen (..., V) True on tokens already said, penalty at least 1 -> scores (..., V) in which these are less likely."""
    raise NotImplementedError("your code here")

# %%
check("12-5", punish)

# %% [markdown]
# <details>
# <summary>A solution of 12-5</summary>
#
# ```python
# def punish(scores, seen, penalty):
#     """scores (..., V), seen (..., V) True on tokens already said, penalty at least 1 -> scores (..., V) in which these are less likely."""
#     punished = torch.where(scores > 0, scores / penalty, scores * penalty)
#     return torch.where(seen, punished, scores)
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- Computing before the first sound: p50 {np.percentile(computing, 50):.0f} ms,")
print(f"  p90 {np.percentile(computing, 90):.0f} ms on one thread; real-time factor {factor:.2f}.")
print(f"- {tokens['read again']} steps of work became {tokens['cached']} with a cache, and no number changed.")
print(f"- Joined apart, the loudness at seams changes by {seams['apart'][0]:+.1f} dB; "
      f"cross-faded, in the middle of the fade, by {seams['cross-faded'][0]:+.1f}.")
print(f"- Two rows against one: right in text {gains['text'][0]:.0%} and {gains['text'][1]:.0%},")
print(f"  right to the judge {gains['speech'][0]:.0%} and {gains['speech'][1]:.0%}; a step costs "
      f"{steps_ms['two rows'] / steps_ms['one row']:.2f} times as much.")
print(f"- Words of lists, positions told: {rates['told']:.0%} wrong; not told: {rates['not told']:.0%}.")

# %% [markdown]
# ## References
#
# - Xie and Wu (2024), [Mini-Omni: Language Models Can Hear, Talk While Thinking in Streaming](https://arxiv.org/abs/2408.16725): batch-parallel
#   decoding.
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific
#   MoE](https://arxiv.org/abs/2506.21864): the paper, which decodes like this.
# - Griffin and Lim (1984), [Signal Estimation from Modified Short-Time Fourier Transform](https://doi.org/10.1109/TASSP.1984.1164317).
# - Pope et al. (2022), [Efficiently Scaling Transformer Inference](https://arxiv.org/abs/2211.05102): what a cache saves and what it costs.
# - Fan, Lewis and Dauphin (2018), [Hierarchical Neural Story Generation](https://arxiv.org/abs/1805.04833): top-k.
# - Keskar et al. (2019), [CTRL](https://arxiv.org/abs/1909.05858): the penalty for repetition.
# - Défossez et al. (2024), [Moshi](https://arxiv.org/abs/2410.00037): latency in parts of a model that listens while it speaks.
#
# Next: [chapter 13, what the words do not say](13_speaking_style.ipynb).

# %%
chapter.footer()
