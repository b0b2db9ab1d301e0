"""Scores against scikit-learn's curves, computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from secure_fl.data.metrics import (
    CURVE_POINTS,
    false_positives_at_recall,
    judge_alerts,
    look_closer,
    measure,
    precision_a_day,
    precision_recall,
    roc,
)
from secure_fl.errors import DataError, TrainingError


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 400), levels=st.sampled_from([2, 5, 100, 10**9]))
def test_scores_agree_with_the_curves(seed: int, rows: int, levels: int) -> None:
    """Few levels make many ties."""
    rng = np.random.default_rng(seed)
    fraud = rng.permutation(np.arange(rows) < rng.integers(1, rows))
    score = rng.integers(0, levels, rows) / levels
    scores = measure(fraud, score)

    precision, recall, thresholds = precision_recall_curve(fraud, score)
    assert scores.auprc == pytest.approx(-np.sum(np.diff(recall) * precision[:-1]))
    reached = np.flatnonzero(recall[:-1] >= 0.8 - 1e-9)[-1]
    assert scores.false_positives_at_80_recall == np.sum(score[~fraud] >= thresholds[reached])
    false_rate, true_rate, _ = roc_curve(fraud, score)
    assert scores.roc_auc == pytest.approx(auc(false_rate, true_rate))


def test_a_perfect_ranking() -> None:
    scores = measure(np.array([False, True, False, True]), np.array([0.1, 0.9, 0.2, 0.8]))
    assert (scores.auprc, scores.roc_auc, scores.false_positives_at_80_recall) == (1.0, 1.0, 0)


def test_honest_rows_that_tie_with_the_threshold_are_flagged() -> None:
    fraud = np.array([True, True, True, True, True, False, False, False])
    score = np.array([0.9, 0.8, 0.7, 0.5, 0.1, 0.5, 0.5, 0.4])
    assert false_positives_at_recall(fraud, score, 0.8) == 2


def test_a_larger_recall_flags_at_least_as_many() -> None:
    rng = np.random.default_rng(5)
    fraud, score = rng.random(500) < 0.1, rng.random(500)
    flagged = [false_positives_at_recall(fraud, score, recall) for recall in (0.2, 0.5, 0.8, 1.0)]
    assert flagged == sorted(flagged)
    assert flagged[0] < flagged[-1]


@pytest.mark.parametrize("label", [True, False])
def test_one_class_cannot_be_scored(label: bool) -> None:
    with pytest.raises(DataError, match="only one class"):
        measure(np.full(5, label), np.linspace(0, 1, 5))


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 900), levels=st.sampled_from([2, 50, 10**9]))
def test_every_point_of_a_curve_is_what_some_threshold_does(seed: int, rows: int, levels: int) -> None:
    """Counted row by row; both ends are kept, and recall rises."""
    rng = np.random.default_rng(seed)
    fraud = rng.permutation(np.arange(rows) < rng.integers(1, rows))
    score = rng.integers(0, levels, rows) / levels
    curve = precision_recall(fraud, score)
    flagged = [score >= threshold for threshold in np.unique(score)]
    possible: dict[float, float] = {}  # the best precision at each recall
    for chosen in flagged:
        recall = float(fraud[chosen].sum() / fraud.sum())
        possible[recall] = max(possible.get(recall, 0.0), float(fraud[chosen].mean()))
    points = list(zip(curve.recall, curve.precision, strict=True))
    possible.pop(0.0, None)
    assert all(possible[recall] == pytest.approx(precision) for recall, precision in points)
    assert len(points) == min(len(possible), CURVE_POINTS)
    assert (curve.recall[0], curve.recall[-1]) == (min(possible), 1.0)
    assert list(curve.recall) == sorted(set(curve.recall))
    if len(possible) <= CURVE_POINTS:
        area = np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision)
        assert area == pytest.approx(measure(fraud, score).auprc)
    assert (curve.frauds, curve.honest) == (fraud.sum(), rows - fraud.sum())
    assert curve.guessing == pytest.approx(fraud.mean())


def test_a_thinned_curve_has_the_same_area() -> None:
    rng = np.random.default_rng(3)
    fraud = rng.random(20_000) < 0.1
    score = rng.normal(fraud * 1.5)
    curve = precision_recall(fraud, score)
    assert len(curve.recall) == CURVE_POINTS
    area = np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision)
    assert area == pytest.approx(measure(fraud, score).auprc, abs=0.01)


def test_each_bank_is_scored_on_its_own_rows() -> None:
    """A bank whose rows are of one class, or that has none, is not."""
    fraud = np.array([True, False, True, False, False, False, True])
    score = np.array([0.9, 0.1, 0.3, 0.6, 0.7, 0.2, 0.8])
    found = look_closer(fraud, score, {"a": 2, "none": 0, "b": 2, "c": 2, "d": 1}).auprc_by_bank
    assert found == {"a": 1.0, "b": 0.5, "c": None, "d": None}
    with pytest.raises(DataError, match="only one class"):
        precision_recall(fraud[3:6], score[3:6])


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(2, 300), levels=st.sampled_from([2, 5, 10**9]))
def test_precision_a_day_is_the_mean_over_orders_in_which_ties_may_stand(seed: int, rows: int, levels: int) -> None:
    """Recomputed day by day, where each row of the last score that counts has the same chance to be an alert."""
    rng = np.random.default_rng(seed)
    fraud = rng.permutation(np.arange(rows) < rng.integers(1, rows))
    score = rng.integers(0, levels, rows) / levels
    day = rng.integers(-3, 3, rows)
    alerts = int(rng.integers(1, 60))
    shares = []
    for each in set(day.tolist()):
        today = sorted(zip(score[day == each].tolist(), fraud[day == each].tolist(), strict=True), reverse=True)
        count = min(alerts, len(today))
        last = today[count - 1][0]
        above = [is_fraud for at, is_fraud in today if at > last]
        tied = [is_fraud for at, is_fraud in today if at == last]
        shares.append((sum(above) + (count - len(above)) * sum(tied) / len(tied)) / count)
    assert precision_a_day(fraud, score, day, alerts) == pytest.approx(sum(shares) / len(shares))


def test_alerts_of_two_days() -> None:
    """Day 0: 150 rows, 30 of them fraud, 20 of which lead; day 1: 50 rows, all alerts, 5 of them fraud."""
    score = np.concatenate([np.linspace(1.0, 0.5, 150), np.linspace(0.4, 0.3, 50)])
    fraud = np.zeros(200, dtype=np.bool_)
    fraud[:20] = fraud[140:150] = fraud[150:155] = True
    day = np.repeat([4, 9], [150, 50])
    amount = np.arange(200.0)
    shuffled = np.random.default_rng(2).permutation(200)
    found = judge_alerts(fraud[shuffled], score[shuffled], day[shuffled], amount[shuffled])
    assert found.precision_at_100 == pytest.approx((20 / 100 + 5 / 50) / 2)
    assert found.best_precision_at_100 == pytest.approx((30 / 100 + 5 / 50) / 2)
    assert found.alert_days == 2
    assert found.alert_rate == pytest.approx(148 / 200)  # 28 of the 35 frauds are the first 20, and 8 from row 140 on
    assert found.amount_saved == pytest.approx(sum(range(20)) + sum(range(140, 148)))
    assert found.amount_of_fraud == pytest.approx(sum(range(20)) + sum(range(140, 155)))


def test_without_days_and_amounts_all_rows_are_one_day() -> None:
    rng = np.random.default_rng(4)
    fraud, score = rng.random(500) < 0.1, rng.random(500)
    found = judge_alerts(fraud, score, None, None)
    assert look_closer(fraud, score, {"a": 500}, found).alerts is found
    assert (found.alert_days, found.amount_saved, found.amount_of_fraud) == (1, None, None)
    assert found.precision_at_100 == pytest.approx(fraud[np.argsort(-score)[:100]].mean())
    assert found.best_precision_at_100 == pytest.approx(min(1.0, fraud.sum() / 100))
    with pytest.raises(DataError, match="only one class"):
        judge_alerts(np.zeros(5, dtype=np.bool_), np.zeros(5), None, None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_answers_that_are_not_finite_are_no_scores(value: float) -> None:
    with pytest.raises(TrainingError, match="answers with numbers that are not finite: it diverged"):
        measure(np.array([False, True, True]), np.array([0.1, value, 0.5]))


def test_a_thinned_roc_keeps_its_ends_and_most_of_its_points_where_few_are_flagged() -> None:
    rng = np.random.default_rng(4)
    fraud = rng.random(20_000) < 0.2
    score = rng.normal(size=20_000) + fraud
    curve = roc(fraud, score)
    exact_honest, exact_found, _ = roc_curve(fraud, score)
    assert len(curve.false_positives) <= CURVE_POINTS
    assert (curve.false_positives[0], curve.true_positives[0]) == (0.0, 0.0)
    assert (curve.false_positives[-1], curve.true_positives[-1]) == (1.0, 1.0)
    exact = set(zip(exact_honest.tolist(), exact_found.tolist(), strict=True))
    assert set(zip(curve.false_positives, curve.true_positives, strict=True)) <= exact
    assert (np.array(curve.false_positives) < 0.01).sum() > CURVE_POINTS / 3


def test_a_roc_needs_both_classes() -> None:
    with pytest.raises(DataError):
        roc(np.zeros(5, dtype=bool), np.arange(5.0))
