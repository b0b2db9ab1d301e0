"""Shamir's t-of-n secret sharing of 256-bit secrets (Shamir, "How to Share a Secret", CACM 1979).

Over the integers modulo the prime 2**256 + 297, so that every 32-byte secret is an element; a share takes 33 bytes.
Fewer than t shares say nothing about the secret, whatever the computing power. Coefficients come from the operating
system's randomness.

More than t shares lie on one polynomial of degree t - 1 or they do not, which one inner product with a random word of
the dual code tells, but for a probability of 2**-256 (Cascudo, David, "SCRAPE: Scalable Randomness Attested by Public
Entities", ACNS 2017, section 2.1). So whoever can tell the right secret also finds out which shares are wrong.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

from secure_fl.errors import ProtocolError

PRIME = 2**256 + 297
SHARE_BYTES = 33
SECRET_BYTES = 32
TRIES = 1000
"""Sets of shares that are tried for a secret among wrong ones: of e wrong shares in m, a set of t misses all with a
probability of about ((m - t) / m)**e."""


def split(secret: bytes, points: Sequence[int], threshold: int) -> dict[int, bytes]:
    """One share for each point (distinct, from 1); any `threshold` of them give the 32-byte secret back.

    Raises `ProtocolError` where that is not possible.
    """
    if len(set(points)) < len(points) or min(points) < 1:
        raise ProtocolError("a secret is shared at points that repeat or are below 1; use distinct points from 1")
    coefficients = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {point: _evaluate(coefficients, point).to_bytes(SHARE_BYTES, "big") for point in points}


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The secret from at least `threshold` shares by their points. Raises `ProtocolError` where that is no secret."""
    if len(shares) < threshold:
        raise ProtocolError(f"{len(shares)} shares do not open a secret shared {threshold} ways; wait for more banks")
    points = tuple(sorted(shares))[:threshold]
    values = [int.from_bytes(shares[point], "big") for point in points]
    secret = sum(v * weight for v, weight in zip(values, _weights_at_zero(points), strict=True)) % PRIME
    if secret >= 1 << (8 * SECRET_BYTES):
        raise ProtocolError("shares do not belong together; one of them was altered, so make a new attempt")
    return secret.to_bytes(SECRET_BYTES, "big")


def open_secret(
    shares: Mapping[int, bytes], threshold: int, is_right: Callable[[bytes], bool]
) -> tuple[bytes, frozenset[int]]:
    """The secret that `is_right` accepts, and the points whose shares do not belong to it.

    Several polynomials may open it, since holders of wrong shares can shift them along one that is 0 at 0. The one with
    fewest wrong shares counts; where there are several of those, nobody can tell, and all their wrong shares do. With
    at most (shares + 1 - threshold) / 2 wrong ones, there is one. Raises `ProtocolError` where none of the sets that
    are tried opens the secret.
    """
    consistent = on_one_polynomial(shares, threshold)
    secret, candidates = b"", set[frozenset[int]]()
    for points in (tuple(sorted(shares))[:threshold],) if consistent else _sets(sorted(shares), threshold):
        chosen = {point: shares[point] for point in points}
        try:
            opened = combine(chosen, threshold)
        except ProtocolError:
            continue
        if is_right(opened):
            rest = () if consistent else shares.keys() - chosen.keys()
            wrong = frozenset(p for p in rest if not on_one_polynomial({**chosen, p: shares[p]}, threshold))
            if 2 * len(wrong) <= len(shares) + 1 - threshold:
                return opened, wrong
            secret, candidates = opened, {*candidates, wrong}
    if not candidates:
        raise ProtocolError("shares do not open the secret that was announced; make a new attempt")
    fewest = min(map(len, candidates))
    return secret, frozenset().union(*(wrong for wrong in candidates if len(wrong) == fewest))


def on_one_polynomial(shares: Mapping[int, bytes], threshold: int) -> bool:
    """Whether all shares lie on one polynomial of degree below `threshold`; so do any `threshold` of them."""
    if len(shares) <= threshold:
        return True
    random_polynomial = [secrets.randbelow(PRIME) for _ in range(len(shares) - threshold)]
    points = tuple(sorted(shares))
    products = (
        weight * _evaluate(random_polynomial, point) * int.from_bytes(shares[point], "big")
        for point, weight in zip(points, _dual_weights(points), strict=True)
    )
    return sum(products) % PRIME == 0


def _sets(points: Sequence[int], size: int) -> Iterator[tuple[int, ...]]:
    """All sets of so many points where they are few, else `TRIES` random ones."""
    if comb(len(points), size) <= TRIES:
        yield from combinations(points, size)
    else:
        yield from (tuple(secrets.SystemRandom().sample(points, size)) for _ in range(TRIES))


@lru_cache(maxsize=4096)
def _dual_weights(points: tuple[int, ...]) -> tuple[int, ...]:
    """1 / product of the differences to all other points: what makes up the dual code."""
    weights = []
    for point in points:
        product = 1
        for other in points:
            if other != point:
                product = product * (point - other) % PRIME
        weights.append(pow(product, -1, PRIME))
    return tuple(weights)


def _evaluate(coefficients: Sequence[int], point: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * point + coefficient) % PRIME
    return value


@lru_cache(maxsize=4096)
def _weights_at_zero(points: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange coefficients at zero."""
    weights = []
    for point in points:
        numerator = denominator = 1
        for other in points:
            if other != point:
                numerator = numerator * other % PRIME
                denominator = denominator * (other - point) % PRIME
        weights.append(numerator * pow(denominator, -1, PRIME) % PRIME)
    return tuple(weights)
