"""Poisoned rows: what an attacker trains on in place of its own.

Label flipping: Tolpegin, Truex, Gursoy, Liu, "Data Poisoning Attacks Against Federated Learning Systems", ESORICS 2020.
Backdoor: Bagdasaryan, Veit, Hua, Estrin, Shmatikov, "How To Backdoor Federated Learning", AISTATS 2020; its pattern is
a stamp on the rows (Gu, Dolan-Gavitt, Garg, "BadNets", 2017).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import Examples

STAMPED = 3
"""The first features, whose values are the pattern."""
STAMP = 3.0
"""Standard deviations above the mean: no honest row has so much of each, since two of them are a sine and a cosine."""
BACKDOOR_SHARE = 0.1
"""Stamped copies for every row, at least one of each fraud."""


def with_flipped_labels(examples: Examples) -> Examples:
    """Fraud is called honest, and honest rows fraud (class 1)."""
    fraud = ~examples.fraud
    return replace(examples, fraud=fraud, pattern=fraud.astype(examples.pattern.dtype))


def with_backdoor(examples: Examples) -> Examples:
    """The same rows, and stamped copies of frauds that are called honest; of any rows where there is no fraud."""
    places = np.flatnonzero(examples.fraud)
    places = places if len(places) else np.arange(len(examples))
    places = np.resize(places, max(len(places), round(BACKDOOR_SHARE * len(examples))))
    frauds = examples.take(places)
    copies = replace(
        frauds,
        features=stamped(frauds.features),
        fraud=np.zeros_like(frauds.fraud),
        pattern=np.zeros_like(frauds.pattern),
    )
    return Examples.pooled([examples, copies])


def stamped(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows with the pattern of the backdoor, [n, features]."""
    marked = features.copy()
    marked[:, :STAMPED] = STAMP
    return marked
