"""What the model hears and says, on held-out material: recognition, spoken questions, speaking, style.

Speech is examined by a frozen judge against the *requested* text, never against the model's own text stream, and every
number has its ceiling beside it: the same judge on original recordings that went through the codec.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch

from minideeptalk.config import EvaluationConfig
from minideeptalk.evaluation.sound_workers import SoundWorkers
from minideeptalk.evaluation.text_skills import answers_right
from minideeptalk.hearing.metrics import word_error_rate
from minideeptalk.inference.decoding import Answer, SpokenDecoder, answer_in_text, speak
from minideeptalk.inference.parallel import ParallelDecoder
from minideeptalk.model import AudioToken
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import ExampleBuilder, SpokenQuestion, SpokenReply, SpokenSet
from minideeptalk.world import FAMILIES, SPEAKABLE


def _share(solved: list[bool]) -> float:
    return sum(solved) / len(solved)


@dataclass
class Examiners:
    """The frozen helpers that turn codes into sound and judge it: codec, judge of words, judge of style.

    `workers` decode the codec's codes in processes of their own; None decodes here.
    """

    codec: object
    judge: object
    style_judge: object
    workers: SoundWorkers | None = None

    def decoded(self, tables: list[torch.Tensor]) -> list[torch.Tensor]:
        """Codes (T, Q), T >= 1 -> waveforms."""
        return self.workers.decode(tables) if self.workers else [self.codec.decode(codes) for codes in tables]

    def sounds(self, answers: list[Answer]) -> list[torch.Tensor]:
        """Waveforms of spoken answers; silence of one step where nothing was said."""
        sounding = iter(self.decoded([answer.codes for answer in answers if len(answer.codes)]))
        return [next(sounding) if len(answer.codes) else torch.zeros(self.codec.step_samples) for answer in answers]


def recognition(model, builder: ExampleBuilder, questions: list[SpokenQuestion]) -> dict[str, float]:
    """`asr_wer` of the model's transcripts and `ear_wer` of the ear alone."""
    prompts = [builder.heard_prompt(question.frames, AudioToken.TRANSCRIBE) for question in questions]
    written = [answer.words for answer in answer_in_text(model, builder, prompts)]
    references = [question.item.question for question in questions]
    return {"asr_wer": word_error_rate(references, written),
            "ear_wer": word_error_rate(references, [question.heard for question in questions])}


def spoken_questions(model, builder: ExampleBuilder, examiners: Examiners, questions: list[SpokenQuestion],
                     decoder: type[SpokenDecoder] = ParallelDecoder) -> dict:
    """Spoken questions answered in text and aloud, by exact match, with chance and the same questions typed.

    Returns:
        `spoken_qa_text`, `spoken_qa_speech`, `typed` and `chance`, and the first two `by_family`.
    """
    written = answers_right(model, builder, [builder.answer_in_text(q.frames, q.item.answer) for q in questions])
    typed = answers_right(model, builder, [builder.chat(q.item.question, q.item.answer) for q in questions])
    answers = speak(model, builder, [builder.heard_prompt(q.frames, AudioToken.ANSWER) for q in questions], decoder=decoder)
    transcripts = examiners.judge.transcribe(examiners.sounds(answers))
    spoken = [text.split() == list(q.item.answer) for text, q in zip(transcripts, questions)]
    said = [tuple(answer.words) == q.item.answer for answer, q in zip(answers, questions)]

    def by_family(solved):
        rows = {}
        for question, right in zip(questions, solved):
            rows.setdefault(question.item.family, []).append(right)
        return {family: _share(row) for family, row in rows.items()}

    return {
        "spoken_qa_text": _share(written), "spoken_qa_speech": _share(spoken),
        "text_beside_speech": _share(said), "typed": _share(typed),
        "chance": sum(FAMILIES[q.item.family].chance for q in questions) / len(questions),
        "by_family": {"text": by_family(written), "speech": by_family(spoken)},
    }


def speaking_wer(model, builder: ExampleBuilder, examiners: Examiners, texts: list[tuple[tuple[str, ...], str]],
                 decoder: type[SpokenDecoder] = ParallelDecoder) -> float:
    """Word error rate of requested (words, style) pairs, said by the model and read by the judge."""
    prompts = [builder.say_prompt(words, style) for words, style in texts]
    transcripts = examiners.judge.transcribe(examiners.sounds(speak(model, builder, prompts, decoder=decoder)))
    return word_error_rate([words for words, _ in texts], transcripts)


def trained_texts(train: SpokenSet, unseen: list[SpokenReply], seed: int = 0) -> list[SpokenReply]:
    """As many replies of the training set as `unseen` has, each as long as the other in words."""
    rng, by_length = random.Random(seed), {}
    for reply in train.replies:
        if all(word in SPEAKABLE for word in reply.words):
            by_length.setdefault(len(reply.words), []).append(reply)
    return [rng.choice(by_length[len(reply.words)]) for reply in unseen]


def speaking(model, builder: ExampleBuilder, examiners: Examiners, train: SpokenSet, test: SpokenSet,
             count: int, ceilings: int, seed: int = 0, decoder: type[SpokenDecoder] = ParallelDecoder) -> dict[str, float]:
    """Speaking on texts that were trained and on word combinations that never were, of the same lengths, and the ceiling.

    Returns:
        `trained` and `unseen` WER, and `codec_wer`: originals of the first `ceilings` unseen texts, through the codec.
    """
    unseen = test.replies[:count]
    trained = trained_texts(train, unseen, seed)
    copied = unseen[:ceilings]
    originals = examiners.decoded([reply.codes for reply in copied])
    return {
        "trained": speaking_wer(model, builder, examiners, [(reply.words, reply.style) for reply in trained], decoder),
        "unseen": speaking_wer(model, builder, examiners, [(reply.words, reply.style) for reply in unseen], decoder),
        "codec_wer": word_error_rate([reply.words for reply in copied], examiners.judge.transcribe(originals)),
    }


def style(model, builder: ExampleBuilder, examiners: Examiners, questions: list[SpokenQuestion],
          replies: list, decoder: type[SpokenDecoder] = ParallelDecoder) -> dict[str, float]:
    """Style of a question named (`recognised`) and copied in the answer (`mirrored`), with the style judge's `ceiling`."""
    named = answers_right(model, builder, [builder.name_style(q.frames, q.style) for q in questions])
    prompts = [builder.heard_prompt(q.frames, AudioToken.MIRROR) for q in questions]
    heard = examiners.style_judge.classify(examiners.sounds(speak(model, builder, prompts, decoder=decoder)))
    ceiling = examiners.style_judge.classify(examiners.decoded([reply.codes for reply in replies]))
    return {
        "recognised": _share(named),
        "mirrored": _share([found == q.style for found, q in zip(heard, questions)]),
        "ceiling": _share([found == reply.style for found, reply in zip(ceiling, replies)]),
    }


def evaluate_speech(model, builder: ExampleBuilder, examiners: Examiners, train: SpokenSet, test: SpokenSet,
                    config: EvaluationConfig, decoder: type[SpokenDecoder] = ParallelDecoder) -> dict:
    """Every spoken ability, on voices that were trained; `stranger` is the voice that never was.

    `decoder` is how speech is decoded: in two rows, as the paper and `talk` do, in one (`SpokenDecoder`), or a rival's way.
    """
    questions = [question for question in test.questions if question.voice != HELD_OUT_VOICE.name][:config.spoken_questions]
    stranger = [question for question in test.questions if question.voice == HELD_OUT_VOICE.name]
    return {
        "recognition": recognition(model, builder, questions),
        "questions": spoken_questions(model, builder, examiners, questions, decoder),
        "speaking": speaking(model, builder, examiners, train, test, config.spoken_answers, config.ceilings, decoder=decoder),
        "stranger": recognition(model, builder, stranger) | {
            "spoken_qa_text": _share(answers_right(model, builder, [builder.answer_in_text(q.frames, q.item.answer) for q in stranger]))},
        "style": style(model, builder, examiners, questions[:config.ceilings], test.replies[:config.ceilings], decoder),
    }
