"""Geometric median, RFA (Pillutla, Kakade, Harchaoui, "Robust Aggregation for Federated Learning", IEEE Transactions on
Signal Processing 70, 2022, algorithm 2: smoothed Weiszfeld). Holds for n >= 2 f + 1.

The paper's smoothing is a distance; here it is a share of the median distance from the start, so that the rule does
the same in any unit. It starts at the coordinate-wise median, from which a far update does not take long to forget.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix, FloatVector, Robust, linear, norms, over_finite

SMOOTHING = 1e-6
"""Of the median distance: below it, a point attracts no more than it does there."""
STEPS, TOLERANCE = 200, 1e-8
"""Steps at most; it stops where a step is shorter than this share of the median distance."""


def geometric_median(updates: FloatMatrix, byzantine: int = 0) -> Robust:
    """The point whose distances to all rows have the least sum."""
    return over_finite("rfa", updates, byzantine, _weiszfeld)


def _weiszfeld(updates: FloatMatrix, byzantine: int) -> Robust:
    centre = np.median(updates, axis=0)
    unit = float(np.median(norms(updates - centre)))
    if unit == 0.0:  # most rows are one and the same point, which no other can be closer to
        same = (updates == centre).all(axis=1)
        return linear(updates, same / same.sum())
    weights = np.full(len(updates), 1 / len(updates))
    for _ in range(STEPS):
        weights = _weights(norms(updates - centre), SMOOTHING * unit)
        before, centre = centre, weights @ updates
        if norms((centre - before)[None])[0] <= TOLERANCE * unit:
            break
    return linear(updates, weights)


def _weights(distances: FloatVector, smoothing: float) -> FloatVector:
    """In proportion to 1 / distance."""
    with np.errstate(under="ignore"):
        pull = smoothing / np.maximum(smoothing, distances)
        weights: FloatVector = pull / pull.sum()
    return weights
