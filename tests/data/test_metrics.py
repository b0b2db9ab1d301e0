"""Scores against scikit-learn's curves, computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, precision_recall_curve, roc_curve

from secure_fl.data.metrics import false_positives_at_recall, measure
from secure_fl.errors import DataError


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
