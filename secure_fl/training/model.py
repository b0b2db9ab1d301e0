"""The fraud model: a small multi-layer perceptron, and its weights as one flat vector.

128 features -> 64 -> 32 -> 1 with ReLU and dropout, 10,369 parameters. It answers with a logit; the sigmoid belongs
to the loss in training and to `evaluation.predict` afterwards.
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
    """features [n, 128] -> logits [n]."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        first, second = HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, first),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(second, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(features).squeeze(-1)
        return logits


def flatten(model: FraudModel) -> FlatWeights:
    """All parameters as one float32 vector [parameters], in the order of `state_dict`."""
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in model.parameters()])


def restore(model: FraudModel, weights: FlatWeights) -> None:
    """Copy a flat vector into the model, on whatever device that is."""
    offset = 0
    with torch.no_grad():
        for parameter in model.parameters():
            part = weights[offset : offset + parameter.numel()].reshape(parameter.shape)
            parameter.copy_(torch.tensor(part))
            offset += parameter.numel()


def num_parameters() -> int:
    return sum(p.numel() for p in FraudModel().parameters())


def initial_weights(seed: int) -> FlatWeights:
    """The weights that every bank starts from: torch's default initialization under a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return flatten(FraudModel())
