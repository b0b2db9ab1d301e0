"""The model file: safetensors, with what is needed to use it as one JSON document in its metadata.

One document under one key, because safetensors writes several keys in no fixed order, and the same run shall give
the same file. It holds a SHA-256 of itself and the weights: one bit that changed on a disk makes other scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from secure_fl.errors import DataError
from secure_fl.training.model import FlatWeights, flatten, new_model, restore

_KEY, _CHECKSUM = "secure_fl", "sha256"


def model_bytes(weights: FlatWeights, description: Mapping[str, Any]) -> bytes:
    """The content of a `.safetensors` file: the tensors of `FraudModel`, and a description that JSON can hold."""
    document = dict(description) | {_CHECKSUM: _checksum(weights, description)}
    return bytes(save(restore(weights).state_dict(), {_KEY: json.dumps(document, sort_keys=True)}))


def load_model(path: Path) -> tuple[FlatWeights, dict[str, Any]]:
    """Weights and description from a model file. Raises `DataError` where it is not one of ours, or damaged."""
    model = new_model(0)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            description = dict(json.loads((file.metadata() or {})[_KEY]))
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError, RecursionError):
        raise DataError(f"{path} is not a model of secure_fl; give the model.safetensors of a run") from None
    weights = flatten(model)
    if description.pop(_CHECKSUM, None) != _checksum(weights, description):
        raise DataError(
            f"{path} is damaged, or of a version before checksums; put it back from a copy, or repeat its run with "
            "secure-fl run"
        )
    if not np.isfinite(weights).all():
        raise DataError(f"{path} holds weights that are not finite; give the model.safetensors of a finished run")
    return weights, description


def _checksum(weights: FlatWeights, description: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of all that a model file says."""
    text = json.dumps(description, sort_keys=True).encode("utf-8")
    return hashlib.sha256(weights.astype("<f4").tobytes() + text).hexdigest()
