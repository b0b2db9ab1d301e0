"""A polynomial in the place of ReLU: degree 2, least squares on the range that training rows reach.

On [-R, R] the best a z**2 + b z + c in the mean square has a closed form. Since max(z, 0) = (z + |z|) / 2,

    b = 1/2,   a = 15 / (32 R),   c = 3 R / 32,

|z| being approximated by 15 z**2 / (16 R) + 3 R / 16. (Degree 3 adds nothing: |z| is even.) Outside of [-R, R] the
polynomial leaves ReLU fast, so R must cover nearly all rows; a larger R makes it coarser inside. R is a quantile of |z|
over training rows, for each layer, and the quantile is chosen on training rows that were held out of measuring R: the
one whose probabilities cost the least cross-entropy to the model's own. Test rows play no part.

This changes the model. How much is reported (`Replacement`), and is no part of the bound on encrypted logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from secure_fl.errors import ScoringError
from secure_fl.scoring.network import Layer, Linear, Matrix, Quadratic, Relu, Vector, plain_logits

QUANTILES = (0.999, 0.9999, 0.99999, 1.0)
HELD_OUT = 5
"""One training row in so many is held out."""


@dataclass(frozen=True)
class Replacement:
    """How a model without ReLU compares with the model as it came, on held-out training rows."""

    quantile: float
    """Of |z|, up to which the polynomials fit."""
    ranges: tuple[float, ...]
    """R of each layer with ReLU."""
    mean_difference: float
    """Of logits, in absolute value."""
    largest_difference: float


def replace_relu(layers: Sequence[Layer], rows: Matrix | None) -> tuple[tuple[Layer, ...], Replacement | None]:
    """The layers with polynomials in the place of ReLU; None where there is none. Rows: training rows, [n, inputs]."""
    if not any(isinstance(layer, Relu) for layer in layers):
        return tuple(layers), None
    if rows is None:
        raise ScoringError(
            "a ReLU is replaced by a polynomial on the range that training rows reach; give training rows of the "
            "model's owner (score --training), or train with squares (run --activation square)"
        )
    if len(rows) < 2 * HELD_OUT:
        raise ScoringError(f"{len(rows)} training rows are too few to fit ReLU on; give at least {2 * HELD_OUT}")
    held = np.arange(len(rows)) % HELD_OUT == 0
    wanted = plain_logits(layers, rows[held])
    candidates = [(quantile, *_fitted(layers, rows[~held], quantile)) for quantile in QUANTILES]
    scored = [(plain_logits(fitted, rows[held]), quantile, fitted, ranges) for quantile, fitted, ranges in candidates]
    logits, quantile, fitted, ranges = min(scored, key=lambda one: cross_entropy(wanted, one[0]))
    gaps = np.abs(logits - wanted)
    return fitted, Replacement(quantile, ranges, float(gaps.mean()), float(gaps.max()))


def least_squares_relu(largest: float, neurons: int) -> Quadratic:
    """The best polynomial of degree 2 on [-R, R]. Raises `ScoringError` where R is 0."""
    if largest <= 0:
        raise ScoringError("a ReLU gets nothing but zeros from the training rows; give other rows or another model")
    return Quadratic(np.full(neurons, 15 / (32 * largest)), np.full(neurons, 0.5), np.full(neurons, 3 * largest / 32))


def cross_entropy(wanted: Vector, logits: Vector) -> float:
    """Mean of -p log q - (1 - p) log(1 - q), with p and q the sigmoids of both."""
    probability = 0.5 * (1 + np.tanh(wanted / 2))
    return float(np.mean(np.logaddexp(0.0, logits) - probability * logits))


def _fitted(layers: Sequence[Layer], rows: Matrix, quantile: float) -> tuple[tuple[Layer, ...], tuple[float, ...]]:
    """Each ReLU is fitted on what the layers before it, already without ReLU, make of the rows."""
    values, found, ranges = rows, list[Layer](), []
    for layer in layers:
        match layer:
            case Linear():
                values = values @ layer.weights.T + layer.bias
                found.append(layer)
            case Relu():
                ranges.append(float(np.quantile(np.abs(values), quantile)))
                fitted = least_squares_relu(ranges[-1], values.shape[1])
                values = fitted(values)
                found.append(fitted)
            case Quadratic():
                values = layer(values)
                found.append(layer)
    return tuple(found), tuple(ranges)
