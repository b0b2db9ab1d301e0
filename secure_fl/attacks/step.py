"""What one local step tells: from the update, which every weight of the model makes, back to the gradient.

Training is public, and so is its first step: Adam with fresh state moves each weight by -lr * g / (|g| + eps)
(Kingma, Ba, ICLR 2015), which has an inverse. With eps = 1e-3 it loses little: float32 weights tell a gradient g of
this model to a relative 2e-6 * (1 + |g| / eps), so to 1e-4 or better where |g| < 0.05. FedSGD (McMahan et al.,
AISTATS 2017) sends -lr * g itself.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from secure_fl.training.local import ADAM_EPS
from secure_fl.training.model import FEATURES, HIDDEN

Step = Literal["adam", "sgd"]
FloatVector = NDArray[np.float64]

_SATURATED = 1 - 1e-6
"""Of a whole step: beyond it float32 does not tell gradients apart."""


def gradient_of(update: FloatVector, learning_rate: float, step: Step) -> FloatVector:
    """The gradient [parameters] whose one step moves the weights by `update` [parameters]."""
    if step == "sgd":
        return -update / learning_rate
    share = np.minimum(np.abs(update) / learning_rate, _SATURATED)
    gradient: FloatVector = -np.sign(update) * ADAM_EPS * share / (1 - share)
    return gradient


def step_of(gradient: FloatVector, learning_rate: float, step: Step) -> FloatVector:
    """The update [parameters] of the first step on `gradient`."""
    if step == "sgd":
        return -learning_rate * gradient
    update: FloatVector = -learning_rate * gradient / (np.abs(gradient) + ADAM_EPS)
    return update


def first_layer(flat: NDArray[np.floating]) -> FloatVector:
    """The first layer's part of a flat vector: weights and biases side by side, [64, 129]."""
    weights = FEATURES * HIDDEN[0]
    parts = [flat[:weights].reshape(HIDDEN[0], FEATURES), flat[weights : weights + HIDDEN[0]]]
    return np.column_stack(parts).astype(np.float64)
