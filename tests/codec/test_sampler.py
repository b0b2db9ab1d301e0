"""The sampler against the exact probabilities of the discrete Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from secure_fl.codec.sampler import discrete_gaussian

pytestmark = pytest.mark.slow

SAMPLES = 40_000


@pytest.mark.parametrize("deviation", [0.6, 2.0, 7.3, 123.4])
def test_samples_follow_the_discrete_gaussian(deviation: float) -> None:
    """Chi-square over about 50 groups of integers; a right sampler fails once in a million runs."""
    reach = int(12 * deviation) + 5
    support = np.arange(-reach, reach + 1)
    probability = np.exp(-(support**2) / (2 * deviation**2))
    probability /= probability.sum()
    group = np.minimum(np.cumsum(probability) * 50, 49).astype(int)
    counts = np.bincount(discrete_gaussian(deviation, SAMPLES) + reach, minlength=len(support))
    expected = np.bincount(group, probability * SAMPLES, minlength=50)
    observed = np.bincount(group, counts, minlength=50)
    present = expected > 5
    rest = [observed[~present].sum()], [expected[~present].sum()]
    seen, due = np.append(observed[present], rest[0]), np.append(expected[present], rest[1])
    kept = due > 0
    assert stats.chisquare(seen[kept], due[kept]).pvalue > 1e-6


def test_every_draw_is_another() -> None:
    first, second = discrete_gaussian(50.0, 1_000), discrete_gaussian(50.0, 1_000)
    assert first.dtype == np.int64
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.2
