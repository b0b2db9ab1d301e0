"""How well scores tell fraud from other transactions. The metrics are scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import DataError, TrainingError

RECALL = 0.8

CURVE_POINTS = 200
"""A curve is thinned to so many points, which no drawing needs more than."""


@dataclass(frozen=True)
class Scores:
    """How well one model does on the common test set."""

    auprc: float
    """Area under the precision-recall curve (average precision)."""
    roc_auc: float
    false_positives_at_80_recall: int
    """Honest transactions that are flagged at the threshold which finds 80 % of the fraud."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision against recall, at most `CURVE_POINTS` thresholds of one model on one test set; no row and no score.

    Each point is one threshold as it is, never between two: the one with the fewest alarms of those that find as much
    of the fraud. Recall rises.
    """

    recall: tuple[float, ...]
    """Share of the fraud that is flagged."""
    precision: tuple[float, ...]
    """Share of fraud among what is flagged."""
    frauds: int
    honest: int
    """Rows of each class in the test set."""

    @property
    def guessing(self) -> float:
        """The precision of flagging at random: the share of fraud."""
        return self.frauds / (self.frauds + self.honest)


@dataclass(frozen=True)
class OnTest:
    """What one model does on the common test set, beyond its scores."""

    curve: PrecisionRecall
    auprc_by_bank: Mapping[str, float | None]
    """On the test rows of each bank alone; None where these are of one class."""


def measure(fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> Scores:
    """Scores of a model from its outputs, both [n]. The rows must hold both classes."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # slow to import

    require_both_classes(fraud)
    if not np.isfinite(score).all():
        raise TrainingError("the model answers with numbers that are not finite: it diverged; lower the learning rate")
    return Scores(
        auprc=float(average_precision_score(fraud, score)),
        roc_auc=float(roc_auc_score(fraud, score)),
        false_positives_at_80_recall=false_positives_at_recall(fraud, score, RECALL),
    )


def precision_recall(fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> PrecisionRecall:
    """The curve of a model from its outputs, both [n]. The rows must hold both classes."""
    from sklearn.metrics import precision_recall_curve

    require_both_classes(fraud)
    precision, recall, _ = precision_recall_curve(fraud, score)
    precision, recall = precision[::-1], recall[::-1]  # rising
    fewest_alarms = np.unique(recall, return_index=True)[1]
    useful = fewest_alarms[recall[fewest_alarms] > 0]  # where it is 0, scikit-learn has a point that is no threshold
    kept = useful[np.unique(np.linspace(0, len(useful) - 1, CURVE_POINTS).round().astype(int))]
    frauds = int(fraud.sum())
    return PrecisionRecall(
        tuple(map(float, recall[kept])), tuple(map(float, precision[kept])), frauds, len(fraud) - frauds
    )


def look_closer(fraud: NDArray[np.bool_], score: NDArray[np.float64], rows: Mapping[str, int]) -> OnTest:
    """The curve, and AUPRC by bank; `rows`: how many of the rows are each bank's, one bank after the other."""
    from sklearn.metrics import average_precision_score

    ends = np.cumsum(list(rows.values()))
    parts = [slice(end - count, end) for end, count in zip(ends, rows.values(), strict=True)]
    return OnTest(
        precision_recall(fraud, score),
        {
            bank: float(average_precision_score(fraud[part], score[part])) if 0 < fraud[part].mean() < 1 else None
            for bank, part in zip(rows, parts, strict=True)
            if part.start < part.stop
        },
    )


def require_both_classes(fraud: NDArray[np.bool_]) -> None:
    """Raises `DataError` where a test set cannot tell models apart."""
    if not 0 < fraud.sum() < len(fraud):
        raise DataError("the test transactions hold only one class; use a larger test fraction or more data")


def false_positives_at_recall(fraud: NDArray[np.bool_], score: NDArray[np.float64], recall: float) -> int:
    """Honest rows at or above the highest threshold that finds `recall` of the fraud."""
    ranked = np.sort(score[fraud])[::-1]
    threshold = ranked[int(np.ceil(recall * len(ranked))) - 1]
    return int(np.count_nonzero(score[~fraud] >= threshold))
