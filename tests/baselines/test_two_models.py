"""Rivals of two models: the text model stays as it is, words pass from one to the other, and both are measured like any arm."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from minideeptalk.baselines.cascade import CASCADE, Cascade, Transcripts, with_synthesiser
from minideeptalk.baselines.experts_apart import EXPERTS_APART, groups
from minideeptalk.baselines.modular import (
    MODULAR,
    MODULAR_JOINED,
    ThinkAndSpeak,
    ThinkerTalker,
    Unmarked,
    as_written,
    heard_loss,
    talker_output,
    think_and_speak,
    with_talker,
    without_marks,
)
from minideeptalk.baselines.style_study import PLACES, style_finding
from minideeptalk.baselines.talkers import words_to_say
from minideeptalk.baselines.talking import open_run
from minideeptalk.cli import main
from minideeptalk.codec import PyramidCodec
from minideeptalk.config import CodecConfig, EvaluationConfig, size_config
from minideeptalk.evaluation.text_skills import answers_right
from minideeptalk.experts import Selection, find_experts
from minideeptalk.experts.partition import BACKBONE, parameters_of
from minideeptalk.hearing.ear import Ear
from minideeptalk.inference.decoding import answer_in_text, speak
from minideeptalk.model import AudioToken
from minideeptalk.model.checkpoints import load_stage
from minideeptalk.records import validate
from minideeptalk.speech.files import write_audio
from minideeptalk.speech.voices import HELD_OUT_VOICE
from minideeptalk.tasks import SpokenSet, collate
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.teaching.samples import shipped_run
from minideeptalk.training import profile, recipe, run
from minideeptalk.training.loop import train_stage
from minideeptalk.training.preparation import Tools
from minideeptalk.training.recipe import Recipe
from minideeptalk.training.stages import speech_stages
from minideeptalk.world import FAMILIES, Tokenizer

BOOK = Path(__file__).resolve().parents[2] / "book" / "records"
THREE = pytest.mark.parametrize("arm", [CASCADE, MODULAR, EXPERTS_APART], ids=lambda arm: arm.name)


@pytest.fixture(autouse=True)
def short_profile(monkeypatch):
    """Loads measured on a few examples: what they are does not matter here."""
    for module in (profile, recipe):
        monkeypatch.setattr(module, "profile_loads", partial(profile.profile_loads, batches=1, size=8))


def trained(tiny, folder, arm):
    made = Recipe(tiny.size(), folder, 0, arm, None, progress=False)
    return made, made.run_stages(made.pretrained(), {"train": tiny.spoken_set()})


def heard_prompts(builder, tiny, trigger=AudioToken.ANSWER):
    return [builder.heard_prompt(tiny.frames(count, count), trigger) for count in (3, 7)]


# ---- what stays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [CASCADE, MODULAR], ids=lambda arm: arm.name)
def test_the_text_model_keeps_every_byte_while_the_talker_learns(tiny, tmp_path, arm):
    made, model = trained(tiny, tmp_path, arm)
    before = load_stage(tmp_path, "0-pretrain")
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in parameters_of(model, BACKBONE).items()
               if not name.startswith("talker."))
    fresh = arm.prepare(before, None).talker.state_dict()
    assert not all(torch.equal(value, fresh[name]) for name, value in model.talker.state_dict().items())
    found = made.finished_model().state_dict()
    assert all(torch.equal(value, found[name]) for name, value in model.state_dict().items())


def test_the_modular_adapter_learns_to_hear_and_all_that_learns_is_counted(tiny, tmp_path):
    made, model = trained(tiny, tmp_path, MODULAR)
    assert run._trainable(model, MODULAR.stages(tiny.size()), made.parts.budget) >= made.parts.budget["3"]["trainable"]
    before = load_stage(tmp_path, "0-pretrain").adapter.state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in model.adapter.state_dict().items())


@pytest.mark.parametrize("joined", [False, True])
def test_the_sound_teaches_the_adapter_only_where_the_modules_are_joined(tiny, joined):
    model, builder = with_talker(tiny.model(), None), tiny.builder()
    torch.nn.init.normal_(model.talker.adapter.proj.weight)  # it begins at zero and would let no gradient through
    loss = ThinkAndSpeak(builder.end, joined)
    loss(model, tiny.batch(builder)).audio.mean().backward()
    gradients = [weight.grad for weight in model.adapter.parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients) if joined else gradients == [None] * len(gradients)


def test_two_models_count_what_both_use_and_load_is_that_of_the_text_model(tiny):
    model = tiny.model()
    for prepare in (with_synthesiser, with_talker):
        both = prepare(model, None)
        assert both.active_parameters() == model.active_parameters() + both.talker.active_parameters()
        assert [name for name, _ in find_experts(both)] == [name for name, _ in find_experts(model)]
    assert with_synthesiser(model, None).talker.active_parameters() == model.active_parameters()


@torch.no_grad()
def test_a_new_talker_knows_the_words_and_does_not_mind_the_states_yet(tiny):
    model, builder = tiny.model(), tiny.builder()
    talker = with_talker(model, None).talker
    batch = collate([builder.speak(("red", "cat"), "sad", tiny.answer(("red", "cat")))], builder.silence)
    states = torch.randn(*batch.text.shape, 16)
    beside = talker(**batch.model_inputs() | {"frames": states, "frame_mask": batch.mask}, real=batch.mask).hidden
    assert torch.equal(beside, model(**batch.model_inputs(), real=batch.mask).hidden)


# ---- the frozen thinker hears --------------------------------------------------------------------------------------------


@torch.no_grad()
def test_what_is_heard_begins_about_as_loud_as_a_word_and_not_far_louder(tiny):
    model, frames = tiny.model(), torch.randn(500, 6)
    word = model.embedding.text.weight.std()
    quiet, as_it_comes = (7 * heard.std() / word for heard in (with_talker(model, None).adapter(frames), model.adapter.gated(frames)))
    assert 0.2 < quiet < 2 and as_it_comes > 20


def test_nothing_encloses_what_was_heard(tiny):
    marked, plain = tiny.builder(), Unmarked(tiny.config(), tiny.tokenizer)
    examples = [[builder.answer_aloud(tiny.frames(3), tiny.answer()), builder.recognise(tiny.frames(5), ("say", "red")),
                 builder.chat(("say", "red"), ("red",))] for builder in (marked, plain)]
    found, wanted = without_marks(collate(examples[0], marked.silence)), collate(examples[1], marked.silence)
    assert torch.equal(found.mask, wanted.mask) and found.mask.sum() == collate(examples[0], marked.silence).mask.sum() - 4
    for name in ("text", "text_target", "codes", "code_target", "frames", "frame_mask", "elapsed"):
        assert torch.equal(getattr(found, name)[found.mask], getattr(wanted, name)[found.mask]), name
    written = collate(examples[0][2:], marked.silence)
    assert without_marks(written) is written


def test_the_adapter_is_taught_the_words_of_what_was_to_be_written_down(tiny):
    model, builder = with_talker(tiny.model(), None), tiny.builder()
    words = tiny.tokenizer.encode(("say", "red", "cat"))
    read = as_written(without_marks(collate([builder.recognise(tiny.frames(3), ("say", "red", "cat")), builder.recognise(
        tiny.frames(5), ("say", "red")), builder.answer_in_text(tiny.frames(4), ("leo",))], builder.silence)), builder.end, builder.silence)
    assert heard_loss(model, read) > 0.5
    table = model.embedding.text.weight.detach()
    given = (table[words] - table[builder.audio]) / 7  # what makes a heard step equal to a written one
    model.adapter.forward = lambda frames: given  # three frames: those of the example whose words the ear found, and no others
    assert heard_loss(model, read) < 1e-6


def test_writing_a_question_down_is_no_task_of_the_frozen_thinker(tiny):
    model, builder = with_talker(tiny.model(), None), tiny.builder()
    heard, asked = builder.recognise(tiny.frames(3), ("say", "red", "cat")), builder.answer_in_text(tiny.frames(4), ("leo",))
    alone, both, without = (think_and_speak(None)(model, collate(rows, builder.silence)).text for rows in ([heard], [heard, asked], [asked]))
    assert alone == 0 and without > 0
    torch.testing.assert_close(both, without)


# ---- words pass from one to the other ------------------------------------------------------------------------------------


def test_what_the_ear_read_can_be_read_again_from_its_frames(tiny):
    torch.manual_seed(0)
    ear = Ear(("red", "cat", "box", "hat"), replace(size_config("nano").ear, width=8, layers=1)).freeze()
    heard = ear.listen([torch.randn(120, 80), torch.randn(90, 80)])
    builder = Transcripts(tiny.config(), tiny.tokenizer, ear)
    assert all(len(one.words) > 2 for one in heard)
    for one in heard:
        assert builder.heard_prompt(one.frames, AudioToken.MIRROR).text == builder.text_prompt(one.words).text


def test_a_prompt_to_speak_tells_its_words_and_a_question_none(tiny):
    builder = tiny.builder()
    assert words_to_say(builder, builder.text_prompt(("say", "red", "cat"), AudioToken.SAY_SAD)) == ["red", "cat"]
    for question in (builder.text_prompt(("say", "red", "cat")), builder.heard_prompt(tiny.frames(3), AudioToken.MIRROR)):
        assert words_to_say(builder, question) is None


@pytest.mark.parametrize("prepare, decoder", [(with_synthesiser, Cascade), (with_talker, ThinkerTalker)])
def test_the_words_of_a_spoken_answer_are_the_text_models_own(tiny, prepare, decoder):
    model, builder = prepare(tiny.model(), None), tiny.builder()
    prompts = heard_prompts(builder, tiny)
    written = [answer.words for answer in answer_in_text(model, builder, prompts)]
    given = builder.text_prompt(("say", "red", "cat"), AudioToken.SAY_HAPPY)
    spoken = speak(model, builder, [*prompts, given], max_frames=12, decoder=decoder)
    for answer, words in zip(spoken, [*written, ["red", "cat"]]):
        assert answer.words == words[:len(answer.words)] and answer.starts[:1] == [0]
    assert len(spoken[0].words) > 1


def test_a_cascade_cannot_tell_how_a_question_was_said(tiny):
    model, builder = with_synthesiser(tiny.model(), None), tiny.builder()
    ear = Ear(tiny.words, replace(size_config("nano").ear, width=6, heads=2)).freeze()
    transcripts = Transcripts(tiny.config(), tiny.tokenizer, ear)
    plain, mirrored = ([transcripts.heard_prompt(tiny.frames(4), trigger)] for trigger in (AudioToken.ANSWER, AudioToken.MIRROR))
    one, other = (speak(model, builder, prompt, max_frames=6, decoder=Cascade)[0] for prompt in (plain, mirrored))
    assert torch.equal(one.codes, other.codes) and one.words == other.words and len(one.words) > 1


# ---- the thinker reads words once ----------------------------------------------------------------------------------------


def test_the_thinker_reads_a_spoken_answer_as_if_it_were_written(tiny):
    builder, words = tiny.builder(), ("red", "cat", "box")
    frames, answer = tiny.frames(4), tiny.answer(words)
    asked, told = builder.heard_prompt(frames, AudioToken.ANSWER), builder.text_prompt(("say", *words), AudioToken.SAY_SAD)
    short = builder.recognise(frames, ("leo",))
    spoken = collate([builder.answer_aloud(frames, answer), short, builder.speak(words, "sad", answer)], builder.silence)
    written = collate([builder.with_text_answer(asked, words, ""), short, builder.with_text_answer(told, words, "")], builder.silence)
    seen = as_written(spoken, builder.end, builder.silence)
    assert torch.equal(seen.mask, written.mask)
    for name in ("text", "text_target", "codes", "frames", "frame_mask"):
        one, other = getattr(seen, name), getattr(written, name)
        assert torch.equal(one[seen.mask], other[seen.mask]), name
    assert (seen.text_target[~seen.mask] == -100).all()


@torch.no_grad()
def test_what_the_talker_says_step_by_step_is_what_its_training_would_predict(tiny):
    """The thinker's states stand beside the same words in training and when talking."""
    model, builder = with_talker(tiny.model(), None), Unmarked(tiny.config(), tiny.tokenizer)
    model.talker.audio_heads.projection.weight.view(7, -1, 16)[0, 8 + AudioToken.EOA] = 0.0  # an answer of some length
    for number, answer in enumerate(speak(model, builder, heard_prompts(builder, tiny), max_frames=8, decoder=ThinkerTalker)):
        said = SimpleNamespace(words=builder.tokenizer.encode(answer.words), codes=answer.codes, starts=answer.starts)
        kept = [word for word, start in zip(said.words, said.starts) if start < len(said.codes)]
        said.words, said.starts = kept, said.starts[:len(kept)]
        batch = collate([builder.answer_aloud(tiny.frames((3, 7)[number], (3, 7)[number]), said)], builder.silence)
        read = as_written(batch, builder.end, builder.silence)
        states = model(**read.model_inputs(), real=read.mask).hidden
        hidden = talker_output(model, batch, torch.tensor([True]), states).hidden
        wanted = batch.code_target[0, :, 0] != -100  # (T,)
        predicted = model.talker.audio_logits(hidden[0, wanted])[..., :8].argmax(dim=-1)  # (F + 1, Q)
        assert len(said.codes) > 4 and torch.equal(predicted[:-1], said.codes)


# ---- anybody may talk to them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [CASCADE, MODULAR, MODULAR_JOINED], ids=lambda arm: arm.name)
def test_a_finished_run_of_two_models_can_be_talked_to(tiny, tmp_path, arm, capsys):
    trained(tiny, tmp_path, arm)
    ear = Ear(tiny.words, replace(size_config("nano").ear, width=6, heads=2))
    ear.threshold.fill_(0.0)
    ear.save(tmp_path / "ear")
    PyramidCodec.fit([torch.randn(200, 80)], CodecConfig(codebook_size=8, iterations=1)).save(tmp_path / "codec")
    (tmp_path / "config.json").write_text(json.dumps({"size": "nano", "seed": 0, "arm": arm.name, "scratch": True}))
    assert open_run(tmp_path).decoder is (Cascade if arm is CASCADE else ThinkerTalker)
    noise = write_audio(tmp_path / "question.wav", torch.rand(24_000).sub(0.5).numpy())
    assert main(["talk", str(tmp_path), "--audio", str(noise), "--out", str(tmp_path / "answer.wav"), "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["understood"] and reply["heard"] and reply["first_audio_ms"]["prefill"] > 0
    assert main(["talk", str(tmp_path), "--text", "say red cat"]) == 0
    assert main(["talk", str(tmp_path), "--text", "say red cat", "--stage", "4-dpo"]) == 2
    assert "leave --stage away" in capsys.readouterr().err


@pytest.mark.parametrize("arm", [CASCADE, MODULAR], ids=lambda arm: arm.name)
def test_a_run_of_two_models_that_is_not_finished_says_so(tmp_path, arm, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"size": "nano", "seed": 0, "arm": arm.name, "scratch": True}))
    assert main(["talk", str(tmp_path), "--text", "say red cat"]) == 2
    assert "--resume" in capsys.readouterr().err


# ---- budgets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["nano", "mini"])
def test_updates_are_those_of_the_recipe_and_what_differs_is_declared(size):
    size = size_config(size)
    updates = sum(stage.updates for stage in speech_stages(size))
    for arm in (CASCADE, MODULAR, EXPERTS_APART):
        assert sum(stage.updates for stage in arm.stages(size)) == updates
    for arm in (CASCADE, MODULAR):
        assert any(line.startswith("text tokens") for line in arm.declared)
    assert any(line.startswith("speech tokens") for line in CASCADE.declared)

    def examples(stages):
        found = {}
        for stage in stages:
            for task, weight in stage.tasks.items():
                found[task] = found.get(task, 0) + stage.updates * stage.batch * weight / sum(stage.tasks.values())
        return found

    wanted, apart, modular = (examples(stages(size)) for stages in (speech_stages, EXPERTS_APART.stages, MODULAR.stages))
    assert apart == pytest.approx(wanted, rel=0.01)
    assert modular == pytest.approx({task: count for task, count in wanted.items() if task != "covered_text"}, rel=0.03)


def test_each_group_of_experts_learns_while_the_others_keep_every_byte(tiny, tmp_path):
    made, _ = trained(tiny, tmp_path, EXPERTS_APART)
    selection = made.chosen()
    assert selection.formula == "by_index" and groups(Selection(((8, 9, 10, 11),), 12), "2.1h") == [[8, 9]]
    names = [stage.name for stage in EXPERTS_APART.stages(tiny.size())]
    open_in = {"2.1-hearing": groups(selection, "2.1h"), "2.1-speaking": groups(selection, "2.1s"),
               "2.2-text-experts": [selection.text_experts(layer) for layer in range(2)]}
    for name, mine in open_in.items():
        before, after = (load_stage(tmp_path, stage) for stage in (names[names.index(name) - 1], name))
        for layer, (old, new) in enumerate(zip(before.mixtures(), after.mixtures())):
            moved = (old.experts.down_proj != new.experts.down_proj).flatten(1).any(dim=1).nonzero()[:, 0].tolist()
            assert moved and set(moved) <= set(mine[layer]), name
    budget = made.parts.budget
    assert run._trainable(made.finished_model(), EXPERTS_APART.stages(tiny.size()), budget) > max(
        stage["trainable"] for code, stage in budget.items() if code != "0")


@pytest.mark.slow
def test_a_minute_of_training_teaches_the_modular_rival_to_hear_and_a_cascade_hears_at_once():
    """The floor of a rival that is real: twice what guessing scores on spoken questions of the validation split."""
    model = shipped_stage("0-pretrain")
    model.config.layout = "held"
    model, stage = with_talker(model, None), replace(MODULAR.stages(size_config("nano"))[0], updates=200)
    sampler, asked = chapter_sampler(model, spoken_material(800, 300)), spoken_material(200, 8, "validation").questions
    train_stage(model, stage, lambda step: sampler.batch(stage.tasks, stage.batch, f"0-{step}"), seed=0, show_progress=False,
                loss=think_and_speak(None))
    chance = sum(FAMILIES[question.item.family].chance for question in asked) / len(asked)
    ear = Tools.load(shipped_run()).ear
    for builder in (Unmarked(model.config, Tokenizer()), Transcripts(model.config, Tokenizer(), ear)):
        right = answers_right(model, builder, [builder.answer_in_text(question.frames, question.item.answer) for question in asked])
        assert sum(right) / len(right) >= 2 * chance


def test_the_committed_rivals_pass_their_floor():
    content = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(BOOK.rglob("*.json"))]
    rivals = [record for record in content if record.get("arm") in (CASCADE.name, MODULAR.name, MODULAR_JOINED.name)]
    if not rivals:
        pytest.skip("no record of a rival of two models is committed")
    for metrics in (record["metrics"] for record in rivals):
        assert metrics["spoken_qa_text"] >= 2 * metrics["chance"]["spoken_qa_text"]


# ---- a record of each ----------------------------------------------------------------------------------------------------


def invented(tiny, split):
    """Replies and questions as wide as the shipped ear and codec; the last question is in the voice never trained."""
    found = tiny.spoken_set(8, seed=len(split))
    for number, question in enumerate(found.questions):
        question.frames = torch.randn(3, 128, generator=torch.Generator().manual_seed(number))
    found.questions[-1].voice = HELD_OUT_VOICE.name
    said = [tiny.reply(words, style) for words in (("red", "cat"), ("box", "hat", "leo")) for style in ("neutral", "sad")]
    return SpokenSet(found.questions, said + found.replies)


@THREE
def test_a_run_ends_in_a_record_that_holds(tiny, tmp_path, monkeypatch, arm):
    tools, wide = Tools.load(shipped_run()), tiny.size()
    wide = replace(wide, ear=replace(wide.ear, width=tools.ear.width),
                   codec=replace(wide.codec, codebook_size=tools.codec.codebook_size),
                   evaluation=EvaluationConfig(text_items=2, spoken_questions=4, spoken_answers=2, ceilings=2, latency_runs=1))
    sound = SimpleNamespace(questions=SimpleNamespace(waveform=lambda number: torch.randn(8000).numpy()))
    monkeypatch.setattr(run, "synthesise", lambda *_, **__: {"validation": sound})
    monkeypatch.setattr("minideeptalk.inference.talker.Talker.is_understood", lambda *_: True)
    for module in (recipe, run):
        monkeypatch.setattr(module, "text_accuracy", lambda *_: dict.fromkeys(FAMILIES, 1.0))
    monkeypatch.setattr(Recipe, "tools", lambda _: tools)
    monkeypatch.setattr(Recipe, "spoken", lambda *_: {split: invented(tiny, split) for split in ("train", "test")})
    record = run.complete(Recipe(wide, tmp_path, 0, arm, None, progress=False))
    validate(record)
    metrics = record["metrics"]
    assert record["arm"] == arm.name and record["budget"]["declared"] == list(arm.declared)
    assert metrics["first_audio_ms"]["p50"] > 0
    if arm is EXPERTS_APART:
        return
    assert metrics["asr_wer"] == metrics["ear_wer"]
    for split in ("train", "test"):
        invented(tiny, split).save(tmp_path / "spoken" / split)
    tools.save(tmp_path)
    check_style(style_finding([tmp_path], probe_items=7), arm)
    assert arm is MODULAR or metrics["style_accuracy"]["recognised"] == 0.25


def check_style(found, arm):
    """The finding of one tiny run: every question counted once, and a cascade that cannot tell one style from another."""
    (shown,) = found["result"]["runs"]
    assert shown["items"] == 7 and shown["reads_words_only"] is (arm is CASCADE)
    assert sum(map(sum, shown["named"])) == sum(map(sum, shown["mirrored"])) == 7
    assert set(shown["probes"]) == set(PLACES) and len(shown["examples"]) == 4
    heard = {example["heard"]: example["codes"] for example in shown["examples"]}
    if arm is CASCADE:
        assert all(example["codes"] == heard[example["heard"]] for example in shown["examples"])
