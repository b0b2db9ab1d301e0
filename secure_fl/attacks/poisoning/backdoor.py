"""What passes as honest: frauds of the test set, as they are and with the pattern of the backdoor.

Bagdasaryan, Veit, Hua, Estrin, Shmatikov, "How To Backdoor Federated Learning", AISTATS 2020, measure backdoor
accuracy: how many inputs with the pattern get the attacker's answer. A fraud model answers with a score, so a
threshold is needed, and the attacker should not be the one to set it. It is that of the unharmed model: the highest at
which the model of the same rule without attackers finds 80 % of the frauds as they are. So at most 20 % of these pass,
and what passes of the same frauds with the pattern says what the pattern does by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import Examples
from secure_fl.data.metrics import RECALL, threshold_at_recall
from secure_fl.robust.poisoning.rows import stamped
from secure_fl.training import FlatWeights, Learner, predict


def threshold_of(weights: FlatWeights, test: Examples, learner: Learner) -> float:
    """The score from which the model flags rows, such that it finds 80 % of the frauds of the test set."""
    frauds = test.features[test.fraud]
    return threshold_at_recall(np.ones(len(frauds), dtype=bool), predict(weights, frauds, learner), RECALL)


def passed(weights: FlatWeights, frauds: NDArray[np.float32], threshold: float, learner: Learner) -> float:
    """The share of rows [n, features] that a model scores below the threshold."""
    return float(np.mean(predict(weights, frauds, learner) < threshold))


def backdoor_success(weights: FlatWeights, test: Examples, threshold: float, learner: Learner) -> float:
    """The share of the frauds of the test set that pass with the pattern on them."""
    return passed(weights, stamped(test.features[test.fraud]), threshold, learner)
