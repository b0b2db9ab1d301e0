"""Canaries: rows that leave, if they are trained on, a mark of their own in the model.

Whoever audits may choose rows, model and settings, since (epsilon, delta) is promised for all of them. Here the model
is made so that a canary activates one neuron i and carries one large value j: its gradient, clipped, is a unit vector
along the one weight between them (a Dirac canary: Nasr et al., "Tight Auditing of Differentially Private Machine
Learning", USENIX Security 2023). So 64 x 64 canaries do not disturb each other, in the rows of an ordinary training.

A canary that its coin leaves out is replaced by a row whose gradient is exactly 0: to the sum, a row that is not there,
while the number of rows, which is public, tells nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.data.features import Examples
from secure_fl.training.model import FEATURES, HIDDEN, FlatWeights

FloatVector = NDArray[np.float64]

NEURONS = HIDDEN[0]
VALUES = FEATURES - NEURONS
"""Features that carry a canary's value; the others select its neuron."""
MOST = NEURONS * VALUES
_VALUE = 1000.0
"""So large that almost all of a canary's gradient lies along its own weight."""
_ASLEEP = -0.5
_UNLIKELY = -200.0
"""A logit at which float32 has no gradient for an honest row, and a full one for a fraud."""


def audited_model() -> FlatWeights:
    """Neuron i of the first layer wakes up where feature i is 1; every neuron counts alike; fraud is never expected."""
    first = np.zeros((NEURONS, FEATURES))
    np.fill_diagonal(first[:, :NEURONS], 1.0)
    layers = [
        (first, np.full(NEURONS, _ASLEEP)),
        (np.full((HIDDEN[1], NEURONS), 1 / HIDDEN[1]), np.zeros(HIDDEN[1])),
        (np.ones(HIDDEN[1]), np.full(1, _UNLIKELY)),
    ]
    return np.concatenate([part.ravel() for layer in layers for part in layer]).astype(np.float32)


def rows(numbers: NDArray[np.int64], included: NDArray[np.bool_]) -> Examples:
    """One row for each canary: its own where it is included, else one without a gradient."""
    features = np.zeros((len(numbers), FEATURES), dtype=np.float32)
    chosen = np.flatnonzero(included)
    features[chosen, numbers[chosen] // VALUES] = 1.0
    features[chosen, NEURONS + numbers[chosen] % VALUES] = _VALUE
    return Examples(features, included.copy(), np.zeros(len(numbers), dtype=np.int8))


def marks(update: FloatVector, numbers: NDArray[np.int64]) -> FloatVector:
    """What an update [parameters] says along the weight of each canary."""
    weights = update[: NEURONS * FEATURES].reshape(NEURONS, FEATURES)
    found: FloatVector = weights[numbers // VALUES, NEURONS + numbers % VALUES]
    return found
