"""Low bits of ciphertexts that are not sent: what that does to the noise, and how many the noise leaves room for."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator

from secure_fl.secagg.budget.he import POLY_MODULUS_DEGREE, Dropped, normal_tail_bits

KEY_LENGTH = (2 / 3 + 1 / 8) * POLY_MODULUS_DEGREE
"""|s|**2 of a ternary key is larger once in more than 2**100 keys."""


HALF_STEP = 333
"""What half a step in each coefficient of a second polynomial moves, by a key; it is more once in 2**100 keys."""
_MOST_BITS = 64


def left_of(bound: float, dropped: Dropped) -> float:
    """What the noise may reach, where the mean that is put back of second polynomials may be off by half a step."""
    return bound - (HALF_STEP if dropped.second else 0)


def parts_of(dropped: Dropped) -> int:
    """Of the noise: what is in a ciphertext, and what is cut off from either half."""
    return 1 + sum(bits > 0 for bits in dropped)


def deviation_of(dropped: Dropped) -> float:
    """What one bank's missing bits add to the noise of a coefficient: their own, and those times the key."""
    return _deviation(dropped.first) + _deviation(dropped.second) * math.sqrt(KEY_LENGTH)


def dropped_failure_bits(bound: float, noise: float, fresh: float, dropped: Dropped, coefficients: int) -> float:
    """-log2 of the bound on the probability that some coefficient is wrong.

    `noise`: how many times that of one ciphertext the noise is, whose deviation is `fresh`.
    """
    deviation = noise * (fresh + deviation_of(dropped))
    return normal_tail_bits(left_of(bound, dropped), deviation, coefficients * parts_of(dropped))


def most_dropped(
    bound: float, noise: float, fresh: float, coefficients: tuple[int, int], failure_bits: float
) -> Iterator[Dropped]:
    """The way to drop most bits within a failure bound; none where even nothing dropped fails.

    `coefficients`: of first and of second polynomials; the others as for `dropped_failure_bits`.
    """

    def fits(dropped: Dropped) -> bool:
        return dropped_failure_bits(bound, noise, fresh, dropped, coefficients[0]) >= failure_bits

    best = None
    for second in range(_MOST_BITS):
        firsts = range(_MOST_BITS)
        most = bisect_left(firsts, True, key=lambda first: not fits(Dropped(first, second))) - 1
        if most < 0:
            break
        way = Dropped(most, second)
        if best is None or _saved(way, coefficients) > _saved(best, coefficients):
            best = way
    if best is not None:
        yield best


def _saved(dropped: Dropped, coefficients: tuple[int, int]) -> int:
    return sum(bits * count for bits, count in zip(dropped, coefficients, strict=True))


def _deviation(bits: int) -> float:
    """Of a uniform number of so many bits; none of no bits."""
    return 2**bits / math.sqrt(12) if bits else 0.0
