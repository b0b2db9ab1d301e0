"""Plans with noise: they hold what the noise needs, and what they refuse they say how to mend."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import MAX_BITS, NoisePlan
from secure_fl.secagg.planning import plan, plan_with_noise
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


@pytest.mark.parametrize(("scheme", "banks", "threshold", "bits"), [("bfv", 3, 2, 8), ("masked", 9, 7, 10)])
def test_every_figure_of_a_noise(scheme: str, banks: int, threshold: int, bits: int) -> None:
    """From the formulas in the module's docstring."""
    d = 1_000
    planned, noise = plan_with_noise(scheme, banks, d, 2.0, bits, threshold)
    norm = (2 ** (bits - 1) - 1) / math.sqrt(4 / d * math.log(2 * d * 2**20))
    squared = math.floor(norm**2 + d / 4 + norm + math.sqrt(d) / 2)
    deviation = 2.0 * math.sqrt(squared / threshold)
    tail = math.ceil(deviation * math.sqrt(2 * math.log(2 * banks * d * 2**64)))
    assert noise.derived() == {
        "noise_multiplier": 2.0,
        "signal_bits": bits,
        "value_bits": planned.bits,
        "share_deviation": pytest.approx(deviation),
        "sensitivity": pytest.approx(math.sqrt(squared)),
        "clamp_probability": "2^-64",
    }
    assert planned.bits == math.ceil(math.log2(2 ** (bits - 1) + tail)) + 1
    assert (planned.banks, planned.parameters, planned.threshold) == (banks, d, threshold)
    assert noise.variance(banks) == pytest.approx(banks * deviation**2)
    assert noise.offset == 2 ** (planned.bits - 1)


def test_refusals_state_the_figures_of_the_noise() -> None:
    noise = NoisePlan(banks=3, parameters=100, threshold=2, bits=4, noise_multiplier=0.05)
    with pytest.raises(PlanError, match=f"noise is {noise.deviation:.2g} quantization steps, and below 2 the"):
        plan_with_noise("masked", 3, 100, 0.05, bits=4)
    noise = NoisePlan(banks=3, parameters=FRAUD_MODEL, threshold=2, bits=20, noise_multiplier=50.0)
    told = f"noise of {noise.deviation:.3g} quantization steps widens 20 bits to {noise.value_bits}, which overflows"
    with pytest.raises(PlanError) as refused:
        plan_with_noise("masked", 3, FRAUD_MODEL, 50.0, bits=20)
    assert str(refused.value).startswith(told)
    assert noise.value_bits > 24


def test_squared_norms_stay_within_int64() -> None:
    """A hundred million values of 23 bits would be narrow enough, but their squares add up to more."""
    fitting, too_long = (noise_plan(100_000_000, bits, noise_multiplier=1e-9) for bits in (22, 23))
    assert too_long.value_bits == 24 == MAX_BITS
    assert fitting.norm_bound_squared < 2**62 < too_long.norm_bound_squared
    assert fitting.fits
    assert not too_long.fits


@given(st.integers(1, 30), st.integers(4, 24))
def test_the_range_of_a_signal_holds_the_whole_norm_of_a_short_vector(parameters: int, bits: int) -> None:
    noise = noise_plan(parameters, bits)
    assert noise.flatness == 1
    assert noise.norm == noise.radius == 2 ** (bits - 1) - 1


@pytest.mark.parametrize("noise_multiplier", [2, np.float32(2), np.float64(2)])
def test_a_noise_multiplier_of_any_kind_is_a_float_in_the_plan(noise_multiplier: float) -> None:
    _, noise = plan_with_noise("masked", 3, FRAUD_MODEL, noise_multiplier)
    assert type(noise.noise_multiplier) is float


def test_noise_is_planned_for_a_committee_and_refused_for_schemes_without_one() -> None:
    quiet, noise = plan_with_noise("additive", 3, 100, 2.0)
    planned, same = plan_with_noise("additive", 3, 100, 2.0, holders=5, quorum=4)
    assert same == noise
    assert planned == plan("additive", 3, 100, noise.value_bits, holders=5, quorum=4)
    assert planned.upload_bytes > quiet.upload_bytes
    with pytest.raises(PlanError, match="masked has no committee"):
        plan_with_noise("masked", 3, 100, 2.0, holders=3)
    with pytest.raises(PlanError, match="there is no scheme 'nothing'"):
        plan_with_noise("nothing", 3, 100, 2.0)
