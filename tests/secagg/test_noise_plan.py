"""Plans with noise: they hold what the noise needs, and what they refuse they say how to mend."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import MAX_BITS, NoisePlan, plan, plan_with_noise
from secure_fl.secagg.schemes import SCHEMES

FRAUD_MODEL = 10_379


def noise_plan(parameters: int, bits: int = 8, noise_multiplier: float = 1.0) -> NoisePlan:
    return NoisePlan(banks=3, parameters=parameters, threshold=2, bits=bits, noise_multiplier=noise_multiplier)


@settings(max_examples=200)
@given(
    scheme=st.sampled_from(sorted(SCHEMES)),
    banks=st.one_of(st.integers(3, 40), st.integers(3, 10_000)),
    parameters=st.integers(0, 6).flatmap(lambda digits: st.integers(1, 10**digits)),
    bits=st.integers(4, 24),
    noise_multiplier=st.floats(1e-3, 1e3),
    data=st.data(),
)
def test_an_accepted_plan_holds_signal_and_noise(
    scheme: str, banks: int, parameters: int, bits: int, noise_multiplier: float, data: st.DataObject
) -> None:
    threshold = data.draw(st.integers(banks // 2 + 1, banks))
    try:
        planned, noise = plan_with_noise(scheme, banks, parameters, noise_multiplier, bits, threshold)
    except PlanError:
        assume(False)
    assert planned.bits == noise.value_bits <= MAX_BITS
    assert planned.threshold == noise.threshold == threshold
    limit = 2 ** (noise.value_bits - 1) - 1
    assert noise.radius == 2 ** (bits - 1) - 1
    assert noise.radius + noise.tail <= limit < 2 * (noise.radius + noise.tail) + 1, "wide enough, and no wider"
    exceeding = math.log(2 * banks * parameters) - noise.tail**2 / (2 * noise.deviation**2)
    assert exceeding <= -64 * math.log(2)
    assert noise.deviation >= 2
    together = threshold * noise.deviation**2
    assert together == pytest.approx(noise_multiplier**2 * noise.norm_bound_squared)
    assert noise.variance(threshold) == pytest.approx(together)


@given(st.integers(1, 10**7), st.integers(4, 24))
def test_the_norm_bound_is_the_papers(parameters: int, bits: int) -> None:
    """Theorem 1 of Kairouz, Liu, Steinke 2021, with gamma = 1 and beta = exp(-1/2), and no other bound is smaller."""
    noise = noise_plan(parameters, bits)
    c, beta = noise.norm, math.exp(-0.5)
    squared = min(
        c**2 + parameters / 4 + math.sqrt(2 * math.log(1 / beta)) * (c + math.sqrt(parameters) / 2),
        (c + math.sqrt(parameters)) ** 2,
    )
    assert squared - 1 < noise.norm_bound_squared * (1 + 1e-12)
    assert noise.norm_bound_squared <= squared * (1 + 1e-12)


@given(st.integers(1, 10**8))
def test_the_signal_range_holds_a_rotated_vector(parameters: int) -> None:
    """By Hoeffding: 2 d exp(-t**2 / (2 * 2 / d)) <= 2**-20, unless the range holds the whole norm."""
    t = noise_plan(parameters).flatness
    assert t <= 1
    if t < 1:
        assert math.log2(2 * parameters) - t**2 * parameters / 4 / math.log(2) == pytest.approx(-20)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("banks", [3, 100])
def test_noise_that_overflows_is_refused_with_advice_that_is_tight(scheme: str, banks: int) -> None:
    with pytest.raises(PlanError, match=rf"overflows what {scheme} can sum over {banks} banks") as refused:
        plan_with_noise(scheme, banks, FRAUD_MODEL, noise_multiplier=50.0, bits=20)
    advised = re.search(r"; use at most (\d+) bits$", str(refused.value))
    assert advised is not None
    bits = int(advised[1])
    plan_with_noise(scheme, banks, FRAUD_MODEL, 50.0, bits)
    with pytest.raises(PlanError):
        plan_with_noise(scheme, banks, FRAUD_MODEL, 50.0, bits + 1)


def test_a_scheme_may_hold_less_than_a_value() -> None:
    """At 1,000 banks a ring of 32 bits holds values of 22 bits, though a value may have 24."""
    planned, noise = plan_with_noise("plaintext", 1_000, FRAUD_MODEL, 50.0, bits=14, threshold=501)
    assert noise.value_bits in (23, 24)
    assert planned.bits == noise.value_bits
    with pytest.raises(PlanError, match=r"overflows what masked can sum over 1000 banks; use at most 1[0-3] bits"):
        plan_with_noise("masked", 1_000, FRAUD_MODEL, 50.0, bits=14, threshold=501)


def test_noise_that_overflows_at_any_width_needs_another_epsilon() -> None:
    with pytest.raises(PlanError, match=r"overflows .*; use a larger epsilon or more banks$"):
        plan_with_noise("masked", 3, FRAUD_MODEL, noise_multiplier=1e6, bits=8)


def test_noise_finer_than_the_steps_is_refused_with_advice_that_is_tight() -> None:
    with pytest.raises(PlanError, match="below 2 the sum is no discrete Gaussian") as refused:
        plan_with_noise("masked", 3, 100, noise_multiplier=0.05, bits=4)
    advised = re.search(r"; use at least (\d+) bits$", str(refused.value))
    assert advised is not None
    bits = int(advised[1])
    plan_with_noise("masked", 3, 100, 0.05, bits)
    with pytest.raises(PlanError):
        plan_with_noise("masked", 3, 100, 0.05, bits - 1)
    with pytest.raises(PlanError, match="use a larger noise multiplier"):
        plan_with_noise("masked", 3, 100, noise_multiplier=1e-9)


@pytest.mark.parametrize("noise_multiplier", [0.0, -1.0, math.inf, math.nan])
def test_a_noise_multiplier_that_means_nothing_is_refused(noise_multiplier: float) -> None:
    with pytest.raises(PlanError, match=r"noise multiplier of .* is refused; use a positive, finite number"):
        plan_with_noise("masked", 3, FRAUD_MODEL, noise_multiplier)


def test_noise_needs_integers() -> None:
    with pytest.raises(PlanError, match="not to float32; use 4 to 24 bits"):
        plan_with_noise("plaintext", 3, FRAUD_MODEL, 1.0, bits="float32")


def test_everything_else_is_refused_as_without_noise() -> None:
    with pytest.raises(PlanError) as quiet:
        plan("masked", 3, FRAUD_MODEL, 8, threshold=1)
    with pytest.raises(PlanError) as noisy:
        plan_with_noise("masked", 3, FRAUD_MODEL, 1.0, 8, threshold=1)
    assert str(noisy.value) == str(quiet.value)


def test_the_figures_of_a_plan_are_those_that_are_used() -> None:
    _, noise = plan_with_noise("bfv", 3, FRAUD_MODEL, 2.0)
    figures = noise.derived()
    assert figures["value_bits"] == noise.value_bits
    assert figures["share_deviation"] / figures["sensitivity"] * math.sqrt(2) == pytest.approx(2.0)
