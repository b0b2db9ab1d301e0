"""Retraining as a stream advances: alone at each bank, or together in rounds of FedAvg.

Rules: on day d a model learns from rows whose labels are known, those of the `window_days` before day d - 7 (as
`secure_fl.data.behaviour` assumes), and starts from the model of the week before. Together and alone take the same
steps: so many passes over a bank's window, together with a mean after each. The mean is computed in the clear,
weighted by number of examples: all schemes give the same sum of the same quantized updates (a test proves it), so
encryption would change the seconds and not the models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from secure_fl.data import DELAY_DAYS, Examples, FeatureSchema, RawFeatures, encode
from secure_fl.data.simulator import DAY
from secure_fl.training import TrainingSettings, train

Weights = NDArray[np.float32]


def retrain_alone(
    models: Sequence[Weights], windows: Sequence[Examples], settings: TrainingSettings, epochs: int, seed: int
) -> list[Weights]:
    """Each bank's model after so many passes over its own window."""
    return [
        _last(model, window, settings, epochs, seed + bank)
        for bank, (model, window) in enumerate(zip(models, windows, strict=True))
    ]


def retrain_together(
    model: Weights, windows: Sequence[Examples], settings: TrainingSettings, rounds: int, seed: int
) -> Weights:
    """The common model after so many rounds of FedAvg, a pass over its own window at each bank in every round."""
    shares = [len(window) for window in windows]
    for round_ in range(rounds):
        trained = retrain_alone([model] * len(windows), windows, settings, 1, seed + len(windows) * round_)
        model = np.average(np.asarray(trained, dtype=np.float64), axis=0, weights=shares).astype(np.float32)
    return model


def training_window(
    raw: RawFeatures,
    schema: FeatureSchema,
    today: int,
    window_days: int,
    honest_share: float,
    rng: np.random.Generator,
) -> Examples:
    """What one bank can learn from at the begin of day `today`.

    honest_share: the share of honest rows that is kept, drawn at random (undersampling: fraud is rare, and honest rows
    abound).
    """
    known = (today - DELAY_DAYS) * DAY
    rows = (raw.when >= known - window_days * DAY) & (raw.when < known)
    rows &= raw.fraud | (rng.random(len(raw)) < honest_share)
    return encode(raw.take(rows), schema)


def _last(model: Weights, window: Examples, settings: TrainingSettings, epochs: int, seed: int) -> Weights:
    *_, trained = train(model, window, settings, epochs=epochs, seed=seed)
    return trained
