"""Standardization over banks equals standardization over the pooled rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from secure_fl.data import Moments, Standardization, moments, standardize
from secure_fl.errors import DataError

MATRIX = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1e4, 1e4, width=32))


@settings(deadline=None)
@given(MATRIX, MATRIX)
def test_banks_together_equal_the_pooled_rows(first: np.ndarray, second: np.ndarray) -> None:
    pooled = np.vstack([first, second])
    scale = Standardization.from_moments(moments(first) + moments(second))
    np.testing.assert_allclose(scale.mean, pooled.mean(axis=0), atol=1e-8)
    np.testing.assert_allclose(scale.std, pooled.std(axis=0), atol=1e-6 * (1.0 + np.abs(pooled).max()))


def test_a_vector_of_moments_comes_back() -> None:
    total = moments(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert total.as_vector().tolist() == [2.0, 4.0, 7.0, 10.0, 29.0]
    again = Moments.from_vector(total.as_vector())
    assert (again.count, again.sum.tolist(), again.sum_of_squares.tolist()) == (2.0, [4.0, 7.0], [10.0, 29.0])
    with pytest.raises(DataError, match="1 \\+ 2 M"):
        Moments.from_vector(np.zeros(4))


def test_standardized_features_have_mean_0_and_deviation_1() -> None:
    raw = np.random.default_rng(0).normal(50.0, 3.0, size=(2_000, 2))
    scaled = standardize(raw, Standardization.from_moments(moments(raw)))
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-9)


def test_freak_values_are_clipped_to_8_deviations() -> None:
    scale = Standardization((0.0,), (1.0,))
    assert standardize(np.array([[1e6], [-1e6], [7.5]]), scale).ravel().tolist() == [8.0, -8.0, 7.5]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -123456.789])
def test_a_constant_feature_becomes_0(value: float) -> None:
    raw = np.full((1_000, 1), value)
    scale = Standardization.from_moments(moments(raw))
    assert scale.std == (0.0,)
    assert standardize(np.array([[value], [value + 5.0]]), scale).ravel().tolist() == [0.0, 0.0]


def test_no_rows_and_too_large_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="no bank has a transaction"):
        Standardization.from_moments(moments(np.empty((0, 2))))
    with pytest.raises(DataError, match="too large"):
        moments(np.full((2, 1), 1e200))


def test_repr_shows_no_sums() -> None:
    assert repr(moments(np.full((1, 1), 8675309.0))) == "Moments(1 features)"


def test_whether_a_feature_varies_does_not_depend_on_its_unit() -> None:
    raw = np.random.default_rng(2).normal(size=(100, 1))
    for unit in (1e-9, 1.0, 1e9):
        assert Standardization.from_moments(moments(unit * raw)).std == pytest.approx([unit * raw.std()])
        assert Standardization.from_moments(moments(np.full((100, 1), unit * 0.1))).std == (0.0,)
