"""Models and prompts that the tests of decoding share: a model that re-reads everything, and one that says what it is told."""

from types import SimpleNamespace

import torch

from minideeptalk.model import AudioToken


def prompts(builder, tiny, trigger=AudioToken.ANSWER):
    """Three prompts of unequal length: written, heard, heard for longer."""
    return [builder.text_prompt(("say", "red", "cat"), AudioToken.SAY_SAD if trigger else AudioToken.PAD),
            builder.heard_prompt(tiny.frames(3), trigger), builder.heard_prompt(tiny.frames(7, 1), trigger)]


@torch.no_grad()
def endless(model):
    """A random model that never ends its text or its speech: it can hardly like a word of zeros best."""
    model.embedding.text.weight[3] = 0.0
    model.audio_heads.projection.weight.view(7, -1, 16)[0, 8 + AudioToken.EOA] = 0.0
    return model


def same(one, other):
    """Whether two answers are equal in words, codes, starts and end."""
    codes = (one.codes is None and other.codes is None) or torch.equal(one.codes, other.codes)
    return codes and (one.words, one.starts, one.finished) == (other.words, other.starts, other.finished)


class Rereading:
    """A model without a cache: at every step it reads everything from the start again, in as many rows as the step has."""

    def __init__(self, model):
        self.model, self.read = model, {}

    def __getattr__(self, name):
        return getattr(self.model, name)

    def eval(self):
        return self

    def __call__(self, cache, **inputs):
        shape = inputs["text"].shape
        nothing = {"codes": torch.full((*shape, 7), 8 + AudioToken.PAD), "frames": torch.zeros(*shape, 6),
                   "frame_mask": torch.zeros(shape, dtype=torch.bool), "elapsed": torch.zeros(shape, dtype=torch.long)}
        for name, value in {**nothing, **inputs}.items():
            new = name == "attention_mask" or name not in self.read
            self.read[name] = value if new else torch.cat([self._rows(self.read[name], len(value)), value], dim=1)
        return self.model(**self.read)

    @staticmethod
    def _rows(read, rows):
        """What was read, for the first of its rows, or for each of them twice."""
        return read[:rows] if rows <= len(read) else torch.cat([read, read])


class Scripted:
    """Step by step it wants `words[step]` (B,) and, if given, `codes[step]` (B, Q); `seen` are the inputs that it got."""

    device = torch.device("cpu")

    def __init__(self, builder, words, codes=None):
        self.config, self.words, self.codes, self.seen = builder.config, words, codes, []

    def eval(self):
        return self

    def __call__(self, **inputs):
        self.seen.append(inputs)
        rows = torch.arange(len(inputs["text"]), dtype=torch.float)
        return SimpleNamespace(hidden=torch.stack([torch.full_like(rows, len(self.seen) - 1), rows], dim=-1)[:, None])  # (B, 1, 2)

    def text_logits(self, hidden):
        return torch.nn.functional.one_hot(self._wanted(self.words, hidden), self.config.vocab_size).float()

    def audio_logits(self, hidden):
        return torch.nn.functional.one_hot(self._wanted(self.codes, hidden), self.config.codebook_size + len(AudioToken)).float()

    def _wanted(self, script, hidden):
        step, rows = int(hidden[0, 0]), hidden[:, 1].long()
        return script[step][rows]
