"""Squared distances between updates."""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix

_BLOCK = 1 << 16
"""Columns at a time."""


def squared_distances(updates: FloatMatrix) -> FloatMatrix:
    """[n, n] from [n, parameters]. From differences, since norms and inner products cancel where updates are close.

    Infinite where a square leaves float64: such rows are far from each other.
    """
    squared = np.zeros((len(updates), len(updates)))
    with np.errstate(over="ignore", under="ignore"):
        for start in range(0, updates.shape[1], _BLOCK):
            block = updates[:, start : start + _BLOCK]
            for row in range(len(updates) - 1):
                difference = block[row + 1 :] - block[row]
                squared[row, row + 1 :] += np.einsum("ij,ij->i", difference, difference)
    return squared + squared.T
