"""Human digits are not understood. Needs a trained ear in data_samples and the recordings, which are never copied here."""

import os
from pathlib import Path

import pytest
import torch

from minideeptalk.hearing import Ear
from minideeptalk.speech.features import LogMel
from minideeptalk.speech.files import read_audio

ROOT = Path(__file__).resolve().parents[2]
DIGITS = sorted(Path(os.environ.get("MINIDEEPTALK_FSDD", ROOT.parent / "shared" / "data" / "fsdd")).glob("*.wav"))
EARS = sorted((ROOT / "data_samples").rglob("ear.safetensors"))


@pytest.mark.skipif(not DIGITS or not EARS, reason="no human recordings or no trained ear here")
def test_the_ear_refuses_human_digits():
    ear, log_mel = Ear.load(EARS[0].parent), LogMel()
    heard = ear.listen([log_mel(torch.as_tensor(read_audio(path))) for path in DIGITS[::10]])
    assert sum(map(ear.understands, heard)) <= 0.05 * len(heard)
