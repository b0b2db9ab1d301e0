"""A model's answers, and how good they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from secure_fl.data.features import Examples
from secure_fl.data.metrics import OnTest, Scores, judge_alerts, look_closer, measure
from secure_fl.training.model import FlatWeights, restore

_CHUNK = 1 << 16


def predict(weights: FlatWeights, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of fraud for each row, [n]."""
    model = restore(weights).eval()
    with torch.inference_mode():
        logits = [model(part).double() for part in torch.split(torch.tensor(features), _CHUNK)]
        probabilities: NDArray[np.float64] = torch.sigmoid(torch.cat(logits)).numpy()
    return probabilities


def evaluate(weights: FlatWeights, test: Examples) -> Scores:
    """Scores on a test set, which must hold both classes."""
    return measure(test.fraud, predict(weights, test.features))


def examine(weights: FlatWeights, test: Examples, rows: Mapping[str, int]) -> OnTest:
    """What a model does on a test set beyond its scores; `rows`: of each bank, one bank after the other."""
    score = predict(weights, test.features)
    return look_closer(test.fraud, score, rows, judge_alerts(test.fraud, score, test.day, test.amount))
