"""Training at one bank: Adam on its own transactions, deterministic under a seed.

Fraud is rare, so the loss of a fraud can be weighted (`positive_weight`). Adam's state starts fresh with each call,
as in FedAvg, where a bank keeps nothing but the model between rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings import PositiveWeight, Steps
from secure_fl.training.model import FlatWeights, flatten, restore

ADAM_EPS = 1e-3
"""Larger than torch's 1e-8: weights whose gradient is almost zero then hardly move, instead of taking full steps in
the direction of rounding errors. On ULB models overfit less, and runs that differ by a quantization step stay closer
together: with 1e-5 their weights end thirty times further apart."""


def train(
    weights: FlatWeights, examples: Examples, settings: Steps, *, epochs: int, seed: int
) -> Iterator[FlatWeights]:
    """Train from `weights` and yield the weights after each epoch.

    Raises `TrainingError` when weights are no longer finite.
    """
    device = usable_device(settings.device)
    features = torch.tensor(examples.features, device=device)
    labels = torch.from_numpy(examples.fraud.astype(np.float32)).to(device)
    model = restore(weights, settings.dropout).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, eps=ADAM_EPS)
    loss_of = nn.BCEWithLogitsLoss(pos_weight=_positive_weight(settings.positive_weight, examples).to(device))
    for epoch in range(epochs):
        with repeatable(seed, epoch, device) as shuffle:
            order = torch.randperm(len(examples), generator=shuffle).to(device)
            for batch in torch.split(order, settings.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss_of(model(features[batch]), labels[batch]).backward()
                optimizer.step()
        trained = flatten(model)
        if not np.isfinite(trained).all():
            raise TrainingError("the model diverged: its weights are no longer finite; lower the learning rate")
        yield trained


def usable_device(name: str) -> torch.device:
    """The torch device, if this machine has it."""
    if name not in ("cpu", "cuda"):
        raise ConfigurationError(f"there is no device {name!r}; use cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("no CUDA device is available to torch here; use --device cpu")
    return torch.device(name)


def _positive_weight(setting: PositiveWeight, examples: Examples) -> torch.Tensor:
    if setting == "balanced":
        frauds = int(examples.fraud.sum())
        return torch.tensor((len(examples) - frauds) / frauds if frauds else 1.0)  # of no fraud, any weight is nothing
    return torch.tensor(float(setting))


@contextmanager
def repeatable(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """One thread and seeded draws, without touching the caller's. For experiments: torch keeps 32 bits of a seed."""
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    with one_thread(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mixed)
        yield torch.Generator().manual_seed(mixed)


@contextmanager
def one_thread() -> Iterator[None]:
    """Faster than two for a model this small, and repeatable; the caller's number of threads returns afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
