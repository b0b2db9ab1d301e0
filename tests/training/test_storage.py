"""The model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from secure_fl.errors import DataError
from secure_fl.training import FraudModel, initial_weights, load_model, model_bytes

METADATA = {"features": '{"a": 1}', "name": "Bank-1 ü"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_weights_and_metadata_survive_a_file(path: Path) -> None:
    path.write_bytes(model_bytes(initial_weights(4), METADATA))
    weights, metadata = load_model(path)
    assert np.array_equal(weights, initial_weights(4))
    assert metadata == METADATA


def test_the_same_model_gives_the_same_tensors() -> None:
    assert model_bytes(initial_weights(4), {"a": "b"}) == model_bytes(initial_weights(4), {"a": "b"})


def renamed() -> dict[str, torch.Tensor]:
    return {f"x.{name}": tensor for name, tensor in FraudModel().state_dict().items()}


def reshaped() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(3) for name in FraudModel().state_dict()}


def longer() -> dict[str, torch.Tensor]:
    return {**FraudModel().state_dict(), "extra": torch.zeros(1)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a model",
        model_bytes(initial_weights(4), {})[:-1],
        model_bytes(initial_weights(4), {})[:100],
        save(renamed()),
        save(reshaped()),
        save(longer()),
    ],
    ids=["empty", "foreign", "a byte short", "header cut", "other names", "other shapes", "more tensors"],
)
def test_another_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a model of secure_fl") as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(path: Path) -> None:
    for wrong in (path, path.parent):
        with pytest.raises(DataError, match="give the model"):
            load_model(wrong)


def test_weights_that_are_not_finite_are_refused(path: Path) -> None:
    path.write_bytes(model_bytes(np.full(10_369, np.nan, dtype=np.float32), {}))
    with pytest.raises(DataError):
        load_model(path)
