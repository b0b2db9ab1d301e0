"""The fraud model: a small multi-layer perceptron; and the weights of any module as one flat vector.

128 features -> 64 -> 32 -> 1 with ReLU and dropout, 10,369 parameters. It answers with a logit; the sigmoid belongs
to the loss in training and to `evaluation.predict` afterwards. Other tables have other widths (`learner`).

Squares in the place of ReLU can be computed on ciphertexts as they are (Gilad-Bachrach, Dowlin, Laine, Lauter, Naehrig,
Wernsing, "CryptoNets", ICML 2016). Each unit learns how much of a square it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secure_fl.settings import Steps

FEATURES = 128
HIDDEN = (64, 32)

FlatWeights = NDArray[np.float32]
Activation: TypeAlias = Literal["relu", "square"]


class Square(nn.Module):
    """z -> a z**2 + b z, with a and b of each unit; [n, units]."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.square = nn.Parameter(torch.full((units,), 0.1))
        self.linear = nn.Parameter(torch.full((units,), 0.5))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.square * z * z + self.linear * z


@dataclass(frozen=True)
class Network:
    """Layers of the fraud model between features and logits."""

    hidden: tuple[int, ...] = HIDDEN
    """Units of each; none make a logistic regression."""
    activation: Activation = "relu"

    @classmethod
    def of(cls, settings: Steps) -> Self:
        return cls(settings.hidden_units, settings.activation)

    def layers(self, features: int, outputs: int, dropout: float) -> nn.Sequential:
        made: list[nn.Module] = []
        width = features
        for units in self.hidden:
            made += [nn.Linear(width, units), nn.ReLU() if self.activation == "relu" else Square(units)]
            made.append(nn.Dropout(dropout))
            width = units
        return nn.Sequential(*made, nn.Linear(width, outputs))


USUAL = Network()


class FraudModel(nn.Module):
    """features [n, 128] -> logits [n]; with more than two classes [n, classes]."""

    def __init__(
        self, dropout: float = 0.3, features: int = FEATURES, outputs: int = 1, network: Network = USUAL
    ) -> None:
        super().__init__()
        self.layers = network.layers(features, outputs, dropout)

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
