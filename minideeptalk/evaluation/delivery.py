"""How the model delivers a requested text: understood by two listeners, with how much melody, and how long.

A reward that knows word errors alone can be bought with a monotonous or a drawling voice, or by speaking to one judge.  So
beside the judge stands the model's own ear, another network that was trained on other voices; pitch is measured on the
sound, and length against the original recording of the same words (chapter 11).
"""

from __future__ import annotations

import numpy as np
import torch

from minideeptalk.evaluation.spoken import Examiners, trained_texts
from minideeptalk.hearing.metrics import edit_distance, word_error_rate
from minideeptalk.inference.decoding import speak
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.speech.features import LogMel
from minideeptalk.speech.pitch import pitch
from minideeptalk.tasks import ExampleBuilder, SpokenReply, SpokenSet


def melody(waveforms: list[torch.Tensor]) -> float | None:
    """Standard deviation of the logarithm of the pitch inside an utterance, averaged over utterances; None without a voice.

    0.12 is about two semitones up or down.
    """
    tracks = [pitch(waveform).track for waveform in waveforms]
    spreads = [float(np.log(track[~np.isnan(track)]).std()) for track in tracks if (~np.isnan(track)).sum() > 1]
    return sum(spreads) / len(spreads) if spreads else None


def listened(waveforms: list[torch.Tensor], texts: list[tuple[str, ...]], examiners: Examiners, ear) -> dict:
    """`judge_wer`, `ear_wer`, their number of `errors` by utterance as the judge counts them, and `f0_spread`."""
    heard = examiners.judge.transcribe(waveforms)
    log_mel = LogMel()
    by_ear = [hearing.words for hearing in ear.listen([log_mel(waveform) for waveform in waveforms])]
    errors = [edit_distance(list(words), transcript.split()) for words, transcript in zip(texts, heard)]
    return {"judge_wer": word_error_rate(texts, heard), "ear_wer": word_error_rate(texts, by_ear),
            "errors": errors, "f0_spread": melody(waveforms)}


def delivery(model, builder: ExampleBuilder, examiners: Examiners, ear, train: SpokenSet, held_out: SpokenSet,
             count: int) -> dict[str, dict]:
    """The model on `trained` texts and on `unseen` ones, and the `original` recordings of the latter through the codec.

    Returns:
        for each of the three `judge_wer`, `ear_wer`, `f0_spread`, `length_ratio` (frames over those of the original) and
        `errors`, the judge's word errors in each utterance.
    """
    unseen = held_out.replies[:count]
    results = {}
    for name, replies in (("trained", trained_texts(train, unseen)), ("unseen", unseen)):
        prompts = [builder.say_prompt(reply.words, reply.style) for reply in replies]
        answers = speak(model, builder, prompts, decoder=ParallelDecoder)
        results[name] = listened(examiners.sounds(answers), [reply.words for reply in replies], examiners, ear)
        results[name]["length_ratio"] = sum(len(answer.codes) for answer in answers) / _frames(replies)
    originals = examiners.decoded([reply.codes for reply in unseen])
    results["original"] = listened(originals, [reply.words for reply in unseen], examiners, ear) | {"length_ratio": 1.0}
    return results


def _frames(replies: list[SpokenReply]) -> int:
    return sum(len(reply.codes) for reply in replies)


def paired_interval(before: list[int], after: list[int], words: int, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the change of a word error rate: utterances drawn again with replacement, the same for both.

    Args:
        before, after: word errors in each utterance. words: requested words in all of them.
    """
    change = np.array(after) - np.array(before)
    chosen = np.random.default_rng(seed).integers(0, len(change), (draws, len(change)))
    low, high = np.quantile(change[chosen].sum(axis=1) / words, (0.025, 0.975))
    return float(low), float(high)
