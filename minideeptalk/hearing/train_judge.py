"""Training of the judge: CTC on characters, on original recordings only."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from minideeptalk.config import JudgeConfig
from minideeptalk.hearing.batches import bucketed, mask_patches, pad_mels
from minideeptalk.hearing.ctc import ctc_loss
from minideeptalk.hearing.judge import Judge, spell
from minideeptalk.hearing.optimise import Progress, optimise
from minideeptalk.speech.corpus import Corpus

FEATURE_RATE = 100  # the judge's own frames a second


def train_judge(
    corpora: Sequence[Corpus], config: JudgeConfig | None = None, seed: int = 101,
    progress: Progress | None = None, device: str = "cpu",
) -> Judge:
    """Train a judge on original speech.

    Args:
        corpora: synthesised corpora (user voices and the assistant's, sentences and short answers). The judge must
            have heard the lengths it will grade: trained on sentences only, it misreads short answers.
        config: size, updates, batch and learning rate.
        seed: choose another one than the ear's.
        progress: called with (update, updates, loss) after each update.
        device: where to train.

    Returns:
        The frozen judge, on the CPU.
    """
    config = config or JudgeConfig()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    judge = Judge(config)
    with torch.no_grad():
        features = [judge.features(corpus.waveform(i)) for corpus in corpora for i in range(len(corpus))]
    judge.to(device)
    targets = [spell(" ".join(request.words)) for corpus in corpora for request in corpus.requests]
    batches = bucketed([len(mel) for mel in features], config.batch_seconds * FEATURE_RATE, generator)

    def next_loss() -> torch.Tensor:
        batch = next(batches)
        mel, lengths = pad_mels([features[i] for i in batch])
        mel = mask_patches(mel, generator, max_frames=12).to(device)
        log_probabilities, lengths = judge(mel, lengths.to(device))
        return ctc_loss(log_probabilities, lengths, [targets[i] for i in batch])

    optimise(judge, next_loss, config.updates, config.learning_rate, progress)
    return judge.cpu().eval().requires_grad_(False)
