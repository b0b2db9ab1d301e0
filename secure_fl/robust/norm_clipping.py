"""Norm clipping (Sun, Kairouz, Suresh, McMahan, "Can You Really Backdoor Federated Learning?", FL workshop of NeurIPS
2019, section 5): the mean of the updates, each shrunk to a norm at most.

The paper gives the norm; here it is the median of the norms, which honest banks decide for n >= 2 f + 1. An update
within it goes in as it is, also a poisoned one: f of them move the mean by 2 f / n of the norm at most.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix, Robust, linear, norms, over_finite


def norm_clipping(updates: FloatMatrix, byzantine: int = 0, norm: float | None = None) -> Robust:
    """`norm`: the largest L2 norm; None: the median of the norms."""

    def clipped_mean(updates: FloatMatrix, byzantine: int) -> Robust:
        lengths = norms(updates)
        most = float(np.median(lengths)) if norm is None else norm
        factors = np.divide(most, lengths, out=np.ones(len(updates)), where=lengths > most)
        return linear(updates, factors / len(updates))

    return over_finite("norm-clip", updates, byzantine, clipped_mean)
