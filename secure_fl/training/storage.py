"""The model file: safetensors, with what is needed to use it as one JSON document in its metadata.

One document under one key, because safetensors writes several keys in no fixed order, and the same run shall give
the same file. It holds a SHA-256 of itself and the weights: one bit that changed on a disk makes other scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from secure_fl.errors import DataError
from secure_fl.training.learner import Learner, fraud_learner
from secure_fl.training.model import USUAL, Activation, FlatWeights, Network, flatten

_KEY, _CHECKSUM, _OWN, _NETWORK = "secure_fl", "sha256", "own_module", "network"


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds."""

    weights: FlatWeights = field(repr=False)
    learner: Learner
    description: Mapping[str, Any]


def model_bytes(weights: FlatWeights, description: Mapping[str, Any], learner: Learner | None = None) -> bytes:
    """The content of a `.safetensors` file: a module's tensors, and a description that JSON can hold.

    `learner`: whose weights they are; None for the fraud model. Of a module that somebody brought only the tensors are
    kept, not the class.
    """
    learner = learner or fraud_learner()
    document = dict(description) | ({_OWN: True} if learner.own else {})
    if learner.network != USUAL:
        document |= {_NETWORK: asdict(learner.network)}
    document |= {_CHECKSUM: _checksum(weights, document)}
    state = {name: tensor.contiguous() for name, tensor in learner.restore(weights).state_dict().items()}
    return bytes(save(state, {_KEY: json.dumps(document, sort_keys=True)}))


def load_model(path: Path) -> StoredModel:
    """A fraud model from its file. Raises `DataError` where it is not one of ours, or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            description = dict(json.loads((file.metadata() or {})[_KEY]))
        if description.get(_OWN):
            raise DataError(
                f"{path} holds the tensors of a module that somebody brought; make that module, and load them with "
                "safetensors.torch.load_model"
            )
        network = _network(description)
        last = tensors[f"layers.{3 * len(network.hidden)}.weight"]
        learner = fraud_learner(0.0, tensors["layers.0.weight"].shape[1], max(2, len(last)), network)
        model = learner.restore(learner.initial(0))
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError, TypeError, IndexError, RecursionError):
        raise DataError(f"{path} is not a model of secure_fl; give the model.safetensors of a run") from None
    weights = flatten(model)
    if description.pop(_CHECKSUM, None) != _checksum(weights, description):
        raise DataError(
            f"{path} is damaged, or of a version before checksums; put it back from a copy, or repeat its run with "
            "secure-fl run"
        )
    if not np.isfinite(weights).all():
        raise DataError(f"{path} holds weights that are not finite; give the model.safetensors of a finished run")
    return StoredModel(weights, learner, description)


def _network(description: Mapping[str, Any]) -> Network:
    """The layers that a document names. Raises `TypeError` or `ValueError` for what are none."""
    named = description.get(_NETWORK)
    if named is None:
        return USUAL
    hidden, activation = named["hidden"], named["activation"]
    if activation not in get_args(Activation) or not all(type(units) is int and units > 0 for units in hidden):
        raise ValueError("layers that cannot be")
    return Network(tuple(hidden), activation)


def _checksum(weights: FlatWeights, description: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of all that a model file says."""
    text = json.dumps(description, sort_keys=True).encode("utf-8")
    return hashlib.sha256(weights.astype("<f4").tobytes() + text).hexdigest()
