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
# # Talk to it
#
# Ask a question aloud and get an answer in words and in sound, from a model small enough to train on two CPU cores. Then look
# behind it: what it can do, what it cannot, and what it forgot on the way.
#
# ![A speech bubble with a sound wave and the words: cup red mia horse which color. An arrow leads to a second bubble with a sound wave and the word: red. The miniature answers in text and in sound.](../book/_static/00-talk.svg)
#
# [![Open in Colab](../book/_static/colab.svg)](https://colab.research.google.com/github/minideeptalk/minideeptalk/blob/v0.1.0/notebooks/00_talk_to_it.ipynb)

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
chapter = open_chapter("00_talk_to_it")  # nothing is trained here, so mode="full" changes nothing

# %% [markdown]
# **After this chapter you can**
#
# 1. ask the finished miniature a question, and name the parts that a question passes on its way to an answer;
# 2. make it answer step by step, and show that you got the library's answer;
# 3. read its table of abilities, with chance and ceiling beside each number;
# 4. say which text skills it lost while it learnt to speak, and where the time to its first sound goes;
# 5. tell what it does not understand, and what it says then.

# %%
chapter.diagram()

# %% [markdown]
# ## The map of the book
#
# A question comes in at the top and leaves as words and sound at the bottom. Every chapter builds one part of this picture and shows it again with
# its own part lit; the row at the bottom is the order of training.
#
# | part of the picture | you build it in chapter |
# | --- | --- |
# | text skills, tokenizer | [01 A world small enough to know](01_world.ipynb) |
# | codec | [02 Sound to codes and back](02_sound_to_codes.ipynb) |
# | ear, adapter | [03 Hearing](03_hearing.ipynb) |
# | router, experts, shared expert | [04 A mixture of experts](04_mixture_of_experts.ipynb) |
# | text pretraining | [05 A text model that has something to lose](05_text_model.ipynb) |
# | two streams, heads | [06 Two streams at once](06_two_streams.ipynb) |
# | stages of training | [07 Alignment](07_load.ipynb), [08 Choosing the speakers](08_selection.ipynb), [09 One modality at a time](09_freezing.ipynb), [10 Together](10_together.ipynb), [11 Preference](11_preference.ipynb) |
# | all of it, running | [12 Real time](12_real_time.ipynb), [13 What the words do not say](13_speaking_style.ipynb), [14 Does it hold?](14_does_it_hold.ipynb), [15 Out of the toy](15_out_of_the_toy.ipynb) |
#
# ## Hear it first
#
# The finished miniature comes with the library, and so do some questions from the test set: questions whose combination of words
# it never met in training. We take the first clip of each spoken skill, not the best one, and let it answer.

# %%
import torch

from minideeptalk.inference.talker import NOT_UNDERSTOOD
from minideeptalk.model import AudioToken
from minideeptalk.speech.files import read_audio
from minideeptalk.teaching import check
from minideeptalk.teaching.samples import book_record, sample_clips, shipped_run, shipped_talker
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.teaching.tables import Table
from minideeptalk.viz import AudioClip

talker = shipped_talker()
questions = sample_clips("question")
first_of = {}
for clip in questions:
    first_of.setdefault(clip.family, clip)

replies = {}
for family, clip in first_of.items():
    replies[family] = talker.answer(torch.from_numpy(read_audio(clip.path)), AudioToken.ANSWER)
    print(f"{family:8} {clip.words}  ->  {replies[family].text}  (right: {clip.answer})")

# %%
players = []
for family, clip in first_of.items():
    reply = replies[family]
    verdict = "Right." if reply.text == clip.answer else f"The right answer is “{clip.answer}”."
    refusal = "" if reply.understood else f"The answer is text only: {reply.text}."
    players.append(AudioClip(f"{family}, asked by {clip.voice} ({clip.style}):", clip.path, clip.words, refusal))
    if reply.understood:
        players.append(AudioClip("Answer:", reply.waveform, reply.text, verdict))
Sounds(players)

# %% [markdown]
# The words beside each *Answer* are the model's own text: it writes while it speaks. The voice is rough. It comes through a codec that keeps very
# little, and through a model that learnt to speak in minutes. Listen for the words: are they those that are written?
#
# A spoken question holds more than words. The miniature also hears *how* you ask, in a neutral, happy, sad or angry voice, and can be asked to answer in the same
# style. Here is the first clip in each of three styles. Listen for two things: are the words right, and has the style come back?

# %%
players = []
for style in ("happy", "sad", "angry"):
    clip = next(clip for clip in questions if clip.style == style)
    mirrored = talker.answer(torch.from_numpy(read_audio(clip.path)), AudioToken.MIRROR)
    refusal = "" if mirrored.understood else f"The answer is text only: {mirrored.text}."
    players.append(AudioClip(f"Question, {style}:", clip.path, clip.words, refusal))
    if mirrored.understood:
        hint = f"The ear took the question for {mirrored.style}. Does the answer sound {style}?"
        players.append(AudioClip("Answer in the same style:", mirrored.waveform, mirrored.text, hint))
Sounds(players)

# %% [markdown]
# Here is a timeline of the first questions, skill by skill. Each question ends where the blue ends; the orange begins when the answer begins to sound.

# %%
import plotly.graph_objects as go

from minideeptalk.config import SAMPLE_RATE
from minideeptalk.viz.style import BLUE, VERMILLION, finish


def outline(waveform, start, points=160):
    """Times and loudness of a waveform (N,), mirrored at zero, which draws its outline."""
    pieces = torch.as_tensor(waveform).abs().split(max(1, -(-len(waveform) // points)))
    tops = [piece.max().item() for piece in pieces]
    length = len(waveform) / SAMPLE_RATE
    times = [start + length * number / len(tops) for number in range(len(tops))]
    mirrored = tops + [-top for top in tops[::-1]]
    return [round(time, 3) for time in times + times[::-1]], [round(top, 3) for top in mirrored]


pictures = {}
for family, clip in first_of.items():
    asked, reply = read_audio(clip.path), replies[family]
    silence = reply.latency_ms.get("leading silence", 0.0)
    begins = len(asked) / SAMPLE_RATE + (sum(reply.latency_ms.values()) - silence) / 1e3
    said = reply.waveform if reply.understood else torch.zeros(2)
    words = f"“{clip.words}” → “{reply.text}”"
    pictures[family] = outline(asked, 0.0), outline(said, begins), words

# %%
def halves(text, at=44):
    """The title in two lines, so that a phone shows it whole."""
    return text.replace(" → ", "<br>→ ") if len(text) > at else text


choices = []
for family, (question, answer, words) in pictures.items():
    changes = {"x": [question[0], answer[0]], "y": [question[1], answer[1]]}
    choices.append(dict(label=family, method="update", args=[changes, {"title.text": halves(words)}]))
(question, answer, words), *_ = pictures.values()
figure = go.Figure()
for name, (x, y), colour in (("question", question, BLUE), ("answer", answer, VERMILLION)):
    figure.add_scatter(x=x, y=y, fill="toself", mode="lines", line=dict(color=colour, width=1), name=name,
                       hoverinfo="skip")
slider = dict(active=0, steps=choices, currentvalue=dict(prefix="skill: "), pad=dict(t=70))
figure.update_layout(title=dict(text=halves(words), font=dict(size=13)), sliders=[slider])
figure.update_xaxes(title="seconds").update_yaxes(visible=False)
told = "; ".join(f"{family}: {words}" for family, (_, _, words) in pictures.items())
finish(figure, f"Outline of a spoken question and of the answer after it, one skill at a time. {told}.",
       height=340).update_layout(margin=dict(t=64))

# %% [markdown]
# ## Build it: an answer, one part at a time
#
# `talker.answer` did it in one call. Now we do it by hand. First **hearing**: the sound becomes a picture of its frequencies, and the ear makes one
# vector of each word it finds. It also says how sure it is.

# %%
clip = next(iter(first_of.values()))
waveform = torch.from_numpy(read_audio(clip.path))  # (N,)
log_mel = talker.log_mel(waveform)  # (frames, 80)
heard = talker.ear.listen([log_mel])[0]
print(f"{len(waveform) / SAMPLE_RATE:.2f} s of sound; frames and numbers a frame: {tuple(log_mel.shape)}")
print("the ear's vectors:", tuple(heard.frames.shape), "for the words:", *heard.words)
print(f"style {heard.style}, confidence {heard.confidence:.2f}, threshold {talker.ear.threshold.item():.2f}")

# %% [markdown]
# The words are printed for us. The language model does not see them: it gets the vectors, in the seven rows of codes, while `<audio>` stands in its text row: once for each
# word, and once each for the marks `BOA` and `EOA` that begin and end what was heard (`PAD` below is where the vectors will be put). Then the **prompt**: who speaks, what was heard,
# and at the end a *trigger* that says what is wanted. Here it is `ANSWER`: answer aloud, in a neutral voice.

# %%
prompt = talker.builder.heard_prompt(heard.frames, AudioToken.ANSWER)
print("text row:   ", *talker.builder.tokenizer.decode(prompt.text))
coarse = [value - talker.codec.codebook_size for value in prompt.codes[:, 0].tolist()]
print("first codes:", *[AudioToken(value).name for value in coarse])
print("one step has", 1 + prompt.codes.shape[1], "rows")

# %% [markdown]
# Now it **answers**, one step at a time. Every step gives a word, or waits, and seven codes of sound. A step lasts 80 milliseconds. The
# sound lags one step behind the words, so the first step has seven times the same number: `PAD`, the code for *nothing here*.

# %%
from minideeptalk.inference.decoding import speak_in_steps

for decoder, ready in speak_in_steps(talker.model, talker.builder, prompt):
    number = decoder.text.shape[1]
    if number <= 6:
        word = talker.builder.tokenizer.decode(decoder.text[0, -1:].tolist())[0]
        print(f"step {number}: {word:10} codes {decoder.codes[0, -1].tolist()}")
answer = decoder.answer(0)
print("...", number, "steps. It said:", *answer.words)

# %% [markdown]
# Last, the **codec** turns codes into sound.

# %%
sound = talker.codec.decode(answer.codes)  # (F * 1280,)
print(f"{tuple(answer.codes.shape)} codes -> {len(sound)} samples, {len(sound) / SAMPLE_RATE:.2f} s")

# %% [markdown]
# ## The same as the library's?
#
# The library gives out its sound in pieces while the model still speaks, with cross-fades between them, so its samples differ a little. Words,
# codes and length do not. (They need not be the words of the first list. Our loop finds its words while it speaks, in one row; `talker.answer` let a second
# row find them, as the paper does: chapter 12. Below, the library is told to use one row, too.)

# %%
from minideeptalk.inference.talker import Talker

alone = Talker(talker.model, talker.ear, talker.codec, parallel=False)  # one row, as above
reply = alone.answer(waveform, AudioToken.ANSWER)
assert reply.text.split() == answer.words
assert reply.heard.split() == list(heard.words) and reply.style == heard.style
assert len(reply.waveform) == len(sound)
pieces = [len(piece) for piece, _ in alone.chunks(heard, AudioToken.ANSWER)]
assert sum(pieces) == len(sound)
print("the same words:", reply.text)
print("the same length, given out in pieces of", *pieces, "samples")

# %% [markdown]
# ## What it can do
#
# A few clips prove nothing. Training ended with an examination, and its results are in a **run record** that is part of the book. Every number
# below is read from it. Beside each stands what guessing would score, and where it can be told, the best that was possible. (The library has
# three sizes, `nano`, `mini` and `base`. What this book runs is `nano`.)

# %%
from IPython.display import HTML

from minideeptalk.records.abilities import percent
from minideeptalk.viz import abilities_table, forgetting_by_family, forgetting_curve
from minideeptalk.viz import latency_timeline, routing_heat_map

record = book_record()
device = record["device"]
print(f"{record['date'][:10]}, size {record['size']}, seed {record['seed']}, commit {record['commit'] or '-':.10}")
print(f"{record['seconds'] / 60:.0f} minutes on {device['name']}, {device['threads']} threads")
HTML(abilities_table(record))

# %% [markdown]
# Read the two lines about speaking together. *Trained texts* are word lists that the model practised; *unseen texts* have the same words in
# combinations it never said. The distance between them is the distance between reciting and speaking.
#
# ## What was forgotten
#
# Before it learnt to speak, the model was a text model with ten skills. Here they are before (open) and after (filled), with a tick for chance.
# Blue skills are *covered*: their text is repeated while the model learns to speak. Orange ones are *uncovered*: theirs never comes again.

# %%
forgetting_by_family(record)

# %%
drop = record["metrics"]["relative_text_drop"]
lost = sorted(drop["by_family"], key=drop["by_family"].get)
for words, family in (("Kept best", lost[0]), ("Lost most", lost[-1])):
    print(f"{words}: {family}, {percent(drop['by_family'][family])} lost.")
print(f"Mean of the skills whose text after-training repeats: {percent(drop['covered'])} lost.")
print(f"Mean of the skills whose text never came again: {percent(drop['uncovered'])} lost.")
print("All corrected for guessing: 0 % is as before, 100 % is as good as a guess.")

# %% [markdown]
# That last pair of numbers is why this book exists. (**After-training** is all training after stage 0: while the model learns to speak, some
# text is repeated.) Where text is repeated, little need be lost. What nobody repeats is in danger: the weights that held it are
# needed for something else. The paper's idea is to choose those weights with care, and chapter 10 compares it with its rivals, at equal training.
# The curve shows *when* it happens, stage by stage.

# %%
forgetting_curve(record)

# %% [markdown]
# ## Who does the work
#
# In each layer a router sends every token to a few experts. The upper map shows the tokens of text, the lower one those of sound; white dots mark the
# experts that were chosen to learn speech, by how much sound and how little text had used them. Move through the stages: do the two kinds of token part ways?

# %%
routing_heat_map(record)

# %% [markdown]
# ## How long until it speaks
#
# From the end of the question to the first sound of the answer, the parts one after the other. What a microphone adds, and the time to notice that
# the question is over, are not in it. *Encode*: the ear listens. *Prefill*: the model reads the prompt and makes its first step. *Lead and delay*: further steps
# until the first sound is whole. *Codec*: codes become samples. *Leading silence*: the voice itself does not begin at once.

# %%
latency_timeline(record)

# %% [markdown]
# ## Run it small
#
# Now your own examination: all question clips that come with the library, in three ways. First in **writing**: the model hears the question and only writes.
# Then **aloud**, where its text is compared word for word, and its sound too, after a **judge** has written it down, a recogniser that
# shares nothing with the model. A refusal counts as wrong.

# %%
from minideeptalk.hearing.judge import Judge
from minideeptalk.inference.decoding import answer_in_text

judge = Judge.load(shipped_run() / "judge")
waves = [torch.from_numpy(read_audio(clip.path)) for clip in questions]
prompts = [talker.builder.heard_prompt(talker.listen(wave).frames) for wave in waves]
written = [" ".join(said.words) for said in answer_in_text(talker.model, talker.builder, prompts)]
given = [talker.answer(wave, AudioToken.ANSWER) for wave in waves]
silence = torch.zeros(SAMPLE_RATE)
spoken = judge.transcribe([reply.waveform if reply.understood else silence for reply in given])
refused = [not reply.understood for reply in given]


def right(texts):
    """Which answers are right; a refused question has none."""
    return [text == clip.answer and not no for text, clip, no in zip(texts, questions, refused)]


right_written, right_sound = right(written), right(spoken)
right_text = right([reply.text for reply in given])

# %%
one = 1 / len(questions)
print(len(questions), "questions")
chapter.measure("right in writing", sum(right_written) * one, grain=one)
chapter.measure("right aloud, in text", sum(right_text) * one, grain=one)
chapter.measure("right aloud, in sound", sum(right_sound) * one, grain=one)
chapter.measure("refused", sum(refused) * one, grain=one)
pairs = [(reply.text, text) for reply, text in zip(given, written) if reply.understood]
both = sum(text and sound for text, sound in zip(right_text, right_sound))
print(f"Not refused: {len(pairs)}. The same words aloud as in writing: {sum(aloud == text for aloud, text in pairs)}.")
print(f"Of {sum(right_text)} answers that are right aloud, in text, {both} are right in sound, too.")

# %%
rows = []
for family in first_of:
    own = [number for number, clip in enumerate(questions) if clip.family == family]
    columns = right_written, right_text, right_sound, refused
    rows.append((family, str(len(own)), *(str(sum(flags[number] for number in own)) for flags in columns)))
heads = "skill", "asked", "right in writing", "right aloud, text", "right aloud, sound", "refused"
heard_sums = record["metrics"]["spoken_qa_by_family"]["text"]["add"]
print(f"Sums in the record: typed {percent(record['metrics']['text_accuracy']['after']['add'])} right, heard {percent(heard_sums)}.")
Table(heads, rows, "The question clips, skill by skill")

# %% [markdown]
# Why are the words aloud so like the written ones? They come from a second row of the batch, which only writes (chapter 12). The
# speaking row is left with making them sound, and there a right word can still come out wrong: compare the two columns *aloud*. So few
# questions give coarse numbers, and the clips were chosen to show every voice, one of which no training used. The record's examination had
# more questions; compare.
#
# One skill stands out. *Add* is nearly always right when it is typed and hardly ever when it is heard, although the ear gets most words right (next table). To find
# a sum in the ear's vectors is the one thing that this model did not learn.
#
# ## What goes wrong
#
# Three things, and each is a limit you should know before you talk to it.
#
# **It errs.** Here are its first wrong answers. Was the question misheard, or was it heard and answered wrongly?

# %%
wrong = [(clip, reply) for clip, reply in zip(questions, given) if reply.text != clip.answer][:5]
rows = [(clip.words, reply.heard or "nothing", reply.text, clip.answer) for clip, reply in wrong]
Table(("asked", "the ear heard", "it answered", "right"), rows, "The first wrong answers among the clips")

# %% [markdown]
# **It knows one small world.** Words outside of it have no token, and sounds outside of its training have no meaning. Any recogniser can be forced to find
# *some* words in any noise; a guess would then be answered fluently. So the ear measures how familiar the sounds are, and below a
# threshold the miniature says so instead of guessing.

# %%
from minideeptalk.speech.synthesis import Synthesizer

noise = torch.randn(2 * SAMPLE_RATE, generator=torch.Generator().manual_seed(chapter.seed)) * 0.1
hum = 0.3 * torch.sin(torch.arange(2 * SAMPLE_RATE) * 2 * torch.pi * 220 / SAMPLE_RATE)
foreign = Synthesizer().speak("please open the window and let the morning in", voice="bob").waveform
strange = {"noise": noise, "a hum": hum, "a question played backwards": waveform.flip(0),
           "words of another world": torch.from_numpy(foreign)}
rows, refusals = [], 0
for name, sound in strange.items():
    reply = talker.answer(sound)
    refusals += not reply.understood
    rows.append((name, reply.heard or "nothing", f"{reply.confidence:.2f}", reply.text))
Table(("sound", "the ear heard", "confidence", "it answers"), rows, "What it was not made for")

# %% [markdown]
# **It has never heard a person.** All voices of its training are synthetic. A human voice is outside of it, yours too: expect *I did not understand*, and
# sometimes a wrong answer. That is no fault of your microphone. Chapter 15 asks what happens with recordings of people, shows that
# the narrow sound of a telephone is alone enough for a refusal, and says what it takes to go further.
#
# ## Talk to it yourself
#
# In Jupyter or Colab, run the next cell: type a question out of the world's words, choose voice and style, and press *Ask*; or load a recording. It
# needs the speech extra, which the set-up cell installed. On this page the cell is not run; the players above stand in for it.

# %% tags=["skip-execution"]
from minideeptalk.teaching.explorer import TalkExplorer

TalkExplorer(talker).show()

# %% [markdown]
# Questions to try, from each spoken skill; exchange the words:

# %%
for family, clip in first_of.items():
    print(f"{family:8} {clip.words}")

# %% [markdown]
# ## Exercises
#
# Fill in the body, run the cell, then run the check. These are warm-ups: no training, no tensors.
#
# **Exercise 00-1: from steps to seconds** · practice · difficulty ●○○○○ (1 of 5) · about 5 minutes · 1 point · needs nothing but arithmetic
#
# The model has made some steps of an answer and goes on. How much sound is whole by now? The codec's streams do not start together: the slowest lags some steps
# behind, and a codec frame (80 ms) is whole only when it has arrived. (A finished answer has spent one step more, on its end.)
#
# <details><summary>Hint 1, a question</summary>
#
# After the first step, is there already a frame whose seven codes are all known?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Whole frames: steps minus the longest delay, and never below zero.
#
# <details><summary>Hint 3, almost the code</summary>
#
# `frames * 0.08` seconds, `frames * 1280` samples.
#
# </details>
# </details>
# </details>

# %%
# Exercise 00-1: your code
def sound_of_steps(steps, longest_delay):
    """Steps of the model, steps that its slowest stream lags -> (seconds of sound, samples at 16 kHz)."""
    raise NotImplementedError("your code here")

# %%
check("00-1", sound_of_steps)

# %% [markdown]
# <details>
# <summary>A solution of 00-1</summary>
#
# ```python
# def sound_of_steps(steps, longest_delay):
#     """Steps of the model, steps that its slowest stream lags -> (seconds of sound, samples at 16 kHz)."""
#     frames = max(0, steps - longest_delay)  # the last streams finish this much later
#     return frames * 0.08, frames * 1280
# ```
#
# </details>
#
# **Exercise 00-2: where the waiting goes** · practice · difficulty ●○○○○ (1 of 5) · about 5 minutes · 1 point · needs dict, loop
#
# Make the timeline of the figure above from the lengths of its parts: each begins when the one before has ended.
#
# <details><summary>Hint 1, a question</summary>
#
# When the second part begins, how much time has passed?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Keep the time that has passed in a variable, and loop over `parts.items()`.
#
# <details><summary>Hint 3, almost the code</summary>
#
# Append (name, now, now + length); then add length to now.
#
# </details>
# </details>
# </details>

# %%
# Exercise 00-2: your code
def timeline(parts):
    """Dict from part to milliseconds, in order -> list of (part, start, end), end to end."""
    raise NotImplementedError("your code here")

# %%
check("00-2", timeline)

# %% [markdown]
# <details>
# <summary>A solution of 00-2</summary>
#
# ```python
# def timeline(parts):
#     """Dict from part to milliseconds, in order -> list of (part, start, end), end to end."""
#     rows, now = [], 0.0
#     for name, length in parts.items():
#         rows.append((name, now, now + length))
#         now += length
#     return rows
# ```
#
# </details>
#
# **Exercise 00-3: a fair score** · practice · difficulty ●○○○○ (1 of 5) · about 10 minutes · 1 point · needs dict, loop
#
# Score a list of answers skill by skill. An answer is right when all its words are, in their order. A refusal is not wrong to give, but it is no right answer.
#
# <details><summary>Hint 1, a question</summary>
#
# If refusals left the count, how could a lazy model get a perfect score?
#
# <details><summary>Hint 2, a nudge</summary>
#
# Two dicts, from skill to a count: asked, and right. `dict.get(skill, 0)` starts at zero.
#
# <details><summary>Hint 3, almost the code</summary>
#
# For each reply: one more asked, one more right if given equals wanted. Divide at the end, for every skill that was asked.
#
# </details>
# </details>
# </details>

# %%
# Exercise 00-3: your code
def score(replies):
    """List of (skill, right answer, given answer or None if refused) -> dict from skill to share right."""
    raise NotImplementedError("your code here")

# %%
check("00-3", score)

# %% [markdown]
# <details>
# <summary>A solution of 00-3</summary>
#
# ```python
# def score(replies):
#     """List of (skill, right answer, given answer or None if refused) -> dict from skill to share right."""
#     right, asked = {}, {}
#     for skill, wanted, given in replies:
#         asked[skill] = asked.get(skill, 0) + 1
#         right[skill] = right.get(skill, 0) + (given == wanted)
#     return {skill: right[skill] / asked[skill] for skill in asked}
# ```
#
# </details>
#
# ## What this run has shown

# %%
metrics = record["metrics"]
print(f"- Of {len(questions)} spoken questions it answered {sum(right_written)} right in writing, "
      f"{sum(right_sound)} in sound.")
of_all, in_text, in_sound = (metrics[name] for name in ("counts", "spoken_qa_text", "spoken_qa_speech"))
print(f"  Over {of_all['spoken_questions']} questions its record says {percent(in_text)} and {percent(in_sound)},")
print(f"  where chance is {percent(metrics['chance']['spoken_qa_text'])}.")
print(f"- Of {len(strange)} sounds that it was not made for, it refused {refusals}: {NOT_UNDERSTOOD}.")
print(f"- Learning to speak cost {percent(drop['covered'])} of the text skills that were repeated")
print(f"  and {percent(drop['uncovered'])} of those that were not.")
print(f"- Half of its answers begin to sound within {metrics['first_audio_ms']['p50']:.0f} ms.")
print("- Hearing, prompt, steps and codec, called by hand, gave the library's one-row answer.")

# %% [markdown]
# ## References
#
# - Shao et al. (2025), [DeepOmni: Towards Seamless and Smart Speech Interaction with Adaptive Modality-Specific MoE](https://arxiv.org/abs/2506.21864):
#   the paper that this book rebuilds; its first versions are titled DeepTalk.
# - Xie and Wu (2024), [Mini-Omni: Language Models Can Hear, Talk While Thinking in Streaming](https://arxiv.org/abs/2408.16725): text and sound in parallel.
# - Défossez et al. (2024), [Moshi: a speech-text foundation model for real-time dialogue](https://arxiv.org/abs/2410.00037): another way to do it, at scale.
#
# Next: [chapter 01, a world small enough to know](01_world.ipynb).

# %%
chapter.footer()
