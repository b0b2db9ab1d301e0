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


def restore(weights: FlatWeights, dropout: float = 0.0) -> FraudModel:
    """The model with these weights. Raises `ValueError` where they are another model's."""
    model = new_model(0, dropout)
    if len(weights) != sum(parameter.numel() for parameter in model.parameters()):
        raise ValueError("the vector has another length than the model has weights")
    torch.nn.utils.vector_to_parameters(torch.tensor(weights), model.parameters())
    return model


def new_model(seed: int, dropout: float = 0.0) -> FraudModel:
    """A model with torch's default initialization under a seed; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FraudModel(dropout)


def initial_weights(seed: int) -> FlatWeights:
    """The weights that every bank starts from."""
    return flatten(new_model(seed))
