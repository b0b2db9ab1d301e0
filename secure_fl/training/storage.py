"""The model file: safetensors, with what is needed to use it in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from secure_fl.errors import DataError
from secure_fl.training.model import FlatWeights, FraudModel, flatten, restore


def model_bytes(weights: FlatWeights, metadata: Mapping[str, str]) -> bytes:
    """The content of a `.safetensors` file: the tensors of `FraudModel` and the metadata, all text."""
    model = FraudModel()
    restore(model, weights)
    return bytes(save(model.state_dict(), dict(metadata)))


def load_model(path: Path) -> tuple[FlatWeights, dict[str, str]]:
    """Weights and metadata from a model file. Raises `DataError` where it is not one of ours."""
    model = FraudModel()
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = dict(file.metadata() or {})
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError):
        raise DataError(f"{path} is not a model of secure_fl; give the model.safetensors of a run") from None
    return flatten(model), metadata
