"""Gaussian noise rounded to integers, from uniform bits, right in all its digits.

An integer plus round(N) is round(integer + N): where a sum lies on a grid, adding rounded noise releases nothing more
than the real-valued Gaussian mechanism would, of which it is post-processing. So every accountant of that mechanism
holds literally, subsampled or not, and no bit of a float is left to tell sums apart by (Mironov, "On Significance of
the Least Significant Bits for Differential Privacy", CCS 2012). The discrete Gaussian (Canonne, Kamath, Steinke,
NeurIPS 2020) is as safe, but has a distribution of its own, which accountants of subsampled Gaussians do not know.

Rule: inversion. A sign and 127 bits v decide a value: the tail probability p = (v + 1/2) / 2**128 belongs to exactly
one integer. Double precision tells which, but where p lies too near to a border, or far out; there the border is
computed with 320 bits. What remains is that p is one of 2**127 numbers: the total variation distance to the exact
distribution is at most (14 deviation + 2) / 2**127 a value (`distance`), 2**-102 for the usual noise, and 2**-80 for a
million values and more. The exact path takes longer, once in some hundred thousand values.
"""

from __future__ import annotations

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

WORDS = 2
"""64-bit numbers that a value takes."""
_DOUBT = 2.0**-40
"""More than the error of the quantile in double precision, in deviations, where the tail is not `_FAR`: 2**-41 / 5.3
for the bits of p that are left out, and 2**-45 for `ndtri`."""
_FAR = np.uint64(1 << 40)
"""As v / 2**64, a tail probability of 2**-24."""
_SIGN = np.uint64(1 << 63)
_PRECISION = 320


def rounded_gaussian(deviation: float, words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """round(N(0, deviation**2)) [n] from uniform words [n * WORDS]. `deviation`: below 2**38."""
    first, second = words[::WORDS], words[1::WORDS]
    high = first & ~_SIGN
    size = ndtri((high.astype(np.float64) + 0.5) * 2.0**-64) * -deviation
    nearest = np.rint(size)
    doubtful = (high < _FAR) | (np.abs(np.abs(size - nearest) - 0.5) <= _DOUBT * deviation)
    sizes = nearest.astype(np.int64)
    for place in np.flatnonzero(doubtful):
        sizes[place] = _exactly(deviation, (int(high[place]) << 64) | int(second[place]))
    signed: NDArray[np.int64] = np.where(first & _SIGN, -sizes, sizes)
    return signed


def distance(deviation: float) -> float:
    """At most how far a value's distribution is from the exact one, in total variation."""
    return (14 * deviation + 2) / 2.0**127


def _exactly(deviation: float, bits: int) -> int:
    """The k >= 0 for which the tail beyond k + 1/2 is at most p, and beyond k - 1/2 more."""
    with mpmath.workprec(_PRECISION):
        tail = mpmath.mpf(2 * bits + 1) / 2**129
        unit = mpmath.mpf(deviation) * mpmath.sqrt(2)

        def beyond(border: float) -> mpmath.mpf:
            return mpmath.erfc(border / unit) / 2

        size = max(0, round(-float(ndtri(float(tail))) * deviation))
        while beyond(mpmath.mpf(2 * size + 1) / 2) > tail:
            size += 1
        while size > 0 and beyond(mpmath.mpf(2 * size - 1) / 2) <= tail:
            size -= 1
    return size
