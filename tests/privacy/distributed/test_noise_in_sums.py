"""The promise itself: the noise in real secure sums is the plan's, and apart from it the sums are exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from secure_fl.codec.noisy import clipped_to_norm
from secure_fl.privacy.distributed import NoisyCodec
from secure_fl.secagg import SCHEMES, simulate

pytestmark = pytest.mark.slow

Make = Callable[..., Any]
SAMPLES = 120_000
SIGMAS = 6.5
"""How far a mean or a kurtosis may lie from what is planned, in standard errors: beyond it with probability 8e-11."""


def within(planned: float, samples: int, rounding: float = 0.0) -> tuple[float, float]:
    """Where the mean square of so many Gaussians of this variance lies; outside with a probability of 1e-10."""
    return planned * chi2.ppf(5e-11, samples) / samples, (planned + rounding) * chi2.isf(5e-11, samples) / samples


@dataclass(frozen=True)
class NoisySum:
    """A secure sum, taken apart."""

    contributors: list[int]
    noise: NDArray[np.int64]
    """What the sum holds beside the banks' rounded updates, in steps."""
    error: NDArray[np.float64]
    """Decoded mean minus the exact mean of the clipped updates."""


@pytest.fixture(scope="module")
def noisy_sum(make_codec: Make, contribute: Make, random_update: Make) -> Callable[..., tuple[NoisyCodec, NoisySum]]:
    def run(
        scheme: str, parameters: int, banks: int = 3, threshold: int = 2, drop: Mapping[int, str] | None = None
    ) -> tuple[NoisyCodec, NoisySum]:
        codec = make_codec(scheme, banks, parameters, threshold)
        updates = [random_update(parameters, norm, seed) for seed, norm in enumerate(np.linspace(0.1, 0.9, banks))]
        rounded = np.array([codec.rounded(contribute(u), np.random.default_rng(row)) for row, u in enumerate(updates)])
        sent = np.array([codec.encode(contribute(u), np.random.default_rng(row)) for row, u in enumerate(updates)])
        outcome = simulate(scheme, sent, codec.noise.value_bits, threshold, drop)
        rows = sorted(outcome.contributors)
        np.testing.assert_array_equal(outcome.total, sent[rows].sum(axis=0), "the sum of what was sent is exact")
        noise = outcome.total - len(rows) * codec.noise.offset - rounded[rows].sum(axis=0)
        decoded = codec.decode(outcome.total, len(rows)).update
        without = codec.decode(outcome.total - noise, len(rows)).update
        unrotated = codec._rotation.invert(rounded[rows].mean(axis=0) * codec.unit)
        np.testing.assert_allclose(without, unrotated, atol=1e-12, err_msg="without its noise, the mean is exact")
        exact = np.mean([clipped_to_norm(updates[row], codec.max_update_norm) for row in rows], axis=0)
        return codec, NoisySum(rows, noise, decoded - exact)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_the_noise_of_the_sum_is_the_plans(scheme: str, noisy_sum: Make) -> None:
    codec, done = noisy_sum(scheme, SAMPLES)
    deviation = np.sqrt(codec.noise.variance(3))
    low, high = within(codec.noise.variance(3), SAMPLES)
    assert 0.97 < low / deviation**2 < 1 < high / deviation**2 < 1.03
    assert low < np.mean(done.noise.astype(np.float64) ** 2) < high
    assert abs(done.noise.mean()) < SIGMAS * deviation / np.sqrt(SAMPLES)
    kurtosis = np.mean((done.noise / deviation) ** 4)
    assert kurtosis == pytest.approx(3, abs=SIGMAS * np.sqrt(96 / SAMPLES))
    # In the decoded mean, rounding adds at most 1/4 squared step a bank.
    unit = codec.unit / 3
    low, high = within(codec.noise.variance(3), SAMPLES, rounding=3 / 4)
    assert low < np.mean((done.error / unit) ** 2) < high


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_smaller_sum_in_every_scheme(scheme: str, noisy_sum: Make) -> None:
    """As above, within what 3,000 samples can tell: 2.6 % is one standard error."""
    codec, done = noisy_sum(scheme, 3_000)
    low, high = within(codec.noise.variance(3), 3_000)
    assert low < np.mean(done.noise.astype(np.float64) ** 2) < high


@pytest.mark.slow
def test_the_threshold_carries_the_planned_noise_and_more_banks_more(noisy_sum: Make) -> None:
    drop = {0: "masked_input", 3: "share_keys"}
    for dropped, contributors in ((drop, 3), ({}, 5)):
        codec, done = noisy_sum("masked", SAMPLES, banks=5, threshold=3, drop=dropped)
        assert len(done.contributors) == contributors
        planned = codec.noise.noise_multiplier**2 * codec.noise.norm_bound_squared
        low, high = within(planned * contributors / 3, SAMPLES)
        assert low < np.mean(done.noise.astype(np.float64) ** 2) < high


def test_a_bank_that_vanishes_after_its_upload_is_in_the_sum_with_its_noise(noisy_sum: Make) -> None:
    codec, done = noisy_sum("masked", 3_000, banks=5, threshold=3, drop={0: "masked_input", 3: "unmask"})
    assert done.contributors == [1, 2, 3, 4]
    low, high = within(codec.noise.variance(4), 3_000)
    assert low < np.mean(done.noise.astype(np.float64) ** 2) < high
