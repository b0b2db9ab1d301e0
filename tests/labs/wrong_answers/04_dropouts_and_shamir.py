"""Wrong answers to the exercises of lesson 4. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

from collections.abc import Mapping


def opened_secret__with_ordinary_division(shares: Mapping[int, int], prime: int) -> int:
    total = 0.0
    for x, value in shares.items():
        weight = 1.0
        for other in shares:
            if other != x:
                weight *= other / (other - x)
        total += value * weight
    return round(total) % prime


def opened_secret__as_if_it_were_a_line(shares: Mapping[int, int], prime: int) -> int:
    (x, a), *rest = shares.items()
    if not rest:
        return a
    y, b = rest[0]
    return (a * y - b * x) * pow(y - x, -1, prime) % prime


def opened_secret__their_mean(shares: Mapping[int, int], prime: int) -> int:
    return sum(shares.values()) * pow(len(shares), -1, prime) % prime


def opened_secret__not_reduced(shares: Mapping[int, int], prime: int) -> int:
    total = 0
    for x, value in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight *= other * pow(other - x, -1, prime)
        total += value * weight
    return total


def opened_secret__with_the_wrong_sign(shares: Mapping[int, int], prime: int) -> int:
    total = 0
    for x, value in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight = weight * other * pow(x - other, -1, prime) % prime
        total += value * weight
    return total % prime
