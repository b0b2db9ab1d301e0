"""Rounded Gaussian noise: recomputed with 700 bits, tried at every border, and its distribution tested."""

from __future__ import annotations

import hashlib
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from secure_fl.training import rounded_gaussian as module
from secure_fl.training.keystream import Keystream
from secure_fl.training.rounded_gaussian import WORDS, distance, rounded_gaussian

USUAL = 1.3 * 2**20
DEVIATIONS = [0.3, 1.05, 7.0, 1_000.3, USUAL, 50.0 * 2**20, 1e4 * 2**20]


def drawn(deviation: float, count: int, number: int = 1) -> NDArray[np.int64]:
    stream = Keystream(hashlib.sha256(b"%d" % number).digest(), "test")
    return rounded_gaussian(deviation, stream.words(WORDS * count))


def of_bits(deviation: float, *bits: int) -> list[int]:
    """From 128 bits each: a sign, and 127 bits of the tail's probability."""
    words = [word for number in bits for word in divmod(number, 2**64)]
    return [int(value) for value in rounded_gaussian(deviation, np.array(words, dtype=np.uint64))]


def quantile(deviation: float, bits: int) -> int:
    """The same, by bisection over integers, from the definition: the smallest k with P(N > k + 1/2) <= p."""
    with mpmath.workprec(700):
        tail = (mpmath.mpf(bits % 2**127) + mpmath.mpf(1) / 2) / mpmath.mpf(2) ** 128
        low, high = -1, int(20 * deviation) + 20
        while high - low > 1:
            middle = (low + high) // 2
            inside = mpmath.erfc((middle + mpmath.mpf(1) / 2) / (deviation * mpmath.sqrt(2))) / 2 <= tail
            low, high = (low, middle) if inside else (middle, high)
    return -high if bits >= 2**127 else high


def border(deviation: float, k: int) -> int:
    """The 127 bits just above the border between k and k + 1: the last that still gives k."""
    with mpmath.workprec(700):
        tail = mpmath.erfc((k + mpmath.mpf(1) / 2) / (deviation * mpmath.sqrt(2))) / 2
        return int(mpmath.ceil(tail * mpmath.mpf(2) ** 128 - mpmath.mpf(1) / 2))


# Right in every digit


@pytest.mark.slow
@given(st.integers(0, 2**128 - 1), st.sampled_from(DEVIATIONS))
def test_every_value_is_the_quantile_of_its_bits(bits: int, deviation: float) -> None:
    assert of_bits(deviation, bits) == [quantile(deviation, bits)]


@pytest.mark.slow
@given(st.integers(0, 127), st.integers(0, 2**127 - 1), st.booleans(), st.sampled_from(DEVIATIONS))
def test_the_tails_are_right_too(zeros: int, bits: int, negative: bool, deviation: float) -> None:
    bits = (bits >> zeros) | (negative << 127)
    assert of_bits(deviation, bits) == [quantile(deviation, bits)]


def borders() -> list[tuple[float, int]]:
    rng = np.random.default_rng(1)
    places = [(d, int(k * d)) for d in DEVIATIONS for k in rng.uniform(0, 10, 25)]
    return places + [(d, k) for d in DEVIATIONS for k in (0, 1, 2)]


def wrong_borders() -> int:
    """Of those two sides, how many are wrong."""
    wrong = 0
    for deviation, k in borders():
        edge = border(deviation, k)
        if 0 < edge < 2**127:
            wrong += of_bits(deviation, edge) != [k]
            wrong += of_bits(deviation, edge - 1) != [k + 1]
            wrong += of_bits(deviation, edge + 2**127, edge - 1 + 2**127) != [-k, -k - 1]
    return wrong


def test_borders_between_integers_are_right_to_the_last_bit() -> None:
    assert wrong_borders() == 0


@pytest.mark.parametrize("planted", ["_DOUBT", "_FAR"])
def test_without_the_exact_path_borders_are_wrong(monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    """Otherwise the test above could not fail."""
    monkeypatch.setattr(module, planted, -1.0 if planted == "_DOUBT" else np.uint64(0))
    assert wrong_borders() > 20


def test_double_precision_errs_less_than_is_allowed_for() -> None:
    """Of the quantile, by one Newton step from what scipy gives, over all p that are not `_FAR`."""
    rng = np.random.default_rng(2)
    tails = np.concatenate(
        [rng.random(1_000) / 2, 2.0 ** -rng.uniform(1, 24, 3_000), 0.5 - 2.0 ** -rng.uniform(2, 50, 500)]
    )
    worst = 0.0
    with mpmath.workprec(200):
        for tail, size in zip(tails.tolist(), (-ndtri(tails)).tolist(), strict=True):
            error = mpmath.erfc(size / mpmath.sqrt(2)) / 2 - mpmath.mpf(tail)
            worst = max(worst, abs(float(error / mpmath.npdf(size))))
    assert worst < module._DOUBT / 32


def test_hardly_any_value_takes_the_exact_path(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    exactly = module._exactly

    def counted(deviation: float, bits: int) -> int:
        taken.append(bits)
        return exactly(deviation, bits)

    monkeypatch.setattr(module, "_exactly", counted)
    drawn(USUAL, 2_000_000)
    assert 0 < len(taken) < 30  # 5.2 expected


def test_the_distance_is_counted_for_a_small_deviation() -> None:
    """By how many of the 2**127 numbers give each integer, against the probability with 700 bits."""
    deviation = 1.05
    with mpmath.workprec(700):
        edges = [2**127, *[border(deviation, k) for k in range(15)]]
        total = mpmath.mpf(0)
        for k in range(15):
            root = deviation * mpmath.sqrt(2)
            inner = mpmath.erfc((k - mpmath.mpf(1) / 2) / root) if k else mpmath.mpf(1)
            exact = inner - mpmath.erfc((k + mpmath.mpf(1) / 2) / root)
            total += abs(mpmath.mpf(edges[k] - edges[k + 1]) / 2**127 - exact) / 2
        assert 0 < total < distance(deviation) < 1e-36
    assert distance(USUAL) < 2.0**-102


def test_a_sign_of_its_own() -> None:
    values = drawn(USUAL, 10_000)
    bits = [1 << 40, 3 << 100, 2**126 + 5]
    assert of_bits(USUAL, *[b + 2**127 for b in bits]) == [-v for v in of_bits(USUAL, *bits)]
    assert abs(np.mean(values > 0) - 0.5) < 5 / math.sqrt(4 * len(values))


# The distribution


@pytest.mark.parametrize("deviation", [0.3, 1.05, 7.0])
def test_small_noise_has_the_probabilities_of_rounded_gaussians(deviation: float) -> None:
    values = drawn(deviation, 400_000)
    reach = int(4 * deviation) + 1
    edges = np.concatenate([[-np.inf], np.arange(-reach, reach) + 0.5, [np.inf]])
    expected = np.diff(stats.norm.cdf(edges / deviation)) * len(values)
    counted = np.bincount(np.clip(values, -reach, reach) + reach, minlength=2 * reach + 1)
    usable = expected > 5
    expected[~usable] = counted[~usable] = 0
    statistic = float((((counted - expected)[usable]) ** 2 / expected[usable]).sum())
    assert stats.chi2.sf(statistic, usable.sum() - 1) > 1e-4


@pytest.mark.parametrize("deviation", [1_000.3, USUAL, 1e3 * 2**20])
def test_noise_of_the_usual_size_is_gaussian(deviation: float) -> None:
    """Kolmogorov-Smirnov, chi-square in 200 equally likely cells, moments and tails; all on integers."""
    count = 100_000 if deviation > USUAL else 400_000  # the largest takes the exact path often
    values = drawn(deviation, count, 2)
    assert values.dtype == np.int64
    scaled = (values + np.random.default_rng(1).uniform(-0.5, 0.5, count)) / deviation  # fills the gaps of the grid
    assert stats.kstest(scaled, "norm").pvalue > 1e-4
    cells = np.bincount((stats.norm.cdf(scaled) * 200).astype(int), minlength=200)
    assert stats.chisquare(cells).pvalue > 1e-4
    assert abs(scaled.mean()) < 4.5 / math.sqrt(count)
    assert scaled.var() == pytest.approx(1, abs=4.5 * math.sqrt(2 / count))
    assert abs((scaled**3).mean()) < 4.5 * math.sqrt(15 / count)
    assert (scaled**4).mean() == pytest.approx(3, abs=4.5 * math.sqrt(96 / count))
    for far in (2.0, 3.0, 4.0):
        expected = 2 * stats.norm.sf(far) * count
        assert abs(np.sum(np.abs(scaled) > far) - expected) < 4.5 * math.sqrt(expected) + 2


def test_the_last_digits_are_uniform_and_neighbours_independent() -> None:
    """Nothing of the grid, of float64 or of the generator shows: modulo 256 and modulo 7, and between values."""
    values = drawn(USUAL, 400_000, 3)
    for modulus in (7, 256):
        assert stats.chisquare(np.bincount(values % modulus, minlength=modulus)).pvalue > 1e-4
    scaled = values / USUAL
    for shift in (1, 2, 3, 64, 10_369):
        for feature in (scaled, scaled**2 - 1):
            correlation = np.mean(feature[:-shift] * feature[shift:]) / feature.var()
            assert abs(correlation) < 5 / math.sqrt(len(values))
