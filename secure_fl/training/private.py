"""DP-SGD at one bank: every row's gradient is clipped, and noise is added to their sum, in every step.

Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, on Opacus, with Adam for the step itself, which sees
nothing but noisy sums. Each step takes a Poisson sample: every row with probability `sample_rate`, independently; so
batches vary in size, and an empty one is a step like any other, of noise alone (skipping it would tell that it was
empty). Sums are divided by the expected batch size, which is public.

Rules: the loss treats every row by itself (no batch normalization, no weights that depend on other rows). The seed
decides the samples and the noise, so it is a secret of the bank. torch's generators are no cryptographic ones, and on a
CPU use 32 bits of a seed; Opacus' `secure_mode` needs a package that no longer installs. What holds is the analysis of
real-valued noise, not a defence against somebody who searches all seeds or exploits floating-point Gaussians (Mironov,
CCS 2012).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.training.local import ADAM_EPS, TrainingSettings, repeatable, usable_device
from secure_fl.training.model import FlatWeights, FraudModel, flatten, restore


@dataclass(frozen=True)
class NoiseSettings:
    """How gradients are made private. Raises `ConfigurationError`."""

    noise_multiplier: float
    """Standard deviation of the noise over `max_grad_norm`."""
    max_grad_norm: float = 1.0
    """L2 norm that a row's gradient is clipped to."""

    def __post_init__(self) -> None:
        for name, value in (("noise multiplier", self.noise_multiplier), ("clip norm", self.max_grad_norm)):
            if not 0 < value < math.inf:
                raise ConfigurationError(f"a {name} of {value} is refused; use a positive, finite number")


def sample_rate(rows: int, settings: TrainingSettings) -> float:
    """Probability of each row to be in a batch. Raises `ConfigurationError` where a batch exceeds the bank."""
    if settings.batch_size > rows:
        raise ConfigurationError(
            f"a bank with {rows} training rows is smaller than a batch of {settings.batch_size}; use a smaller "
            "--batch-size or fewer banks"
        )
    return settings.batch_size / rows


def train_privately(
    weights: FlatWeights, examples: Examples, settings: TrainingSettings, noise: NoiseSettings, *, steps: int, seed: int
) -> FlatWeights:
    """The weights after `steps` steps of DP-SGD.

    `seed` repeats samples and noise: whoever knows it can take the noise away again. Raises `ConfigurationError` for
    a bank smaller than a batch, `TrainingError` when weights are no longer finite.
    """
    from opacus.optimizers import DPOptimizer

    rate = sample_rate(len(examples), settings)
    device = usable_device(settings.device)
    features = torch.tensor(examples.features, device=device)
    labels = torch.from_numpy(examples.fraud.astype(np.float32)).to(device)
    model = per_row_gradients(restore(weights, settings.dropout).to(device).train())
    weight = torch.tensor(float(settings.positive_weight), device=device)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=weight, reduction="sum")  # the mean of an empty batch is no number
    sampling = np.random.default_rng(seed)  # not torch's: noise made of the sample's own numbers would show the sample
    with repeatable(seed, 0, device), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")  # inputs need no gradient; weights do
        optimizer = DPOptimizer(
            torch.optim.Adam(model.parameters(), lr=settings.learning_rate, eps=ADAM_EPS),
            noise_multiplier=noise.noise_multiplier,
            max_grad_norm=noise.max_grad_norm,
            expected_batch_size=settings.batch_size,
        )
        for _ in range(steps):
            batch = torch.from_numpy(np.flatnonzero(sampling.random(len(examples)) < rate)).to(device)
            optimizer.zero_grad()
            loss_of(model(features[batch]), labels[batch]).backward()
            optimizer.step()
    unwrapped = model._module
    assert isinstance(unwrapped, FraudModel)
    trained = flatten(unwrapped)
    if not np.isfinite(trained).all():
        raise TrainingError("the model diverged: its weights are no longer finite; lower the learning rate")
    return trained


def per_row_gradients(model: nn.Module) -> nn.Module:
    """The model, computing one gradient per row. Raises `ConfigurationError` where its rows mix."""
    from opacus import GradSampleModule
    from opacus.validators import ModuleValidator

    if ModuleValidator.validate(model):
        raise ConfigurationError(
            "the model mixes rows (batch normalization, for instance), so no row's gradient can be clipped by itself; "
            "use group or layer normalization"
        )
    private: nn.Module = GradSampleModule(model, loss_reduction="sum")
    return private
