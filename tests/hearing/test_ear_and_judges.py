"""The ear and the judges: shapes, honesty between them, and that a saved one comes back equal."""

import pytest
import torch

from minideeptalk.config import STYLES, EarConfig, JudgeConfig
from minideeptalk.errors import LearnerError
from minideeptalk.hearing import Ear, Judge, StyleJudge
from minideeptalk.hearing.batches import bucketed, mask_patches, pad_mels
from minideeptalk.hearing.judge import spell
from minideeptalk.hearing.optimise import one_cycle

WORDS = ("red", "cat", "box")


@pytest.fixture(scope="module")
def ear():
    torch.manual_seed(0)
    return Ear(WORDS, EarConfig(width=32, layers=1, heads=2)).freeze()


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(1)
    return Judge(JudgeConfig(width=32, layers=1)).eval()


def test_the_ear_hears_twenty_five_frames_a_second(ear):
    states, lengths = ear(torch.randn(2, 50, 80), torch.tensor([50, 30]))
    assert states.shape == (2, 25, 32) and lengths.tolist() == [25, 15]


def test_padding_changes_nothing_the_ear_hears(ear):
    mel = torch.randn(30, 80)
    alone, _ = ear(mel[None], torch.tensor([30]))
    padded, _ = ear(torch.cat([mel, torch.zeros(21, 80)])[None], torch.tensor([30]))
    assert torch.allclose(alone[0], padded[0, :15], atol=1e-5)


def test_listening_gives_one_frame_for_each_word(ear):
    for heard in ear.listen([torch.randn(40, 80), torch.randn(61, 80)]):
        assert heard.frames.shape == (len(heard.words), 32)
        assert set(heard.words) <= set(WORDS) and heard.style in STYLES and 0 <= heard.confidence <= 1


def test_loudness_plays_no_part_in_hearing(ear):
    mel = torch.randn(40, 80)
    quiet, loud = ear.listen([mel, mel + 3])
    assert quiet.words == loud.words and torch.allclose(quiet.frames, loud.frames, atol=1e-4)


def test_a_frozen_ear_takes_no_gradient(ear):
    assert not any(parameter.requires_grad for parameter in ear.parameters())


def test_ear_and_judge_share_neither_weights_nor_shape(ear, judge):
    storages = {parameter.data_ptr() for parameter in ear.parameters()}
    assert not storages & {parameter.data_ptr() for parameter in judge.parameters()}
    assert not {type(m).__name__ for m in judge.modules()} & {"EncoderLayer"}
    assert judge.stem.in_channels != ear.stem[0].in_channels  # other features
    assert judge.head.out_features != ear.word_head.out_features  # characters, not words


def test_saved_ear_judge_and_style_judge_come_back_equal(ear, judge, tmp_path):
    torch.manual_seed(2)
    style_judge = StyleJudge(width=8).eval()
    mel, wave = torch.randn(40, 80), torch.randn(8000)
    ear.threshold.fill_(0.25)
    for thing in (ear, judge, style_judge):
        thing.save(tmp_path)
    again = Ear.load(tmp_path)
    assert torch.equal(again.listen([mel])[0].frames, ear.listen([mel])[0].frames) and float(again.threshold) == 0.25
    assert Judge.load(tmp_path).transcribe([wave]) == judge.transcribe([wave])
    assert StyleJudge.load(tmp_path).classify([wave]) == style_judge.classify([wave])


@pytest.mark.parametrize("kind", [Ear, Judge, StyleJudge])
def test_a_missing_folder_is_explained(kind, tmp_path):
    with pytest.raises(LearnerError, match="not saved there"):
        kind.load(tmp_path / "nowhere")


def test_the_judge_spells_only_what_it_can_write():
    assert spell("a b") == [2, 1, 3]
    with pytest.raises(LearnerError, match="spell numbers as words"):
        spell("42")


def test_loudness_plays_no_part_in_style():
    judge, wave = StyleJudge(width=8), torch.randn(8000) * 0.3
    assert torch.allclose(judge.features(wave), judge.features(0.5 * wave), atol=1e-3)


def test_batches_hold_every_utterance_once_a_round_and_keep_to_their_size():
    lengths = [10 + index % 40 for index in range(100)]
    stream = bucketed(lengths, 200, torch.Generator().manual_seed(0))
    seen = []
    while len(seen) < 100:
        batch = next(stream)
        assert max(lengths[i] for i in batch) * len(batch) <= 200
        seen += batch
    assert sorted(seen) == list(range(100))


def test_masking_hides_a_patch_and_leaves_the_original_alone():
    mel = torch.ones(4, 50, 80)
    masked = mask_patches(mel, torch.Generator().manual_seed(0))
    assert 0.5 < float(masked.mean()) < 1 and float(mel.min()) == 1


def test_the_learning_rate_rises_then_falls_to_zero():
    rates = [one_cycle(update, 100) for update in range(101)]
    assert rates[0] == 0 and max(rates) == pytest.approx(1) == rates[10] and rates[100] == pytest.approx(0, abs=1e-6)


def test_padding_reports_true_lengths():
    mel, lengths = pad_mels([torch.ones(3, 80), torch.ones(5, 80)])
    assert mel.shape == (2, 5, 80) and lengths.tolist() == [3, 5] and float(mel[0, 3:].abs().sum()) == 0
