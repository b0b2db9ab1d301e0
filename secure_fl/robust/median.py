"""Coordinate-wise median (Yin, Chen, Ramchandran, Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal
Statistical Rates", ICML 2018, definition 1, option I of algorithm 1). Holds for n >= 2 f + 1.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix, Robust, over_finite


def median(updates: FloatMatrix, byzantine: int = 0) -> Robust:
    """The median of each coordinate; of an even number of rows, the mean of the middle two."""
    return over_finite("median", updates, byzantine, _median)


def _median(updates: FloatMatrix, byzantine: int) -> Robust:
    return Robust(np.median(updates, axis=0), tuple(range(len(updates))))
