"""Centred clipping (Karimireddy, He, Jaggi, "Learning from History for Byzantine Robust Optimization", ICML 2021,
algorithm 2): the mean of the updates, each clipped around a centre, which the mean then replaces. Holds for n >= 10 f.

The paper starts at the aggregate of the last round, and takes momenta for updates. Banks here keep no momentum between
rounds, so the rule starts at the coordinate-wise median unless told otherwise. Its radius is the median distance from
the centre where none is given.
"""

from __future__ import annotations

import numpy as np

from secure_fl.robust.result import FloatMatrix, FloatVector, Robust, linear, norms, over_finite

STEPS = 3


def centred_clipping(
    updates: FloatMatrix,
    byzantine: int = 0,
    radius: float | None = None,
    start: FloatVector | None = None,
    steps: int = STEPS,
) -> Robust:
    """So many times v <- v + mean of (x - v) min(1, radius / |x - v|), from `start`, [parameters]."""

    def clipped(updates: FloatMatrix, byzantine: int) -> Robust:
        centre = np.median(updates, axis=0) if start is None else np.asarray(start, dtype=np.float64)
        for _ in range(steps):
            away = updates - centre
            distances = norms(away)
            most = float(np.median(distances)) if radius is None else radius
            factors = np.divide(most, distances, out=np.ones(len(updates)), where=distances > most)
            centre = centre + linear(away, factors / len(updates)).aggregate
        return Robust(centre, tuple(range(len(updates))))

    return over_finite("centred-clip", updates, byzantine, clipped)
