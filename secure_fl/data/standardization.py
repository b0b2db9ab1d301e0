"""Standardizing numeric features over all banks without seeing any bank's rows.

Each bank computes three sums per feature (`moments`); the federation adds them with a secure sum; mean and standard
deviation follow from the total (`Standardization.from_moments`). `as_vector` and `from_vector` turn the sums into
one flat vector and back, for that secure sum.

Rules: everything is float64; a feature that does not vary becomes 0; values are clipped to +-8 standard
deviations, so that one freak payment cannot dominate an update (and a clipped gradient under DP-SGD). A value that is
missing (NaN) becomes 0, the mean of the training rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.transactions import quoted
from secure_fl.errors import DataError

CLIP = 8.0
"""Largest absolute value of a standardized feature, in standard deviations."""
_CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding noise of a constant."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the rows of one bank, or of several: M features."""

    count: float
    """Number of rows."""
    sum: NDArray[np.float64]
    """float64 [M]: sum of each feature."""
    sum_of_squares: NDArray[np.float64]
    """float64 [M]: sum of each feature's squares."""

    def __repr__(self) -> str:
        return f"Moments({self.sum.shape[0]} features)"

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.sum + other.sum, self.sum_of_squares + other.sum_of_squares)

    def as_vector(self) -> NDArray[np.float64]:
        """float64 [1 + 2 M]: count, sums, sums of squares."""
        return np.concatenate([[self.count], self.sum, self.sum_of_squares])

    @classmethod
    def from_vector(cls, vector: NDArray[np.float64]) -> Moments:
        """Inverse of `as_vector`. Raises DataError if the length is even."""
        if vector.ndim != 1 or vector.shape[0] % 2 == 0:
            raise DataError("a vector of moments has 1 + 2 M entries; pass what Moments.as_vector returned")
        features = vector.shape[0] // 2
        return cls(float(vector[0]), vector[1 : 1 + features].copy(), vector[1 + features :].copy())


def moments(raw: NDArray[np.float64], names: Sequence[str] = (), largest: float = np.inf) -> Moments:
    """The sums of one bank's raw features, float64 [n, M]. Raises DataError if a sum overflows or reaches `largest`.

    `names`: of the features, for the error. Where values are missing (NaN), the sums are those of the others, scaled up
    to all rows.
    """
    with np.errstate(over="ignore"):
        if np.isnan(raw).any():
            present = np.count_nonzero(~np.isnan(raw), axis=0)
            share = raw.shape[0] / np.maximum(present, 1)
            sums, squares = share * np.nansum(raw, axis=0), share * np.nansum(np.square(raw), axis=0)
        else:
            sums, squares = raw.sum(axis=0), np.square(raw).sum(axis=0)
        result = Moments(float(raw.shape[0]), sums, squares)
    large = ~(np.maximum(np.abs(sums), squares) < largest)
    if large.any():
        which = [name for name, is_large in zip(names, large.tolist(), strict=False) if is_large]
        raise DataError(
            f"{f'column {quoted(which)}' if which else 'a numeric column'} holds numbers too large to add up; rescale "
            "it, or declare it with --identifiers if the numbers name something"
        )
    return result


@dataclass(frozen=True)
class Standardization:
    """Mean and standard deviation of each numeric feature, the same in every bank; M features."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """0 for a feature that does not vary."""

    @classmethod
    def from_moments(cls, total: Moments) -> Standardization:
        """From the sums over all banks. Raises DataError if there is no row."""
        if total.count < 1:
            raise DataError("no bank has a transaction to standardize with; give the banks training rows")
        mean = total.sum / total.count
        mean_square = total.sum_of_squares / total.count
        variance = mean_square - mean**2
        std = np.where(variance > _CONSTANT * mean_square, np.sqrt(np.maximum(variance, 0.0)), 0.0)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))


def standardize(raw: NDArray[np.float64], standardization: Standardization) -> NDArray[np.float64]:
    """float64 [n, M] in [-8, 8]: raw features [n, M] minus mean, divided by standard deviation, clipped."""
    mean, std = np.asarray(standardization.mean), np.asarray(standardization.std)
    varies = std > 0.0
    scaled = np.where(varies, (raw - mean) / np.where(varies, std, 1.0), 0.0)
    scaled = np.where(np.isnan(raw), 0.0, scaled)
    return np.clip(scaled, -CLIP, CLIP)
