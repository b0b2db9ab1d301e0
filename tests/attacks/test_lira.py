"""LiRA and the loss threshold on models whose leak is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from secure_fl.attacks.lira import Population, advantage_bound, best_threshold, measure_lira, measure_loss

pytestmark = pytest.mark.slow


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


def test_the_best_threshold_is_the_best() -> None:
    rng = np.random.default_rng(0)
    scores, member = rng.integers(0, 6, size=40).astype(float), rng.random(40) < 0.5
    gains = {t: (scores[member] >= t).mean() - (scores[~member] >= t).mean() for t in np.unique(scores)}
    assert gains[best_threshold(scores, member)] == pytest.approx(max(gains.values()))


def test_the_bound() -> None:
    assert advantage_bound(0.0, 0.0) == 0.0
    assert advantage_bound(1.0, 1e-5) == pytest.approx((math.e - 1 + 2e-5) / (math.e + 1))
    assert advantage_bound(3.0, 0.0) == pytest.approx(0.90515, abs=1e-5)
    assert advantage_bound(1e6, 1e-5) == pytest.approx(1.0)
