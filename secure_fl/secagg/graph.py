"""Who masks with whom: everybody with everybody, or for many banks a random k-regular graph (Bell et al. 2020).

The graph is a Harary graph, k/2 neighbours on each side of a circle, whose order is a random permutation that all
parties derive from the cohort. A bank's secrets are shared among itself and its k neighbours, s of whom open one. A
bank gives out shares only if it added masks with all neighbours that its list of survivors names, and only when q of m
witnesses signed that list; the witnesses are the same random m banks for everybody. All four numbers follow from the
number of banks n and the threshold t of the sum: k and m are the smallest for which s and q, the largest that live
banks reach, keep these unlikely when n - t banks vanish and a share CORRUPT works with the aggregator
(g = s - k/2 - 1):

    a bank keeps fewer than s live holders, or fewer than q witnesses live: the sum cannot end     2**-CORRECTNESS each
    2q - m witnesses are corrupt                                                                   2**-SECURITY
    2g + 1 of some bank's k neighbours are corrupt                                                 2**-SECURITY
    in each of two disjoint rows of k/2 places, g or more are corrupt                              2**-SECURITY

Then an aggregator that lies, and calls dropped whom it likes, opens nothing but the sum over one list of t banks:

    Honest witnesses sign once, so all honest banks that give shares hold one list.
    For one bank they all give the same kind of share, and corrupt banks around it are too few: no two secrets open.
    Take banks whose sum opens, though others of the list are not among them. Some of them give shares, and they end
    twice on the circle: in the k/2 places after such an end nobody gives shares, for whoever gives them within reach
    has a mask with the last one that only its own input takes off. But the last one's seed was opened by s holders; it
    and its other side are k/2 + 1, so that g in that row are corrupt. There are two such rows.
    A bank that gives no shares cannot be singled out: it has masks with s - 1 neighbours, and s others hold its seed.
    These overlap in a bank that gives shares, unless 2g + 1 of its neighbours are corrupt.

On the complete graph all banks are witnesses and s = q = t, which withstands 2t - n - 1 corrupt banks, always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from math import exp, lgamma, prod
from typing import NamedTuple

SECURITY, CORRECTNESS = 40, 20
CORRUPT = 0.1
COMPLETE_UP_TO = 100
"""Below about this many banks the sparse graph saves nothing."""
AFFORDABLE_DEGREE = 128
"""A sum without a threshold of its own gets the smallest that so many neighbours bear."""


def default_threshold(banks: int) -> int:
    """A majority, or where AFFORDABLE_DEGREE neighbours do not bear that, the least that they bear."""
    majority = banks // 2 + 1
    if banks - 1 <= AFFORDABLE_DEGREE:
        return majority
    return _first(majority, banks, lambda threshold: _holders(banks, AFFORDABLE_DEGREE, threshold) is not None)


class Rules(NamedTuple):
    """The numbers of a masked sum that follow from banks and threshold."""

    degree: int
    """k; banks - 1: the complete graph."""
    share_threshold: int
    """s"""
    witnesses: int
    """m"""
    witness_threshold: int
    """q"""


@lru_cache
def rules(banks: int, threshold: int) -> Rules:
    """A sparse graph where there is one for so many banks and such a threshold, else the complete one."""
    if banks > COMPLETE_UP_TO:
        graph = _smallest(banks, lambda degree: _holders(banks, degree, threshold))
        signing = _smallest(banks, lambda witnesses: _quorum(banks, witnesses, threshold))
        if graph and signing:
            return Rules(*graph, *signing)
    return Rules(banks - 1, threshold, banks, threshold)


def most_liars(banks: int, chosen: Rules) -> int:
    """How many banks may work with an aggregator that lies, on a sparse graph."""
    degree, holders, witnesses, quorum = chosen
    return _most(
        banks,
        lambda corrupt: _withstands(banks, degree, holders, corrupt) and _agree(banks, witnesses, quorum, corrupt),
    )


def most_curious(banks: int, vanished: int, chosen: Rules) -> int:
    """How many banks may pool what they see with an aggregator that follows the protocol, on a sparse graph.

    No bank has s of them around it, and they and the banks that vanished, wherever chance put both, fill no two rows.
    """

    def harmless(corrupt: int) -> bool:
        lost = min(corrupt + vanished, banks)
        full = prod((lost - place) / (banks - place) for place in range(min(chosen.degree // 2, lost + 1)))
        opened = _tail(banks - 1, corrupt, chosen.degree, chosen.share_threshold)
        return banks * opened <= 2.0**-SECURITY and _twice(banks, full) <= 2.0**-SECURITY

    return _most(banks, harmless)


@lru_cache(maxsize=4)
def neighbours(banks: int, degree: int, seed: bytes) -> tuple[tuple[int, ...], ...]:
    """The neighbours of each bank, sorted; banks are numbered from 0."""
    if degree >= banks - 1:
        return tuple(tuple(other for other in range(banks) if other != bank) for bank in range(banks))
    circle = _shuffled(banks, seed)
    around: list[tuple[int, ...]] = [()] * banks
    for place, bank in enumerate(circle):
        steps = (*range(1, degree // 2 + 1), *range(-(degree // 2), 0))
        around[bank] = tuple(sorted(circle[(place + step) % banks] for step in steps))
    return tuple(around)


@lru_cache(maxsize=4)
def draw(banks: int, size: int, seed: bytes) -> frozenset[int]:
    """So many banks at random, by a seed that all parties know."""
    return frozenset(_shuffled(banks, seed)[:size])


def _shuffled(banks: int, seed: bytes) -> list[int]:
    return sorted(range(banks), key=lambda bank: hashlib.sha256(seed + bank.to_bytes(4, "big")).digest())


def _holders(banks: int, degree: int, threshold: int) -> int | None:
    """The largest s that live holders reach, if corrupt banks cannot misuse it."""
    vanished = banks - threshold
    lost = _first(0, degree + 1, lambda m: banks * _tail(banks - 1, vanished, degree, m) <= 2.0**-CORRECTNESS)
    holders = degree + 1 - lost
    return holders if _withstands(banks, degree, holders, int(CORRUPT * banks)) else None


def _quorum(banks: int, witnesses: int, threshold: int) -> int | None:
    """The largest q that live witnesses reach, if corrupt banks cannot misuse it."""
    vanished = banks - threshold
    quorum = (
        witnesses + 1 - _first(0, witnesses + 1, lambda m: _tail(banks, vanished, witnesses, m) <= 2.0**-CORRECTNESS)
    )
    return quorum if _agree(banks, witnesses, quorum, int(CORRUPT * banks)) else None


def _agree(banks: int, witnesses: int, quorum: int, corrupt: int) -> bool:
    """Whether no two lists find a quorum each."""
    return _tail(banks, corrupt, witnesses, 2 * quorum - witnesses) <= 2.0**-SECURITY


def _withstands(banks: int, degree: int, holders: int, corrupt: int) -> bool:
    """Whether corrupt banks are too few around every bank, and too few in every row but one."""
    around, cut = _around(banks, degree, holders, corrupt), _two_rows(banks, degree, holders, corrupt)
    return max(around, cut) <= 2.0**-SECURITY


def _around(banks: int, degree: int, holders: int, corrupt: int) -> float:
    """P(some bank has 2g + 1 corrupt neighbours)."""
    return banks * _tail(banks - 1, corrupt, degree, 2 * _in_a_row(degree, holders) + 1)


def _two_rows(banks: int, degree: int, holders: int, corrupt: int) -> float:
    """P(two rows hold g corrupt banks each)."""
    return _twice(banks, _tail(banks - 1, corrupt, degree // 2, _in_a_row(degree, holders)))


def _in_a_row(degree: int, holders: int) -> int:
    """g: so many corrupt banks of k/2 in a row make up for the holders that the other side lacks."""
    return holders - degree // 2 - 1


def _twice(banks: int, probability: float) -> float:
    """Union bound over pairs of places; what is drawn for one row is missing in the other, so a product is a bound."""
    return (banks * probability) ** 2 / 2


def _tail(population: int, marked: int, drawn: int, least: int) -> float:
    """P(at least so many marked among those drawn), without replacement (hypergeometric); 1 up to the mean."""
    if least * population <= drawn * marked:
        return 1.0
    if least > min(marked, drawn):
        return 0.0
    logarithm = _log_choose(marked, least) + _log_choose(population - marked, drawn - least)
    term = total = exp(logarithm - _log_choose(population, drawn))
    for i in range(least, min(marked, drawn)):
        term *= (marked - i) * (drawn - i) / ((i + 1) * (population - marked - drawn + i + 1))
        total += term
    return total


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The smallest number in [low, high) from which on a condition holds; `high` where it never does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _smallest(banks: int, largest_quorum: Callable[[int], int | None]) -> tuple[int, int] | None:
    """The smallest even number below `banks` - 1 that has a quorum, and that quorum.

    Quorums are whole numbers, so that a number may have one though one or two larger ones have not.
    """
    half = _first(1, (banks - 2) // 2 + 1, lambda half: largest_quorum(2 * half) is not None)
    for number in range(2 * max(half - 8, 1), min(2 * half + 1, banks - 1), 2):
        quorum = largest_quorum(number)
        if quorum is not None:
            return number, quorum
    return None


def _most(high: int, holds: Callable[[int], bool]) -> int:
    """The largest number in [0, high] up to which a condition holds; -1 where it never does."""
    return _first(0, high + 1, lambda number: not holds(number)) - 1
