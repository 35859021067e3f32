"""Speech is judged by what the judge hears against what was asked for; fakes stand for codec and judges."""

import random
from types import SimpleNamespace

import pytest
import torch

from minideeptalk.config import EvaluationConfig
from minideeptalk.evaluation.latency import first_audio
from minideeptalk.evaluation.spoken import Examiners, evaluate_speech, recognition, speaking, speaking_wer, spoken_questions, style
from minideeptalk.inference.decoding import Answer
from minideeptalk.inference.talker import LATENCY_PARTS
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import SpokenSet
from minideeptalk.world import FAMILIES, speaking_text


class Fakes:
    """A codec whose sound is the codes themselves, and judges that hear what `hear(codes)` and `feel(codes)` say."""

    step_samples = 1280

    def __init__(self, hear=lambda codes: "red cat", feel=lambda codes: "sad"):
        self.hear, self.feel = hear, feel

    def decode(self, codes):
        return codes

    def transcribe(self, sounds):
        return [self.hear(sound) for sound in sounds]

    def classify(self, sounds):
        return [self.feel(sound) for sound in sounds]

    def examiners(self):
        return Examiners(self, self, self)


def material(tiny):
    """Replies of two splits, told apart by their codes: train 1, test 2; and questions, the last by the held-out voice."""
    rng, sets = random.Random(0), {}
    for number, split in enumerate(("train", "test"), start=1):
        replies = {speaking_text(rng, split, (2, 3)): None for _ in range(12)}
        sets[split] = SpokenSet(tiny.spoken_set(10).questions, [tiny.reply(words, "happy") for words in replies])
        for reply in sets[split].replies:
            reply.codes[:] = number
    sets["test"].questions[-1].voice = HELD_OUT_VOICE.name
    return sets["train"], sets["test"]


def test_the_error_rate_is_that_of_the_requested_text_whatever_the_models_own_text_says(tiny, monkeypatch):
    """The model writes "box hat" and the judge hears "red cat": right where "red cat" was asked for, wrong elsewhere."""
    said = Answer(["box", "hat"], torch.ones(4, 7, dtype=torch.long), [0, 2], True)
    monkeypatch.setattr("minideeptalk.evaluation.spoken.speak", lambda model, builder, prompts, decoder: [said] * len(prompts))

    def wer(*texts):
        return speaking_wer(tiny.model(), tiny.builder(), Fakes().examiners(), [(words, "sad") for words in texts])

    assert wer(("red", "cat")) == 0.0 and wer(("box", "hat")) == 1.0 and wer(("red", "cat"), ("red", "hat")) == 0.25


def test_a_model_that_says_nothing_is_judged_on_silence():
    heard = []
    fakes = Fakes(hear=lambda sound: heard.append(sound) or "")
    nothing = Answer([], torch.zeros(0, 7, dtype=torch.long), [], True)
    fakes.transcribe(fakes.examiners().sounds([nothing]))
    assert heard[0].shape == (1280,) and heard[0].abs().sum() == 0


def test_trained_and_unseen_texts_are_equally_long_and_the_ceiling_is_the_original_through_the_codec(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr("minideeptalk.evaluation.spoken.speaking_wer",
                        lambda model, builder, examiners, texts, decoder: asked.append([words for words, _ in texts]) or 0.5)
    train, test = material(tiny)
    heard = iter([" ".join(reply.words) for reply in test.replies[:5]])
    codes = []
    scores = speaking(None, None, Fakes(hear=lambda sound: codes.append(sound) or next(heard)).examiners(), train, test, 5, 5)
    trained, unseen = asked
    assert scores == {"trained": 0.5, "unseen": 0.5, "codec_wer": 0.0}
    assert [len(words) for words in trained] == [len(words) for words in unseen]
    assert unseen == [reply.words for reply in test.replies[:5]] and set(trained) <= {reply.words for reply in train.replies}
    assert all((sound == 2).all() for sound in codes)  # the ceiling rests on originals of the unseen texts


def test_an_answer_counts_as_spoken_when_the_judge_hears_it(tiny):
    """A judge that always hears the answer of the first question."""
    model, builder = tiny.model(), tiny.builder()
    questions = tiny.spoken_set(5).questions
    aloud = " ".join(questions[0].item.answer)
    result = spoken_questions(model, builder, Fakes(hear=lambda codes: aloud).examiners(), questions)
    solved = [" ".join(question.item.answer) == aloud for question in questions]
    assert result["spoken_qa_speech"] == pytest.approx(sum(solved) / 5) and result["spoken_qa_speech"] > 0
    assert result["spoken_qa_text"] == 0.0  # a random model, in writing
    assert result["chance"] == pytest.approx(sum(FAMILIES[question.item.family].chance for question in questions) / 5)
    assert set(result["by_family"]["speech"]) == {question.item.family for question in questions}


def test_the_ear_alone_is_reported_beside_the_model_that_listens_through_it(tiny):
    questions = tiny.spoken_set(4).questions
    scores = recognition(tiny.model(), tiny.builder(), questions)
    assert scores["ear_wer"] == 0.0 and scores["asr_wer"] > 0.5  # the invented ear hears all, the random model writes nonsense
    questions[0].heard = ()
    assert recognition(tiny.model(), tiny.builder(), questions)["ear_wer"] == pytest.approx(
        len(questions[0].item.question) / sum(len(question.item.question) for question in questions))


def test_style_has_the_judge_on_originals_as_its_ceiling(tiny):
    questions = tiny.spoken_set(8).questions  # every style twice
    _, test = material(tiny)
    scores = style(tiny.model(), tiny.builder(), Fakes(feel=lambda codes: "happy").examiners(), questions, test.replies)
    assert scores["mirrored"] == 0.25 and scores["ceiling"] == 1.0


def test_the_voice_that_was_never_trained_is_measured_apart(tiny):
    train, test = material(tiny)
    result = evaluate_speech(tiny.model(), tiny.builder(), Fakes().examiners(), train, test, EvaluationConfig(spoken_answers=3))
    assert set(result) == {"recognition", "questions", "speaking", "stranger", "style"}
    assert set(result["stranger"]) == {"asr_wer", "ear_wer", "spoken_qa_text"}


def test_latency_leaves_out_the_warm_up_and_what_was_not_understood():
    def reply(milliseconds, understood=True):
        return SimpleNamespace(understood=understood, latency_ms={part: milliseconds for part in LATENCY_PARTS}, real_time_factor=0.1)

    replies = iter([reply(900), reply(900), reply(10), reply(20), reply(None, False), reply(30)])
    measured = first_audio(SimpleNamespace(answer=lambda waveform: next(replies)), [None] * 6)
    assert measured["runs"] == 3 and measured["p50"] == 20 * len(LATENCY_PARTS) and measured["p90"] == 30 * len(LATENCY_PARTS)
    assert measured["parts"] == {part: 20 for part in LATENCY_PARTS} and measured["real_time_factor"] == 0.1


def test_latency_of_a_talker_that_understands_nothing_is_unknown_and_not_an_error():
    silent = SimpleNamespace(answer=lambda waveform: SimpleNamespace(understood=False))
    assert first_audio(silent, [None] * 4) == {"parts": {}, "p50": None, "p90": None, "real_time_factor": None, "runs": 0}
