"""A model file's layers and the range of its features, for ciphertexts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from secure_fl.data import FeatureSchema
from secure_fl.data.standardization import CLIP
from secure_fl.scoring import Linear
from secure_fl.training import Network, fraud_learner
from secure_fl.training.encrypted import clip_range, stored_layers
from secure_fl.training.storage import StoredModel


def schema_of(numbers: int, texts: int) -> FeatureSchema:
    columns = SimpleNamespace(numeric=[f"n{i}" for i in range(numbers)], hashed=[f"t{i}" for i in range(texts)])
    return cast(FeatureSchema, columns)


@pytest.mark.parametrize(("numbers", "texts", "weighed"), [(3, 0, 3), (3, 2, 128)])
def test_positions_that_no_column_reaches_have_no_weight(numbers: int, texts: int, weighed: int) -> None:
    learner = fraud_learner(0.0, network=Network(()))
    stored = StoredModel(np.ones(learner.parameters, np.float32), learner, {})
    (layer,) = stored_layers(stored, schema_of(numbers, texts))
    assert isinstance(layer, Linear)
    assert layer.weights.tolist() == [[1.0] * weighed + [0.0] * (128 - weighed)]
    assert layer.bias.tolist() == [1.0]


def test_no_feature_exceeds_the_clip_range() -> None:
    """Numbers are clipped; each of many text columns may fall on one position, with 1 / sqrt(their number)."""
    assert clip_range(schema_of(3, 0)) == clip_range(schema_of(3, 2)) == CLIP
    assert clip_range(schema_of(0, 100)) >= np.sqrt(100) > CLIP
