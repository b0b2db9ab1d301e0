"""Training at one bank: Adam on its own transactions, deterministic under a seed.

Fraud is rare, so the loss of a fraud can be weighted (`positive_weight`). Adam's state starts fresh with each call,
as in FedAvg, where a bank keeps nothing but the model between rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from secure_fl.data.features import Examples
from secure_fl.errors import ConfigurationError, TrainingError
from secure_fl.settings import PositiveWeight, Steps
from secure_fl.training.learner import Learner, usual_learner
from secure_fl.training.model import FlatWeights, flatten

ADAM_EPS = 1e-3
"""Larger than torch's 1e-8: weights whose gradient is almost zero then hardly move, instead of taking full steps in
the direction of rounding errors. On ULB models overfit less, and runs that differ by a quantization step stay closer
together: with 1e-5 their weights end thirty times further apart."""

SQUARE_DECAY, SQUARE_GRADIENT = 1e-2, 1.0
"""For units that square: weight decay of Adam (Loshchilov, Hutter, ICLR 2019), and the norm that gradients are clipped
to. One step that is too long would otherwise square itself through the layers."""


def train(
    weights: FlatWeights,
    examples: Examples,
    settings: Steps,
    *,
    epochs: int,
    seed: int,
    learner: Learner | None = None,
) -> Iterator[FlatWeights]:
    """Train from `weights` and yield the weights after each epoch; `learner`: None for the fraud model.

    A learner with a training of its own yields once, after all epochs. Raises `TrainingError` when weights are no
    longer finite.
    """
    learner = learner or usual_learner(settings)
    device = usable_device(settings.device)
    features = learner.rows(examples.features).to(device)
    targets = learner.targets(examples).to(device)
    model = learner.restore(weights).to(device).train()
    if learner.fit is not None:
        with repeatable(seed, 0, device):
            returned = learner.fit(model, features, targets, epochs)
        if (isinstance(returned, torch.nn.Module) and returned is not model) or not learner.fits(model):
            raise ConfigurationError(
                "train gives another module, or other shapes, than it was given; change the weights of the one given"
            )
        yield _finite(flatten(model))
        return
    decay = SQUARE_DECAY if learner.squares else 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, eps=ADAM_EPS, weight_decay=decay)
    weight = _positive_weight(settings.positive_weight, examples).to(device)
    least = 2 if learner.mixes_rows else 1  # a batch normalization refuses a row alone
    for epoch in range(epochs):
        with repeatable(seed, epoch, device) as shuffle:
            order = torch.randperm(len(examples), generator=shuffle).to(device)
            for batch in torch.split(order, settings.batch_size):
                if len(batch) >= least:
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(
                        learner.loss(learner.logits(model, features[batch]), targets[batch], weight)
                    )
                    if learner.squares:
                        torch.nn.utils.clip_grad_norm_(model.parameters(), SQUARE_GRADIENT)
                    optimizer.step()
        yield _finite(flatten(model))


def _finite(weights: FlatWeights) -> FlatWeights:
    if not np.isfinite(weights).all():
        raise TrainingError("the model diverged: its weights are no longer finite; lower the learning rate")
    return weights


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


def mixed_seed(*words: int) -> int:
    """One seed of 63 bits from several numbers, each of which counts."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def repeatable(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """One thread and seeded draws, without touching the caller's. For experiments: torch keeps 32 bits of a seed."""
    mixed = mixed_seed(seed, epoch)
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
