"""Wrong answers to the exercises of lesson 10. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def with_bias_inside__without_a_1_to_pass_on(weights: Matrix, bias: Matrix) -> Matrix:
    return np.vstack([weights, bias])


def with_bias_inside__the_1_becomes_0(weights: Matrix, bias: Matrix) -> Matrix:
    above = np.column_stack([weights, np.zeros(len(weights))])
    return np.vstack([above, [*bias, 0.0]])


def with_bias_inside__the_1_takes_the_row_along(weights: Matrix, bias: Matrix) -> Matrix:
    above = np.column_stack([weights, np.ones(len(weights))])
    return np.vstack([above, [*bias, 1.0]])


def with_bias_inside__forgotten(weights: Matrix, bias: Matrix) -> Matrix:
    return np.block([[weights, np.zeros((len(weights), 1))], [np.zeros((1, len(bias))), np.ones((1, 1))]])


def stolen__the_bias_stays_in_the_weights(score: Callable[[Matrix], Matrix], features: int) -> tuple[Matrix, float]:
    return score(np.eye(features)), 0.0


def stolen__the_bias_taken_for_0(score: Callable[[Matrix], Matrix], features: int) -> tuple[Matrix, float]:
    rows = np.random.default_rng().uniform(-8, 8, (features, features))
    return np.asarray(np.linalg.solve(rows, score(rows)), dtype=np.float64), 0.0


def stolen__only_the_bias(score: Callable[[Matrix], Matrix], features: int) -> tuple[Matrix, float]:
    return np.zeros(features), float(score(np.zeros((1, features)))[0])
