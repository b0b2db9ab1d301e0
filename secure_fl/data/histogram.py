"""Standardization under differential privacy: a noisy histogram of magnitudes instead of exact sums.

One row can move a sum as far as its largest value goes, and nobody knows how far that is without looking. But a row
changes each feature's histogram by one count, whatever its value: M features by sqrt(M) in L2 norm. So each bank counts
its rows in bins that double in width, from 2**LOWEST to 2**HIGHEST with either sign and one bin around zero, and adds
noise. Mean and deviation follow from the sum over all banks (`from_histogram`): roughly, enough to scale inputs.

Bins that noise alone could have filled count as empty. That cuts off rare large values, as clipping does; where all
values but zero are rare (a terminal's share of known fraud, say), nothing would be left of the deviation, so that it
has a floor. A column whose values are all far below that floor should be rescaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.standardization import Standardization
from secure_fl.errors import DataError

LOWEST, HIGHEST = -16, 31
_HALF = HIGHEST - LOWEST + 1
BINS = 2 * _HALF + 1
"""Negative magnitudes from the largest to the smallest, zero, positive ones from the smallest to the largest."""
NOISE_FLOOR = 4.0
"""Counts below so many standard deviations of the noise are taken for noise: one bin in 30,000 by chance."""

SMALLEST_DEVIATION = 0.1
"""Of any feature: public, so it costs nothing."""


def magnitudes(raw: NDArray[np.float64]) -> NDArray[np.int64]:
    """Features [n, M] -> counts int64 [M, BINS].

    Values beyond the outermost bins are counted in them, missing ones (NaN) nowhere.
    """
    exponents = np.frexp(np.abs(raw))[1] - 1  # |x| in [2**e, 2**(e+1)); -1 for zero
    exponents = np.where(np.abs(raw) < 2.0**LOWEST, LOWEST - 1, np.minimum(exponents, HIGHEST))
    missing = np.isnan(raw)
    bins = _HALF + np.sign(np.where(missing, 0.0, raw)).astype(np.int64) * (exponents - LOWEST + 1)
    counts = [np.bincount(column[~gaps], minlength=BINS) for column, gaps in zip(bins.T, missing.T, strict=True)]
    return np.stack(counts).astype(np.int64)


def from_histogram(counts: NDArray[np.float64], deviation: float) -> Standardization:
    """Mean and deviation of each feature from noisy counts [M, BINS] whose noise has that standard deviation."""
    kept = np.where(counts > NOISE_FLOOR * deviation, counts, 0.0)
    total = kept.sum(axis=1)
    if (total <= 0).any():
        raise DataError(
            "the noise hides the distribution of a feature: too few transactions for so small an epsilon; use more "
            "transactions or a larger epsilon"
        )
    edges = 2.0 ** np.arange(LOWEST, HIGHEST + 1)
    centres, squares = 1.5 * edges, 7 / 3 * edges**2  # mean of x and of x**2 over [edge, 2 edge)
    mean = kept @ np.concatenate([-centres[::-1], [0.0], centres]) / total
    mean_square = kept @ np.concatenate([squares[::-1], [0.0], squares]) / total
    deviations = np.sqrt(np.maximum(mean_square - mean**2, SMALLEST_DEVIATION**2))
    return Standardization(tuple(mean.tolist()), tuple(deviations.tolist()))
