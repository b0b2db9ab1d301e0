"""The model of a run, ready for ciphertexts (`scoring`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from secure_fl.data.features import FeatureSchema
from secure_fl.data.standardization import CLIP
from secure_fl.scoring.network import Layer, Linear
from secure_fl.training.layers import layers_of
from secure_fl.training.storage import StoredModel


def stored_layers(stored: StoredModel, schema: FeatureSchema) -> tuple[Layer, ...]:
    """The layers of a model file, in float64. Positions that no column reaches get no weight. Raises `ScoringError`."""
    first, *others = layers_of(stored.learner.restore(stored.weights))
    return (first if schema.hashed else _without_the_rest(first, len(schema.numeric)), *others)


def clip_range(schema: FeatureSchema) -> float:
    """No feature exceeds it: numbers are clipped, and a hashed position counts each text column once at most."""
    return max(CLIP, float(len(schema.hashed)))


def _without_the_rest(first: Layer, reached: int) -> Layer:
    assert isinstance(first, Linear)
    weights = np.where(np.arange(first.weights.shape[1]) < reached, first.weights, 0.0)
    return replace(first, weights=weights)
