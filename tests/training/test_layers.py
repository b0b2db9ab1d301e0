"""Layers of torch modules, read for encrypted scoring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from secure_fl.errors import ScoringError
from secure_fl.scoring import plain_logits
from secure_fl.training.layers import layers_of
from secure_fl.training.model import Square, new_model


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(5, 4), Square(4), nn.Dropout(0.5), nn.Linear(4, 1)),
        nn.Sequential(nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU()), nn.Identity(), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(5, 1)),
    ],
)
def test_the_layers_compute_what_the_module_does(module: nn.Module) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 5))
    wanted = module.eval()(torch.tensor(rows, dtype=torch.float32)).detach().numpy()[:, 0]
    assert np.allclose(plain_logits(layers_of(module), rows), wanted, atol=1e-5)


def test_the_fraud_model_can_be_read() -> None:
    model, rows = new_model(3).eval(), np.random.default_rng(0).normal(size=(20, 128))
    wanted = model(torch.tensor(rows, dtype=torch.float32)).detach().numpy()
    assert np.allclose(plain_logits(layers_of(model), rows), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "name"), [(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "Tanh"), (nn.Linear(2, 1), "Linear")]
)
def test_others_are_refused_by_name(module: nn.Module, name: str) -> None:
    with pytest.raises(ScoringError, match=f"a {name} cannot be computed on ciphertexts"):
        layers_of(module)
