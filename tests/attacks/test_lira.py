"""LiRA and the loss threshold on models whose leak is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from secure_fl.attacks.lira import (
    Measured,
    Population,
    _ratios,
    advantage_bound,
    best_threshold,
    measure_lira,
    measure_loss,
)

pytestmark = pytest.mark.slow

ATTACKS = (measure_lira, measure_loss)


def leaking(shift: float, models: int = 32, records: int = 600) -> Population:
    """Confidence N(mu_record, 1), `shift` higher for members."""
    rng = np.random.default_rng(5)
    member = np.array([rng.permutation(np.arange(records) < records // 2) for _ in range(models)])
    level = rng.normal(scale=5.0, size=records)
    confidence = level + rng.normal(size=(models, records)) + shift * member
    return Population(confidence, member, np.arange(records) % 5 == 0)


def test_lira_finds_the_advantage_that_theory_gives() -> None:
    population = leaking(1.0)
    everything = np.ones(600, dtype=bool)
    lira = measure_lira(population, everything, (0.01,))
    best = math.erf(0.5 / math.sqrt(2))  # TPR - FPR of two normal distributions one deviation apart: 0.383
    assert lira.advantage.mean() == pytest.approx(best, abs=0.04)
    assert 0.03 < lira.tpr_at[0.01].mean() < 0.15
    loss = measure_loss(population, everything, (0.01,))
    assert loss.advantage.mean() < lira.advantage.mean() - 0.2  # records differ far more than membership does


def test_without_a_leak_there_is_no_advantage() -> None:
    lira = measure_lira(leaking(0.0), np.ones(600, dtype=bool), (0.01,))
    assert abs(lira.advantage.mean()) < 0.03


def test_a_target_is_never_its_own_shadow() -> None:
    """With a few records, a threshold or a likelihood that draws on the target would make an advantage of noise."""
    rng, advantages = np.random.default_rng(6), []
    for _ in range(150):
        confidence, member = rng.normal(size=(8, 12)), rng.random((8, 12)) < 0.5
        member[:, 0], member[:, 1] = True, False  # never none at all
        population = Population(confidence, member, np.arange(12) % 2 == 0)
        everything = np.ones(12, dtype=bool)
        advantages.append([attack(population, everything, (0.1,)).advantage.mean() for attack in ATTACKS])
    mean = np.mean(advantages, axis=0)
    error = np.std(advantages, axis=0) / math.sqrt(len(advantages))
    assert (np.abs(mean) < 3 * error).all(), mean


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_known_of_the_target_does_not_change_the_threshold(attack: Callable[..., Measured]) -> None:
    """Members and others of the target trade places: its true and false positives do so too, and nothing else."""
    population, everything = leaking(0.5, models=8, records=60), np.ones(60, dtype=bool)
    member = population.member.copy()
    member[3] = ~member[3]
    turned = attack(Population(population.confidence, member, population.fraud), everything, (0.01,))
    assert turned.advantage[3] == pytest.approx(-attack(population, everything, (0.01,)).advantage[3])


@pytest.mark.parametrize("target", [0, 5])
def test_ratios_by_an_independent_computation(target: int) -> None:
    population = leaking(1.0, models=8, records=40)
    confidence, member, fraud = population.confidence, population.member, population.fraud
    for model in range(8):
        others = [m for m in range(8) if m not in (model, target)]
        sides = []
        for inside in (True, False):
            values = [[confidence[m, n] for m in others if member[m, n] == inside] for n in range(40)]
            mean = np.array([np.mean(v) if v else 0.0 for v in values])
            deviation = np.empty(40)
            for kind in (True, False):
                records = np.flatnonzero(fraud == kind)
                squares = sum(sum((c - mean[n]) ** 2 for c in values[n]) for n in records)
                deviation[records] = math.sqrt(squares / sum(max(len(values[n]) - 1, 0) for n in records))
            sides.append(norm.logpdf(confidence[model], mean, deviation))
        expected = sides[0] - sides[1]
        assert np.allclose(_ratios(population, target)[model], expected)


def test_the_best_threshold_is_the_best() -> None:
    rng = np.random.default_rng(0)
    scores, member = rng.integers(0, 6, size=40).astype(float), rng.random(40) < 0.5
    gains = {t: (scores[member] >= t).mean() - (scores[~member] >= t).mean() for t in np.unique(scores)}
    assert gains[best_threshold(scores, member)] == pytest.approx(max(gains.values()))


def test_equal_scores_fall_on_one_side_of_the_threshold() -> None:
    """At 2 one of three members is told apart, and both others with it; whoever comes first makes no difference."""
    member = np.array([True, False, False, True, True])
    assert best_threshold(np.array([2.0, 2.0, 2.0, 1.0, 1.0]), member) == 1.0


def test_the_bound() -> None:
    assert advantage_bound(0.0, 0.0) == 0.0
    assert advantage_bound(1.0, 1e-5) == pytest.approx((math.e - 1 + 2e-5) / (math.e + 1))
    assert advantage_bound(3.0, 0.0) == pytest.approx(0.90515, abs=1e-5)
    assert advantage_bound(1e6, 1e-5) == pytest.approx(1.0)
