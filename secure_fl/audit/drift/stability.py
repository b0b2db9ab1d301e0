"""Population stability index of two samples that were counted in the same bins, and what chance makes of it.

PSI is the sum over bins of (q - p) ln(q / p), p and q the shares of the old and of the new sample. Credit scoring calls
less than 0.1 stable and more than 0.25 a shift (Siddiqi, "Credit Risk Scorecards", Wiley 2006): a convention, no test.
Without any drift PSI is about (bins - 1) (1 / n + 1 / m) of n and m independent rows, so small samples exceed both by
chance alone (Yurdakul, Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
Validation 14, 2020), and rows of few customers too.

Therefore a shift must also exceed the PSI of two samples that have the shares of both together, and differ from them as
resampled rows differ from their sample. Resampled shifts of all features are held together, each relative to its own
mean, by their largest (after Westfall, Young, "Resampling-Based Multiple Testing", Wiley 1993). With few rows or
customers it is exceeded somewhat more often than is said. Half a row is added to each bin that has one, so that no
share is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Of all shifts of one comparison together."""


@dataclass(frozen=True)
class Shift:
    """How far one feature, or the score, has moved."""

    name: str
    psi: float
    chance: float
    """What chance alone stays below, for all features and the score at once with a probability of about 95 %."""

    @property
    def beyond_chance(self) -> bool:
        return self.psi > self.chance

    def exceeds(self, limit: float) -> bool:
        """Whether it is more than the limit, and not by chance."""
        return self.beyond_chance and self.psi > limit

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "psi": self.psi, "chance": self.chance, "beyond_chance": self.beyond_chance}


def stability_index(counts: NDArray[np.int64]) -> float:
    """PSI of the counts of both samples, [2, bins]; 0 where all rows fall into one bin."""
    return float(_index(*_shares(counts[:, _used(counts)])))


def shifts_of(counted: Mapping[str, NDArray[np.int64]], again: Mapping[str, NDArray[np.int64]]) -> tuple[Shift, ...]:
    """Of the counts of each, [2, bins], and the same of resampled rows, [ways, replicates, 2, bins]."""
    drawn = np.stack([_by_chance(counts, again[name]) for name, counts in counted.items()], axis=-1)
    means = drawn.mean(axis=1, keepdims=True)
    relative = np.divide(drawn, means, out=np.zeros_like(drawn), where=means > 0)
    factor = np.quantile(relative.max(axis=-1), LEVEL, axis=1)
    chance = (factor[:, np.newaxis] * means[:, 0]).max(axis=0)
    return tuple(
        Shift(name, stability_index(counts), float(limit))
        for (name, counts), limit in zip(counted.items(), chance, strict=True)
    )


def _by_chance(counts: NDArray[np.int64], again: NDArray[np.int64]) -> NDArray[np.float64]:
    """[ways, replicates]: PSI as it would be, had both samples the same shares and moved by resampling alone."""
    used = _used(counts)
    counts, again = counts[:, used], again[..., used]
    rows = counts.sum(axis=1, keepdims=True)
    alike = _shares(rows * (counts.sum(axis=0) / counts.sum()))  # differ as the half rows weigh in each
    moved = alike + _shares(again) - _shares(counts)
    moved = np.maximum(moved, 0.5 / (rows + 0.5 * used.sum()))  # no share falls below that of no row
    return _index(moved[..., 0, :], moved[..., 1, :])


def _index(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSI of shares, over the last axis."""
    index: NDArray[np.float64] = ((q - p) * (np.log(q) - np.log(p))).sum(axis=-1)
    return index


def _used(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    used: NDArray[np.bool_] = counts.sum(axis=0) > 0
    return used


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    padded = counts + 0.5
    shares: NDArray[np.float64] = padded / padded.sum(axis=-1, keepdims=True)
    return shares
