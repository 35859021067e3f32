"""Training of the ear: CTC on words plus a little of the speaking style; afterwards it is frozen."""

from __future__ import annotations

import torch

from minideeptalk.config import STYLES, EarConfig
from minideeptalk.hearing.batches import FRAMES_PER_SECOND, bucketed, mask_patches, pad_mels
from minideeptalk.hearing.confidence import Calibration, choose_threshold, remember_words, strange_sounds
from minideeptalk.hearing.ctc import ctc_loss
from minideeptalk.hearing.ear import Ear, normalise
from minideeptalk.hearing.optimise import Progress, optimise
from minideeptalk.speech.corpus import Corpus
from minideeptalk.speech.features import LogMel


def corpus_mels(corpus: Corpus) -> list[torch.Tensor]:
    """Log-mel `(frames, 80)` of every utterance of a corpus."""
    log_mel = LogMel()
    with torch.no_grad():
        return [log_mel(corpus.waveform(i)) for i in range(len(corpus))]


def train_ear(
    corpus: Corpus, words: tuple[str, ...], config: EarConfig | None = None, seed: int = 7,
    progress: Progress | None = None, device: str = "cpu",
) -> Ear:
    """Train an ear on spoken questions.

    Args:
        corpus: questions in the user voices and all styles.
        words: the words it can write; words never spoken in the corpus are simply never heard.
        config: size, updates, batch, learning rate and weight of the style loss.
        seed: of the weights, the order and the masks.
        progress: called with (update, updates, loss) after each update.
        device: where to train.

    Returns:
        The frozen ear, on the CPU. `choose_threshold` then tells it when to say that it did not understand.
    """
    config = config or EarConfig()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    ear = Ear(words, config).to(device)
    log_mels = corpus_mels(corpus)
    mels = [normalise(log_mel) for log_mel in log_mels]
    label = {word: index + 1 for index, word in enumerate(words)}
    targets = [[label[word] for word in request.words] for request in corpus.requests]
    styles = torch.tensor([STYLES.index(request.style) for request in corpus.requests], device=device)
    batches = bucketed([len(mel) for mel in mels], config.batch_seconds * FRAMES_PER_SECOND, generator)

    def next_loss() -> torch.Tensor:
        batch = next(batches)
        mel, lengths = pad_mels([mels[i] for i in batch])
        mel, lengths = mask_patches(mel, generator).to(device), lengths.to(device)
        return ear_loss(ear, mel, lengths, [targets[i] for i in batch], styles[batch])

    optimise(ear, next_loss, config.updates, config.learning_rate, progress)
    ear = ear.cpu().freeze()
    remember_words(ear, log_mels)
    return ear


def ear_loss(
    ear: Ear, mel: torch.Tensor, lengths: torch.Tensor, targets: list[list[int]], styles: torch.Tensor
) -> torch.Tensor:
    """CTC over words plus `style_weight` times the cross-entropy of the style; `mel` is `(B, frames, 80)`."""
    states, lengths = ear(mel, lengths)
    log_probabilities = ear.word_log_probabilities(states)
    style_logits = ear.style_logits(states, log_probabilities, lengths)
    style_loss = torch.nn.functional.cross_entropy(style_logits, styles)
    return ctc_loss(log_probabilities, lengths, targets) + ear.config.style_weight * style_loss


def calibrate_ear(ear: Ear, questions: Corpus, foreign: Corpus, seed: int = 0) -> Calibration:
    """Choose when the ear says that it did not understand; sets `ear.threshold`.

    Args:
        ear: a trained ear.
        questions: validation questions, which it should understand.
        foreign: speech made from `data.foreign_requests`, which it should refuse, as it should refuse the first hundred
            questions played backwards and noise of the same length.
        seed: of the noise.
    """
    log_mel = LogMel()
    sounds = strange_sounds([questions.waveform(i) for i in range(min(100, len(questions)))], seed)
    outside = corpus_mels(foreign) + [log_mel(sound) for sound in sounds]
    return choose_threshold(ear, corpus_mels(questions), outside)
