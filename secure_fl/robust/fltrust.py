"""FLTrust (Cao, Fang, Liu, Gong, "FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping", NDSS 2021,
algorithm 2): updates are believed as far as they point where the update of a clean root set does.

It needs rows that are known to be clean, and then no majority of honest banks: one is enough.
"""

from __future__ import annotations

import numpy as np

from secure_fl.errors import ConfigurationError
from secure_fl.robust.result import FloatMatrix, FloatVector, Robust, linear, norms, over_finite


def fltrust(updates: FloatMatrix, byzantine: int, root: FloatVector) -> Robust:
    """The mean of updates scaled to the norm of `root`, [parameters], weighted by max(0, cos(update, root)).

    Where nobody points that way the aggregate is zero, and no row is chosen.
    """
    root = np.asarray(root, dtype=np.float64)
    if root.shape != np.shape(updates)[1:] or not np.isfinite(root).all():
        raise ConfigurationError(f"a root update of shape {root.shape} is refused; give a finite one, [parameters]")

    def trusted(updates: FloatMatrix, byzantine: int) -> Robust:
        lengths, length = norms(updates), float(norms(root[None])[0])
        there = (lengths > 0) & (length > 0)
        directions = np.divide(updates, lengths[:, None], out=np.zeros_like(updates), where=there[:, None])
        trust = np.maximum(0.0, directions @ (root / (length or 1.0)))
        if not trust.any():
            return linear(updates, np.zeros(len(updates)))
        weights = np.divide(length, lengths, out=np.zeros(len(updates)), where=there) * (trust / trust.sum())
        return linear(updates, weights)

    return over_finite("fltrust", updates, byzantine, trusted)
