"""Low bits of ciphertexts that are not sent: what that does to the noise, and how many the noise leaves room for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from secure_fl.secagg.budget.he import NOTHING_DROPPED, POLY_MODULUS_DEGREE, Dropped

KEY_LENGTH = (2 / 3 + 1 / 8) * POLY_MODULUS_DEGREE
"""|s|**2 of a ternary key is larger once in more than 2**100 keys."""


HALF_STEP = 333
"""What half a step in each coefficient of a second polynomial moves, by a key; it is more once in 2**100 keys."""
MOST_PARTS = 3


def parts_of(dropped: Dropped) -> int:
    """Of the noise: what is in a ciphertext, and what is cut off from either half."""
    return 1 + sum(bits > 0 for bits in dropped)


def deviation_of(dropped: Dropped) -> float:
    """What one bank's missing bits add to the noise of a coefficient: their own, and those times the key."""
    return _deviation(dropped.first) + _deviation(dropped.second) * math.sqrt(KEY_LENGTH)


def most_dropped(
    bound: float, noise: float, fresh: float, coefficients: tuple[int, int], failure_bits: float
) -> Iterator[Dropped]:
    """The best way to drop bits of both halves within a failure bound; none where there is no room for it.

    `noise`: how many times that of one ciphertext the noise is, whose deviation is `fresh`; `coefficients`: of first
    and of second polynomials.
    """
    if bound <= 0:
        return
    tail = failure_bits + 1 + math.log2(MOST_PARTS * coefficients[0])
    allowed = bound / math.sqrt(2 * math.log(2) * tail) / noise - fresh
    if allowed < 0:
        return
    best, most = NOTHING_DROPPED, 0
    for second in range(64):
        left = allowed - deviation_of(Dropped(0, second))
        if left < 0:
            break
        first = max(0, math.floor(math.log2(left * math.sqrt(12)))) if left * math.sqrt(12) > 1 else 0
        saved = coefficients[0] * first + coefficients[1] * second
        if saved > most:
            best, most = Dropped(first, second), saved
    yield best


def _deviation(bits: int) -> float:
    """Of a uniform number of so many bits; none of no bits."""
    return 2**bits / math.sqrt(12) if bits else 0.0
