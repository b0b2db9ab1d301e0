"""Wrong answers to the exercises of lesson 2. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

RING = 1 << 16
Vector = NDArray[np.int64]


def split__without_the_ring(values: Vector, parties: int) -> list[Vector]:
    shares = [np.array([secrets.randbelow(RING) for _ in values]) for _ in range(parties - 1)]
    return [*shares, values - sum(shares)]


def split__one_number_for_the_whole_vector(values: Vector, parties: int) -> list[Vector]:
    shares = [np.full(len(values), secrets.randbelow(RING)) for _ in range(parties - 1)]
    return [*shares, (values - sum(shares)) % RING]


def split__equal_parts(values: Vector, parties: int) -> list[Vector]:
    return [*[values // parties] * (parties - 1), values - (parties - 1) * (values // parties)]


def split__a_fixed_seed(values: Vector, parties: int) -> list[Vector]:
    rng = np.random.default_rng(0)
    shares = [rng.integers(0, RING, size=len(values)) for _ in range(parties - 1)]
    return [*shares, (values - sum(shares)) % RING]


def split__small_randomness(values: Vector, parties: int) -> list[Vector]:
    shares = [np.array([secrets.randbelow(256) for _ in values]) for _ in range(parties - 1)]
    return [*shares, (values - sum(shares)) % RING]
