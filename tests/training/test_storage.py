"""The model file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import save

from secure_fl.errors import DataError
from secure_fl.training import FraudModel, Learner, flatten, fraud_learner, initial_weights, load_model, model_bytes

METADATA = {"features": '{"a": 1}', "name": "Bank-1 ü"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_weights_and_metadata_survive_a_file(path: Path) -> None:
    path.write_bytes(model_bytes(initial_weights(4), METADATA))
    stored = load_model(path)
    assert np.array_equal(stored.weights, initial_weights(4))
    assert stored.description == METADATA
    assert (stored.learner.inputs, stored.learner.outputs) == ((128,), 1)


def test_a_model_of_another_width_with_classes_survives_a_file(path: Path) -> None:
    learner = fraud_learner(0.3, 5, 4)
    path.write_bytes(model_bytes(learner.initial(4), METADATA, learner))
    stored = load_model(path)
    assert np.array_equal(stored.weights, learner.initial(4))
    assert (stored.learner.inputs, stored.learner.outputs) == ((5,), 4)


def test_of_a_module_that_somebody_brought_the_tensors_are_kept(path: Path) -> None:
    learner = Learner(lambda: torch.nn.Linear(3, 1), (3,))
    weights = learner.initial(1)
    path.write_bytes(model_bytes(weights, {}, learner))
    module = torch.nn.Linear(3, 1)
    safetensors.torch.load_model(module, path)
    assert np.array_equal(flatten(module), weights)
    with pytest.raises(DataError, match=r"holds the tensors of a module that somebody brought; .*load_model"):
        load_model(path)


def test_the_same_model_gives_the_same_tensors() -> None:
    assert model_bytes(initial_weights(4), {"a": "b"}) == model_bytes(initial_weights(4), {"a": "b"})


def renamed() -> dict[str, torch.Tensor]:
    return {f"x.{name}": tensor for name, tensor in FraudModel().state_dict().items()}


def reshaped() -> dict[str, torch.Tensor]:
    return {name: torch.zeros(3) for name in FraudModel().state_dict()}


def longer() -> dict[str, torch.Tensor]:
    return {**FraudModel().state_dict(), "extra": torch.zeros(1)}


def shorter() -> dict[str, torch.Tensor]:
    return dict(list(FraudModel().state_dict().items())[:-1])


DESCRIBED = {"secure_fl": "{}"}
"""What our own files have beside the tensors."""


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
        save(renamed(), DESCRIBED),
        save(reshaped(), DESCRIBED),
        save(longer(), DESCRIBED),
        save(shorter(), DESCRIBED),
        save(FraudModel().state_dict()),
        save(FraudModel().state_dict(), {"secure_fl": "{"}),
    ],
    ids=[
        "empty",
        "foreign",
        "a byte short",
        "header cut",
        "other names",
        "other shapes",
        "more tensors",
        "names",
        "shapes",
        "more",
        "fewer",
        "undescribed",
        "no JSON",
    ],
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


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("places", [slice(None), slice(7, 8)])
def test_weights_that_are_not_finite_are_refused(path: Path, places: slice, value: float) -> None:
    weights = initial_weights(4)
    weights[places] = value
    path.write_bytes(model_bytes(weights, {}))
    with pytest.raises(DataError):
        load_model(path)


@pytest.mark.slow
def test_no_changed_bit_makes_another_model(path: Path) -> None:
    """Every byte of the header, every 61st of the weights: refused, or the very same model."""
    whole = model_bytes(initial_weights(4), METADATA)
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for place in [*range(header), *range(header, len(whole), 61)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            stored = load_model(path)
        except DataError as error:
            refused += 1
            assert "; " in str(error)  # noqa: PT017 - either way is right
        else:
            assert (stored.weights.tobytes(), stored.description) == (initial_weights(4).tobytes(), METADATA)
            assert place < header
    assert refused > (len(whole) - header) // 61 + header // 2


def test_a_model_without_checksum_is_refused(path: Path) -> None:
    tensors = FraudModel().state_dict()
    path.write_bytes(save(tensors, {"secure_fl": json.dumps(METADATA)}))
    with pytest.raises(DataError, match=r"damaged, or of a version before checksums; "):
        load_model(path)
