"""The model as one flat vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from secure_fl import Experiment
from secure_fl.data import Examples
from secure_fl.errors import ConfigurationError
from secure_fl.federation.run import open_federation, train_rounds
from secure_fl.settings import Steps
from secure_fl.training import (
    FraudModel,
    flatten,
    initial_weights,
    load_model,
    model_bytes,
    predict,
    train,
    usual_learner,
)
from secure_fl.training.model import Square, restore


def test_it_has_the_parameters_that_all_figures_are_about() -> None:
    assert len(initial_weights(1)) == 10_369
    assert initial_weights(1).dtype == np.float32


def test_flat_weights_survive_a_model() -> None:
    weights = np.random.default_rng(1).normal(size=10_369).astype(np.float32)
    assert np.array_equal(flatten(restore(weights)), weights)


def test_flat_weights_are_a_copy() -> None:
    model = FraudModel()
    weights = flatten(model)
    before = weights.copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert np.array_equal(weights, before)


def test_a_seed_decides_the_initial_weights() -> None:
    assert np.array_equal(initial_weights(7), initial_weights(7))
    assert not np.array_equal(initial_weights(7), initial_weights(8))


def test_initial_weights_leave_the_callers_draws_alone() -> None:
    state = torch.get_rng_state()
    initial_weights(7)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_answers_one_logit_for_each_row() -> None:
    logits = FraudModel().eval()(torch.randn(5, 128))
    assert logits.shape == (5,)


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any error would do
        restore(np.zeros(10_370, dtype=np.float32))


@pytest.mark.parametrize("length", [0, 10_368, 10_370])
def test_a_vector_of_another_length_is_no_model(length: int) -> None:
    with pytest.raises(ValueError, match="another length"):
        restore(np.zeros(length, dtype=np.float32))


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_a_model_is_restored_with_the_dropout_that_is_asked_for(dropout: float) -> None:
    layers = [layer for layer in restore(initial_weights(1), dropout).modules() if isinstance(layer, torch.nn.Dropout)]
    assert [layer.p for layer in layers] == [dropout] * 2


# Other layers


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [({}, 10_369), ({"hidden": "16-8"}, 2_209), ({"hidden": "none"}, 129), ({"activation": "square"}, 10_369 + 2 * 96)],
)
def test_settings_say_which_layers_the_fraud_model_has(settings: dict[str, Any], parameters: int) -> None:
    assert usual_learner(Steps(**settings)).parameters == parameters


def test_a_square_is_one() -> None:
    layer = Square(3)
    z = torch.tensor([[1.0, -2.0, 4.0]])
    assert torch.allclose(layer(z), 0.1 * z**2 + 0.5 * z)


@pytest.mark.slow
def test_a_model_with_squares_trains_without_running_away() -> None:
    """One step on a far row would square itself through the layers."""
    rng = np.random.default_rng(1)
    features = np.clip(rng.normal(size=(600, 128)) * 6, -8, 8).astype(np.float32)
    fraud = features[:, 0] > 6
    examples = Examples(features, fraud, fraud.astype(np.int8))
    settings = Steps(activation="square", batch_size=32, learning_rate=0.02, dropout=0.0)
    learner = usual_learner(settings)
    *_, weights = train(learner.initial(1), examples, settings, epochs=5, seed=1)
    assert np.abs(weights).max() < 3
    scores = predict(weights, features, learner)
    assert scores[fraud].mean() > scores[~fraud].mean() + 0.3


@pytest.mark.parametrize("settings", [{"hidden": "16-8"}, {"activation": "square"}, {"hidden": "none"}])
def test_a_model_file_says_which_layers_it_has(settings: dict[str, Any], tmp_path: Path) -> None:
    learner = usual_learner(Steps(**settings))
    weights = learner.initial(4)
    path = tmp_path / "model.safetensors"
    path.write_bytes(model_bytes(weights, {"features": 1}, learner))
    stored = load_model(path)
    assert np.array_equal(stored.weights, weights)
    assert stored.learner.network == learner.network


@pytest.mark.slow
def test_squares_train_under_dp_sgd(small: Callable[..., Experiment], ledgers: Path) -> None:
    settings: dict[str, Any] = {"epsilon": 3.0, "delta": 1e-5, "rounds": 1, "batch_size": 256}
    federation = open_federation(small(**settings, activation="square", hidden="16-8", scheme="plaintext"))
    assert train_rounds(federation).scores is not None


def test_layers_of_settings_and_a_model_of_ones_own_exclude_each_other(small: Callable[..., Experiment]) -> None:
    with pytest.raises(ConfigurationError, match="hidden and activation are of the fraud model"):
        open_federation(small(hidden="16-8"), model=lambda: torch.nn.Linear(128, 1))
