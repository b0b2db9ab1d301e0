"""Intervals over seeds keep their 5 %: against brute force, and where nothing but chance tells two figures apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from secure_fl.bench.claims import intervals as claims_intervals
from secure_fl.bench.claims.intervals import ERROR, Reduction, reduction, seeds_needed

Figures = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Figures]

NULLS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(40, 6, n).clip(1),
    "lognormal": lambda rng, n: rng.lognormal(0, 0.6, n),
    "very skewed": lambda rng, n: rng.lognormal(0, 1.5, n),
    "counts": lambda rng, n: rng.poisson(30, n).astype(np.float64),
    "zero-inflated counts": lambda rng, n: np.where(rng.random(n) < 0.4, rng.poisson(3, n), 0.0),
    "heavy tails": lambda rng, n: np.abs(rng.standard_t(1.5, n)),
}
SAMPLES = 3_000


def test_a_reduction_compares_sums() -> None:
    found = reduction([6, 10, 4, 8], [10, 12, 10, 8])
    assert found.share == pytest.approx(1 - 28 / 40)
    assert found.seeds == 4


def test_where_every_seed_says_the_same_the_interval_is_that() -> None:
    same = reduction([5, 10, 7, 8, 2, 3, 4], [10, 20, 14, 16, 4, 6, 8])
    assert (same.low, same.share, same.high) == pytest.approx((0.5, 0.5, 0.5))


def test_nothing_can_be_reduced_to_less_than_nothing() -> None:
    found = reduction([1, 2], [0, 0])
    assert not found.defined
    assert (found.verdict, found.beside(0.38)) == ("no difference shown", "not comparable")


@pytest.mark.parametrize(
    ("low", "high", "verdict", "beside"),
    [
        (0.1, 0.3, "less", "below it"),
        (0.3, 0.6, "less", "compatible with it"),
        (0.5, 0.6, "less", "above it"),
        (-0.1, 0.5, "no difference shown", "compatible with it"),
        (-0.3, -0.1, "more", "below it"),
        (0.0, 0.2, "no difference shown", "below it"),
        (-0.2, 0.0, "no difference shown", "below it"),
        (0.38, 0.5, "less", "compatible with it"),
        (-math.inf, 0.2, "no difference shown", "below it"),
        (-math.inf, math.inf, "no difference shown", "not comparable"),
    ],
)
def test_a_verdict_says_no_more_than_the_interval(low: float, high: float, verdict: str, beside: str) -> None:
    found = Reduction(0.1, low, high, 5)
    assert (found.verdict, found.beside(0.38)) == (verdict, beside)


FIGURES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=6, max_size=8)


def sign_flip_p(differences: Figures) -> tuple[float, float]:
    """Shares of all flips whose sum is at least as low, and at least as high, as the sum itself."""
    sums = np.array(list(product((1, -1), repeat=len(differences)))) @ differences
    found = differences.sum()
    return float(np.mean(sums <= found + 1e-7)), float(np.mean(sums >= found - 1e-7))


def refuted(figures: Figures, other: Figures, ratio: float) -> bool:
    return min(sign_flip_p(figures - ratio * other)) <= ERROR / 2


@given(FIGURES)
@example(figures=[(0, 0)] * 3 + [(3, 7), (5, 8), (2, 9), (4, 4), (1, 6)])  # 0 of 0 fits every ratio
@example(figures=[(0, 0), (3, 7), (5, 8), (2, 9), (4, 4), (1, 6), (2, 3), (7, 9)])
@settings(max_examples=60, deadline=None)
def test_the_interval_ends_where_the_sign_flip_test_begins_to_refute(figures: list[tuple[int, int]]) -> None:
    first, second = np.array(figures, dtype=np.float64).T
    if not second.any():
        return
    found = reduction(first.tolist(), second.tolist())
    for end, outwards in ((1 - found.low, 1e-5), (1 - found.high, -1e-5)):
        beyond = (1e6 if outwards > 0 else -1e6) if math.isinf(end) else end + outwards
        assert refuted(first, second, beyond) == (not math.isinf(end))
        if not math.isinf(end) and found.low < found.high - 1e-4:
            assert not refuted(first, second, end - outwards)


def wrong_verdicts(draw: Draw, seeds: int, comparisons: int = 1) -> float:
    rng = np.random.default_rng(7)
    pairs = ((draw(rng, seeds), draw(rng, seeds)) for _ in range(SAMPLES))
    return float(np.mean([reduction(a.tolist(), b.tolist(), comparisons).verdict[0] != "n" for a, b in pairs]))


ALLOWED = ERROR + 4 * math.sqrt(ERROR * (1 - ERROR) / SAMPLES)
"""Four standard errors above 5 %: a right interval is beyond that once in 30,000 draws of the generator."""


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 8, 11])
@pytest.mark.parametrize("null", NULLS)
def test_without_a_difference_a_verdict_errs_in_five_percent_at_most(null: str, seeds: int) -> None:
    assert wrong_verdicts(NULLS[null], seeds) <= ALLOWED


@pytest.mark.parametrize("null", ["normal", "lognormal", "heavy tails"])
def test_it_does_not_err_less_than_it_may(null: str) -> None:
    """An interval that is never left would pass the test above and show nothing."""
    assert wrong_verdicts(NULLS[null], 11) >= 0.035


def test_what_seeds_share_does_not_count_as_a_difference() -> None:
    def alike(rng: np.random.Generator, seeds: int) -> Figures:
        return shared * rng.lognormal(0, 0.3, seeds)

    shared = np.random.default_rng(3).lognormal(0, 1, 10)
    assert wrong_verdicts(alike, 10) <= ALLOWED


def test_what_the_page_admits_of_figures_of_equal_means_and_different_shapes() -> None:
    """A skewed figure against a constant: no interval for means keeps its 5 % there at so few seeds."""
    rng, mean = np.random.default_rng(13), math.exp(0.5)
    drawn = (rng.lognormal(0, 1, 11).tolist() for _ in range(SAMPLES))
    wrong = float(np.mean([reduction(each, [mean] * 11).verdict != "no difference shown" for each in drawn]))
    assert ALLOWED < wrong < 0.16 + 4 * math.sqrt(0.16 * 0.84 / SAMPLES)


@pytest.mark.slow
def test_of_many_comparisons_without_a_difference_hardly_any_page_shows_one() -> None:
    rng, many, pages = np.random.default_rng(11), 25, 300
    draws = NULLS["lognormal"]
    wrong = 0
    for _ in range(pages):
        ours = draws(rng, 11).tolist()
        found = [reduction(ours, draws(rng, 11).tolist(), many) for _ in range(many)]
        wrong += any(each.verdict != "no difference shown" for each in found)
    assert wrong / pages <= ERROR + 4 * math.sqrt(ERROR * (1 - ERROR) / pages)


def test_a_difference_is_found() -> None:
    rng = np.random.default_rng(5)
    found = reduction((0.5 * rng.lognormal(0, 0.3, 16)).tolist(), rng.lognormal(0, 0.3, 16).tolist(), 25)
    assert found.verdict == "less"
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize("comparisons", [1, 25, 29])
def test_fewer_seeds_than_needed_give_no_interval(comparisons: int) -> None:
    needed = seeds_needed(comparisons)
    few, enough = (reduction([1.0] * n, [2.0] * n, comparisons) for n in (needed - 1, needed))
    assert not few.bounded
    assert few.verdict == "no difference shown"
    assert (enough.low, enough.high, enough.verdict) == (0.5, 0.5, "less")


def test_more_comparisons_widen_the_interval() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.lognormal(0, 0.3, 12).tolist(), rng.lognormal(0.5, 0.3, 12).tolist()
    one, many = reduction(first, second), reduction(first, second, 29)
    assert many.low < one.low < one.high < many.high


def test_random_subsets_stand_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    first, second = rng.lognormal(0, 0.3, 18).tolist(), rng.lognormal(0.5, 0.3, 18).tolist()
    exact = claims_intervals._ratio_interval(first, second, ERROR)
    monkeypatch.setattr(claims_intervals, "ENUMERATED", 17)
    drawn = claims_intervals._ratio_interval(first, second, ERROR)
    assert drawn != exact
    assert drawn == pytest.approx(exact, rel=0.005)
