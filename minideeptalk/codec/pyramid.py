"""The codec of the book: residual k-means over log-mel frames, as a pyramid of 1 + 2 + 4 codes a step.

One step of 80 ms is four log-mel frames. Level 1 describes all four with one code (12.5 Hz), level 2 describes what is
left in each half with one code (25 Hz), level 3 what is then left in each frame (50 Hz). Decoding adds the three up.
The shape is SNAC's (Siuzdak et al., 2024), which the paper uses; there the codebooks are learnt by a neural network on
a large GPU, here by k-means in seconds. Axes: T steps, Q codebooks, K entries, N samples.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from minideeptalk.codec.kmeans import fit_codebook, nearest
from minideeptalk.codec.usage import usage_perplexity
from minideeptalk.config import MELS, SAMPLE_RATE, STEP_SAMPLES, CodecConfig
from minideeptalk.errors import LearnerError
from minideeptalk.speech.features import LogMel, griffin_lim

FRAMES_PER_STEP = 4
# (first frame, number of frames) that each codebook describes, in the order of the columns
SLOTS = ((0, 4), (0, 2), (2, 2), (0, 1), (1, 1), (2, 1), (3, 1))


def patches(log_mel: torch.Tensor) -> torch.Tensor:
    """Cut frames into steps: `(frames, 80)` -> `(T, 4, 80)`; an incomplete last step repeats its last frame."""
    missing = -len(log_mel) % FRAMES_PER_STEP
    if missing:
        log_mel = torch.cat([log_mel, log_mel[-1:].expand(missing, -1)])
    return log_mel.reshape(-1, FRAMES_PER_STEP, log_mel.shape[-1])  # (T, 4, 80)


class PyramidCodec:
    """Seven codebooks of K entries. Build one with `fit` or `load`.

    Args:
        mean: `(80,)` mean log-mel frame; the codebooks describe what differs from it.
        codebooks: seven tensors `(K, frames * 80)` in the order of `SLOTS`.
        griffin_lim_iterations: rounds of phase recovery in `decode`.
    """

    sample_rate = SAMPLE_RATE
    step_samples = STEP_SAMPLES

    def __init__(self, mean: torch.Tensor, codebooks: list[torch.Tensor], griffin_lim_iterations: int = 16):
        self.mean = mean
        self.codebooks = codebooks
        self.griffin_lim_iterations = griffin_lim_iterations
        self.log_mel = LogMel()

    @property
    def num_codebooks(self) -> int:
        return len(self.codebooks)

    @property
    def codebook_size(self) -> int:
        return len(self.codebooks[0])

    @classmethod
    def fit(cls, mels: list[torch.Tensor], config: CodecConfig | None = None, seed: int = 0) -> PyramidCodec:
        """Learn the codebooks one after another, each on what the earlier ones left unexplained.

        Args:
            mels: log-mel tensors `(frames, 80)`, about 20 minutes together.
            config: codebook size and number of k-means rounds.
            seed: the same seed and mels give the same codec.

        Raises:
            LearnerError: for fewer steps than codebook entries.
        """
        config = config or CodecConfig()
        generator = torch.Generator().manual_seed(seed)
        steps = torch.cat([patches(mel) for mel in mels]).float()  # (T, 4, 80)
        steps = steps[torch.randperm(len(steps), generator=generator)[: config.frames_per_codebook]]
        mean = steps.mean(dim=(0, 1))  # (80,)
        residual = steps - mean
        codebooks = []
        for first, length in SLOTS:
            part = residual[:, first : first + length]  # (T, length, 80)
            vectors = part.reshape(len(part), -1)  # (T, length * 80)
            codebook = fit_codebook(vectors, config.codebook_size, config.iterations, generator)
            part -= codebook[nearest(vectors, codebook)].reshape(part.shape)  # in place: the next level sees the rest
            codebooks.append(codebook)
        return cls(mean, codebooks, config.griffin_lim_iterations)

    def encode_mel(self, log_mel: torch.Tensor) -> torch.Tensor:
        """`(frames, 80)` -> `(T, Q)` int64 codes, coarse to fine, each on the residual of those before it."""
        residual = patches(log_mel.float()) - self.mean  # (T, 4, 80)
        columns = []
        for (first, length), codebook in zip(SLOTS, self.codebooks, strict=True):
            part = residual[:, first : first + length]  # (T, length, 80)
            codes = nearest(part.reshape(len(part), -1), codebook)  # (T,)
            part -= codebook[codes].reshape(part.shape)
            columns.append(codes)
        return torch.stack(columns, dim=1)  # (T, Q)

    def decode_mel(self, codes: torch.Tensor, depth: int | None = None) -> torch.Tensor:
        """`(T, Q)` codes -> `(4 * T, 80)` log-mel: the sum of the entries.

        Args:
            depth: use the first `depth` codebooks only (1 = the coarsest level), to hear what each level adds.

        Raises:
            LearnerError: for a wrong shape or a code outside the codebook.
        """
        self._check(codes)
        steps = self.mean.repeat(len(codes), FRAMES_PER_STEP, 1)  # (T, 4, 80)
        for column, (first, length) in list(enumerate(SLOTS))[:depth]:
            entries = self.codebooks[column][codes[:, column]]  # (T, length * 80)
            steps[:, first : first + length] += entries.reshape(len(codes), length, MELS)
        return steps.reshape(-1, MELS)  # (4 * T, 80)

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """`(N,)` samples at 16 kHz -> `(T, Q)` codes; N is padded with silence to a whole number of steps."""
        waveform = torch.nn.functional.pad(waveform, (0, -len(waveform) % STEP_SAMPLES))
        return self.encode_mel(self.log_mel(waveform))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """`(T, Q)` codes, T >= 0 -> `(T * 1280,)` samples; Griffin-Lim finds a phase that fits the decoded log-mel."""
        log_mel = self.decode_mel(codes)  # (4 * T, 80)
        return griffin_lim(log_mel, iterations=self.griffin_lim_iterations) if len(log_mel) else torch.zeros(0)

    def usage(self, codes: torch.Tensor) -> list[float]:
        """Effective number of entries in use, for each codebook, over `codes` `(T, Q)`; see `usage_perplexity`."""
        return usage_perplexity(codes, self.codebook_size)

    def save(self, folder: str | Path) -> None:
        """Write `codec.safetensors` and `codec.json` into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"codebook_{index}": codebook.contiguous() for index, codebook in enumerate(self.codebooks)}
        save_file({"mean": self.mean.contiguous(), **tensors}, folder / "codec.safetensors")
        settings = {"kind": "pyramid", "griffin_lim_iterations": self.griffin_lim_iterations,
                    "num_codebooks": self.num_codebooks, "codebook_size": self.codebook_size,
                    "sample_rate": self.sample_rate, "step_samples": self.step_samples}
        (folder / "codec.json").write_text(json.dumps(settings, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> PyramidCodec:
        """Read what `save` wrote.

        Raises:
            LearnerError: when `folder` holds no codec.
        """
        folder = Path(folder)
        if not (folder / "codec.safetensors").exists() or not (folder / "codec.json").exists():
            raise LearnerError("a folder with codec.safetensors and codec.json", str(folder), "the codec was not saved there",
                               "fit one with PyramidCodec.fit(...).save(folder)")
        settings = json.loads((folder / "codec.json").read_text())
        tensors = load_file(folder / "codec.safetensors")
        codebooks = [tensors[f"codebook_{index}"].float() for index in range(settings["num_codebooks"])]
        return cls(tensors["mean"].float(), codebooks, settings["griffin_lim_iterations"])

    def _check(self, codes: torch.Tensor) -> None:
        if codes.ndim != 2 or codes.shape[1] != self.num_codebooks:
            raise LearnerError(f"codes of shape (steps, {self.num_codebooks})", f"{tuple(codes.shape)}",
                               "rows and columns swapped, or the delay was not undone")
        if codes.numel() and not (0 <= int(codes.min()) and int(codes.max()) < self.codebook_size):
            raise LearnerError(f"codes from 0 to {self.codebook_size - 1}", f"{int(codes.min())} to {int(codes.max())}",
                               "special tokens (begin, end, padding) of a stream were left in")
