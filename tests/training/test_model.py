"""The model as one flat vector."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from secure_fl.training import FraudModel, flatten, initial_weights
from secure_fl.training.model import restore


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
