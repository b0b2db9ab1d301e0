"""Wrong answers to the exercises of lesson 5. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Polynomial = NDArray[np.int64]
N, Q = 16, (1 << 24) - 3


def times(one: Polynomial, other: Polynomial, sign: int = -1) -> Polynomial:
    full = np.convolve(one, other)
    folded = full[:N].copy()
    folded[: N - 1] += sign * full[N:]
    return folded % Q


def around_zero(polynomial: Polynomial) -> Polynomial:
    return (polynomial + Q // 2) % Q - Q // 2


def opened__the_product_subtracted(c0: Polynomial, c1: Polynomial, key: Polynomial) -> Polynomial:
    return around_zero(c0 - times(c1, key))


def opened__not_around_zero(c0: Polynomial, c1: Polynomial, key: Polynomial) -> Polynomial:
    return (c0 + times(c1, key)) % Q


def opened__folded_without_the_minus(c0: Polynomial, c1: Polynomial, key: Polynomial) -> Polynomial:
    return around_zero(c0 + times(c1, key, sign=1))


def opened__coefficient_by_coefficient(c0: Polynomial, c1: Polynomial, key: Polynomial) -> Polynomial:
    return around_zero(c0 + c1 * key)


def opened__without_the_key(c0: Polynomial, c1: Polynomial, key: Polynomial) -> Polynomial:
    return around_zero(c0)
