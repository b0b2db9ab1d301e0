"""From a model's layers to a `SquareNetwork`: complete the square, leave out what is constant, scale each neuron.

    a z**2 + b z + c = a (z + b / (2a))**2 + (c - b**2 / (4a))

so b / (2a) joins the bias before the square, a the weights after it and the rest the bias after it. Where a is small
beside b the shift would be large and z**2 all noise; such a neuron becomes two, exactly:

    a z**2 + b z = alpha (z + s)**2 + beta (z - s)**2,   alpha, beta = (a +- b / (2s)) / 2 ... with s = max |z|

Then every neuron is multiplied so that max |z| = 1, and its weights in the next layer divided by the square of that:
all z fit one scale. Neurons that are copies of each other are then made one. None of this changes the function. How
large z gets is measured on training rows where there are some; a model without ReLU needs none: what the whole clip
range allows serves instead, and all features are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np

from secure_fl.errors import DataError, ScoringError
from secure_fl.scoring.network import (
    Layer,
    Linear,
    Matrix,
    Quadratic,
    Reach,
    SquareNetwork,
    Vector,
    alike,
    check_layers,
    reach,
    reach_of,
)
from secure_fl.scoring.relu import Replacement, replace_relu

Usual: TypeAlias = Callable[[SquareNetwork], Reach]
"""How far neurons get on usual rows."""

_ALIKE = 12
"""Digits of a neuron's weights, relative to the largest, up to which it counts as another's copy."""
LARGEST_SHIFT = 8.0
"""In units of max |z|: beyond it a neuron is split in two."""


@dataclass(frozen=True, eq=False, repr=False)
class CompiledModel:
    """A network that ciphertexts can be put through, and what it takes. The model owner's secret."""

    network: SquareNetwork
    clip: float
    """Features beyond it are refused; standardized features are clipped there anyway."""
    features: int
    """Of a row as the data owner has it."""
    positions: tuple[int, ...]
    """Those that the network takes, in rising order."""
    must_be_zero: tuple[int, ...]
    """Those that the model has weights for and no training row reached: they are not sent."""
    usual: Reach = field(repr=False)
    """How far z got on training rows; without any, how far it can get."""
    replacement: Replacement | None
    """What polynomials in the place of ReLU changed; None where there were none."""


def compile_model(
    layers: Sequence[Layer], rows: Matrix | None, clip: float, *, send_all: bool = False
) -> CompiledModel:
    """The network of a model. Rows: training rows as the model gets them, float [n, features]; None: without any.

    `send_all`: features that no training row reached are sent too; else a row that has one is refused. Raises
    `ScoringError` for layers that are refused (a ReLU without rows, too) and `DataError` for rows that are.
    """
    checked = check_layers(layers)
    if not 0 < clip < np.inf:
        raise ScoringError(f"a clip range of {clip:g} holds no rows; give a positive number")
    first = checked[0]
    assert isinstance(first, Linear)
    features = first.weights.shape[1]
    weighed, reached = (first.weights != 0).any(axis=0), np.full(features, True)
    if rows is not None:
        rows = _checked(rows, features, clip)
        reached = (rows != 0).any(axis=0) | send_all
    positions = np.flatnonzero(weighed & reached)
    if not len(positions):
        raise ScoringError("the model's first layer has no weight that counts; train it, or give other training rows")
    taken = (Linear(first.weights[:, positions], first.bias), *checked[1:])
    seen = None if rows is None else rows[:, positions]
    usual: Usual = partial(reach, clip=clip) if seen is None else partial(reach_of, rows=seen)
    polynomial, replacement = replace_relu(taken, seen)
    network = _without_constants(_merged(_scaled(_without_constants(_completed(polynomial, usual)), usual)))
    return CompiledModel(
        network,
        float(clip),
        features,
        tuple(positions.tolist()),
        tuple(np.flatnonzero(weighed & ~reached).tolist()),
        usual(network),
        replacement,
    )


def _checked(rows: Matrix, features: int, clip: float) -> Matrix:
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != features:
        raise DataError(f"the model takes rows of {features} features; give at least one, of that width")
    if not (np.abs(rows) <= clip).all():
        raise DataError(f"training rows leave the clip range [-{clip:g}, {clip:g}]; clip them, or widen the range")
    return rows


def _completed(layers: Sequence[Layer], usual: Usual) -> SquareNetwork:
    """Squares only; layers alternate between Linear and Quadratic."""
    linears = [layer for layer in layers if isinstance(layer, Linear)]
    activations = [layer for layer in layers if isinstance(layer, Quadratic)]
    for place, activation in enumerate(activations):
        largest = usual(SquareNetwork(tuple(linears[: place + 1]))).neurons[place]
        linears[place], linears[place + 1] = _absorbed(linears[place], activation, linears[place + 1], largest)
    return SquareNetwork(tuple(linears))


def _absorbed(before: Linear, activation: Quadratic, after: Linear, largest: Vector) -> tuple[Linear, Linear]:
    """Both layers around a square in the place of an activation."""
    a, b, c = activation.square, activation.linear, activation.constant
    size = np.where(largest > 0, largest, 1.0)
    straight = np.abs(b) > 2 * LARGEST_SHIFT * size * np.abs(a)
    divisor = np.where(straight | (a == 0), 1.0, a)
    shift = np.where(straight, size, b / (2 * divisor))
    factor = np.where(straight, (a + b / (2 * size)) / 2, a)
    rest = np.where(straight, c - a * size**2, c - b**2 / (4 * divisor))
    twins = np.flatnonzero(straight)
    mirrored = (a - b / (2 * size))[twins] / 2
    shifts, factors = np.concatenate([shift, -size[twins]]), np.concatenate([factor, mirrored])
    doubled = np.concatenate([np.arange(len(a)), twins])
    return (
        Linear(before.weights[doubled], before.bias[doubled] + shifts),
        Linear(after.weights[:, doubled] * factors, after.bias + after.weights @ rest),
    )


def _without_constants(network: SquareNetwork) -> SquareNetwork:
    """Neurons that no input moves become part of the next bias; those that nothing reads are left out."""
    linears = list(network.linears)
    for place in range(network.depth):
        before, after = linears[place], linears[place + 1]
        moved = (before.weights != 0).any(axis=1)
        bias = after.bias + after.weights[:, ~moved] @ before.bias[~moved] ** 2
        linears[place + 1] = Linear(after.weights[:, moved], bias)
        linears[place] = Linear(before.weights[moved], before.bias[moved])
    for place in range(network.depth - 1, -1, -1):
        read = (linears[place + 1].weights != 0).any(axis=0)
        linears[place] = Linear(linears[place].weights[read], linears[place].bias[read])
        linears[place + 1] = Linear(linears[place + 1].weights[:, read], linears[place + 1].bias)
    if any(not layer.weights.size for layer in linears):
        raise ScoringError("the model's logit is the same for every row; train it again")
    return SquareNetwork(tuple(linears))


def _scaled(network: SquareNetwork, usual: Usual) -> SquareNetwork:
    """Max |z| = 1 on usual rows, for each neuron before a square."""
    linears = list(network.linears)
    for place, largest in enumerate(usual(network).neurons[:-1]):
        gain = 1 / np.where(largest > 0, largest, 1.0)
        linears[place] = Linear(linears[place].weights * gain[:, None], linears[place].bias * gain)
        linears[place + 1] = Linear(linears[place + 1].weights / gain**2, linears[place + 1].bias)
    return SquareNetwork(tuple(linears))


def _merged(network: SquareNetwork) -> SquareNetwork:
    """Neurons that are copies of each other, up to the sign, as one: encrypted they could cancel on the way."""
    linears = list(network.linears)
    for place in range(network.depth):
        before, after = linears[place], linears[place + 1]
        neurons = np.column_stack([before.weights, before.bias])
        same = alike(np.round(neurons / np.abs(neurons).max(axis=1, keepdims=True), _ALIKE))
        kept = np.sort(same.argmax(axis=0))
        linears[place] = Linear(before.weights[kept], before.bias[kept])
        linears[place + 1] = Linear(after.weights @ same @ same[kept].T, after.bias)
    return SquareNetwork(tuple(linears))
