"""Matching, success, intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.attacks.judging import Interval, interval_of_mean, interval_of_shares, match

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


@pytest.mark.parametrize(
    ("right", "trials", "published"),
    [(81, 263, (0.2527, 0.3676)), (15, 148, (0.0578, 0.1617)), (0, 20, (0.0, 0.1684)), (1, 29, (0.0009, 0.1776))],
)
def test_the_interval_of_shares_agrees_with_published_values(
    right: int, trials: int, published: tuple[float, float]
) -> None:
    """Newcombe, Statistics in Medicine 1998, table I, the method of Clopper and Pearson."""
    assert interval_of_shares([1.0] * right + [0.0] * (trials - right)) == pytest.approx(published, abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_an_interval_holds_the_mean(shares: list[float]) -> None:
    low, high = interval_of_shares(shares)
    assert 0 <= low <= np.mean(shares) + 1e-9
    assert np.mean(shares) - 1e-9 <= high <= 1


def test_an_interval_of_no_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="no trials"):
        interval_of_shares([])
    with pytest.raises(ValueError, match="one value"):
        interval_of_mean([0.5])


def left_out(truth: float, draws: NDArray[np.float64], interval: Callable[[Sequence[float]], Interval]) -> float:
    """In how many repetitions (rows) the interval misses the truth."""
    found = np.array([interval(row.tolist()) for row in draws])
    return float(((truth < found[:, 0]) | (truth > found[:, 1])).mean())


@pytest.mark.parametrize("pools", [3, 6, 20])
def test_the_interval_of_a_mean_leaves_the_truth_out_in_5_of_100(pools: int) -> None:
    """Neither 10, as a 90 % interval called 95 %, nor 0."""
    missed = left_out(0.1, np.random.default_rng(1).normal(0.1, 0.03, size=(4000, pools)), interval_of_mean)
    assert missed == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_interval_of_shares_keeps_its_5_percent(share: float, batch: int) -> None:
    """Rows of one batch that fail together, and such as fail by themselves."""
    draws = np.random.default_rng(2).random((4000, 20, batch))
    together = left_out(share, (draws[:, :, 0] < share).astype(float), interval_of_shares)
    alone = left_out(share, (draws < share).mean(axis=2), interval_of_shares)
    assert 0.002 < together < 0.055
    assert alone < 0.055
