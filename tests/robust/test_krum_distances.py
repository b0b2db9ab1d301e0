"""Krum from distances alone: what the encrypted path has, with an error in each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import ConfigurationError, ProtocolError
from secure_fl.robust import RULES, krum_from_distances
from secure_fl.robust.distances import squared_distances


def points(seed: int, n: int = 9, parameters: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, parameters))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), f=st.integers(0, 3))
def test_distances_choose_what_the_updates_do(seed: int, f: int) -> None:
    updates = points(seed)
    squared = ((updates[:, None] - updates[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(updates), squared, rtol=1e-12)
    assert krum_from_distances(squared, f, 9 - f).chosen == RULES["multi-krum"](updates, f).chosen
    assert krum_from_distances(squared, f).chosen == RULES["krum"](updates, f).chosen


def test_distances_are_exact_over_many_columns_and_between_close_rows() -> None:
    updates = 1e6 + 1e-6 * points(1, 4, 150_000)
    expected = ((updates[0] - updates[3]) ** 2).sum()
    assert squared_distances(updates)[0, 3] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), error=st.sampled_from([0.0, 1e-3, 0.1, 1.0]), m=st.integers(1, 9))
def test_a_choice_that_the_error_could_change_is_reported_as_a_tie(seed: int, error: float, m: int) -> None:
    """Whatever the error does, rows that are not tied are chosen, or not, as they are without it."""
    rng = np.random.default_rng(seed)
    exact = squared_distances(points(seed))
    off = np.triu(rng.choice([-error, error], size=exact.shape), 1)
    noisy = krum_from_distances(exact + off + off.T, 2, m, error)
    true = krum_from_distances(exact, 2, m)
    assert set(noisy.chosen) ^ set(true.chosen) <= set(noisy.tied)


@pytest.mark.parametrize("m", [1, 5])
def test_a_tie_begins_where_both_scores_can_be_off_by_all_their_errors(m: int) -> None:
    squared = squared_distances(points(3))
    scores = np.sort(krum_from_distances(squared, 2, m).scores)
    gap = scores[m] - scores[m - 1]
    closest = 9 - 2 - 2
    error = gap / (2 * closest)
    assert len(krum_from_distances(squared, 2, m, 1.01 * error).tied) >= 2
    assert krum_from_distances(squared, 2, m, 0.99 * error).tied == ()


def test_clear_choices_are_no_ties() -> None:
    squared = squared_distances(np.concatenate([points(1, 7), 1e3 + points(2, 2)]))
    found = krum_from_distances(squared, 2, 7, errors=1e-3)
    assert (found.chosen, found.tied) == (tuple(range(7)), ())
    assert krum_from_distances(squared, 2, 9).tied == ()
    assert krum_from_distances(np.zeros((5, 5)), 1, 2).tied == (0, 1, 2, 3, 4)


def test_what_cannot_be_distances_is_refused() -> None:
    good = squared_distances(points(1))
    for place, value in (((0, 1), -0.5), ((2, 3), np.nan), ((4, 5), good[4, 5] + 1)):
        bad = good.copy()
        bad[place] = value
        if value < 0:
            bad[place[::-1]] = value
        with pytest.raises(ProtocolError, match="negative, lopsided or no numbers; make a new attempt"):
            krum_from_distances(bad, 2, 7, errors=0.1)
    slightly = good.copy()
    slightly[0, 1] = slightly[1, 0] = -0.05
    krum_from_distances(slightly, 2, 7, errors=0.1)
    far = good.copy()
    far[0, 1:] = far[1:, 0] = np.inf
    assert 0 not in krum_from_distances(far, 2, 7).chosen


@pytest.mark.parametrize("n", [3, 6])
def test_too_few_banks_and_impossible_choices_are_refused(n: int) -> None:
    with pytest.raises(ConfigurationError, match="use at least 7 banks"):
        krum_from_distances(np.ones((n, n)), 2, 1)
    for m in (0, 10):
        with pytest.raises(ConfigurationError, match="cannot be chosen; use 1 to 9"):
            krum_from_distances(np.ones((9, 9)), 2, m)
    for wrong in (np.ones((3, 4)), np.ones(5)):
        with pytest.raises(ConfigurationError, match="give \\[n, n\\]"):
            krum_from_distances(wrong, 0, 1)
    with pytest.raises(ConfigurationError):
        krum_from_distances(np.ones((9, 9)), 2, 1, errors=-1.0)
