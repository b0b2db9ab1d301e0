"""The bound on epsilon, on mechanisms whose epsilon is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import beta, binom

from secure_fl.attacks.one_run import Guesses, epsilon_bound, guess_included, p_value


def randomized_response(epsilon: float, canaries: int, made: int, rng: np.random.Generator) -> Guesses:
    """Every coin comes out right with probability e^epsilon / (1 + e^epsilon): the worst that epsilon allows."""
    included = rng.random(canaries) < 0.5
    answer = np.where(rng.random(canaries) < expit(epsilon), included, ~included)
    scores = answer + rng.random(canaries)  # ties in random order
    return guess_included(scores, included, made)


def published_p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """As the paper's appendix computes it: one term after the other."""
    chance = 1 / (1 + math.exp(-epsilon))
    tail = sum(float(binom.pmf(k, r, chance)) for k in range(v, r + 1))
    mass = worst = 0.0
    for i in range(1, v + 1):
        mass += float(binom.pmf(v - i, r, chance))
        worst = max(worst, mass / i)
    return min(1.0, tail + worst * delta * 2 * m)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_the_bound_stays_below_the_truth_in_at_least_95_of_100(epsilon: float) -> None:
    rng = np.random.default_rng(1)
    above = sum(epsilon_bound(randomized_response(epsilon, 1000, 200, rng), 0.0) > epsilon for _ in range(400))
    assert above <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_the_bound_is_tight(epsilon: float) -> None:
    rng = np.random.default_rng(2)
    bounds = [epsilon_bound(randomized_response(epsilon, 10_000, 2_000, rng), 0.0) for _ in range(20)]
    assert np.median(bounds) > 0.75 * epsilon
    above = sum(bound > epsilon for bound in bounds)
    assert above <= 4


@pytest.mark.slow
def test_the_bound_falls_short_as_often_as_it_may() -> None:
    """With epsilon used up to the last, about 5 % of bounds exceed it: a bound that never does gives too little."""
    rng = np.random.default_rng(3)
    above = sum(epsilon_bound(randomized_response(1.0, 2000, 1000, rng), 0.0) > 1.0 for _ in range(1000))
    assert 25 <= above <= 75


@pytest.mark.slow
def test_a_mechanism_that_gives_all_away_with_probability_delta_stays_within_delta() -> None:
    """With chance `m delta` in all, some rows are published: guesses on them are right, and delta pays for that."""
    rng = np.random.default_rng(4)
    canaries, delta, epsilon, above = 1000, 0.02, 1.0, 0
    for _ in range(400):
        included = rng.random(canaries) < 0.5
        answer = np.where(rng.random(canaries) < expit(epsilon), included, ~included)
        published = rng.random(canaries) < delta
        scores = np.where(published, np.where(included, 9.0, -9.0), answer + rng.random(canaries))
        above += epsilon_bound(guess_included(scores, included, 40), delta) > epsilon
    assert above <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize("right", [60, 85, 100])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 2.5])
def test_the_p_value_is_the_published_one(right: int, delta: float, epsilon: float) -> None:
    expected = published_p_value(500, 100, right, epsilon, delta)
    assert p_value(Guesses(500, 100, right), epsilon, delta) == pytest.approx(expected, rel=1e-9)


def test_without_delta_it_is_the_interval_of_clopper_and_pearson() -> None:
    low = float(beta.ppf(0.05, 80, 21))  # one-sided, 80 of 100
    assert expit(epsilon_bound(Guesses(100, 100, 80), 0.0)) == pytest.approx(low, abs=1e-4)


@settings(max_examples=50)
@given(st.integers(1, 300), st.data())
def test_more_right_guesses_show_more_and_delta_shows_less(made: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, made - 1))
    canaries = made + data.draw(st.integers(0, 1000))
    few, more = Guesses(canaries, made, right), Guesses(canaries, made, right + 1)
    assert epsilon_bound(few, 1e-4) <= epsilon_bound(more, 1e-4) + 1e-4
    assert epsilon_bound(more, 1e-3) <= epsilon_bound(more, 1e-4) + 1e-4


def test_guessing_shows_nothing() -> None:
    assert epsilon_bound(Guesses(1000, 100, 50), 1e-5) == 0.0
    assert epsilon_bound(Guesses(1000, 100, 0), 1e-5) == 0.0


def test_the_highest_scores_are_called_included() -> None:
    included = np.array([True, False, True, False])
    scores = np.array([3.0, 4.0, 2.0, 1.0])
    assert guess_included(scores, included, 1) == Guesses(4, 1, 0)
    assert guess_included(scores, included, 3) == Guesses(4, 3, 2)


def test_counts_that_cannot_be_are_refused() -> None:
    for counts in ((10, 11, 5), (10, 5, 6), (10, 5, -1)):
        with pytest.raises(ValueError, match="more"):
            Guesses(*counts)
