"""What an observer makes of the marks: likelihood ratios, computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from secure_fl.attacks.audit import SAMPLED, VIEWS, Observed, Promise, _scores

PROMISE = Promise(3.0, 1e-5, banks=4, runs=1)
NOISE = 0.7
RNG = np.random.default_rng(2)
OBSERVED = Observed(RNG.normal(size=(30, 5)), RNG.normal(size=(30, 5)), RNG.random(30) < 0.5)


def ratio(marks: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """In each round a canary that is in is sampled, or not; one that is out leaves noise alone."""
    absent = norm.pdf(marks, 0, deviation)
    included = norm.pdf(marks, 1, deviation) / SAMPLED + absent * (1 - 1 / SAMPLED)
    return np.asarray(np.log(included / absent).sum(axis=1))


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_scores_by_what_it_sees_and_the_noise_in_it(view: str) -> None:
    expected = {
        "final model": OBSERVED.summed.sum(axis=1),
        "every sum": ratio(OBSERVED.summed, NOISE * 2),  # of four banks
        "sums and colluding banks": ratio(OBSERVED.alone, NOISE),
    }
    np.testing.assert_allclose(_scores(view, OBSERVED, NOISE, PROMISE), expected[view], rtol=1e-9, atol=1e-9)
