"""Coordinate-wise trimmed mean (Yin, Chen, Ramchandran, Bartlett, "Byzantine-Robust Distributed Learning: Towards
Optimal Statistical Rates", ICML 2018, definition 2, option II of algorithm 1). Holds for n >= 2 f + 1.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix, Robust, over_finite


def trimmed_mean(updates: FloatMatrix, byzantine: int) -> Robust:
    """The mean of each coordinate without its `byzantine` largest and as many smallest values."""
    return over_finite("trimmed-mean", updates, byzantine, _trimmed_mean)


def _trimmed_mean(updates: FloatMatrix, byzantine: int) -> Robust:
    inner = np.sort(updates, axis=0)[byzantine : len(updates) - byzantine]
    return Robust(inner.mean(axis=0), tuple(range(len(updates))))
