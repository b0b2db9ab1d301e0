"""Polynomials by their values at roots of unity, in the field of `field` (draft-irtf-cfrg-vdaf, section 6.1).

A polynomial of degree below n, n a power of two, is its values at 1, w, ..., w**(n - 1), where w is an n-th root of
unity. Many are computed with at a time: arrays are [n, ...], one polynomial a column.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from secure_fl.secagg.proofs.field import PRIME, FieldArray, add, element, multiply, subtract

LARGEST_ORDER = 2**32
_GENERATOR = pow(7, (PRIME - 1) // LARGEST_ORDER, PRIME)


def root(order: int) -> int:
    """A root of unity of that order, a power of two."""
    return pow(_GENERATOR, LARGEST_ORDER // order, PRIME)


@lru_cache(maxsize=64)
def roots(order: int) -> FieldArray:
    """1, w, ..., w**(order - 1), w of that order."""
    w, powers = root(order), [1]
    for _ in range(order - 1):
        powers.append(powers[-1] * w % PRIME)
    table = np.array(powers, dtype=np.uint64)
    table.flags.writeable = False
    return table


def values(coefficients: FieldArray) -> FieldArray:
    """The number-theoretic transform, along the first axis: Cooley and Tukey, in place on a copy in reversed order."""
    n = len(coefficients)
    mixed = coefficients[_reversed_bits(n)].reshape(n, -1)
    half = 1
    while half < n:
        pairs = mixed.reshape(n // (2 * half), 2, half, -1)
        odd = multiply(pairs[:, 1], roots(2 * half)[:half, None])
        even = pairs[:, 0].copy()
        pairs[:, 0], pairs[:, 1] = add(even, odd), subtract(even, odd)
        half *= 2
    return mixed.reshape(coefficients.shape)


def coefficients(values_: FieldArray) -> FieldArray:
    """The inverse of `values`."""
    n = len(values_)
    turned = values(values_)
    turned[1:] = turned[:0:-1].copy()
    return multiply(turned, element(pow(n, -1, PRIME)))


def values_between(values_: FieldArray) -> FieldArray:
    """From n values those at v, v w, ..., v w**(n - 1), where v**2 = w: with them there are 2 n values."""
    n = len(values_)
    twist = roots(2 * n)[:n].reshape(n, *[1] * (values_.ndim - 1))
    return values(multiply(coefficients(values_), twist))


def weights_at(point: int, n: int) -> FieldArray:
    """What each of n values weighs in the value at `point`, which is no n-th root of unity: [n].

    Lagrange at roots of unity: (point**n - 1) / n * w**i / (point - w**i).
    """
    nodes = [int(node) for node in roots(n)]
    before, product = [], 1
    for node in nodes:
        before.append(product)
        product = product * (point - node) % PRIME
    inverse = pow(product, -1, PRIME)
    scale = (pow(point, n, PRIME) - 1) * pow(n, -1, PRIME) % PRIME
    weights = [0] * n
    for i in reversed(range(n)):
        weights[i] = scale * nodes[i] * inverse * before[i] % PRIME
        inverse = inverse * (point - nodes[i]) % PRIME
    return np.array(weights, dtype=np.uint64)


def weights_of_all_but_last(point: int, n: int) -> FieldArray:
    """The same for a polynomial of degree at most n - 2, whose last value follows from the others: [n - 1].

    Its coefficient of degree n - 1 is the sum of value_i * w**i over n, which is zero.
    """
    weights = weights_at(point, n)
    of_last = multiply(np.roll(roots(n), -1)[: n - 1], weights[n - 1])
    return subtract(weights[: n - 1], of_last)


def _reversed_bits(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
