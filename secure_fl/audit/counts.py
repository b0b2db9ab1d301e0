"""Counts of one group's rows, which add up over banks, and the rates that follow from them.

Counts are of flagged and unflagged frauds and honest rows, and, in ten bins of the score, of rows and frauds with the
sum of the scores: as much as calibration takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.audit.floors import LEAST_FRAUDS, LEAST_ROWS
from secure_fl.audit.sums import to_integers, to_reals

CALIBRATION_EDGES = (0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_BINS = len(CALIBRATION_EDGES) + 1
LENGTH = 4 + 3 * _BINS
"""Integers for a group."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Of one group, over all banks."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    bin_rows: NDArray[np.int64]
    bin_frauds: NDArray[np.int64]
    bin_scores: NDArray[np.float64]
    """Sum of the probabilities in each bin."""

    @classmethod
    def of_vector(cls, vector: NDArray[np.int64]) -> Counts:
        """Inverse of `count_rows`, of a sum over banks."""
        rows, frauds, scores = vector[4:].reshape(3, _BINS)
        found, alarms, missed, passed = map(int, vector[:4])
        return cls(found, alarms, missed, passed, rows, frauds, to_reals(scores))

    def __sub__(self, other: Counts) -> Counts:
        """The rows that are not in the other group, which lies in this one."""
        return Counts(
            self.true_positives - other.true_positives,
            self.false_positives - other.false_positives,
            self.false_negatives - other.false_negatives,
            self.true_negatives - other.true_negatives,
            self.bin_rows - other.bin_rows,
            self.bin_frauds - other.bin_frauds,
            self.bin_scores - other.bin_scores,
        )

    @property
    def frauds(self) -> int:
        return self.true_positives + self.false_negatives

    @property
    def honest(self) -> int:
        return self.false_positives + self.true_negatives

    @property
    def rows(self) -> int:
        return self.frauds + self.honest

    @property
    def flagged(self) -> int:
        return self.true_positives + self.false_positives

    def ratio(self, rate: str) -> tuple[int, int]:
        """Of a rate in `RATES`: how many, of how many."""
        return {
            "selection_rate": (self.flagged, self.rows),
            "recall": (self.true_positives, self.frauds),
            "false_positive_rate": (self.false_positives, self.honest),
            "precision": (self.true_positives, self.flagged),
        }[rate]

    def share(self, rate: str) -> float:
        """The rate itself, where there is anything to divide by."""
        part, whole = self.ratio(rate)
        return part / whole

    def tells(self, rate: str) -> bool:
        """Whether there are rows enough for this rate."""
        if self.rows < LEAST_ROWS:
            return False
        if rate == "recall":
            return self.frauds >= LEAST_FRAUDS
        return self.ratio(rate)[1] >= LEAST_ROWS

    def document(self) -> dict[str, Any]:
        """The group's line; rates that too few rows stand behind are null."""
        if self.rows < LEAST_ROWS:
            return {"suppressed": f"fewer than {LEAST_ROWS} rows"}
        rates = {rate: self.share(rate) if self.tells(rate) else None for rate in RATES}
        few = self.frauds < LEAST_FRAUDS
        return {
            "rows": self.rows,
            "frauds": None if few else self.frauds,
            **rates,
            "calibration": self._calibration(few),
        }

    def _calibration(self, few_frauds: bool) -> dict[str, Any] | None:
        if few_frauds:
            return None
        predicted, found = float(self.bin_scores.sum()) / self.rows, self.frauds / self.rows
        error = float(np.abs(self.bin_scores - self.bin_frauds).sum()) / self.rows
        return {"mean_score": predicted, "fraud_share": found, "expected_calibration_error": error}


RATES = ("selection_rate", "recall", "false_positive_rate", "precision")


def count_rows(fraud: NDArray[np.bool_], log_odds: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """One bank's rows of a group -> int64 [LENGTH]."""
    flagged, probability = log_odds >= threshold, 1 / (1 + np.exp(-log_odds))
    confusion = [
        np.count_nonzero(part) for part in (flagged & fraud, flagged & ~fraud, ~flagged & fraud, ~flagged & ~fraud)
    ]
    bins = np.searchsorted(CALIBRATION_EDGES, probability, side="right")
    rows, frauds = np.bincount(bins, minlength=_BINS), np.bincount(bins[fraud], minlength=_BINS)
    integers = to_integers(probability)
    scores = np.array([integers[bins == place].sum() for place in range(_BINS)])
    return np.concatenate([confusion, rows, frauds, scores]).astype(np.int64)
