"""The rotation keeps lengths, is undone exactly, and makes every vector flat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.codec.rotation import Rotation
from secure_fl.secagg.budget import NoisePlan

pytestmark = pytest.mark.slow


def matrix(length: int, seed: bytes) -> NDArray[np.float64]:
    rotation = Rotation(length, seed)
    return np.array([rotation.apply(unit) for unit in np.eye(length)]).T


@given(st.integers(1, 70), st.binary(max_size=40))
def test_it_is_orthogonal_and_its_entries_are_small(length: int, seed: bytes) -> None:
    turned = matrix(length, seed)
    np.testing.assert_allclose(turned @ turned.T, np.eye(length), atol=1e-12)
    assert np.abs(turned).max() <= np.sqrt(2 / length) + 1e-12 or length == 1


@given(st.integers(1, 3_000), st.binary(max_size=40), st.integers(0, 2**32))
def test_it_is_undone(length: int, seed: bytes, draw: int) -> None:
    vector = np.random.default_rng(draw).normal(size=length)
    rotation = Rotation(length, seed)
    np.testing.assert_allclose(rotation.invert(rotation.apply(vector)), vector, atol=1e-12)
    assert np.linalg.norm(rotation.apply(vector)) == pytest.approx(np.linalg.norm(vector))


def test_it_is_signs_and_then_the_cosine_transform() -> None:
    n = 8
    cosines = np.cos(np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5)) * np.sqrt(2 / n)
    cosines[0] /= np.sqrt(2)
    signs = matrix(n, b"seed") / cosines
    np.testing.assert_allclose(np.abs(signs), 1)
    np.testing.assert_allclose(signs, np.tile(signs[0], (n, 1)))


def test_its_signs_depend_on_the_seed_and_are_balanced() -> None:
    length = 20_000
    first_row = [Rotation(length, seed).invert(np.eye(1, length)[0]) * np.sqrt(length) for seed in (b"a", b"b")]
    for signs in first_row:
        np.testing.assert_allclose(np.abs(signs), 1)
        assert abs(signs.sum()) < 6 * np.sqrt(length)
    assert abs(first_row[0] @ first_row[1]) < 6 * np.sqrt(length)


def test_everybody_draws_the_same_signs() -> None:
    """A change here would be a change of the protocol: banks of two versions could no longer add up."""
    signs = np.sign(Rotation(16, b"round 1").invert(np.eye(1, 16)[0]))
    assert "".join("+-"[int(sign < 0)] for sign in signs) == "+++---+-+-++++-+"


@pytest.mark.parametrize("length", [7, 100, 10_379])
def test_no_vector_leaves_the_range_of_the_signal(length: int) -> None:
    """Neither a single large value, nor a constant, nor what the cosine transform alone would gather in one place."""
    limit = NoisePlan(banks=3, parameters=length, threshold=2, bits=8, noise_multiplier=1.0).flatness
    wave = np.cos(np.pi / length * (length // 3) * (np.arange(length) + 0.5))
    for vector in (np.eye(1, length)[0], np.ones(length), wave):
        for draw in range(50):
            turned = Rotation(length, draw.to_bytes(2, "big")).apply(vector / np.linalg.norm(vector))
            assert np.abs(turned).max() <= limit
