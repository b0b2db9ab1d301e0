"""Whether an attack has found something: matching, success, and intervals.

A row counts as rebuilt where, after the best matching of guesses to true rows (Hungarian method), its relative error
||guess - row|| / ||row|| over the 128 features is below `CLOSE`. Shares come with a 95 % interval by bootstrap over
trials, whole trials at a time, since the rows of one batch succeed or fail together; where every trial or none
succeeded, the bootstrap has no width, and Wilson's interval over trials (JASA 1927) is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

CLOSE, EXACT = 0.05, 1e-3
_WORST = 10.0
"""Larger errors all count as this much, so that one absurd guess does not bend the matching of the others."""
_RESAMPLES = 2_000
_Z = 1.959963984540054

Interval = tuple[float, float]


def match(guesses: NDArray[np.floating], rows: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each true row: the place of its guess (-1: none was left), and the relative error (at most 10)."""
    places, errors = np.full(len(rows), -1), np.full(len(rows), _WORST)
    if not len(guesses):
        return places, errors
    apart = np.linalg.norm(guesses[:, None].astype(np.float64) - rows[None], axis=2)
    relative = apart / np.linalg.norm(rows, axis=1).clip(1e-12)
    relative = np.minimum(np.nan_to_num(relative, nan=_WORST), _WORST)
    taken, found = linear_sum_assignment(relative)
    places[found], errors[found] = taken, relative[taken, found]
    return places, errors


def wilson(successes: int, trials: int) -> Interval:
    """95 % interval of a share. Raises `ValueError` without trials."""
    if trials < 1:
        raise ValueError("a share of no trials has no interval")
    share, z2 = successes / trials, _Z**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def interval_of_shares(shares: Sequence[float], rng: np.random.Generator) -> Interval:
    """95 % interval of the mean of one share in [0, 1] for each trial."""
    values = np.asarray(shares, dtype=np.float64)
    if values.min() == values.max() and values[0] in (0.0, 1.0):
        return wilson(int(values.sum()), len(values))
    return bootstrap(values, rng)


def bootstrap(values: NDArray[np.float64], rng: np.random.Generator) -> Interval:
    """95 % percentile interval of a mean (Efron, 1979)."""
    means = values[rng.integers(len(values), size=(_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
