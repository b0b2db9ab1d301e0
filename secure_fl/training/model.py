"""The fraud model: a small multi-layer perceptron; and the weights of any module as one flat vector.

128 features -> 64 -> 32 -> 1 with ReLU and dropout, 10,369 parameters. It answers with a logit; the sigmoid belongs
to the loss in training and to `evaluation.predict` afterwards. Other tables have other widths (`learner`).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

FEATURES = 128
HIDDEN = (64, 32)

FlatWeights = NDArray[np.float32]


class FraudModel(nn.Module):
    """features [n, 128] -> logits [n]; with more than two classes [n, classes]."""

    def __init__(self, dropout: float = 0.3, features: int = FEATURES, outputs: int = 1) -> None:
        super().__init__()
        first, second = HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(features, first),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(second, outputs),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(features).squeeze(-1)
        return logits


def travelling(model: nn.Module) -> list[torch.Tensor]:
    """What banks average: all parameters, and then the buffers of floats that a state_dict holds."""
    kept = model.state_dict(keep_vars=True)
    buffers = [buffer for name, buffer in model.named_buffers() if name in kept and buffer.is_floating_point()]
    return [*model.parameters(), *buffers]


def flatten(model: nn.Module) -> FlatWeights:
    """All weights as one float32 vector [parameters], in the order of `travelling`."""
    return np.concatenate([part.detach().to("cpu", torch.float32).numpy().ravel() for part in travelling(model)])


def load(model: nn.Module, weights: FlatWeights) -> None:
    """Give a module these weights. Raises `ValueError` where they are another module's."""
    parts = travelling(model)
    sizes = [part.numel() for part in parts]
    if len(weights) != sum(sizes):
        raise ValueError("the vector has another length than the model has weights")
    with torch.no_grad():
        for part, values in zip(parts, torch.split(torch.tensor(weights, device="cpu"), sizes), strict=True):
            part.copy_(values.view_as(part))


def restore(weights: FlatWeights, dropout: float = 0.0) -> FraudModel:
    """The fraud model with these weights. Raises `ValueError` where they are another model's."""
    model = new_model(0, dropout)
    load(model, weights)
    return model


def new_model(seed: int, dropout: float = 0.0) -> FraudModel:
    """A model with torch's default initialization under a seed; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FraudModel(dropout)


def initial_weights(seed: int) -> FlatWeights:
    """The weights that every bank starts from."""
    return flatten(new_model(seed))
