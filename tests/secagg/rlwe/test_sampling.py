"""The three distributions: each as stated, by counting."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats

from secure_fl.secagg.budget.rlwe import ERROR_VARIANCE
from secure_fl.secagg.rlwe.ring import DEGREE, MODULUS
from secure_fl.secagg.rlwe.sampling import ERROR_BITS, errors, ternary, uniform

RARE = 1e-6
"""A test that is right fails as seldom."""


def test_ternary_numbers_are_equally_likely_and_do_not_follow_each_other() -> None:
    drawn = ternary(250)
    assert drawn.shape == (250, DEGREE)
    counts = [int((drawn == value).sum()) for value in (-1, 0, 1)]
    assert sum(counts) == drawn.size
    assert stats.chisquare(counts).pvalue > RARE
    pairs = np.bincount((3 * (drawn[:, :-1] + 1) + drawn[:, 1:] + 1)[:, ::2].reshape(-1), minlength=9)
    assert stats.chisquare(pairs).pvalue > RARE


def test_errors_are_the_difference_of_two_binomials() -> None:
    count = 1_000_000
    drawn = errors(count)
    values = np.arange(-ERROR_BITS, ERROR_BITS + 1)
    share = np.array([comb(2 * ERROR_BITS, ERROR_BITS + int(value)) for value in values]) / 4.0**ERROR_BITS
    seen = np.bincount(drawn + ERROR_BITS, minlength=len(values))
    enough = share * count > 20
    expected = np.append(share[enough], share[~enough].sum()) * count
    assert stats.chisquare(np.append(seen[enough], seen[~enough].sum()), expected).pvalue > RARE
    assert abs(drawn.var() - ERROR_VARIANCE) < 0.1
    assert np.abs(drawn).max() <= ERROR_BITS
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01


def test_no_two_draws_are_alike() -> None:
    assert not np.array_equal(errors(100), errors(100))
    assert not np.array_equal(ternary(1), ternary(1))


def test_uniform_numbers_are_spread_below_the_modulus_and_follow_from_the_seed() -> None:
    drawn = uniform(b"a" * 32)
    assert drawn.shape == (DEGREE,)
    assert int(drawn.max()) < MODULUS
    assert stats.kstest(drawn / MODULUS, "uniform").pvalue > RARE
    assert stats.kstest((drawn % np.uint64(1 << 20)) / 2**20, "uniform").pvalue > RARE  # low bits too
    assert np.array_equal(drawn, uniform(b"a" * 32))
    assert not np.array_equal(drawn, uniform(b"b" * 32))


@pytest.mark.parametrize("count", [1, 15])
def test_as_many_as_asked_for(count: int) -> None:
    assert ternary(count).shape == (count, DEGREE)
    assert errors(count).shape == (count,)
