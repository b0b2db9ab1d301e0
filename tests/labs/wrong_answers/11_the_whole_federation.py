"""Wrong answers to the exercise of lesson 11. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]


def false_alarms__strictly_above(scores: Scores, fraud: Labels, recall: float) -> int:
    return int((scores[~fraud] > _threshold(scores, fraud, recall)).sum())


def false_alarms__all_alarms(scores: Scores, fraud: Labels, recall: float) -> int:
    return int((scores >= _threshold(scores, fraud, recall)).sum())


def false_alarms__a_share_of_all_rows(scores: Scores, fraud: Labels, recall: float) -> int:
    return int((scores[~fraud] >= np.quantile(scores, 1 - recall)).sum())


def false_alarms__one_fraud_too_few(scores: Scores, fraud: Labels, recall: float) -> int:
    ranked = np.sort(scores[fraud])[::-1]
    return int((scores[~fraud] >= ranked[max(0, int(recall * len(ranked)) - 2)]).sum())


def false_alarms__a_threshold_of_one_half(scores: Scores, fraud: Labels, recall: float) -> int:
    return int((scores[~fraud] >= 0.5).sum())


def _threshold(scores: Scores, fraud: Labels, recall: float) -> float:
    ranked = np.sort(scores[fraud])[::-1]
    return float(ranked[int(np.ceil(recall * len(ranked))) - 1])
