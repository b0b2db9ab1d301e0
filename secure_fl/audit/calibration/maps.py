"""The map from a model's score to a probability: beta calibration (Kull, Silva Filho, Flach, "Beta calibration: a
well-founded and easily implemented improvement on logistic calibration for binary classifiers", AISTATS 2017).

    log-odds of fraud = a ln(p) - b ln(1 - p) + c        p: the model's own score; a, b >= 0

With a = b it is the logistic map of Platt ("Probabilistic outputs for support vector machines", 1999) on log-odds, and
with a = b = 1 the shift by ln(w) that a loss with w times the weight for frauds calls for. It has one number more,
because fraud that a model misses lies among many low scores, where odds rise more slowly than they do at the top.
Three numbers can be learned from some dozens of frauds. Isotonic regression needs more: it makes steps, which take the
order of rows within one away, and says 0 below the lowest fraud that it saw.

Targets are smoothed as Platt has it, (n + 1) / (n + 2) for n frauds in the place of 1 and 1 / (m + 2) for m honest rows
in the place of 0, so that classes that are apart give finite numbers. A negative a or b is left out and the other two
are fitted again, as the paper does: probabilities never fall where scores rise. Nothing is extrapolated: beyond the
middle of the lowest and the highest bin that was learned from, probabilities stay what they are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from secure_fl.audit.threshold import EDGES
from secure_fl.errors import DataError

BINS = len(EDGES) + 1
_CENTRES: NDArray[np.float64] = np.concatenate([EDGES[:1], (EDGES[1:] + EDGES[:-1]) / 2, EDGES[-1:]])
"""Log-odds that stand for the rows of each bin; of the outermost two, their only edge."""
_WEAK = 100.0
"""Of the penalty on slopes, 1 / 100 of half their squares beside the sum of all losses: with some dozens of frauds it
moves nothing, and it keeps a slope finite that no row says anything of, as b where all scores are low."""


@dataclass(frozen=True)
class BetaMap:
    """Monotone, from the model's log-odds to those that are calibrated."""

    a: float
    b: float
    c: float
    lowest: float
    """Log-odds of the middle of the lowest bin that was learned from."""
    highest: float

    def log_odds(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the model's log-odds, of any shape."""
        features = _features(np.clip(scores, self.lowest, self.highest))
        mapped: NDArray[np.float64] = features @ np.array([self.a, self.b]) + self.c
        return mapped

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of fraud, from the model's log-odds."""
        mapped: NDArray[np.float64] = expit(self.log_odds(scores))
        return mapped


def fit_map(frauds: NDArray[np.int64], honest: NDArray[np.int64]) -> BetaMap:
    """From counts in bins between `threshold.EDGES`, [BINS] each, with both kinds of rows. Raises `DataError`."""
    used = np.flatnonzero(frauds + honest)
    features = _features(_CENTRES[used])
    upper, lower = (frauds.sum() + 1) / (frauds.sum() + 2), 1 / (honest.sum() + 2)
    wanted = frauds[used] * upper + honest[used] * lower
    weights = np.concatenate([wanted, (frauds + honest)[used] - wanted])
    slopes, shift = _regression(features, weights)
    if slopes.min() < 0:
        kept = int(slopes.argmax())
        slope, shift = _regression(features[:, [kept]], weights)
        slopes = np.where(np.arange(2) == kept, slope, 0.0)
    if len(used) == 1 or not (slopes.min() >= 0 and slopes.max() > 0):  # of one bin, slopes are what rounding left
        raise DataError(
            "rows that the model scores higher are not fraud more often, so no map makes probabilities of its scores; "
            "train a better model first"
        )
    return BetaMap(float(slopes[0]), float(slopes[1]), shift, float(_CENTRES[used[0]]), float(_CENTRES[used[-1]]))


def _features(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(p) and -ln(1 - p) of log-odds, [..., 2]."""
    return np.stack([log_expit(scores), -log_expit(-scores)], axis=-1)


def _regression(features: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Slopes and intercept; `weights`: of the rows of `features` as frauds, then of the same as honest rows."""
    from sklearn.linear_model import LogisticRegression  # slow to import, and scoring needs none of it

    labels = np.repeat([1, 0], len(features))
    model = LogisticRegression(C=_WEAK, solver="newton-cholesky", tol=1e-8, max_iter=1_000)
    model.fit(np.concatenate([features, features]), labels, sample_weight=weights)
    return model.coef_[0], float(model.intercept_[0])
