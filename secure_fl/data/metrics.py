"""How well scores tell fraud from other transactions. The metrics are scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import DataError, TrainingError

RECALL = 0.8

ALERTS_A_DAY = 100
"""How many alerts somebody looks into each day, as in the Fraud Detection Handbook (below)."""

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
class Roc:
    """True against false positives, at most `CURVE_POINTS` thresholds of one model; no row and no score."""

    false_positives: tuple[float, ...]
    """Share of the honest rows that is flagged; rises."""
    true_positives: tuple[float, ...]
    """Share of the fraud that is flagged."""


@dataclass(frozen=True)
class Alerts:
    """What one model is worth to those who look into its alerts, on the common test set.

    Precision of the 100 highest scores of a day follows Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine
    Learning for Credit Card Fraud Detection", 2022, chapter 4, precision top-k. It counts transactions, not cards as
    "card precision" does there: several frauds with one card are several, and a card that was found out the day before
    is not taken away. On a day with fewer than 100 transactions all of them are alerts, and it divides by these.
    """

    precision_at_100: float
    """Share of fraud among the 100 transactions of a day that score highest, the mean over days."""
    best_precision_at_100: float
    """The same of scores that rank every fraud above every honest transaction: less than 1 where frauds are few."""
    alert_days: int
    """Days with test transactions; 1 where the data tell no days: then all of them count as one."""
    alert_rate: float
    """Share of the transactions that are flagged at the threshold which finds 80 % of the fraud."""
    amount_saved: float | None
    """Sum of the amounts of the frauds that are flagged there, in the unit of the column; None without amounts."""
    amount_of_fraud: float | None
    """Sum of the amounts of all frauds."""


@dataclass(frozen=True)
class OnTest:
    """What one model does on the common test set, beyond its scores."""

    curve: PrecisionRecall
    auprc_by_bank: Mapping[str, float | None]
    """On the test rows of each bank alone; None where these are of one class."""
    alerts: Alerts | None
    """None where nobody looked, as for models that tell more than fraud from other rows."""


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


def roc(fraud: NDArray[np.bool_], score: NDArray[np.float64]) -> Roc:
    """The curve of a model from its outputs, both [n]. The rows must hold both classes."""
    from sklearn.metrics import roc_curve

    require_both_classes(fraud)
    honest, found, _ = roc_curve(fraud, score)
    kept = np.unique(np.geomspace(1, len(honest), CURVE_POINTS).round().astype(int)) - 1  # most where few are flagged
    return Roc(tuple(map(float, honest[kept])), tuple(map(float, found[kept])))


def look_closer(
    fraud: NDArray[np.bool_],
    score: NDArray[np.float64],
    rows: Mapping[str, int],
    alerts: Alerts | None = None,
) -> OnTest:
    """The curve, and AUPRC by bank, beside `alerts`; both arrays [n].

    `rows`: how many of the rows are each bank's, one bank after the other.
    """
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
        alerts,
    )


def judge_alerts(
    fraud: NDArray[np.bool_],
    score: NDArray[np.float64],
    day: NDArray[np.int64] | None,
    amount: NDArray[np.float64] | None,
) -> Alerts:
    """What alerts of a model are worth, from its outputs; all [n]. The rows must hold both classes."""
    require_both_classes(fraud)
    days = np.zeros(len(fraud), dtype=np.int64) if day is None else day
    flagged = score >= threshold_at_recall(fraud, score, RECALL)
    return Alerts(
        precision_at_100=precision_a_day(fraud, score, days, ALERTS_A_DAY),
        best_precision_at_100=precision_a_day(fraud, fraud.astype(np.float64), days, ALERTS_A_DAY),
        alert_days=len(np.unique(days)),
        alert_rate=float(flagged.mean()),
        amount_saved=None if amount is None else float(amount[flagged & fraud].sum()),
        amount_of_fraud=None if amount is None else float(amount[fraud].sum()),
    )


def precision_a_day(fraud: NDArray[np.bool_], score: NDArray[np.float64], day: NDArray[np.int64], alerts: int) -> float:
    """Share of fraud among the `alerts` highest scores of each day, or all where there are fewer; the mean over days.

    Which of several rows with the last score that counts are alerts is chance: what is to be expected is counted.
    """
    order = np.lexsort((-score, day))
    starts = np.flatnonzero(np.diff(day[order], prepend=day[order[0]] - 1))
    shares = []
    for rows in np.split(order, starts[1:]):
        count = min(alerts, len(rows))
        last = score[rows[count - 1]]
        sure, tied = rows[score[rows] > last], rows[score[rows] == last]
        found = np.count_nonzero(fraud[sure]) + (count - len(sure)) * fraud[tied].mean()
        shares.append(found / count)
    return float(np.mean(shares))


def require_both_classes(fraud: NDArray[np.bool_]) -> None:
    """Raises `DataError` where a test set cannot tell models apart."""
    if not 0 < fraud.sum() < len(fraud):
        raise DataError("the test transactions hold only one class; use a larger test fraction or more data")


def false_positives_at_recall(fraud: NDArray[np.bool_], score: NDArray[np.float64], recall: float) -> int:
    """Honest rows at or above the highest threshold that finds `recall` of the fraud."""
    return int(np.count_nonzero(score[~fraud] >= threshold_at_recall(fraud, score, recall)))


def threshold_at_recall(fraud: NDArray[np.bool_], score: NDArray[np.float64], recall: float) -> float:
    """The highest score at or above which `recall` of the fraud lies."""
    ranked = np.sort(score[fraud])[::-1]
    return float(ranked[int(np.ceil(recall * len(ranked))) - 1])
