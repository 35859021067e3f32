"""Listening: the ear that belongs to the model, and the judges that examine it and share nothing with it."""

from minideeptalk.hearing.confidence import Calibration, choose_threshold, strange_sounds
from minideeptalk.hearing.ctc import best_path, collapse, compress, ctc_loss
from minideeptalk.hearing.ear import Ear, Heard
from minideeptalk.hearing.judge import Judge
from minideeptalk.hearing.metrics import character_error_rate, edit_distance, word_error_rate
from minideeptalk.hearing.style_judge import StyleJudge, train_style_judge
from minideeptalk.hearing.train_ear import calibrate_ear, train_ear
from minideeptalk.hearing.train_judge import train_judge

__all__ = [
    "Calibration", "Ear", "Heard", "Judge", "StyleJudge", "best_path", "calibrate_ear", "character_error_rate", "choose_threshold", "collapse", "compress",
    "ctc_loss", "edit_distance", "strange_sounds", "train_ear", "train_judge", "train_style_judge", "word_error_rate",
]
