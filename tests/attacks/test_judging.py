"""Matching, success, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.attacks.judging import interval_of_shares, match, wilson

pytestmark = pytest.mark.slow


def test_the_order_of_guesses_does_not_matter(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(6, 128))
    order = rng.permutation(6)
    places, errors = match(1.01 * rows[order], rows)
    assert np.array_equal(order[places], np.arange(6))
    assert np.allclose(errors, 0.01)


def test_rows_without_a_guess_count_as_wrong(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(3, 128))
    places, errors = match(rows[2:], rows)
    assert places.tolist() == [-1, -1, 0]
    assert errors.tolist() == [10.0, 10.0, 0.0]
    assert match(rows[:0], rows)[1].tolist() == [10.0] * 3


def test_absurd_guesses_do_not_break_the_matching(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(2, 128))
    errors = match(np.stack([np.full(128, np.nan), rows[1]]), rows)[1]
    assert errors.tolist() == [10.0, 0.0]


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe, Statistics in Medicine 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_an_interval_holds_the_mean(shares: list[float]) -> None:
    low, high = interval_of_shares(shares, np.random.default_rng(0))
    assert 0 <= low <= np.mean(shares) + 1e-9
    assert np.mean(shares) - 1e-9 <= high <= 1


def test_an_interval_of_no_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="no trials"):
        wilson(0, 0)
