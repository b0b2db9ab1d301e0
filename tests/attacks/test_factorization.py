"""Rows from a product of two matrices, on gradients that torch computes here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from secure_fl.attacks.factorization import factorize
from secure_fl.attacks.judging import match
from secure_fl.attacks.step import first_layer
from secure_fl.training.model import flatten, initial_weights, restore

pytestmark = pytest.mark.slow


def gradient_of_batch(rows: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """torch's own gradient, in training mode, dropout included."""
    torch.manual_seed(seed)
    model = restore(initial_weights(1), dropout=0.3).train()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(torch.tensor(rows)), torch.zeros(len(rows)))
    parts = torch.autograd.grad(loss, list(model.parameters()))
    gradient: NDArray[np.float64] = torch.cat([part.flatten() for part in parts]).double().numpy()
    return gradient


def rows_like_ulb(batch: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows = np.zeros((batch, 128), dtype=np.float32)
    rows[:, :32] = rng.normal(size=(batch, 32))
    return rows


@pytest.mark.parametrize("batch", [1, 2, 4, pytest.param(8, marks=pytest.mark.slow)])
def test_whole_batches_are_rebuilt(batch: int, rng: np.random.Generator) -> None:
    rebuilt = 0
    for seed in range(5):
        rows = rows_like_ulb(batch, rng)
        found = factorize(first_layer(gradient_of_batch(rows, seed)), first_layer(initial_weights(1)), batch, rng)
        rebuilt += int((match(found.rows, rows)[1] < 1e-2).sum())
    assert rebuilt >= 0.9 * 5 * batch


def test_flows_and_rows_make_the_gradient_again(rng: np.random.Generator) -> None:
    rows = rows_like_ulb(8, rng)
    gradient = first_layer(gradient_of_batch(rows, 0))
    found = factorize(gradient, first_layer(initial_weights(1)), 8, rng)
    made = found.flows.T @ np.column_stack([found.rows, np.ones(len(found.rows))])
    assert np.allclose(made, gradient, atol=1e-3 * np.abs(gradient).max())


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_noise_has_no_rows(batch: int, rng: np.random.Generator) -> None:
    found = factorize(rng.normal(size=(64, 129)), first_layer(initial_weights(1)), batch, rng)
    assert len(found.rows) == 0


def test_no_gradient_has_no_rows(rng: np.random.Generator) -> None:
    assert len(factorize(np.zeros((64, 129)), first_layer(initial_weights(1)), 2, rng).rows) == 0


def test_the_weights_are_what_the_gradient_was_made_with() -> None:
    assert np.array_equal(flatten(restore(initial_weights(1))), initial_weights(1))
