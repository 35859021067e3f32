"""Tiny models and invented material that the rooms model, tasks, training, inference and evaluation share: no network, no speech."""

import os
import random
import shutil

import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--autoplay-policy=no-user-gesture-required"]


class Tiny:
    """Makes models of width 16 (three layers, eight experts, two chosen) and examples to go with them, all from seeds."""

    words = ("red", "cat", "box", "hat", "leo", "mia", "four", "nine")

    def __init__(self):
        from minideeptalk.world import Tokenizer

        self.tokenizer = Tokenizer()

    def config(self, **choices):
        from minideeptalk.model import DeepTalkConfig

        sizes = {"vocab_size": len(self.tokenizer), "codebook_size": 8, "ear_width": 6, "width": 16, "layers": 3, "heads": 2,
                 "dense_hidden": 24, "experts": 8, "experts_per_token": 2, "expert_hidden": 8}
        return DeepTalkConfig(**{**sizes, **choices})

    def size(self, updates=2):
        """A size of the dial for such models: `updates` of four examples in every stage, two test items a family."""
        from dataclasses import replace

        from minideeptalk.config import ModelSize, StageLengths, size_config

        nano = size_config("nano")
        lengths = dict.fromkeys(("pretrain", "align", "audio_experts", "text_experts", "joint"), updates)
        return replace(nano, ear=replace(nano.ear, width=6), codec=replace(nano.codec, codebook_size=8),
                       model=ModelSize(width=16, layers=3, heads=2, dense_hidden=24, experts=12, experts_per_token=2, expert_hidden=8,
                                       audio_experts=3),
                       stages=StageLengths(**lengths, text_batch=4, speech_batch=4), evaluation=replace(nano.evaluation, text_items=2))

    def model(self, seed=0, **choices):
        import torch

        from minideeptalk.model import DeepTalkModel

        torch.manual_seed(seed)
        return DeepTalkModel(self.config(**choices))

    def builder(self, **choices):
        from minideeptalk.tasks import ExampleBuilder

        return ExampleBuilder(self.config(**choices), self.tokenizer)

    def frames(self, count, seed=0):
        """What the ear made of a question: (count, ear width)."""
        import torch

        return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)).half().float()

    def reply(self, words=("red", "cat", "box"), style="neutral", seed=0):
        """A synthesised reply of two frames a word."""
        import torch

        from minideeptalk.tasks import SpokenReply

        codes = torch.randint(0, 8, (2 * len(words), 7), generator=torch.Generator().manual_seed(seed))
        return SpokenReply(tuple(words), style, codes, tuple(range(0, 2 * len(words), 2)))

    def answer(self, words=("red", "cat", "box"), seed=0):
        """The same as the builder wants it, with word ids."""
        from minideeptalk.tasks import SpokenAnswer

        reply = self.reply(words, seed=seed)
        return SpokenAnswer(tuple(self.tokenizer.encode(words)), reply.codes, reply.starts)

    def spoken_set(self, questions=12, seed=0):
        """Questions of the spoken families in a voice, each with its answers in two styles but for the last, never answered."""
        from minideeptalk.tasks import SpokenQuestion, SpokenSet
        from minideeptalk.world import FAMILIES

        rng, styles = random.Random(seed), ("neutral", "happy", "sad", "angry")
        spoken = [family for family in FAMILIES.values() if family.spoken]
        asked, replies = [], {}
        for number in range(questions):
            item, style = spoken[number % len(spoken)].sample(rng, "train"), styles[number % len(styles)]
            asked.append(SpokenQuestion(item, "aunt", style, self.frames(4 + number % 3, number), item.question))
            if number < questions - 1:
                for kind in ("neutral", style):
                    replies.setdefault((item.answer, kind), self.reply(item.answer, kind, len(replies)))
        return SpokenSet(asked, list(replies.values()))

    def batch(self, builder):
        """Every kind of example at once: written, heard, spoken; rows of unequal length."""
        from minideeptalk.tasks import collate

        return collate([
            builder.chat(("which", "is", "more", "four", "or", "nine"), ("nine",)),
            builder.recognise(self.frames(5), ("say", "red", "cat")),
            builder.speak(("red", "cat", "box"), "happy", self.answer()),
            builder.answer_aloud(self.frames(3, 1), self.answer(("leo", "hat"), 1)),
        ], builder.silence)


@pytest.fixture
def tiny():
    """`Tiny`, on one thread, so that sums are made in one order and runs can be compared bit for bit."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Tiny()
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests: playwright runs once in a process. Skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("no Chromium here: apt-get install chromium, or name it in CHROMIUM")
    with playwright.sync_playwright() as tool:
        running = tool.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()
