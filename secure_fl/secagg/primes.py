"""Prime numbers below 2**64, for public parameters."""

from __future__ import annotations

_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Enough for every number below 3.3 * 10**24 (Sorenson, Webster, Mathematics of Computation, 2017)."""


def next_prime(above: int, residue: int, step: int) -> int:
    """The smallest prime above a number that is congruent to `residue` modulo `step`."""
    candidate = above + 1 + (residue - above - 1) % step
    while not is_prime(candidate):
        candidate += step
    return candidate


def is_prime(number: int) -> bool:
    """The Miller-Rabin test with fixed witnesses, which is a proof for numbers this small."""
    if number < 2:
        return False
    if number in _WITNESSES:
        return True
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(number, witness, odd, twos) for witness in _WITNESSES)


def _passes(number: int, witness: int, odd: int, twos: int) -> bool:
    power = pow(witness, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
