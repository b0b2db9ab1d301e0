"""From an update back to the gradient."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from secure_fl.attacks.step import Step, first_layer, gradient_of, step_of
from secure_fl.training.local import ADAM_EPS
from secure_fl.training.model import initial_weights, restore

pytestmark = pytest.mark.slow


def test_torchs_first_adam_step_is_inverted() -> None:
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=1000) * 10.0 ** rng.integers(-6, 0, size=1000)
    weights = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
    weights.grad = torch.tensor(gradient)
    torch.optim.Adam([weights], lr=2e-3, eps=ADAM_EPS).step()
    update = weights.detach().numpy()
    assert np.allclose(gradient_of(update, 2e-3, "adam"), gradient, rtol=1e-6)


@pytest.mark.parametrize("step", get_args(Step))
def test_a_step_and_its_inverse(step: Step) -> None:
    gradient = np.array([-0.3, -1e-7, 0.0, 1e-3, 0.02])
    assert np.allclose(gradient_of(step_of(gradient, 0.1, step), 0.1, step), gradient, rtol=1e-9)


def test_a_saturated_step_stays_finite() -> None:
    assert np.isfinite(gradient_of(np.array([2e-3, -5e-3]), 2e-3, "adam")).all()


def test_the_first_layer_is_where_torch_has_it() -> None:
    weights = initial_weights(3)
    layer = restore(weights).layers[0]
    assert isinstance(layer, torch.nn.Linear)
    side_by_side = first_layer(weights)
    assert np.array_equal(side_by_side[:, :-1], layer.weight.detach().numpy())
    assert np.array_equal(side_by_side[:, -1], layer.bias.detach().numpy())
