"""Who is asked what when speech is evaluated: trained voices for the headline, the stranger apart, each split as named."""

from minideeptalk.config import EvaluationConfig
from minideeptalk.evaluation import spoken as module
from minideeptalk.evaluation.spoken import evaluate_speech
from minideeptalk.speech.voices import HELD_OUT_VOICE


def test_the_voice_that_was_never_trained_is_measured_apart_and_every_split_is_the_one_it_says(tiny, monkeypatch):
    train, test = tiny.spoken_set(8), tiny.spoken_set(9, seed=1)
    test.questions[1].voice = test.questions[-1].voice = HELD_OUT_VOICE.name
    asked = {}

    def note(name, found):
        return lambda model, builder, *given, **_: asked.setdefault(name, []).append(given) or found

    for name, found in (("recognition", {"asr_wer": 0.1}), ("spoken_questions", {}), ("speaking", {}), ("style", {}), ("answers_right", [True])):
        monkeypatch.setattr(module, name, note(name, found))
    evaluate_speech(None, tiny.builder(), "examiners", train, test, EvaluationConfig(spoken_questions=4, spoken_answers=3, ceilings=2))
    trained, stranger = [test.questions[0], *test.questions[2:5]], [test.questions[1], test.questions[-1]]
    assert asked["recognition"] == [(trained,), (stranger,)]
    assert asked["spoken_questions"][0][1] == trained and len(asked["answers_right"][0][0]) == len(stranger)
    assert asked["speaking"][0][1] is train and asked["speaking"][0][2] is test and asked["speaking"][0][3:5] == (3, 2)
    assert asked["style"][0][1:3] == (trained[:2], test.replies[:2])
