"""The same descent in float64: what encrypted training is measured against, and what it costs without encryption."""

from __future__ import annotations

import numpy as np

from secure_fl.scoring.descent.task import DescentTask
from secure_fl.scoring.network import Matrix, Vector


def with_ones(rows: Matrix) -> Matrix:
    """The column of ones in front, whose weight is the bias; float64 [n, 1 + features]."""
    return np.hstack([np.ones((len(rows), 1)), rows])


def gradient(task: DescentTask, columns: Matrix, labels: Vector, weights: Vector) -> Vector:
    """The mean over rows of (p(z) - label) x row, float64 [columns]."""
    mean: Vector = columns.T @ (task.sigmoid.value(columns @ weights) - labels) / len(labels)
    return mean


def stepped(task: DescentTask, weights: Vector, gradient: Vector) -> Vector:
    """Weights after a step; the bias does not decay."""
    decay = np.full(len(weights), task.weight_decay)
    decay[0] = 0.0
    found: Vector = weights - task.rate * (gradient + decay * weights)
    return found


def descend(task: DescentTask, rows: Matrix, labels: Vector) -> Vector:
    """Bias and weights after all epochs, from zero, float64 [1 + features]. Logits are not checked."""
    columns, weights = with_ones(rows), np.zeros(task.columns)
    for _ in range(task.epochs):
        weights = stepped(task, weights, gradient(task, columns, labels, weights))
    return weights
