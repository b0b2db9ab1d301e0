"""How well scores tell fraud from other transactions. The metrics are scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import DataError, TrainingError

RECALL = 0.8


@dataclass(frozen=True)
class Scores:
    """How well one model does on the common test set."""

    auprc: float
    """Area under the precision-recall curve (average precision)."""
    roc_auc: float
    false_positives_at_80_recall: int
    """Honest transactions that are flagged at the threshold which finds 80 % of the fraud."""


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


def require_both_classes(fraud: NDArray[np.bool_]) -> None:
    """Raises `DataError` where a test set cannot tell models apart."""
    if not 0 < fraud.sum() < len(fraud):
        raise DataError("the test transactions hold only one class; use a larger test fraction or more data")


def false_positives_at_recall(fraud: NDArray[np.bool_], score: NDArray[np.float64], recall: float) -> int:
    """Honest rows at or above the highest threshold that finds `recall` of the fraud."""
    ranked = np.sort(score[fraud])[::-1]
    threshold = ranked[int(np.ceil(recall * len(ranked))) - 1]
    return int(np.count_nonzero(score[~fraud] >= threshold))
