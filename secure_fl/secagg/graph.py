"""Who masks with whom: everybody with everybody, or for many banks a random k-regular graph (Bell et al. 2020).

The graph is a Harary graph, k/2 neighbours on each side of a circle, whose order is a random permutation that all
parties derive from the cohort. A bank's secrets are shared among itself and its k neighbours, t of whom open one. k and
t are such that three failures are unlikely (after Bell et al., section 3), when a share CORRUPT of the banks works with
the aggregator and a share DROPPED vanishes:

    an aggregator that tells banks different stories opens both secrets of a bank: it needs 2t - (k + 1) corrupt banks
    around it, since the others answer once; that also keeps it from cutting the circle into arcs   2**-SECURITY
    corrupt and dropped banks cut the circle by themselves, so that partial sums leak               2**-SECURITY
    a bank that vanished keeps fewer than t neighbours, so that the sum cannot end                  2**-CORRECTNESS

k is the smallest degree with such a t, and t the largest that the last line allows. On the complete graph t is the
plan's threshold: more than half, which withstands an aggregator alone; each bank that works with it needs one more.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from math import comb, log2

SECURITY, CORRECTNESS = 40, 20
CORRUPT = DROPPED = 0.1
COMPLETE_UP_TO = 100
"""Below about this many banks the sparse graph saves nothing."""


@lru_cache
def degree_and_threshold(banks: int) -> tuple[int, int]:
    """(k, t): neighbours of each bank, and how many of them open a secret; k = banks - 1 is the complete graph."""
    if banks > COMPLETE_UP_TO:
        for degree in range(2, banks - 1, 2):
            threshold = _threshold(banks, degree)
            if threshold is not None and _connected(banks, degree):
                return degree, threshold
    return banks - 1, banks // 2 + 1


@lru_cache(maxsize=4)
def neighbours(banks: int, degree: int, seed: bytes) -> tuple[tuple[int, ...], ...]:
    """The neighbours of each bank, sorted; banks are numbered from 0."""
    if degree >= banks - 1:
        return tuple(tuple(other for other in range(banks) if other != bank) for bank in range(banks))
    circle = sorted(range(banks), key=lambda bank: hashlib.sha256(seed + bank.to_bytes(4, "big")).digest())
    around: list[tuple[int, ...]] = [()] * banks
    for place, bank in enumerate(circle):
        steps = (*range(1, degree // 2 + 1), *range(-(degree // 2), 0))
        around[bank] = tuple(sorted(circle[(place + step) % banks] for step in steps))
    return tuple(around)


def _threshold(banks: int, degree: int) -> int | None:
    """The largest number of share-holders that survivors reach, if corrupt banks cannot open two secrets with it."""
    holders, corrupt, dropped = degree + 1, int(CORRUPT * banks), int(DROPPED * banks)
    for threshold in range(holders, holders // 2, -1):
        if _rare(banks, _tail(banks - 1, dropped, degree, degree - threshold + 1), CORRECTNESS):
            opened = _tail(banks - 1, corrupt, degree, 2 * threshold - holders)
            return threshold if _rare(banks, opened, SECURITY) else None
    return None


def _connected(banks: int, degree: int) -> bool:
    return log2(banks) + (degree / 2) * log2(CORRUPT + DROPPED) <= -SECURITY


def _rare(banks: int, probability: float, bits: int) -> bool:
    return banks * probability <= 2.0**-bits


def _tail(population: int, marked: int, drawn: int, at_least: int) -> float:
    """P(at least so many marked among those drawn), without replacement (hypergeometric)."""
    ways = sum(comb(marked, i) * comb(population - marked, drawn - i) for i in range(at_least, min(drawn, marked) + 1))
    return ways / comb(population, drawn)
