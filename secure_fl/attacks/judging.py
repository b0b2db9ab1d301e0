"""Whether an attack has found something: matching, success, and intervals.

A row counts as rebuilt where, after the best matching of guesses to true rows (Hungarian method), its relative error
||guess - row|| / ||row|| over the 128 features is below `CLOSE`.

Intervals keep their 5 % with few trials, which percentiles of a bootstrap do not. Shares come with the interval of
Clopper and Pearson (Biometrika 1934) over trials, each trial counting as one draw, since the rows of one batch succeed
or fail together; where they do not, it is wider than it need be (a share in [0, 1] varies at most as a coin of the
same mean). Means of anything else: Student's interval over independent trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import beta
from scipy.stats import t as student

CLOSE, EXACT = 0.05, 1e-3
_WORST = 10.0
"""Larger errors all count as this much, so that one absurd guess does not bend the matching of the others."""

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


def interval_of_shares(shares: Sequence[float]) -> Interval:
    """95 % interval of the mean of one share in [0, 1] for each trial. Raises `ValueError` without trials."""
    if not shares:
        raise ValueError("a share of no trials has no interval")
    right = math.fsum(shares)
    wrong = max(0.0, len(shares) - right)
    low = float(beta.ppf(0.025, right, wrong + 1)) if right > 0 else 0.0
    high = float(beta.ppf(0.975, right + 1, wrong)) if wrong > 0 else 1.0
    return low, high


def interval_of_mean(values: Sequence[float]) -> Interval:
    """95 % interval of the mean of independent draws (Student, Biometrika 1908). Raises `ValueError` for one alone."""
    if len(values) < 2:
        raise ValueError("one value says nothing of how much values differ")
    middle, reach = mean(values), float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return middle - reach, middle + reach
