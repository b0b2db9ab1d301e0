"""Scales from noisy histograms: what one row can change, and how near they come to the exact ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import norm

from secure_fl.data import BINS, Transactions, from_histogram, magnitudes
from secure_fl.data.features import extract
from secure_fl.data.histogram import HIGHEST, LOWEST, NOISE_FLOOR, SMALLEST_DEVIATION
from secure_fl.data.pseudonyms import FederationKey
from secure_fl.errors import DataError

ZERO = BINS // 2
EXTREMES = [0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e300, -1e300, 1.7e308, 2.0**LOWEST, 2.0**HIGHEST, 1.0, -1.0]
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EXTREMES)


def expected_bin(value: float) -> int:
    """By comparison with edges, one after the other."""
    edges = [2.0**e for e in range(LOWEST, HIGHEST + 1)]
    place = sum(abs(value) >= edge for edge in edges)
    return ZERO + (place if value > 0 else -place)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exponent", [0, 7])
def test_values_are_taken_to_be_uniform_in_their_bin(sign: int, exponent: int) -> None:
    values = sign * np.random.default_rng(1).uniform(2.0**exponent, 2.0 ** (exponent + 1), size=(100_000, 1))
    scale = from_histogram(magnitudes(values).astype(np.float64), 1.0)
    assert scale.mean[0] == pytest.approx(sign * 1.5 * 2.0**exponent)
    assert scale.std[0] == pytest.approx(2.0**exponent / math.sqrt(12))
    assert scale.std[0] == pytest.approx(values.std(), rel=0.01)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 20), st.integers(1, 5)), elements=VALUES), st.data())
def test_a_row_more_or_less_changes_the_counts_by_the_root_of_the_features(
    rows: NDArray[np.float64], data: st.DataObject
) -> None:
    features = rows.shape[1]
    row = np.array([data.draw(st.lists(VALUES, min_size=features, max_size=features))])
    place = data.draw(st.integers(0, len(rows)))
    change = magnitudes(np.insert(rows, place, row, axis=0)) - magnitudes(rows)
    assert math.sqrt((change**2).sum()) <= math.sqrt(features)
    assert change.sum(axis=1).tolist() == [1] * features
    assert change.min() == 0


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=VALUES))
def test_every_value_is_counted_once_in_its_bin(rows: NDArray[np.float64]) -> None:
    counts = magnitudes(rows)
    assert counts.shape == (2, BINS)
    assert counts.dtype == np.int64
    for column, found in zip(rows.T, counts, strict=True):
        expected = np.zeros(BINS, dtype=np.int64)
        for value in column:
            expected[expected_bin(float(value))] += 1
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("value", EXTREMES, ids=str)
def test_extreme_values_have_bins_too(value: float) -> None:
    assert magnitudes(np.array([[value]]))[0, expected_bin(value)] == 1


def test_no_rows_have_no_counts() -> None:
    assert magnitudes(np.empty((0, 3))).tolist() == [[0] * BINS] * 3


def test_edges_belong_to_the_upper_bin() -> None:
    for exponent in (LOWEST, -3, 0, 7, HIGHEST):
        edge = 2.0**exponent
        below = magnitudes(np.array([[np.nextafter(edge, 0)]])).argmax()
        assert magnitudes(np.array([[edge]])).argmax() == below + 1


@pytest.mark.parametrize("center", [0.0, 3.0, -500.0])
def test_without_noise_it_is_near_the_exact_figures(center: float) -> None:
    raw = np.random.default_rng(1).normal(center, 40.0, size=(200_000, 1))
    scale = from_histogram(magnitudes(raw).astype(np.float64), 0.0)
    assert scale.mean[0] == pytest.approx(raw.mean(), abs=0.35 * abs(center) + 4)
    assert raw.std() / 1.7 < scale.std[0] < raw.std() * max(1.7, abs(center) / 40)


def test_on_simulated_transactions_it_scales_like_the_exact_figures(simulated: Transactions) -> None:
    """Where the exact deviation is one, the private one is between a third and three."""
    raw = extract(simulated, FederationKey.for_simulation(1)).numeric
    scale = from_histogram(magnitudes(raw).astype(np.float64), 0.0)
    mean, std = np.array(scale.mean), np.array(scale.std)
    varies = raw.std(axis=0) > 0
    assert varies.sum() > 10
    ratio = std[varies] / raw.std(axis=0)[varies]
    assert (ratio > 1 / 3).all()
    assert (ratio < 3).all()
    assert (np.abs(mean - raw.mean(axis=0))[varies] < raw.std(axis=0)[varies]).all()


def test_noise_alone_is_hardly_ever_taken_for_rows() -> None:
    """Many rows of value 1 in each feature, and noise in all other bins."""
    deviation = 50.0
    counts = np.zeros((500, BINS))
    counts[:, ZERO - LOWEST + 1] = 1e6
    noisy = counts + np.random.default_rng(3).normal(0, deviation, size=counts.shape)
    scale = from_histogram(noisy, deviation)
    clean = from_histogram(counts, 0.0)
    same = np.isclose(scale.mean, clean.mean) & np.isclose(scale.std, clean.std)
    assert same.mean() > 0.99
    assert clean.mean[0] == 1.5


def test_a_feature_whose_rare_values_are_hidden_is_not_blown_up() -> None:
    """Its deviation has a public floor: zero or next to nothing would make its few other values enormous."""
    raw = np.zeros((5_000, 1))
    raw[:20] = 0.5
    scale = from_histogram(magnitudes(raw).astype(np.float64), 10.0)
    assert (scale.mean, scale.std) == ((0.0,), (SMALLEST_DEVIATION,))


def test_what_the_noise_hides_is_refused() -> None:
    counts = magnitudes(np.ones((100, 2))).astype(np.float64)
    from_histogram(counts, 100 / NOISE_FLOOR - 0.1)
    with pytest.raises(DataError, match="noise hides the distribution") as caught:
        from_histogram(counts, 100 / NOISE_FLOOR + 0.1)
    assert caught.value.exit_code == 2
    assert "; " in str(caught.value)


def test_one_feature_that_the_noise_hides_is_enough_to_refuse() -> None:
    counts = magnitudes(np.column_stack([np.ones(100), np.tile([1.0, 1e6, 4.0, 1e-3], 25)])).astype(np.float64)
    from_histogram(counts, 5.0)
    with pytest.raises(DataError, match="noise hides the distribution"):
        from_histogram(counts, 10.0)


def test_a_count_as_large_as_the_floor_is_still_noise() -> None:
    counts = np.zeros((1, BINS))
    counts[0, ZERO + 20], counts[0, ZERO + 30] = 1000.0, 40.0
    alone = np.where(counts == 1000.0, counts, 0.0)
    assert from_histogram(counts, 10.0) == from_histogram(alone, 0.0)
    assert from_histogram(counts, 9.99) == from_histogram(counts, 0.0)


def test_the_public_figures_are_those_that_the_documentation_gives() -> None:
    """Bins from 2**-16 to 2**31 with either sign; a floor that one noisy bin in 30,000 passes."""
    assert (LOWEST, HIGHEST, BINS, SMALLEST_DEVIATION) == (-16, 31, 97, 0.1)
    assert 1 / norm.sf(NOISE_FLOOR) == pytest.approx(30_000, rel=0.1)
