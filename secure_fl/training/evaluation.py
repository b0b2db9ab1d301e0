"""A model's answers, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from secure_fl.data.features import Examples
from secure_fl.data.metrics import OnTest, Scores, judge_alerts, look_closer, measure
from secure_fl.training.learner import Learner, fraud_learner
from secure_fl.training.model import FlatWeights

_CHUNK, _CHUNK_OF_OWN = 1 << 16, 1 << 10
"""Rows that are answered at once; of somebody's own module, whose layers may be large, fewer."""


def predict(weights: FlatWeights, features: NDArray[np.float32], learner: Learner | None = None) -> NDArray[np.float64]:
    """Probability of fraud for each row, [n]; where there are more than two classes, of each class, [n, classes]."""
    learner = learner or fraud_learner()
    model = learner.restore(weights).eval()
    with torch.inference_mode():
        rows = torch.split(learner.rows(features), _CHUNK_OF_OWN if learner.own else _CHUNK)
        parts = [learner.probabilities(learner.logits(model, part)) for part in rows]
        probabilities: NDArray[np.float64] = torch.cat(parts).numpy()
    return probabilities


def evaluate(weights: FlatWeights, test: Examples, learner: Learner | None = None) -> Scores:
    """Scores on a test set, which must hold both classes."""
    return measure(*_decisions(weights, test, learner)[:2])


def examine(weights: FlatWeights, test: Examples, rows: Mapping[str, int], learner: Learner | None = None) -> OnTest:
    """What a model does on a test set beyond its scores; `rows`: of each bank, one bank after the other."""
    right, score, each = _decisions(weights, test, learner)
    alerts = judge_alerts(right, score, test.day, test.amount) if each == 1 else None
    return look_closer(right, score, {bank: each * count for bank, count in rows.items()}, alerts)


def _decisions(
    weights: FlatWeights, test: Examples, learner: Learner | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64], int]:
    """Yes-or-no questions, with the answers and the model's scores; and how many of them a row asks.

    Of two classes: is it fraud? Of more: is it of this class?, for each, so that scores are averages over all such
    decisions (scikit-learn's "micro", one against the rest).
    """
    score = predict(weights, test.features, learner)
    if score.ndim == 1:
        return test.fraud, score, 1
    right = test.pattern[:, None] == np.arange(score.shape[1])
    return right.ravel(), score.ravel(), score.shape[1]
