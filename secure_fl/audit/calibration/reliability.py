"""How far probabilities are from what was found, on the later half: from one secure sum, before and after.

Each bank adds up, for the model's own scores and for the calibrated ones: rows, frauds and probabilities in ten bins of
the probability, squared errors (Brier) and log losses; and the squares of the differences of these two, which an
interval of the gain takes.

Intervals take rows for independent. The share of frauds in a bin has that of Clopper and Pearson ("The use of
confidence or fiducial limits", Biometrika 26, 1934). The expected calibration error is not 0 by chance, even of perfect
probabilities, so beside it stands what chance alone stays below: 95 % of the errors of counts that are drawn again with
the probabilities as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from scipy.stats import beta, norm

from secure_fl.audit.calibration.halves import Half
from secure_fl.audit.calibration.maps import BetaMap
from secure_fl.audit.floors import LEAST_ROWS
from secure_fl.audit.sums import to_integers, to_reals

BIN_EDGES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9)
_BINS = len(BIN_EDGES) + 1
_OF_A_KIND = 3 * _BINS + 2
LENGTH = 2 * _OF_A_KIND + 2
"""Integers that a bank adds."""
LEVEL, DRAWS = 0.95, 10_000


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Sums of one kind of probabilities, over all banks."""

    rows: NDArray[np.int64]
    frauds: NDArray[np.int64]
    expected: NDArray[np.float64]
    """Sum of the probabilities; these three are [bins]."""
    squared_errors: float
    log_losses: float

    @classmethod
    def of_vector(cls, vector: NDArray[np.int64]) -> Probabilities:
        rows, frauds, expected = vector[:-2].reshape(3, _BINS)
        return cls(rows, frauds, to_reals(expected), *map(float, to_reals(vector[-2:])))

    @property
    def count(self) -> int:
        return int(self.rows.sum())

    @property
    def mean(self) -> float:
        return float(self.expected.sum()) / self.count

    @property
    def brier(self) -> float:
        return self.squared_errors / self.count

    @property
    def log_loss(self) -> float:
        return self.log_losses / self.count

    @property
    def error(self) -> float:
        """Expected calibration error."""
        return float(np.abs(self.expected - self.frauds).sum()) / self.count

    def chance(self, rng: np.random.Generator) -> float:
        """What the error of right probabilities stays below, with a probability of `LEVEL`."""
        shares = np.clip(self.expected / np.maximum(self.rows, 1), 0, 1)
        drawn = np.abs(rng.binomial(self.rows, shares, size=(DRAWS, _BINS)) - self.expected).sum(axis=1)
        return float(np.quantile(drawn, LEVEL)) / self.count

    def bins(self) -> Iterator[dict[str, Any]]:
        """Each bin's line; of few rows nothing is said."""
        for (low, high), rows, frauds, expected in zip(
            pairwise((0.0, *BIN_EDGES, 1.0)), self.rows, self.frauds, self.expected, strict=True
        ):
            if rows < LEAST_ROWS:
                yield {"from": low, "to": high, "suppressed": f"fewer than {LEAST_ROWS} rows"}
                continue
            found = {"rows": int(rows), "frauds": int(frauds), "mean": float(expected / rows), "share": frauds / rows}
            yield {"from": low, "to": high, **found, "interval": _interval(int(frauds), int(rows))}


@dataclass(frozen=True, eq=False)
class Reliability:
    """Of the later half."""

    own: Probabilities
    calibrated: Probabilities
    squares: tuple[float, float]
    """Sums of the squared differences of squared errors and of log losses."""

    @classmethod
    def of_vector(cls, vector: NDArray[np.int64]) -> Reliability:
        """Inverse of `add_up`, of a sum over banks."""
        own, calibrated, squares = np.split(vector, [_OF_A_KIND, 2 * _OF_A_KIND])
        brier, log_loss = map(float, to_reals(squares))
        return cls(Probabilities.of_vector(own), Probabilities.of_vector(calibrated), (brier, log_loss))

    @property
    def brier_gain(self) -> tuple[float, list[float]]:
        """By how much calibration lowers the Brier score, and its interval."""
        return self._gain(self.own.brier - self.calibrated.brier, self.squares[0])

    @property
    def log_loss_gain(self) -> tuple[float, list[float]]:
        """The same of the log loss."""
        return self._gain(self.own.log_loss - self.calibrated.log_loss, self.squares[1])

    def _gain(self, mean: float, squares: float) -> tuple[float, list[float]]:
        variance = max(squares / self.own.count - mean**2, 0.0) / self.own.count
        reach = float(norm.ppf((1 + LEVEL) / 2)) * variance**0.5
        return mean, [mean - reach, mean + reach]


def add_up(half: Half, fitted: BetaMap) -> NDArray[np.int64]:
    """One bank's rows -> int64 [LENGTH]."""
    kinds = [_losses(odds, half.fraud) for odds in (half.log_odds, fitted.log_odds(half.log_odds))]
    parts = []
    for probability, *losses in kinds:
        bins = np.searchsorted(BIN_EDGES, probability, side="right")
        integers = to_integers(probability)
        parts += [
            np.bincount(bins, minlength=_BINS),
            np.bincount(bins[half.fraud], minlength=_BINS),
            np.array([integers[bins == place].sum() for place in range(_BINS)]),
            np.array([to_integers(loss).sum() for loss in losses]),
        ]
    differences = [to_integers((own - other) ** 2).sum() for own, other in zip(*(k[1:] for k in kinds), strict=True)]
    return np.concatenate([*parts, differences]).astype(np.int64)


def _losses(odds: NDArray[np.float64], fraud: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Probabilities, squared errors and log losses, [n] each."""
    probability = expit(odds)
    return probability, (probability - fraud) ** 2, -log_expit(np.where(fraud, odds, -odds))


def _interval(part: int, whole: int) -> list[float]:
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, part, whole - part + 1)) if part else 0.0
    high = float(beta.ppf(1 - tail, part + 1, whole - part)) if part < whole else 1.0
    return [low, high]
