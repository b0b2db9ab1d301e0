"""The cubic against numpy's least squares, and against every other cubic that rises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.scoring.descent import Sigmoid, fit_sigmoid
from secure_fl.scoring.network import Vector

INTERVALS = st.floats(0.5, 64)


def _squares(sigmoid: Sigmoid) -> float:
    z = np.linspace(-sigmoid.interval, sigmoid.interval, 4001)
    return float(np.mean((sigmoid.value(z) - _logistic(z)) ** 2))


def _logistic(z: Vector) -> Vector:
    value: Vector = 1 / (1 + np.exp(-z))
    return value


@pytest.mark.parametrize("interval", [0.5, 1.0, 2.0, 2.5])
def test_on_a_short_interval_it_is_the_free_least_squares_fit(interval: float) -> None:
    z = np.linspace(-interval, interval, 200_001)
    constant, linear, square, cubic = np.polynomial.polynomial.polyfit(z, _logistic(z), 3)
    found = fit_sigmoid(interval)
    assert np.allclose([constant, square], [0.5, 0.0])
    assert np.allclose([found.linear, -found.cubic], [linear, cubic], rtol=1e-3)


@pytest.mark.parametrize("interval", [4.0, 8.0, 20.0])
def test_on_a_long_one_it_is_the_best_that_is_level_at_the_ends(interval: float) -> None:
    z = np.linspace(-interval, interval, 200_001)
    free = np.polynomial.polynomial.polyfit(z, _logistic(z), 3)
    assert free[1] + 3 * free[3] * interval**2 < 0, "the free fit turns back"
    shape = (z - z**3 / (3 * interval**2))[:, None]
    (linear,), *_ = np.linalg.lstsq(shape, _logistic(z) - 0.5, rcond=None)
    found = fit_sigmoid(interval)
    assert found.linear == pytest.approx(linear, rel=1e-4)
    assert found.cubic == pytest.approx(found.linear / (3 * interval**2))


@given(INTERVALS, st.floats(0, 1), st.floats(0, 1))
def test_no_other_cubic_that_rises_is_nearer(interval: float, linear: float, share: float) -> None:
    other = Sigmoid(interval, linear, share * linear / (3 * interval**2))
    assert _squares(fit_sigmoid(interval)) <= _squares(other) * (1 + 1e-3) + 1e-12


@given(INTERVALS)
def test_it_rises_and_its_largest_numbers_are_what_they_are_called(interval: float) -> None:
    sigmoid, z = fit_sigmoid(interval), np.linspace(-interval, interval, 2001)
    values = sigmoid.value(z)
    assert (np.diff(values) > -1e-12).all()
    assert np.diff(values).max() / (z[1] - z[0]) <= sigmoid.steepest
    assert max(values.max(), 1 - values.min()) == pytest.approx(sigmoid.largest_residual)


@given(INTERVALS, st.floats(-1, 1))
def test_the_form_without_factors_is_the_same_cubic(interval: float, share: float) -> None:
    sigmoid, z = fit_sigmoid(interval), np.array([share * interval])
    s = sigmoid.shrink * z
    assert np.allclose(0.5 - s * (s**2 - sigmoid.turn), 1 - sigmoid.value(-z))
    assert np.allclose(0.5 - s * (s**2 - sigmoid.turn), sigmoid.value(z))
