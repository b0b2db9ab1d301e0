"""TenSEAL's tutorial on training: useless weights under its own parameters, right ones under larger primes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from secure_fl.bench.peers.tenseal_training import TUTORIAL, WORKING, TutorialParameters, plain, train


def _examples() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(2)
    return rng.normal(0, 0.5, (3, 4)), np.array([1.0, 0.0, 1.0])


def test_the_plain_descent_is_the_tutorials() -> None:
    """Written out for one feature and one row: both move by what the sigmoid is off."""
    once = plain(np.array([[2.0]]), np.array([1.0]), 1)
    assert np.allclose(once, [1.0, 0.5])
    z = 2 * 1.0 + 0.5
    wrong = 0.5 + 0.197 * z - 0.004 * z**3 - 1
    assert np.allclose(plain(np.array([[2.0]]), np.array([1.0]), 2), [1 - 2 * wrong - 0.05, 0.5 - wrong])


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "least", "most"), [(TUTORIAL, 0.01, np.inf), (WORKING, 0.0, 1e-4)])
def test_its_weights_are_as_wrong_as_its_primes_are_small(
    parameters: TutorialParameters, least: float, most: float
) -> None:
    ticks = itertools.count()
    found = train(parameters, *_examples(), epochs=2, clock=lambda: float(next(ticks)))
    assert least <= found.max_abs_error <= most
    assert (found.encrypt_seconds, found.train_seconds) == (1, 2)
    assert found.key_bytes > 5e7
    assert found.upload_bytes > 3 * 4e5
