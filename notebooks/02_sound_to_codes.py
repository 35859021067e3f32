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
# # Sound to codes and back
#
# You will turn a voice into seven whole numbers every 80 milliseconds, turn them back into sound, and hear what each of the seven adds.
#
# ![A voice becomes a picture of four frames, each a column of 80 numbers. The picture becomes seven codes in three rows: one code for all four frames, one for each half, one for each frame. Adding up the seven entries gives a picture again, and the picture a sound.](../book/_static/02-codec.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/02_sound_to_codes.ipynb)

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
chapter = open_chapter("02_sound_to_codes")  # mode="full" learns from more speech

# %% [markdown]
# **After this chapter you can**
#
# 1. read a log-mel picture, and say how samples, frames and steps fit into one another;
# 2. build a residual quantiser from nothing but k-means, and prove it equal to the library's;
# 3. say, by ear and by number, what each of the seven codes adds, and what a bit buys;
# 4. tell a codebook that works from one of which most entries are dead;
# 5. play sound while its codes still arrive, without a click.

# %%
chapter.diagram()

# %% [markdown]
# ## What a language model can read
#
# A second of our sound is 16,000 numbers, called **samples**. A language model reads tokens, each one out of a short list, and a dozen a second are
# plenty. Between the two stands a **codec**: it *encodes* sound into few whole numbers, the **codes**, and *decodes* codes into sound.
#
# Ours gives seven codes for every **step** of 80 milliseconds. Listen to what survives. The first clip is a recording that the library
# brings along, the second went through its codec. Everything that this book's model will ever say comes out of such codes.

# %%
import math

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from minideeptalk.codec import PyramidCodec, StreamingDecoder, usage_perplexity
from minideeptalk.config import HOP, MELS, SAMPLE_RATE, STEP_SAMPLES, CodecConfig, size_config
from minideeptalk.hearing import Judge, character_error_rate
from minideeptalk.speech.features import griffin_lim, log_mel, normalise_loudness, pitch
from minideeptalk.speech.files import read_audio
from minideeptalk.teaching import check
from minideeptalk.teaching.samples import sample_clips, shipped_run
from minideeptalk.teaching.sound_slider import SoundSlider
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import AudioClip
from minideeptalk.viz.style import BLUE, GREEN, HEAT, MARKERS, PURPLE, VERMILLION, finish

shipped = PyramidCodec.load(shipped_run() / "codec")
judge = Judge.load(shipped_run() / "judge")
replies = sample_clips("reply")
sounds = [torch.from_numpy(read_audio(clip.path)) for clip in replies]  # each (N,)

# %%
codes = shipped.encode(sounds[0])  # (T, Q)
back = shipped.decode(codes)
Sounds([AudioClip("The recording:", sounds[0], replies[0].words, "A synthetic voice, quite clear."),
        AudioClip("Through the codec:", normalise_loudness(back), replies[0].words,
                  "The words are all there. What has become of the voice?")])

# %%
print(f"{len(sounds[0])} samples became {codes.numel()} codes. The first steps, seven codes each:")
for step in codes[:4].tolist():
    print(*[f"{code:4d}" for code in step])

# %% [markdown]
# ## A picture of sound
#
# Two recordings of one word differ in nearly every sample, and yet we hear the same. What the ear goes by is which *frequencies* are strong, and how that changes. So
# the first thing is a picture: time runs to the right, frequency upwards, and bright means strong. A column of it is a **frame** of 20 milliseconds, and four frames
# make a step.
#
# Two habits of hearing are built in. We hear pitch in ratios, so the 80 rows are narrow below and wide above: that is the **mel** scale. And we hear
# strength in ratios, so the picture holds the **logarithm**. Look at the four styles: where does the melody move most?

# %%
def rounded(picture):
    """A log-mel (F, 80) as rows of numbers for a heat map, low frequencies first."""
    return [[round(value, 1) for value in row] for row in picture.T.tolist()]


def band_ticks():
    """Rows of the picture and the frequencies at their middle."""
    places = [place for place in range(MELS) if place % 20 == 10]
    return dict(tickvals=places, ticktext=[f"{round(my_band_edges()[place + 1], -1):.0f} Hz" for place in places])


def my_band_edges():
    """82 frequencies in Hz: even steps on Slaney's mel scale, a line below 1000 Hz, then a constant ratio."""
    top = 15 + 27 * torch.log(torch.tensor(8.0)) / torch.log(torch.tensor(6.4))  # 8000 Hz in mel
    mel = torch.linspace(0, float(top), MELS + 2)  # (82,)
    high = 1000 * 6.4 ** ((mel - 15) / 27)
    return torch.where(mel < 15, mel * 200 / 3, high).tolist()

# %%
first = {}
for clip, sound in zip(replies, sounds):
    first.setdefault(clip.style, (clip.words, log_mel(sound)))
styles = ["neutral", "happy", "sad", "angry"]
choices = []
for style in styles:
    words, picture = first[style]
    times = [round(0.02 * frame, 2) for frame in range(len(picture))]
    changes = [{"z": [rounded(picture)], "x": [times]}, {"title.text": f"“{words}”"}]
    choices.append(dict(label=style, method="update", args=changes))
data, title = choices[0]["args"]
figure = go.Figure(go.Heatmap(z=data["z"][0], x=data["x"][0], colorscale=HEAT, zmin=-4.6, zmax=3, showscale=False))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="style: "), pad=dict(t=40))
figure.update_layout(title=dict(text=title["title.text"], font=dict(size=14)), sliders=[slider])
figure.update_xaxes(title="seconds", showgrid=False).update_yaxes(showgrid=False, **band_ticks())
finish(figure, "Log-mel picture of a spoken answer in a neutral style; the slider shows other answers in a happy, a sad "
               "and an angry style. Bright lines near the bottom are the voice's pitch and its multiples.", height=360)

# %%
title_of = {style: next(clip for clip in replies if clip.style == style) for style in styles}
Sounds([AudioClip(f"{style}:", title_of[style].path, title_of[style].words,
                  "Find the words in the picture: each begins where a new block of brightness begins.")
        for style in styles])

# %% [markdown]
# ## Build it: the log-mel picture
#
# Cut the sound into overlapping windows of 1,024 samples, one every 320, fade each window in and out, and ask the Fourier transform how strong each
# of 513 frequencies is. Then add these up in 80 overlapping triangles along the mel scale, and take the logarithm, with a floor so that silence is
# not minus infinity.

# %%
def my_filters():
    """(513, 80): how much each frequency counts for each row, a triangle a row."""
    edges = torch.tensor(my_band_edges())  # (82,)
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, 513)[:, None]  # (513, 1)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])  # (513, 80)
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])  # (513, 80)
    return torch.minimum(rising, falling).clamp_min(0)


def my_log_mel(sound):
    """(N,) -> (N // 320, 80)."""
    padded = torch.nn.functional.pad(sound, (352, 352))  # so that frame t is centred on its own 320 samples
    windows = padded.unfold(0, 1024, HOP) * torch.hann_window(1024)  # (F, 1024)
    strength = torch.fft.rfft(windows).abs()  # (F, 513)
    return (strength @ my_filters()).clamp_min(0.01).log()  # (F, 80)


apart = max((my_log_mel(sound) - log_mel(sound)).abs().max() for sound in sounds)
print(f"{len(sounds)} clips; largest difference from the library's log-mel: {apart:.1e}")
assert apart < 1e-3

# %% [markdown]
# Keep the three clocks apart, since mixing them up is the commonest mistake with sound: a **sample** is 1/16,000 of a second, a **frame** is
# 320 samples, a **step** is 4 frames.

# %%
frames, steps = len(log_mel(sounds[0])), len(codes)
assert frames == len(sounds[0]) // HOP and steps == -(-frames // 4) and STEP_SAMPLES == 4 * HOP
print(f"{len(sounds[0]) / SAMPLE_RATE:.2f} s = {len(sounds[0])} samples = {frames} frames = {steps} steps")

# %% [markdown]
# ## Build it: a codebook
#
# How can a picture of many numbers become one whole number? Keep a list of typical pictures, and say which one comes nearest. The list is a **codebook**, a typical
# picture is an **entry**, and its place in the list is the **code**. This is called *vector quantisation*.
#
# A good list is learnt, and the oldest way is still a fine one, **k-means**: begin with some entries; give every training picture to its nearest
# entry; move each entry to the mean of what it was given; repeat. First we need something to learn from: the assistant's voice, which
# is the only voice this codec will carry.

# %%
from minideeptalk.hearing.data import answer_requests
from minideeptalk.speech.grid import place_on_grid
from minideeptalk.speech.synthesis import Synthesizer

voice = Synthesizer()
nano = size_config("nano")


def say(requests):
    """The assistant says each request, words on the grid of steps; waveforms (N,)."""
    spoken = [voice.speak(request.words, style=request.style, word_gap=2) for request in requests]
    return [torch.from_numpy(place_on_grid(utterance).waveform) for utterance in spoken]


trained = say(answer_requests(nano, "train", 400 if chapter.quick else 3000, seed=chapter.seed))
tests = answer_requests(nano, "test", 24, seed=chapter.seed)
unheard = say(tests)
train_pictures, test_pictures = [log_mel(sound) for sound in trained], [log_mel(sound) for sound in unheard]
print(f"{sum(map(len, trained)) / SAMPLE_RATE / 60:.1f} minutes to learn from, "
      f"{sum(map(len, unheard)) / SAMPLE_RATE:.0f} s of other answers to test on")

# %%
def my_nearest(vectors, codebook):
    """vectors (M, D), codebook (K, D) -> codes (M,)."""
    return torch.cdist(vectors, codebook).argmin(dim=1)


def my_codebook(vectors, codebook, rounds, restart=True):
    """k-means: vectors (M, D) and first entries (K, D) -> learnt entries (K, D)."""
    codebook = codebook.clone()
    for _ in range(rounds):
        codes = my_nearest(vectors, codebook)  # (M,)
        dead = []
        for entry in range(len(codebook)):
            given = vectors[codes == entry]  # (m, D)
            if len(given):
                codebook[entry] = given.mean(dim=0)
            else:
                dead.append(entry)
        errors = (vectors - codebook[codes]).square().sum(dim=1)  # (M,)
        if dead and restart:  # an entry that nobody uses starts anew where the error is largest
            codebook[dead] = vectors[errors.topk(len(dead)).indices]
    return codebook

# %% [markdown]
# Two numbers can be drawn, so here is k-means on frames of which we keep only two: the mean strength of the low and of the high frequencies. Vowels lie to
# the right, hissing sounds at the top, silence in the lower left corner. Move through the rounds: the large marks are the entries.

# %%
every_frame = torch.cat(train_pictures)  # (F, 80)
picked = every_frame[torch.randperm(len(every_frame), generator=torch.Generator().manual_seed(1))[:400]]
points = torch.stack([picked[:, :20].mean(dim=1), picked[:, 55:].mean(dim=1)], dim=1)  # (400, 2)
start = points[:6] + 0.02  # six points that happened to come first
pictures = []
for rounds in range(9):
    book = my_codebook(points, start, rounds)
    owner = my_nearest(points, book)  # (400,)
    error = (points - book[owner]).square().sum(dim=1).mean().sqrt().item()
    pictures.append((book, owner.tolist(), error))

# %%
colours = [BLUE, VERMILLION, GREEN, PURPLE, "#767676", "#B08D00"]
choices = []
for rounds, (book, owner, error) in enumerate(pictures):
    moved = {"x": [points[:, 0].tolist(), book[:, 0].tolist()], "y": [points[:, 1].tolist(), book[:, 1].tolist()],
             "marker.color": [[colours[entry] for entry in owner], colours],
             "marker.symbol": [[MARKERS[entry] for entry in owner], list(MARKERS[:6])]}
    changes = [moved, {"title.text": f"mean distance to the nearest entry: {error:.2f}"}]
    choices.append(dict(label=str(rounds), method="update", args=changes))
data, title = choices[0]["args"]
figure = go.Figure()
for number, (size, opacity, name) in enumerate(((6, 0.45, "frames"), (16, 1.0, "entries"))):
    figure.add_scatter(x=data["x"][number], y=data["y"][number], mode="markers", name=name, hoverinfo="skip",
                       marker=dict(size=size, opacity=opacity, color=data["marker.color"][number],
                                   symbol=data["marker.symbol"][number]))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="rounds of k-means: "), pad=dict(t=50))
figure.update_layout(title=dict(text=title["title.text"], font=dict(size=14)), sliders=[slider], showlegend=False)
figure.update_xaxes(title="low frequencies").update_yaxes(title="high frequencies")
finish(figure, f"Four hundred frames as points and six entries as large marks. In {len(pictures) - 1} rounds the entries "
               f"spread out and the mean distance falls from {pictures[0][2]:.2f} to {pictures[-1][2]:.2f}.", height=420)

# %% [markdown]
# The library's k-means differs in one point: it chooses its first entries with care, far from one another. Below you see why. From the same
# start, the two learn the same.

# %%
from minideeptalk.codec.kmeans import fit_codebook, spread_start

vectors = every_frame[:3000]
generator = torch.Generator().manual_seed(chapter.seed)
order = torch.randperm(len(vectors), generator=generator)
mine = my_codebook(vectors, spread_start(vectors[order], 16, generator), rounds=8)
theirs = fit_codebook(vectors, 16, 8, torch.Generator().manual_seed(chapter.seed))
torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)
print("16 entries of 80 numbers: equal to the library's")

# %% [markdown]
# ## Build it: the pyramid
#
# One codebook for a whole step would need an enormous number of entries: four frames are 320 numbers, and they may differ in very many ways. The way out is to describe in
# turns. A first codebook says what it can; subtract its entry, and let a second codebook describe **what is left**; and so on. Decoding adds the entries
# up. That is **residual vector quantisation**, and with seven codebooks of 128 entries it can tell 128 to the power of 7 pictures apart.
#
# The turns need not be alike. Speech changes at several speeds, so ours is a **pyramid**: one code for the whole step, then one for each half of
# what is left, then one for each frame. That shape, 1 + 2 + 4, is that of SNAC, the codec of the paper.

# %%
PYRAMID = ((0, 4), (0, 2), (2, 2), (0, 1), (1, 1), (2, 1), (3, 1))  # (first frame, frames) of each codebook


def my_patches(picture):
    """(F, 80) -> (T, 4, 80); an incomplete last step repeats its last frame."""
    missing = -len(picture) % 4
    return torch.cat([picture, picture[-1:].expand(missing, -1)]).reshape(-1, 4, MELS)


def my_fit(pictures, entries, slots=PYRAMID, fit=fit_codebook):
    """Learn the codebooks one after another, each on what the earlier ones left."""
    generator = torch.Generator().manual_seed(chapter.seed)
    steps = torch.cat([my_patches(picture) for picture in pictures])  # (T, 4, 80)
    rest = steps[torch.randperm(len(steps), generator=generator)]
    mean = rest.mean(dim=(0, 1))  # (80,)
    rest, books = rest - mean, []
    for first_frame, length in slots:
        part = rest[:, first_frame : first_frame + length]  # (T, length, 80), a view of the rest
        vectors = part.flatten(1)  # (T, length * 80)
        books.append(fit(vectors, entries, 12, generator))
        part -= books[-1][my_nearest(vectors, books[-1])].view_as(part)
    return mean, books

# %%
def my_encode(picture, mean, books, slots=PYRAMID):
    """(F, 80) -> codes (T, Q)."""
    rest, columns = my_patches(picture) - mean, []
    for (first_frame, length), book in zip(slots, books):
        part = rest[:, first_frame : first_frame + length]  # (T, length, 80)
        columns.append(my_nearest(part.flatten(1), book))  # (T,)
        part -= book[columns[-1]].view_as(part)
    return torch.stack(columns, dim=1)  # (T, Q)


def my_decode(codes, mean, books, slots=PYRAMID, depth=7):
    """codes (T, Q) -> (4 T, 80), out of the first `depth` codebooks."""
    picture = mean.repeat(len(codes), 4, 1)  # (T, 4, 80)
    for (first_frame, length), book, column in list(zip(slots, books, codes.T))[:depth]:
        picture[:, first_frame : first_frame + length] += book[column].view(-1, length, MELS)
    return picture.reshape(-1, MELS)  # (4 T, 80)

# %% [markdown]
# ## The same as the library's?
#
# Three times: with the codebooks that came with the library, every code and every decoded number of all clips; and learnt from the same speech, the codebooks themselves.

# %%
for sound in sounds:
    picture = log_mel(sound)
    codes = my_encode(picture, shipped.mean, shipped.codebooks)
    assert torch.equal(codes, shipped.encode_mel(picture))
    for depth in range(1, 8):
        ours = my_decode(codes, shipped.mean, shipped.codebooks, depth=depth)
        torch.testing.assert_close(ours, shipped.decode_mel(codes, depth), atol=1e-5, rtol=1e-5)
print(f"codes and pictures of {len(sounds)} clips, at every depth: equal to the library's")

mean, books = my_fit(train_pictures, entries=128)
theirs = PyramidCodec.fit(train_pictures, CodecConfig(codebook_size=128), seed=chapter.seed)
for ours, library in zip([mean, *books], [theirs.mean, *theirs.codebooks]):
    torch.testing.assert_close(ours, library, atol=1e-3, rtol=1e-3)
print(f"{len(books)} codebooks of {len(books[0])} entries, learnt here: equal to the library's")
codec = PyramidCodec(mean, books)

# %% [markdown]
# ## The way back to sound
#
# The picture says how strong each frequency is, not where in its swing each wave stands: the **phase** is missing. Many sounds have this same picture. Griffin and
# Lim's method finds one of them by going to and fro: guess a phase, make the sound, take its picture, keep the phase and restore the strengths, and
# again. It needs no training, and it is the reason for the slight metallic ring. SNAC and its like learn a large network for this last part, on large GPUs for days.
#
# So there are two losses, and you can hear them apart: first what the way back costs, then what the codes cost. Move the slider: the lower picture is what the codes
# say, and the player has its sound. Which codebook brings the words, which one the voice?

# %%
show = test_pictures[0]
show_words = " ".join(tests[0].words)
show_codes = codec.encode_mel(show)
levels = [codec.decode_mel(show_codes, depth)[: len(show)] for depth in range(1, 8)] + [show]
names = [f"{depth} of 7 codebooks" for depth in range(1, 8)] + ["no codes, the log-mel itself"]
times = [round(0.02 * frame, 2) for frame in range(len(show))]
choices = []
for name, level in zip(names, levels):
    error = (level - show).abs().mean().item() * 8.686  # natural logarithm to decibels
    changes = [{"z": [rounded(show), rounded(level)]}, {"title.text": f"mean error {error:.1f} dB"}]
    choices.append(dict(label=name, method="update", args=changes))
figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
for row, picture in ((1, show), (2, levels[0])):
    figure.add_heatmap(z=rounded(picture), x=times, colorscale=HEAT, zmin=-4.6, zmax=3, showscale=False, row=row, col=1)
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="made of "), pad=dict(t=40))
figure.update_layout(title=dict(text=choices[0]["args"][1]["title.text"], font=dict(size=14)), sliders=[slider])
figure.update_yaxes(showgrid=False, **band_ticks()).update_xaxes(showgrid=False)
figure.update_yaxes(title="original", row=1).update_yaxes(title="decoded", row=2).update_xaxes(title="seconds", row=2)
finish(figure, f"Above, the log-mel of “{show_words}”; below, what the first codebooks make of it. One codebook gives "
               "coarse blocks; each further one sharpens them.", height=520)

# %%
copies = [normalise_loudness(griffin_lim(level)) for level in levels]
listen = ["One code a step: you may guess the rhythm.", "The first half of each step is sharper.",
          "Both halves: by now most of the words should be there.", "The first frame of each step is sharper.",
          "The second frame.", "The third frame.", "All that the codes can say.",
          "No codes at all: the rest of the ring is the way back's."]
SoundSlider([AudioClip(f"{name[0].upper()}{name[1:]}:", copy, show_words, hint, heard=heard) for name, copy, hint, heard
             in zip(names, copies, listen, judge.transcribe(copies))], names, "made of ")

# %% [markdown]
# ## Build it: sound while the codes still come
#
# The model will make a step at a time, and nobody wants to wait for the last one. But Griffin-Lim looks at a whole stretch: a frame's window reaches over its neighbours. Decode the pieces
# one by one, and each begins and ends without neighbours: a hole. So decode each piece together with a little of its **past**. Now half of the hole is left, at the end of the older piece, and the new piece has found another
# phase than the old one, and where they meet the wave jumps: a **click**. So hold the last two frames of every piece back, and let the next one fade
# over them, one coming up as the other goes down: a **cross-fade**.

# %%
def my_stream(codec, pieces, context=8, held=2):
    """Pieces of codes (n, Q), one after another -> pieces of sound; joined they are as long as the whole."""
    rise = torch.sin(0.5 * torch.pi * torch.linspace(0, 1, held * HOP)).square()  # (held * 320,)
    past, tail = torch.zeros(0, MELS), None
    for codes in pieces:
        picture = torch.cat([past, codec.decode_mel(codes)])  # (past + 4 n, 80)
        sound = griffin_lim(picture, iterations=codec.griffin_lim_iterations)
        if tail is not None:
            sound = sound[len(past) * HOP - len(tail) :]
            sound[: len(rise)] = tail * (1 - rise) + sound[: len(rise)] * rise
        past, tail = picture[-context:], sound[-len(rise) :]
        yield sound[: -len(rise)]
    yield tail


long = max(unheard, key=len)
codes = codec.encode(long)
stream = StreamingDecoder(codec)
theirs = torch.cat([stream.push(piece) for piece in codes.split(2)] + [stream.flush()])
mine = torch.cat(list(my_stream(codec, codes.split(2))))
assert torch.equal(mine, theirs) and len(mine) == len(long)
held_back = 1000 * 2 * HOP / SAMPLE_RATE
print(f"{len(codes)} steps in pieces of two: equal to the library's, sample by sample;")
print(f"{held_back:.0f} ms are held back")

# %% [markdown]
# Here are the three ways, and the whole for comparison, around one seam. We look for the seam with the worst click and show it in all four.

# %%
def glued(codes, context):
    """Pieces of two steps put end to end, each decoded with `context` steps of its past; no fade."""
    out = []
    for begin in range(0, len(codes), 2):
        back_to = max(0, begin - context)
        piece = codec.decode(codes[back_to : begin + 2])
        out.append(piece[(begin - back_to) * STEP_SAMPLES :])
    return torch.cat(out)


def seams(sound, original):
    """Samples where two pieces of two steps meet and somebody is speaking."""
    places = range(2 * STEP_SAMPLES, len(sound), 2 * STEP_SAMPLES)
    return [place for place in places if original[place - 400 : place + 400].abs().mean() > 0.02]


def jump(sound, place):
    """The step from one sample to the next at a seam, in units of the mean step around it."""
    steps = sound[place - 400 : place + 400].diff().abs()
    return (steps[399] / steps.mean()).item()


def dip(sound, place):
    """Strength within 2.5 ms of a seam, as a share of that within 25 ms."""
    return (sound[place - 40 : place + 40].std() / sound[place - 400 : place + 400].std()).item()

# %%
ways = {"alone": lambda codes: glued(codes, 0), "with their past": lambda codes: glued(codes, 2),
        "with past and cross-fade": lambda codes: torch.cat(list(my_stream(codec, codes.split(2)))),
        "all at once": codec.decode}
marks = {}
for name, way in ways.items():
    measured, back = [], HOP if "fade" in name else 0  # a fade of two frames is measured in its middle, one frame before the seam
    for sound in unheard[:12]:
        decoded = way(codec.encode(sound))
        measured += [(jump(decoded, place - back), dip(decoded, place - back)) for place in seams(decoded, sound)]
    marks[name] = torch.tensor(measured).mean(dim=0).tolist()
rows = [(name, f"{jump_:.2f}", f"{dip_:.2f}") for name, (jump_, dip_) in marks.items()]
Table(("pieces decoded", "jump", "strength at the seam"), rows, f"At {len(measured)} seams. Jump: 1 is as everywhere")

# %%
made = {name: way(codes) for name, way in ways.items()}
worst = max(seams(long, long), key=lambda place: jump(made["with their past"], place))
window = range(worst - 480, worst + 480)
milliseconds = [round((place - worst) / 16, 2) for place in window]
choices = []
for name, sound in made.items():
    values = [round(value, 4) for value in sound[window.start : window.stop].tolist()]
    choices.append(dict(label=name, method="restyle", args=[{"y": [values, [-0.3, 0.3]]}]))
figure = go.Figure(go.Scatter(x=milliseconds, y=choices[0]["args"][0]["y"][0], mode="lines", hoverinfo="skip",
                              line=dict(color=BLUE, width=2)))
figure.add_scatter(x=[0, 0], y=[-0.3, 0.3], mode="lines", hoverinfo="skip", line=dict(color=VERMILLION, dash="dash"))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="pieces decoded "), pad=dict(t=45))
figure.update_layout(sliders=[slider], showlegend=False)
figure.update_xaxes(title="milliseconds from the seam").update_yaxes(range=[-0.3, 0.3])
finish(figure, "The wave around a seam, marked by a dashed line. Pieces decoded alone leave a hole at the seam, pieces "
               "with their past a jump; with a cross-fade the wave goes on smoothly.", height=340)

# %%
words = " ".join(tests[max(range(len(unheard)), key=lambda number: len(unheard[number]))].words)
hints = ("A flutter: six holes a second.", "Small clicks: listen on headphones.", "No click; a little softer before each seam.", "The goal.")
SoundSlider([AudioClip(f"Pieces decoded {name}:", normalise_loudness(sound), words, hint)
             for (name, sound), hint in zip(made.items(), hints)], list(made), "pieces decoded ")

# %% [markdown]
# ## Run it small
#
# What does a bit buy? A code out of $K$ entries costs $\log_2 K$ bits, so a step costs $Q \log_2 K$, and there are 12.5 steps a second. We spend bits in three ways: more
# **entries** in all seven codebooks; more **depth** at 128 entries; and, as a control, a **flat** stack of codebooks that all describe the whole step. Three
# measures, on answers that no codebook has seen: the error of the picture, the characters that the **judge** misreads (a recogniser of the next chapter,
# which never heard a codec), and the melody, as the correlation of the voice's pitch before and after.

# %%
texts = [" ".join(request.words) for request in tests]
melodies = [torch.from_numpy(pitch(sound).track) for sound in unheard]


def melody_kept(copies):
    """Correlation of the pitch before and after, over the frames where both have one."""
    after = torch.cat([torch.from_numpy(pitch(copy).track)[: len(track)] for copy, track in zip(copies, melodies)])
    before = torch.cat(melodies)
    both = ~(before.isnan() | after.isnan())
    return torch.corrcoef(torch.stack([before[both], after[both]]))[0, 1].item()


def quality(decoded):
    """Pictures (F, 80) in the order of the tests -> error in dB, share of characters misread, melody kept."""
    pairs = list(zip(decoded, test_pictures))
    error = sum((ours[: len(true)] - true).abs().mean().item() for ours, true in pairs) / len(pairs)
    copies = [griffin_lim(ours[: len(true)]) for ours, true in pairs]
    return 8.686 * error, character_error_rate(texts, judge.transcribe(copies)), melody_kept(copies)


def through(mean, books, slots=PYRAMID, depth=7):
    """All test pictures, coded and decoded."""
    return [my_decode(my_encode(picture, mean, books, slots), mean, books, slots, depth) for picture in test_pictures]

# %%
def rate(entries, codes_a_step):
    return codes_a_step * torch.log2(torch.tensor(float(entries))).item() * SAMPLE_RATE / STEP_SAMPLES


FLAT = ((0, 4),) * 7
by_size = {size: my_fit(train_pictures, size) for size in (8, 32, 64, 256)} | {128: (mean, books)}
flat = my_fit(train_pictures, 128, FLAT)
curves = {"more entries": [(rate(size, 7), *quality(through(*by_size[size]))) for size in sorted(by_size)],
          "more depth": [(rate(128, depth), *quality(through(mean, books, depth=depth))) for depth in (1, 2, 3, 5, 7)],
          "flat, more depth": [(rate(128, depth), *quality(through(*flat, FLAT, depth))) for depth in (1, 3, 7)]}
ceiling = quality(test_pictures)

# %%
measures = ("error of the picture, dB", "characters misread", "melody kept, correlation")
looks = {"more entries": (BLUE, "solid", "circle"), "more depth": (VERMILLION, "dash", "square"),
         "flat, more depth": (GREEN, "dot", "diamond")}
choices = []
for number, measure in enumerate(measures):
    values = [[round(point[1 + number], 4) for point in curve] for curve in curves.values()] + [[ceiling[number]] * 2]
    percent = ".0%" if number == 1 else ""
    choices.append(dict(label=measure, method="update", args=[
        {"y": values}, {"yaxis.title.text": measure, "yaxis.tickformat": percent}]))
figure = go.Figure()
for (name, curve), ys in zip(curves.items(), choices[0]["args"][0]["y"]):
    colour, dash, symbol = looks[name]
    figure.add_scatter(x=[round(point[0]) for point in curve], y=ys, mode="lines+markers", name=name,
                       line=dict(color=colour, dash=dash), marker=dict(symbol=symbol, size=9))
figure.add_scatter(x=[80, 720], y=[ceiling[0]] * 2, mode="lines", name="no codes", line=dict(color="#767676", width=1.5))
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="measure: "), pad=dict(t=60))
figure.update_layout(sliders=[slider]).update_yaxes(title=measures[0], rangemode="tozero")
figure.update_xaxes(title="bits a second", type="log", tickvals=[100, 200, 400, 700], range=[1.88, 2.9])
said = "; ".join(f"{name}: {curve[0][0]:.0f} bits a second leave {curve[0][1]:.1f} dB, {curve[-1][0]:.0f} leave "
                 f"{curve[-1][1]:.1f} dB" for name, curve in curves.items())
finish(figure, f"Quality against bits a second for three ways to spend them. {said}.", height=440)

# %%
letters = sum(map(len, texts))
nano_point, one_code = curves["more depth"][-1], curves["more depth"][0]
chapter.measure("error of the pyramid with 128 entries, dB", nano_point[1])
chapter.measure("error of its first codebook alone, dB", one_code[1])
chapter.measure("characters misread, first codebook alone", one_code[2], grain=1 / letters)
chapter.measure("melody kept by all seven", nano_point[3])
chapter.measure("error of a flat stack of seven, dB", curves["flat, more depth"][-1][1])
print(f"Characters misread: {nano_point[2]:.1%} through all seven, {ceiling[1]:.1%} without codes.")
print(f"{nano_point[0]:.0f} bits a second instead of {16 * SAMPLE_RATE}, as 16-bit samples have.")

# %% [markdown]
# Read two things from it. The picture's error falls with every code, most with the first ones, and the misread characters with it: every further code clears up some of the words. The melody is there early: three codes
# keep nearly as much of it as all seven. And compare the pyramid with the flat stack at
# the same rate: is the pyramid better? We keep it because it is the paper's shape, and because its codes come in levels, by which chapter 06 can delay them, not because it wins.
#
# ## Is the codebook in use?
#
# A codebook of 128 entries of which only three are used carries less than two bits, not seven. The measure is the **effective number of entries**: $\exp$ of the entropy of the shares in which they
# are used. It is 128 when all are used alike and 1 when one does everything. Silence and frequent vowels keep it below the maximum in any healthy codebook. Watch the fourth position
# of the slider, which is our first mistake.
#
# ## What goes wrong: a careless start
#
# It is a natural idea to begin k-means anywhere: draw every number of every entry between the smallest and the largest number that occur. But the 320 numbers of a
# picture move together, and such noise moves each on its own, so it lies where no speech ever is. The few entries that happen to lie nearest take everything; the others never get
# a picture and stay **dead**. In neural codecs this is called **codebook collapse**. Two remedies, and the library uses both: begin at real data, spread
# out; and let a dead entry start anew.

# %%
def careless(vectors, entries, rounds, generator):
    """k-means from noise between the smallest and the largest number, and without new starts."""
    noise = torch.rand(entries, vectors.shape[1], generator=generator)  # (K, D)
    start = vectors.min() + (vectors.max() - vectors.min()) * noise
    return my_codebook(vectors, start, rounds, restart=False)


collapsed = my_fit(train_pictures, 128, fit=careless)
usage = {}
for name, size, (its_mean, its_books) in (("32 entries", 32, by_size[32]), ("128 entries", 128, by_size[128]),
                                          ("256 entries", 256, by_size[256]), ("128, careless", 128, collapsed)):
    its_codes = torch.cat([my_encode(picture, its_mean, its_books) for picture in train_pictures])  # (T, 7)
    usage[name] = size, usage_perplexity(its_codes, size)
chapter.measure("entries in use of 128, mean of the codebooks", sum(usage["128 entries"][1]) / 7)
chapter.measure("the same after a careless start", sum(usage["128, careless"][1]) / 7)
chapter.measure("error after a careless start, dB", quality(through(*collapsed))[0]);

# %%
columns = [str(number) for number in range(1, 8)]
choices = []
for name, (size, values) in usage.items():
    changes = [{"y": [[round(value, 1) for value in values], [size] * 7]}, {"yaxis.range": [0, 1.08 * size]}]
    choices.append(dict(label=name, method="update", args=changes))
(bars, line), limits = choices[1]["args"][0]["y"], choices[1]["args"][1]["yaxis.range"]
figure = go.Figure(go.Bar(x=columns, y=bars, marker=dict(color=BLUE), name="entries in use",
                          hovertemplate="%{y:.0f}<extra></extra>"))
figure.add_scatter(x=columns, y=line, mode="lines", name="entries there are",
                   line=dict(color=VERMILLION, dash="dash", width=3))
slider = dict(active=1, steps=choices, currentvalue=dict(prefix="codebooks of "), pad=dict(t=70))
figure.update_layout(sliders=[slider]).update_yaxes(title="entries", range=limits)
figure.update_xaxes(title="codebook: 1 a step,<br>2 and 3 its halves, 4 to 7 its frames", type="category")
good, bad = (sum(usage[name][1]) / 7 for name in ("128 entries", "128, careless"))
finish(figure, f"Bars of the effective number of entries in use for seven codebooks. With 128 entries {good:.0f} are in "
               f"use on average, after a careless start {bad:.0f}.", height=380)

# %% [markdown]
# ## What goes wrong: a voice it never heard
#
# A codec knows what it has learnt from, and ours has learnt one voice. Send the users' voices through it and the words suffer, the speakers even more: everybody
# comes out a little like the assistant. That is why in this book only the **answer** goes through the codec, and the question goes through
# the ear. A codec for all voices has to hear them all, and costs more entries or a larger network.

# %%
def error_on(sound):
    picture = log_mel(sound)
    return 8.686 * (codec.decode_mel(codec.encode_mel(picture))[: len(picture)] - picture).abs().mean().item()


questions = sample_clips("question")
by_voice = {}
for clip in questions:
    by_voice.setdefault(clip.voice, []).append(error_on(torch.from_numpy(read_audio(clip.path))))
own = sum(map(error_on, unheard)) / len(unheard)
means = {voice_name: sum(errors) / len(errors) for voice_name, errors in by_voice.items()}
others = chapter.measure("error on voices it never heard, dB", sum(means.values()) / len(means))
rows = [("the assistant", f"{own:.1f}")]
rows += [(name, f"{means[name]:.1f}") for name in sorted(means, key=means.get)]
Table(("voice", "error, dB"), rows, "Voices through a codec that has heard only the assistant's")

# %%
ends = sorted(means, key=means.get)[:: len(means) - 1]  # the best and the worst voice
strange = [next(clip for clip in questions if clip.voice == name) for name in ends]
clips = []
for clip in strange:
    sound = torch.from_numpy(read_audio(clip.path))
    coded = torch.from_numpy(normalise_loudness(codec.decode(codec.encode(sound))))
    clips.append(AudioClip(f"{clip.voice}, {clip.style}:", sound, clip.words))
    clips.append(AudioClip("The same, through the codec:", coded, clip.words, "Who is speaking now?",
                           heard=judge.transcribe([coded])[0]))
Sounds(clips)

# %% [markdown]
# ## Try it yourself
#
# In Jupyter or Colab, run the next cell: type words, choose voice, style and depth, or load a recording of your own voice. Do not expect to recognise yourself: the codebooks know one
# synthetic speaker. On this page the cell is not run; the sliders above stand in for it.

# %% tags=["skip-execution"]
from minideeptalk.teaching.codec_explorer import CodecExplorer

CodecExplorer(codec, judge).show()

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. A check goes up a ladder and tells you on which rung you stand.
#
# **Exercise 02-1: bits a second** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs a logarithm
#
# What does a pyramid cost in bits a second?
#
# <details><summary>Hint 1, a question</summary>
#
# How many answers can one bit tell apart, how many can three?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `math.log2(entries)` bits tell `entries` answers apart.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Bits of one code, times codes in a step, divided by the seconds of a step.
#
# </details>
# </details>
# </details>

# %%
# Exercise 02-1: your code
def bits_per_second(entries, codes_per_step, step_seconds=0.08):
    """Size of a codebook, codes in a step, length of a step -> bits a second."""
    raise NotImplementedError("your code here")

# %%
check("02-1", bits_per_second)

# %% [markdown]
# <details>
# <summary>A solution of 02-1</summary>
#
# ```python
# def bits_per_second(entries, codes_per_step, step_seconds=0.08):
#     """Size of a codebook, codes in a step, length of a step -> bits a second."""
#     bits_of_a_code = math.log2(entries)
#     return codes_per_step * bits_of_a_code / step_seconds
# ```
#
# </details>
#
# **Exercise 02-2: code what is left** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs cdist, argmin, stack
#
# The heart of the chapter, in its plainest form: a stack of codebooks that all describe the whole vector, each what the others left.
#
# <details><summary>Hint 1, a question</summary>
#
# If a vector is 10 and the first codebook has the entries 0 and 8, what should the second codebook describe?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.cdist(rest, codebook)` has the distances (T, K); `codebook[codes]` has the chosen entries (T, D).
#
# <details><summary>Hint 3, almost the code</summary>
#
# Start with the rest equal to the vectors. For each codebook: codes, new rest, keep the codes. Stack them as columns.
#
# </details>
# </details>
# </details>

# %%
# Exercise 02-2: your code
def code_what_is_left(vectors, codebooks):
    """vectors (T, D), Q codebooks (K, D) -> codes (T, Q) and what no codebook described (T, D)."""
    raise NotImplementedError("your code here")

# %%
check("02-2", code_what_is_left)

# %% [markdown]
# <details>
# <summary>A solution of 02-2</summary>
#
# ```python
# def code_what_is_left(vectors, codebooks):
#     """vectors (T, D), Q codebooks (K, D) -> codes (T, Q) and what no codebook described (T, D)."""
#     rest, columns = vectors, []
#     for codebook in codebooks:
#         codes = torch.cdist(rest, codebook).argmin(dim=1)  # (T,)
#         rest = rest - codebook[codes]  # (T, D)
#         columns.append(codes)
#     return torch.stack(columns, dim=1), rest  # (T, Q), (T, D)
# ```
#
# </details>
#
# **Exercise 02-3: entries in use** · practice · difficulty ●●○○○ (2 of 5) · about 15 minutes · 2 points · needs bincount, logarithm
#
# Write the measure that told the healthy codebook from the collapsed one.
#
# <details><summary>Hint 1, a question</summary>
#
# What should come out when four entries are used a quarter of the time each?
#
# <details><summary>Hint 2, a nudge</summary>
#
# `torch.bincount(codes, minlength=entries)` counts. Shares are counts divided by their number.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Keep the shares above zero; entropy is minus the sum of share times log share; return its exp as a float.
#
# </details>
# </details>
# </details>

# %%
# Exercise 02-3: your code
def entries_in_use(codes, entries):
    """codes (T,) and the size of the codebook K -> effective number of entries in use, 1 to K."""
    raise NotImplementedError("your code here")

# %%
check("02-3", entries_in_use)

# %% [markdown]
# <details>
# <summary>A solution of 02-3</summary>
#
# ```python
# def entries_in_use(codes, entries):
#     """codes (T,) and the size of the codebook K -> effective number of entries in use, 1 to K."""
#     shares = torch.bincount(codes, minlength=entries).double() / len(codes)  # (K,)
#     used = shares[shares > 0]
#     entropy = -(used * used.log()).sum()
#     return entropy.exp().item()
# ```
#
# </details>
#
# **Exercise 02-4: a seam that nobody hears** · practice · difficulty ●●○○○ (2 of 5) · about 20 minutes · 2 points · needs slices, linspace
#
# Join two pieces of sound that overlap, so that nothing clicks and nothing gets louder or softer.
#
# <details><summary>Hint 1, a question</summary>
#
# If both pieces are the same sound, what should you hear in the overlap?
#
# <details><summary>Hint 2, a nudge</summary>
#
# One weight rises from 0 to 1 over the overlap, the other is one minus it.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Three parts in `torch.cat`: the first piece without its end, the weighted sum, the second piece without its beginning.
#
# </details>
# </details>
# </details>

# %%
# Exercise 02-4: your code
def cross_fade(before, after, overlap):
    """Two pieces (N,), (M,) whose last and first `overlap` samples are the same moment -> one (N + M - overlap,)."""
    raise NotImplementedError("your code here")

# %%
check("02-4", cross_fade)

# %% [markdown]
# <details>
# <summary>A solution of 02-4</summary>
#
# ```python
# def cross_fade(before, after, overlap):
#     """Two pieces (N,), (M,) whose last and first `overlap` samples are the same moment -> one (N + M - overlap,)."""
#     rise = torch.sin(0.5 * torch.pi * torch.linspace(0, 1, overlap)).square()  # (overlap,) from 0 to 1
#     seam = before[-overlap:] * (1 - rise) + after[:overlap] * rise
#     return torch.cat([before[:-overlap], seam, after[overlap:]])
# ```
#
# </details>
#
# ## What this run has shown

# %%
print(f"- Seven codes a step are {nano_point[0]:.0f} bits a second. They keep the words ({nano_point[2]:.1%} of characters")
print(f"  misread, {ceiling[1]:.1%} without codes) and leave an error of {nano_point[1]:.1f} dB in the picture.")
print(f"- The first code alone leaves {one_code[1]:.1f} dB, and {one_code[2]:.0%} of the characters are misread.")
flat_error = curves["flat, more depth"][-1][1]
print(f"- At the same rate a flat stack leaves {flat_error:.1f} dB: the pyramid is "
      f"{'better' if nano_point[1] < flat_error else 'no better'}.")
print(f"- Of 128 entries {good:.0f} are in use; after a careless start {bad:.0f}.")
faded, clicking = (marks[name][0] for name in ("with past and cross-fade", "with their past"))
print(f"- Streaming with a cross-fade jumps {faded:.1f} at its seams, without it {clicking:.1f}; 1 is no jump.")
print(f"- Voices it never heard leave {others:.1f} dB, the assistant's {own:.1f} dB.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific MoE](https://arxiv.org/abs/2506.21864):
#   the paper that this book rebuilds; its first versions are titled DeepTalk.
# - Siuzdak, Grötschla and Lanzendörfer (2024), [SNAC: Multi-Scale Neural Audio Codec](https://arxiv.org/abs/2410.14411): the paper's codec, and the
#   pyramid's shape.
# - Zeghidour et al. (2021), [SoundStream](https://arxiv.org/abs/2107.03312): residual vector quantisation inside a neural codec.
# - van den Oord, Vinyals and Kavukcuoglu (2017), [Neural Discrete Representation Learning](https://arxiv.org/abs/1711.00937): codes learnt by a network.
# - Griffin and Lim (1984), [Signal Estimation from Modified Short-Time Fourier Transform](https://doi.org/10.1109/TASSP.1984.1164317): the way back.
# - Arthur and Vassilvitskii (2007), [k-means++: The Advantages of Careful Seeding](https://dl.acm.org/doi/10.5555/1283383.1283494): the careful start.
#
# Next: [chapter 03, hearing](03_hearing.ipynb).

# %%
chapter.footer()
