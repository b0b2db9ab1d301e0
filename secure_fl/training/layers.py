"""A module's layers, for `scoring`: of a Sequential of Linear, ReLU and Square.

Dropout and Identity do nothing when a model scores. Anything else is refused by name.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from secure_fl.errors import ScoringError
from secure_fl.scoring.network import Layer, Linear, Quadratic, Relu, Vector
from secure_fl.training.model import FraudModel, Square


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
