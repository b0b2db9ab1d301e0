"""Epsilon is what it costs: against published values, closed forms and an accountant written anew."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy.accounting import ACCOUNTANTS, SampledGaussian, calibrate, epsilon, epsilon_table

STATISTICS = SampledGaussian(20.0, 1.0, 1)
WITHIN = {"prv": 0.012, "pld": 0.002}
"""How far above the truth the bounds by privacy loss may lie."""


def gaussian_delta(epsilon_: float, noise: float) -> float:
    """Of one Gaussian, exactly: Balle, Wang, "Improving the Gaussian Mechanism", ICML 2018, theorem 8."""
    half, shift = 1 / (2 * noise), epsilon_ * noise
    return float(ndtr(half - shift) - math.exp(epsilon_) * ndtr(-half - shift))


def gaussian_epsilon(delta: float, noise: float) -> float:
    low, high = 0.0, 500.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_delta(middle, noise) > delta else (low, middle)
    return high


def independent_epsilon(events: Sequence[SampledGaussian], delta: float) -> float:
    """Privacy losses on a grid, rounded to the nearest point, composed by Fourier transform; the worse neighbour."""
    width, half = 1e-3, 2**16
    grid = width * np.arange(-half, half)

    def tail(event: SampledGaussian, sign: int) -> np.ndarray:
        """The distribution of log(P/Q) or, for the other neighbour, of log(Q/P), under its first."""
        q, s = event.sample_rate, event.noise_multiplier
        x = np.linspace(-40 * s, 1 + 40 * s, 400_001)
        ratio = np.logaddexp(np.log1p(-q) if q < 1 else -np.inf, np.log(q) + (2 * x - 1) / (2 * s**2))
        mass = np.diff(ndtr(x / s)) if sign < 0 else np.diff((1 - q) * ndtr(x / s) + q * ndtr((x - 1) / s))
        losses = sign * (ratio[:-1] + ratio[1:]) / 2
        bins = np.clip(np.rint(losses / width).astype(int), -half, half - 1) + half
        return np.bincount(bins, weights=mass, minlength=2 * half)

    worst = 0.0
    for sign in (1, -1):
        product = np.ones(half + 1, dtype=complex)
        for event in events:
            product *= np.fft.rfft(np.fft.ifftshift(tail(event, sign))) ** event.steps
        losses = np.fft.fftshift(np.fft.irfft(product, 2 * half))
        above = losses[half:]
        weight = np.cumsum(above[::-1])[::-1]
        discounted = np.cumsum((above * np.exp(-grid[half:]))[::-1])[::-1]
        deltas = weight - np.exp(grid[half:]) * discounted
        worst = max(worst, float(grid[half:][np.argmax(deltas <= delta)]))
    return worst


# Published values


def test_opacus_own_test_values() -> None:
    """opacus 1.6, tests/accountants_test.py: noise 1.5, rate 0.04, 90 epochs, delta 1e-5."""
    assert epsilon([SampledGaussian(1.5, 0.04, 2250)], 1e-5, "rdp") == pytest.approx(7.32911117143, abs=1e-7)
    assert epsilon([SampledGaussian(1.5, 0.04, 2249)], 1e-5, "prv") == pytest.approx(6.777395712150674, abs=1e-6)


@pytest.mark.slow
def test_dp_accountings_own_test_values() -> None:
    """dp-accounting 0.6, pld_privacy_accountant_test.py: delta of three steps at epsilon 1."""
    assert epsilon([SampledGaussian(math.sqrt(3), 1.0, 3)], 0.126936, "pld") == pytest.approx(1, abs=1e-3)
    assert epsilon([SampledGaussian(0.5, 0.2, 3)], 0.15594, "pld") == pytest.approx(1, abs=1e-3)


def test_the_moments_accountants_first_example() -> None:
    """Abadi et al., CCS 2016, section 3.1: q = 0.01, sigma = 4, 10,000 steps: 1.26; tighter accountants say less."""
    events = [SampledGaussian(4.0, 0.01, 10_000)]
    assert 0.9 < epsilon(events, 1e-5, "prv") < epsilon(events, 1e-5, "rdp") <= 1.26


@pytest.mark.slow
def test_opacus_calibration_is_met() -> None:
    """2,000 rows, batch 128, 5 epochs, epsilon 3: get_noise_multiplier answers prv 1.167, rdp 1.250."""
    steps = int(5 / (128 / 2000))
    noise = calibrate(lambda m: [SampledGaussian(m, 128 / 2000, steps)], 3.0, 1e-5)
    assert noise == pytest.approx(1.167, rel=0.002)  # Opacus stops within 0.01 of epsilon
    assert epsilon([SampledGaussian(1.250, 128 / 2000, steps)], 1e-5, "rdp") == pytest.approx(3.0, abs=0.01)


# Closed forms, and an independent accountant


@pytest.mark.parametrize(("noise", "steps"), [(20.0, 1), (2.0, 1), (5.0, 9), (1.0, 1)])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_unsampled_gaussians_cost_what_the_closed_form_says(noise: float, steps: int, delta: float) -> None:
    exact = gaussian_epsilon(delta, noise / math.sqrt(steps))
    for name in ACCOUNTANTS:
        found = epsilon([SampledGaussian(noise, 1.0, steps)], delta, name)
        assert exact - 1e-6 <= found <= exact + WITHIN.get(name, 0.02 + 0.25 * exact), name


MIXED = [
    [SampledGaussian(1.2, 0.064, 78), STATISTICS],
    [SampledGaussian(0.8, 0.01, 50), SampledGaussian(2.0, 0.2, 30), STATISTICS],
    [SampledGaussian(3.0, 0.5, 20)],
]


@pytest.mark.slow
@pytest.mark.parametrize("events", MIXED, ids=range(len(MIXED)))
def test_no_accountant_understates_what_an_independent_one_finds(events: list[SampledGaussian]) -> None:
    truth = independent_epsilon(events, 1e-5)
    for name, found in epsilon_table(events, 1e-5).items():
        assert found >= truth - 0.004, name
        assert found <= truth + WITHIN.get(name, 0.05 + 0.5 * truth) + 0.004, name


def test_the_independent_accountant_knows_the_closed_form() -> None:
    assert independent_epsilon([SampledGaussian(2.0, 1.0, 4)], 1e-5) == pytest.approx(
        gaussian_epsilon(1e-5, 1.0), abs=2e-3
    )


def test_the_table_has_every_accountant() -> None:
    table = epsilon_table(MIXED[0], 1e-5)
    assert set(table) == {"prv", "pld", "rdp", "rdp (Google)"}
    assert table["rdp"] == pytest.approx(table["rdp (Google)"], rel=0.02)
    assert table["prv"] < table["rdp"]


def test_accountants_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = {"prv": 1.0, "pld": 2.0, "rdp": 2.5, "rdp (Google)": 2.5}
    monkeypatch.setattr("secure_fl.privacy.accounting.epsilon", lambda events, delta, name: lying[name])
    with pytest.raises(PrivacyError, match="contradict"):
        epsilon_table([STATISTICS], 1e-5)


# Composition


@pytest.mark.parametrize("name", ACCOUNTANTS)
def test_the_order_of_events_does_not_matter(name: str) -> None:
    found = {
        epsilon(order, 1e-5, name)
        for order in itertools.permutations([SampledGaussian(1.5, 0.05, 40), SampledGaussian(3.0, 0.2, 7), STATISTICS])
    }
    assert max(found) - min(found) < 1e-9


def test_many_rounds_cost_as_much_as_one_long_one() -> None:
    rounds = [STATISTICS, *[SampledGaussian(1.5, 0.05, 4)] * 10]
    for name in ACCOUNTANTS:
        assert epsilon(rounds, 1e-5, name) == pytest.approx(
            epsilon([STATISTICS, SampledGaussian(1.5, 0.05, 40)], 1e-5, name), abs=1e-9
        )


def test_two_banks_worth_of_events_cost_more_than_either() -> None:
    assert epsilon([STATISTICS] * 4, 1e-5) == pytest.approx(epsilon([SampledGaussian(10.0, 1.0, 1)], 1e-5), abs=0.01)


NOISE, RATE, STEPS = st.floats(0.8, 20), st.floats(0.001, 1), st.integers(1, 200)


@settings(max_examples=12)
@given(noise=NOISE, rate=RATE, steps=STEPS, more=st.floats(1.3, 3))
@pytest.mark.slow
def test_more_noise_fewer_steps_and_smaller_batches_cost_less(
    noise: float, rate: float, steps: int, more: float
) -> None:
    name = "rdp"
    found = epsilon([SampledGaussian(noise, rate, steps)], 1e-5, name)
    assert epsilon([SampledGaussian(noise * more, rate, steps)], 1e-5, name) <= found + 1e-6
    assert epsilon([SampledGaussian(noise, rate / more, steps)], 1e-5, name) <= found + 1e-6
    assert epsilon([SampledGaussian(noise, rate, math.ceil(steps * more))], 1e-5, name) >= found - 1e-6
    assert epsilon([SampledGaussian(noise, rate, steps), STATISTICS], 1e-5, name) > found - 1e-6
    assert epsilon([SampledGaussian(noise, rate, steps)], 1e-7, name) >= found - 1e-6


@pytest.mark.slow
@settings(max_examples=5)
@given(noise=st.floats(0.8, 10), rate=st.floats(0.01, 1), steps=st.integers(1, 60))
def test_the_headline_accountant_is_monotone_and_agrees_with_google(noise: float, rate: float, steps: int) -> None:
    events = [SampledGaussian(noise, rate, steps)]
    found = epsilon(events, 1e-5, "prv")
    assert epsilon([SampledGaussian(1.3 * noise, rate, steps)], 1e-5, "prv") <= found + 1e-3
    assert epsilon([SampledGaussian(noise, rate, 2 * steps)], 1e-5, "prv") >= found - 1e-3
    assert -1e-3 <= found - epsilon(events, 1e-5, "pld") <= 0.012
    assert found <= epsilon(events, 1e-5, "rdp") + 0.021


def test_nothing_released_costs_nothing() -> None:
    assert epsilon([], 1e-5) == 0


@pytest.mark.parametrize("delta", [0.5, 0.9])
def test_epsilon_is_never_negative(delta: float) -> None:
    for name in ACCOUNTANTS:
        assert epsilon([SampledGaussian(5.0, 0.05, 3)], delta, name) >= 0, name


# Calibration


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.5, 3.0, 8.0])
def test_calibration_reaches_the_target_from_below(target: float) -> None:
    def events(noise: float) -> list[SampledGaussian]:
        return [SampledGaussian(noise, 0.06, 64), STATISTICS]

    noise = calibrate(events, target, 1e-5)
    assert epsilon(events(noise), 1e-5) <= target
    assert epsilon(events(noise * 0.998), 1e-5) > target
    assert independent_epsilon(events(noise), 1e-5) <= target
    assert independent_epsilon(events(noise), 1e-5) > target - 0.03 - 0.01 * target


def test_a_target_that_the_statistics_alone_exceed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"epsilon 0\.15 .*cannot be reached") as caught:
        calibrate(lambda noise: [SampledGaussian(noise, 0.06, 64), STATISTICS], 0.15, 1e-5)
    assert "; " in str(caught.value)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_a_target_that_is_no_promise_is_refused(target: float) -> None:
    with pytest.raises(ConfigurationError, match="epsilon of"):
        calibrate(lambda noise: [SampledGaussian(noise, 0.1, 1)], target, 1e-5)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, 2.0, math.nan, math.inf])
def test_a_delta_that_is_no_probability_is_refused(delta: float) -> None:
    with pytest.raises(ConfigurationError, match="delta of"):
        epsilon([STATISTICS], delta)
    with pytest.raises(ConfigurationError, match="delta of"):
        calibrate(lambda noise: [SampledGaussian(noise, 0.1, 1)], 1.0, delta)


def test_a_delta_below_what_numbers_bear_is_refused_by_name() -> None:
    """Composition by Fourier transform has errors of about 1e-16; beyond, Opacus' answer is no bound."""
    with pytest.raises(ConfigurationError, match="delta"):
        epsilon([SampledGaussian(1.0, 0.05, 160), STATISTICS], 1e-14)


@pytest.mark.parametrize("noise", [0.0, -1.0, math.nan, math.inf])
def test_a_noise_that_is_none_is_refused(noise: float) -> None:
    with pytest.raises(ConfigurationError, match="noise multiplier"):
        SampledGaussian(noise, 0.1, 1)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.0001, math.nan])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="sample rate"):
        SampledGaussian(1.0, rate, 1)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(ConfigurationError, match="steps"):
        SampledGaussian(1.0, 0.1, steps)


def test_an_unknown_accountant_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no accountant 'gdp'"):
        epsilon([STATISTICS], 1e-5, "gdp")
