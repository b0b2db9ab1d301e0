"""Modules that ciphertexts can be put through: squares as activations, and a module's layers for `scoring`.

`Square` is a z**2 + b z for each neuron, both trained; weight decay and a clipped gradient norm keep it as stable as
ReLU. `layers_of` reads a Sequential of Linear, ReLU and Square; Dropout and Identity do nothing when a model scores.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from secure_fl.errors import ScoringError
from secure_fl.scoring.network import Layer, Linear, Quadratic, Relu, Vector
from secure_fl.training.model import FraudModel


class Square(nn.Module):
    """z [n, neurons] -> a z**2 + b z."""

    def __init__(self, neurons: int, square: float = 0.1, linear: float = 0.5) -> None:
        super().__init__()
        self.square = nn.Parameter(torch.full((neurons,), square))
        self.linear = nn.Parameter(torch.full((neurons,), linear))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.square * z * z + self.linear * z


def layers_of(module: nn.Module) -> tuple[Layer, ...]:
    """The layers of a Sequential, or of the fraud model. Raises `ScoringError`, which names what it cannot read."""
    parts = module.layers if isinstance(module, FraudModel) else module
    if not isinstance(parts, nn.Sequential):
        raise ScoringError(
            f"a {type(module).__name__} cannot be computed on ciphertexts; give a Sequential of Linear, ReLU and Square"
        )
    found: list[Layer] = []
    for part in parts:
        match part:
            case nn.Linear():
                bias = np.zeros(part.out_features) if part.bias is None else _numbers(part.bias)
                found.append(Linear(_numbers(part.weight), bias))
            case nn.ReLU():
                found.append(Relu())
            case Square():
                found.append(Quadratic(_numbers(part.square), _numbers(part.linear), np.zeros(len(part.square))))
            case nn.Dropout() | nn.Identity():
                continue
            case nn.Sequential():
                found.extend(layers_of(part))
            case _:
                raise ScoringError(
                    f"a {type(part).__name__} cannot be computed on ciphertexts; use Linear, ReLU and Square"
                )
    return tuple(found)


def _numbers(tensor: torch.Tensor) -> Vector:
    numbers: Vector = tensor.detach().to("cpu", torch.float64).numpy()
    return numbers
