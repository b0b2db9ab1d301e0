"""The victim's one local step, where it is not the training of `secure_fl.training` itself.

Two variations to compare with: FedSGD, whose update is the gradient, and a step with differential privacy (Abadi et
al., "Deep Learning with Differential Privacy", CCS 2016): each row's gradient clipped to norm C, Gaussian noise of
deviation noise_multiplier * C on their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.attacks.step import Step, step_of
from secure_fl.codec.quantization import Contribution
from secure_fl.errors import ConfigurationError
from secure_fl.federation.bank import Bank
from secure_fl.settings.experiment import Experiment
from secure_fl.training.model import restore


@dataclass(frozen=True)
class LocalStep:
    """How the banks of a trial train."""

    optimizer: Step = "adam"
    noise_multiplier: float = 0.0
    """0: no differential privacy, gradients are not clipped either."""
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "sgd"):
            raise ConfigurationError(f"there is no local step {self.optimizer!r}; use adam or sgd")
        if not (0 <= self.noise_multiplier < np.inf and 0 < self.max_grad_norm < np.inf):
            raise ConfigurationError("noise multiplier or clip norm is out of range; use numbers from 0 and above 0")


def contribute(bank: Bank, round_: int, local: LocalStep, experiment: Experiment, seed: int) -> Contribution:
    """The bank's update after one step from the model that it received."""
    if local.optimizer == "adam" and not local.noise_multiplier:
        return bank.train(round_)
    rows = _row_gradients(bank, experiment, seed)
    if local.noise_multiplier:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows * np.minimum(1.0, local.max_grad_norm / np.maximum(norms, 1e-30))
    total = rows.sum(axis=0)
    if local.noise_multiplier:
        rng = np.random.default_rng(seed)  # an experiment's noise: what protects a bank comes from elsewhere
        total += rng.normal(scale=local.noise_multiplier * local.max_grad_norm, size=len(total))
    return Contribution(step_of(total / len(rows), experiment.learning_rate, local.optimizer), len(rows))


def _row_gradients(bank: Bank, experiment: Experiment, seed: int) -> NDArray[np.float64]:
    """The gradient of each row's loss, [n, parameters]."""
    examples, gradients = bank.examples, []
    weight = experiment.positive_weight
    assert weight != "balanced", "one batch has no balance of its own"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = restore(bank.model.weights, experiment.dropout).train()
        loss_of = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(float(weight)))
        for features, fraud in zip(torch.tensor(examples.features), examples.fraud, strict=True):
            model.zero_grad(set_to_none=True)
            loss_of(model(features[None]), torch.tensor([float(fraud)])).backward()
            gradients.append(torch.cat([part.grad.flatten() for part in model.parameters() if part.grad is not None]))
    return torch.stack(gradients).double().numpy()
