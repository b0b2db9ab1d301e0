"""DP-SGD at one bank: every row's gradient is clipped, and noise is added to their sum, in every step.

Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, on Opacus, with Adam for the step itself, which sees
nothing but noisy sums. Each step takes a Poisson sample: every row with probability `sample_rate`, independently; so
batches vary in size, and an empty one is a step like any other, of noise alone (skipping it would tell that it was
empty). Sums are divided by the expected batch size, which is public.

Rules: the loss treats every row by itself (no batch normalization, no weights that depend on other rows); a module of
one's own is tried out for it (`rows_apart`). All that is random - samples, dropout, noise - is drawn from one
256-bit key by a cryptographic generator (`keystream`): whoever has the key can take the noise away, and nobody finds it
by search while AES-256 and HKDF-SHA256 hold. Sum and noise are integers (`grid`, `rounded_gaussian`), so the analysis
of real-valued noise holds for what is released.

Batches are computed in blocks of a fixed size: a matrix product may round a row differently where it has more rows or
fewer, and a row's gradient would then depend on who else is in the batch, by an amount that nothing bounds. That it
does not depend on a row's *place* in a block is tested bit for bit, not proven for every processor.

No defence: how long a step takes, which tells about how many rows were in it, and whoever reads the bank's memory.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings import Steps
from secure_fl.training.keystream import Keystream
from secure_fl.training.learner import Learner, usual_learner
from secure_fl.training.local import ADAM_EPS, one_thread, usable_device
from secure_fl.training.model import FlatWeights, flatten
from secure_fl.training.rows_apart import BLOCK, per_row_gradients

LARGEST_NOISE = 1e4
CLIP_NORMS = (1e-6, 1e6)
"""What float32 can square without losing it."""


@dataclass(frozen=True)
class NoiseSettings:
    """How gradients are made private. Raises `ConfigurationError`."""

    noise_multiplier: float
    """Standard deviation of the noise over `max_grad_norm`."""
    max_grad_norm: float = 1.0
    """L2 norm that a row's gradient is clipped to."""

    def __post_init__(self) -> None:
        if not 0 < self.noise_multiplier <= LARGEST_NOISE:
            raise ConfigurationError(
                f"a noise multiplier of {self.noise_multiplier} is refused; "
                f"use a positive number up to {LARGEST_NOISE:g}"
            )
        low, high = CLIP_NORMS
        if not low <= self.max_grad_norm <= high:
            raise ConfigurationError(
                f"a clip norm of {self.max_grad_norm} is refused; use a number from {low:g} to {high:g}"
            )


def sample_rate(rows: int, settings: Steps) -> float:
    """Probability of each row to be in a batch. Raises `ConfigurationError` where a batch exceeds the bank."""
    if settings.batch_size > rows:
        raise ConfigurationError(
            f"a bank with {rows} training rows is smaller than a batch of {settings.batch_size}; use a smaller "
            "--batch-size or fewer banks"
        )
    return settings.batch_size / rows


def arithmetic() -> str:
    """What the last bits of a gradient depend on beside weights, rows and settings.

    A release is repeated under its own noise only where this is the same: two sums that differ in a bit, under one
    noise, would be two releases.
    """
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return f"torch {torch.__version__}, numpy {np.__version__}, {processor}"


def train_privately(
    weights: FlatWeights,
    examples: Examples,
    settings: Steps,
    noise: NoiseSettings,
    *,
    steps: int,
    key: bytes,
    learner: Learner | None = None,
) -> FlatWeights:
    """The weights after `steps` steps of DP-SGD; `learner`: None for the fraud model.

    `key`: 32 secret bytes that repeat samples, dropout and noise. Raises `ConfigurationError` for a bank smaller than a
    batch or another key, `TrainingError` when the model diverged.
    """
    from secure_fl.training.grid import GridOptimizer

    learner = learner or usual_learner(settings)
    rate = sample_rate(len(examples), settings)
    sampling, dropout, noises = (Keystream(key, purpose) for purpose in ("samples", "dropout", "noise"))
    device = usable_device(settings.device)
    features, labels = learner.rows(examples.features).to(device), learner.targets(examples).to(device)
    model = per_row_gradients(with_keyed_dropout(learner.restore(weights), dropout).to(device).train())
    weight = torch.tensor(float(settings.positive_weight), device=device)
    with one_thread(), _drawing_from(Keystream(key, "module"), device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")  # inputs need no gradient; weights do
        optimizer = GridOptimizer(
            torch.optim.Adam(model.parameters(), lr=settings.learning_rate, eps=ADAM_EPS),
            noise=noises,
            noise_multiplier=noise.noise_multiplier,
            max_grad_norm=noise.max_grad_norm,
            expected_batch_size=settings.batch_size,
        )
        for _ in range(steps):
            sample = np.flatnonzero(sampling.coins(len(examples), rate))
            for rows, counts, more in _blocks(sample, device):
                optimizer.zero_grad()
                losses = learner.losses(learner.logits(model, features[rows]), labels[rows], weight)
                torch.autograd.backward((losses * counts).sum())
                optimizer.signal_skip_step(more)
                optimizer.step()
    unwrapped = model._module
    assert isinstance(unwrapped, nn.Module)
    trained = flatten(unwrapped)
    if diverged(trained, learner):
        raise TrainingError("the model diverged: its weights are no longer finite; lower the learning rate")
    return trained


def _blocks(sample: NDArray[np.intp], device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor, bool]]:
    """Rows, 1 or 0 for whether each counts, and whether more blocks follow. An empty sample is one block."""
    for start in range(0, max(1, len(sample)), BLOCK):
        part = sample[start : start + BLOCK]
        rows, counts = np.zeros(BLOCK, dtype=np.int64), np.zeros(BLOCK, dtype=np.float32)
        rows[: len(part)], counts[: len(part)] = part, 1
        yield torch.from_numpy(rows).to(device), torch.from_numpy(counts).to(device), start + BLOCK < len(sample)


class KeyedDropout(nn.Module):
    """Dropout whose masks come from a keystream.

    A row that is left out moves the masks of those behind it. That tells nothing as long as nobody knows the masks.
    """

    def __init__(self, probability: float, stream: Keystream) -> None:
        super().__init__()
        self.probability, self.stream = probability, stream

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not self.training or self.probability == 0:
            return values
        kept = self.stream.coins(values.numel(), 1 - self.probability).reshape(values.shape)
        return values * torch.from_numpy(kept).to(values.device) / (1 - self.probability)


def with_keyed_dropout(model: nn.Module, stream: Keystream) -> nn.Module:
    """The model, its dropout drawn from `stream`."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Dropout):
                setattr(parent, name, KeyedDropout(layer.p, stream))
    return model


@contextmanager
def _drawing_from(stream: Keystream, device: torch.device) -> Iterator[None]:
    """What a module draws from torch itself is the same whenever a release is repeated; no secret rests on it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(stream.words(1)[0] >> np.uint64(1)))
        yield


def diverged(weights: FlatWeights, learner: Learner) -> bool:
    """Whether a model has no finite answer any more. Looks at the weights only, so it tells nothing of the rows."""
    model = learner.restore(weights).eval()
    with torch.no_grad():
        return not bool(np.isfinite(weights).all() and model(torch.ones(1, *learner.inputs)).isfinite().all())
