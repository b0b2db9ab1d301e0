"""Shamir's t-of-n secret sharing of 256-bit secrets (Shamir, "How to Share a Secret", CACM 1979).

Over the integers modulo the prime 2**256 + 297, so that every 32-byte secret is an element; a share takes 33 bytes.
Fewer than t shares say nothing about the secret, whatever the computing power. Coefficients come from the operating
system's randomness.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache

from secure_fl.errors import ProtocolError

PRIME = 2**256 + 297
SHARE_BYTES = 33
SECRET_BYTES = 32


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
        raise ProtocolError("shares do not belong together; one of them was altered, so repeat the round")
    return secret.to_bytes(SECRET_BYTES, "big")


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
