"""Examples written out by hand: where each word and each code stands in every layout, and what the loss is on."""

import pytest
import torch

from minideeptalk.errors import LearnerError
from minideeptalk.experts.recorder import Modality
from minideeptalk.model import AudioToken
from minideeptalk.tasks import IGNORE, SpokenAnswer

NAMES = {8 + token: token.name for token in AudioToken} | {IGNORE: "-"}


def said(streams=1):
    """ "red cat" in four frames 0 1 2 3, "cat" from frame 3 on; every stream says the frame's number."""
    return torch.arange(4)[:, None].expand(4, streams)


def spoken(tiny, streams=1, **choices):
    builder = tiny.builder(num_codebooks=streams, **choices)
    answer = SpokenAnswer(tuple(tiny.tokenizer.encode("red cat")), said(streams), (0, 3))
    return builder.speak(("red", "cat"), "happy", answer)


def table(tiny, example):
    """The example as lines: step, word in, word wanted, elapsed, codes in, codes wanted. `-` is no target."""
    lines = []
    for step in range(len(example)):
        wanted = example.text_target[step]
        cells = [tiny.tokenizer.words[example.text[step]], "-" if wanted == IGNORE else tiny.tokenizer.words[wanted]]
        cells.append(str(example.elapsed[step]) if example.elapsed else "none")
        for codes in (example.codes[step], example.code_target[step]):
            cells.append(",".join(NAMES.get(code, str(code)) for code in codes.tolist()))
        lines.append(" ".join(cells))
    return lines


def expected(text):
    return [" ".join(line.split()) for line in text.strip().splitlines()]


# ---- layouts -----------------------------------------------------------------------------------------------------------


def test_held_keeps_the_word_in_the_input_while_it_sounds_and_counts_its_steps(tiny):
    """Every word stands one step before its first sound; the loss still wants <wait> while nothing new is to be said."""
    assert table(tiny, spoken(tiny, layout="held", delay="none")) == expected("""
        <user>       -       0   PAD        -
        say          -       0   PAD        -
        red          -       0   PAD        -
        cat          -       0   PAD        -
        <assistant>  red     0   SAY_HAPPY  -
        red          <wait>  1   PAD        0
        red          <wait>  2   0          1
        red          cat     3   1          2
        cat          <end>   1   2          3
        <end>        -       2   3          EOA
    """)


def test_aligned_says_the_word_once_and_then_waits(tiny):
    assert table(tiny, spoken(tiny, layout="aligned", delay="none")) == expected("""
        <user>       -       none   PAD        -
        say          -       none   PAD        -
        red          -       none   PAD        -
        cat          -       none   PAD        -
        <assistant>  red     none   SAY_HAPPY  -
        red          <wait>  none   PAD        0
        <wait>       <wait>  none   0          1
        <wait>       cat     none   1          2
        cat          <end>   none   2          3
        <end>        -       none   3          EOA
    """)


def test_ahead_says_all_text_first_and_leaves_its_padding_out_of_the_loss(tiny):
    """The paper's layout with its delay: stream i lags i + 1, and each stream ends with its own EOA."""
    assert table(tiny, spoken(tiny, streams=3, layout="ahead", delay="stream")) == expected("""
        <user>       -      none   PAD,PAD,PAD                    -,-,-
        say          -      none   PAD,PAD,PAD                    -,-,-
        red          -      none   PAD,PAD,PAD                    -,-,-
        cat          -      none   PAD,PAD,PAD                    -,-,-
        <assistant>  red    none   SAY_HAPPY,SAY_HAPPY,SAY_HAPPY  -,-,-
        red          cat    none   PAD,PAD,PAD                    0,-,-
        cat          <end>  none   0,PAD,PAD                      1,0,-
        <end>        -      none   1,0,PAD                        2,1,0
        <wait>       -      none   2,1,0                          3,2,1
        <wait>       -      none   3,2,1                          EOA,3,2
        <wait>       -      none   EOA,3,2                        -,EOA,3
        <wait>       -      none   PAD,EOA,3                      -,-,EOA
    """)


def test_with_longer_delays_the_end_stays_in_the_held_input_until_the_last_stream_has_ended(tiny):
    assert table(tiny, spoken(tiny, streams=2, layout="held", delay="stream"))[5:] == expected("""
        red    <wait>  1   PAD,PAD   0,-
        red    <wait>  2   0,PAD     1,0
        red    cat     3   1,0       2,1
        cat    <end>   1   2,1       3,2
        <end>  -       2   3,2       EOA,3
        <end>  -       3   EOA,3     -,EOA
    """)


def test_more_words_ahead_than_steps_of_speech_are_refused(tiny):
    builder = tiny.builder(layout="ahead", delay="none")

    def speak(words, frames):
        return builder.speak(("red",), "sad", SpokenAnswer(tuple(range(10, 10 + words)), torch.zeros(frames, 7, dtype=torch.long), ()))

    assert speak(8, 7).text_target[-1] == builder.end  # eight words and <end> just fit into seven frames, EOA and the lag
    with pytest.raises(LearnerError, match="speech that lasts at least as long as its text, got 10 words for 9 steps"):
        speak(9, 7)


@pytest.mark.parametrize("layout", ["aligned", "held"])
@pytest.mark.parametrize("starts", [(1, 3), (0, 0), (0, 4), (3, 0), (0,), ()])
def test_words_that_do_not_each_start_inside_the_speech_are_refused_where_that_counts(tiny, starts, layout):
    answer = SpokenAnswer(tuple(tiny.tokenizer.encode("red cat")), said(7), starts)
    with pytest.raises(LearnerError, match="one start for each word, rising from 0"):
        tiny.builder(layout=layout).speak(("red", "cat"), "sad", answer)
    assert tiny.builder(layout="ahead").speak(("red", "cat"), "sad", answer)


# ---- prompts -----------------------------------------------------------------------------------------------------------


def test_a_heard_question_stands_between_boa_and_eoa_and_its_task_on_the_last_step(tiny):
    builder = tiny.builder()
    example = builder.heard_prompt(tiny.frames(3), AudioToken.MIRROR)
    assert tiny.tokenizer.decode(example.text) == ["<user>", *["<audio>"] * 5, "<assistant>"]
    for stream in range(7):
        assert [NAMES[code] for code in example.codes[:, stream].tolist()] == ["PAD", "BOA", "PAD", "PAD", "PAD", "EOA", "MIRROR"]
    assert example.frame_start == 2  # the frames take the steps after BOA
    kinds = [Modality(kind).name for kind in example.modality]
    assert kinds == ["TEXT_PROMPT", *["AUDIO_PROMPT"] * 5, "TEXT_PROMPT"]


def test_a_style_that_cannot_be_spoken_is_explained_with_those_that_can(tiny):
    with pytest.raises(LearnerError, match="a style out of neutral, happy, sad, angry, got 'excited'"):
        tiny.builder().say_prompt(["red"], "excited")


def test_a_written_chat_has_no_codec_row_at_all(tiny):
    example = tiny.builder().chat(("say", "red"), ("red",))
    assert example.codes is None and example.code_target is None and example.frames is None and example.elapsed is None
    assert tiny.tokenizer.decode(example.text) == ["<user>", "say", "red", "<assistant>", "red"]
    assert example.text_target == [IGNORE, IGNORE, IGNORE, *tiny.tokenizer.encode(["red", "<end>"])]
    assert [Modality(kind).name for kind in example.modality] == ["TEXT_PROMPT"] * 4 + ["TEXT_ANSWER"]


TASKS = {
    "chat": lambda b, t: b.chat(("say", "red"), ("red",)),
    "recognise": lambda b, t: b.recognise(t.frames(3), ("say", "red")),
    "speak": lambda b, t: b.speak(("red", "cat", "box"), "sad", t.answer()),
    "answer_in_text": lambda b, t: b.answer_in_text(t.frames(3), ("red",)),
    "answer_aloud": lambda b, t: b.answer_aloud(t.frames(3), t.answer()),
    "mirror": lambda b, t: b.mirror(t.frames(3), t.answer()),
    "name_style": lambda b, t: b.name_style(t.frames(3), "angry"),
}
TRIGGERS = {"recognise": "TRANSCRIBE", "speak": "SAY_SAD", "answer_in_text": "PAD", "answer_aloud": "ANSWER", "mirror": "MIRROR",
            "name_style": "NAME_STYLE"}
EVERY = pytest.mark.parametrize("task", TASKS)
LAYOUTS = pytest.mark.parametrize("layout, delay", [("ahead", "stream"), ("aligned", "level"), ("held", "none")])


@EVERY
@LAYOUTS
def test_no_target_stands_on_the_prompt_but_on_its_last_step(tiny, task, layout, delay):
    builder = tiny.builder(layout=layout, delay=delay)
    example = TASKS[task](builder, tiny)
    prompt = example.text.index(builder.assistant)
    assert set(example.text_target[:prompt]) == {IGNORE} and example.text_target[prompt] != IGNORE
    assert builder.end in example.text_target
    if example.code_target is not None:
        assert (example.code_target[:prompt + 1] == IGNORE).all()  # a sound comes a step after its word at the earliest


@EVERY
@LAYOUTS
def test_all_rows_of_an_example_are_equally_long(tiny, task, layout, delay):
    example = TASKS[task](tiny.builder(layout=layout, delay=delay), tiny)
    rows = [example.text_target, example.modality, example.codes, example.code_target, example.elapsed]
    assert {len(row) for row in rows if row is not None} == {len(example)}
    assert example.task == task


@pytest.mark.parametrize("task, trigger", TRIGGERS.items())
def test_the_last_prompt_step_says_what_is_wanted(tiny, task, trigger):
    example = TASKS[task](tiny.builder(), tiny)
    codes = example.codes[example.text.index(tiny.builder().assistant)]
    assert {NAMES[code] for code in codes.tolist()} == {trigger}


@EVERY
def test_what_the_decoder_reads_is_what_it_had_to_say_a_step_before(tiny, task):
    """Teacher forcing: after the prompt, each codec row in is the row wanted a step before, PAD where nothing was wanted."""
    builder = tiny.builder(layout="ahead", delay="stream")
    example = TASKS[task](builder, tiny)
    prompt = example.text.index(builder.assistant)
    if example.code_target is not None:
        wanted = example.code_target[prompt:-1]
        assert torch.equal(example.codes[prompt + 1:], wanted.masked_fill(wanted == IGNORE, builder.silence))
    words = [word for word in example.text_target[prompt:-1] if word != IGNORE]
    assert example.text[prompt + 1:][:len(words)] == words
