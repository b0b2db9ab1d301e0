"""The planner's proofs for Multi-Krum on ciphertexts, recomputed and compared with ciphertexts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi

from secure_fl.errors import PlanError
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.he import FAILURE_BITS, MODULUS_BITS, POLY_MODULUS_DEGREE
from secure_fl.secagg.budget.krum import ERROR_FAILURE_BITS, SHARPNESS, SPARE_BITS, plan_krum
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_totals import (
    Total,
    from_residues,
    square_root_of_minus_one,
    total_of_imaginary_parts,
    total_of_square,
)
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.krum.deployment import krum_scheme
from secure_fl.secagg.krum.server import random_weights
from secure_fl.secagg.messages import AGGREGATOR
from secure_fl.secagg.packing import IntVector
from tests.secagg.krum.scene import MultiKrum

SLOTS = POLY_MODULUS_DEGREE // 2
SIZES = [
    (3, 1, 8),
    (10, 10_369, 8),
    (10, 10_369, 4),
    (7, 2049, 12),
    (10, 1_000_000, 8),
    (5, 1_000_000, 16),
    (100, 500, 8),
]


@pytest.mark.parametrize(("banks", "parameters", "bits"), SIZES)
def test_totals_and_sums_stay_inside_the_modulus(banks: int, parameters: int, bits: int) -> None:
    plan = plan_krum(banks, parameters, bits, banks // 2 + 1)
    modulus = math.prod(data_moduli(plan.parameters_of_context))
    farthest = parameters * (2**bits - 1) ** 2
    coefficient = farthest * 4**plan.scale_bits * 2 / POLY_MODULUS_DEGREE
    assert coefficient * 2**SPARE_BITS < modulus / 2
    assert banks * 2**bits * 2**plan.scale_bits < modulus / 2
    assert plan.failure_bits >= FAILURE_BITS


@pytest.mark.parametrize(("banks", "parameters", "bits"), SIZES)
def test_the_modulus_is_of_128_bits_of_security_and_exists(banks: int, parameters: int, bits: int) -> None:
    context = plan_krum(banks, parameters, bits, banks // 2 + 1).parameters_of_context
    assert sum(context.coeff_mod_bit_sizes) <= MODULUS_BITS
    primes = [
        int(p.value()) for p in sealapi.CoeffModulus.Create(POLY_MODULUS_DEGREE, list(context.coeff_mod_bit_sizes))
    ]
    assert len(set(primes)) == context.data_primes + 1
    assert all(0.99 * 2**context.prime_bits < q < 2**context.prime_bits for q in primes[: context.data_primes])


@pytest.mark.parametrize(("banks", "parameters", "bits"), SIZES)
def test_distances_are_sharp_and_no_smaller_upload_would_do(banks: int, parameters: int, bits: int) -> None:
    plan = plan_krum(banks, parameters, bits, banks // 2 + 1)
    assert plan.sharpness <= SHARPNESS
    one_step_in_each = float(plan.errors(np.array(float(parameters))))
    assert one_step_in_each == pytest.approx(plan.sharpness * parameters, rel=0.2, abs=1e-2)
    for prime_bits in range(40, plan.prime_bits):
        smaller = [replace(plan, prime_bits=prime_bits, scale_bits=scale_bits) for scale_bits in range(1, 50)]
        assert not any(other.fits for other in smaller)


def test_the_bound_on_an_error_is_the_one_of_the_text() -> None:
    """Chernoff's bound by hand, for 55 totals at scale 2**19."""
    plan = plan_krum(10, 10_369, 8, 6)
    assert plan.scale_bits == 19
    b = math.log(2 / (1 - 0.95**2) * 55 * 2**ERROR_FAILURE_BITS) / (math.sqrt(2) * 0.95)
    assert plan.deviations == pytest.approx(b)
    assert 20 < b < 30
    squared = 4e7
    bound = 2 * b * 683 * math.sqrt(2) / 2**19 * math.sqrt(squared)
    assert float(plan.errors(np.array(squared))) == pytest.approx(bound, rel=1e-2)


@pytest.mark.slow
@given(squared=st.floats(0, 1e9), sign=st.sampled_from([-1, 1]))
@settings(max_examples=200, deadline=None)
def test_the_bound_holds_for_the_measured_distance_too(squared: float, sign: int) -> None:
    """The error belongs to the true distance, and only the measured one is known."""
    plan = plan_krum(10, 10_369, 8, 6)
    error = plan.noise_per_root * math.sqrt(squared) + plan.noise_of_squares
    measured = squared + sign * error
    assert abs(measured - squared) <= float(plan.errors(np.array(measured))) * (1 + 1e-9)


def test_what_cannot_be_planned_says_which_number_to_change() -> None:
    with pytest.raises(PlanError, match="use at most 18 bits"):
        plan_krum(10, 1_000_000, 24, 6)
    with pytest.raises(PlanError, match="use at most 100 banks"):
        plan_krum(101, 100, 8, 51)


def test_all_figures_are_there_for_people() -> None:
    figures = plan_krum(10, 10_369, 8, 6, norm_bound=500.0).derived()
    assert figures["coeff_mod_bit_sizes"] == [60, 46]
    assert figures["ciphertexts"] == 6
    assert figures["totals"] == 55
    assert figures["norm_bound"] == 500.0
    assert figures["statistical_distance_of_the_others"] == 0
    assert 0 < figures["imaginary_length_shown"] < 1000


def test_the_scheme_says_who_can_decrypt_what_like_all_others() -> None:
    scheme = krum_scheme(MultiKrum(1))
    assert {"banks", AGGREGATOR, "observer", *scheme.trustees} == set(scheme.custody.can_decrypt)
    assert scheme.read_upload is None
    assert not any("distance" in line for line in scheme.custody.can_decrypt[AGGREGATOR])
    assert any("distance" in line for line in scheme.custody.can_decrypt["key-authority"])


# Totals


@pytest.fixture(scope="module", params=[(60, 19, 1), (40, 26, 2), (43, 20, 2)])
def keys(request: pytest.FixtureRequest) -> tuple[HeParameters, SecretContext, PublicContext]:
    prime_bits, scale_bits, primes = request.param
    parameters = HeParameters("ckks", prime_bits, scale_bits=scale_bits, data_primes=primes)
    secret = SecretContext(parameters)
    return parameters, secret, PublicContext.load(secret.public_key(), parameters)


def encrypted(parameters: HeParameters, public: PublicContext, slots: IntVector) -> EncryptedVector:
    words = np.stack(public.encrypt(slots[None]))
    return public.vector(words.reshape(2, parameters.data_primes, POLY_MODULUS_DEGREE))


def test_totals_of_squares_are_those_of_the_slots(keys: tuple[HeParameters, SecretContext, PublicContext]) -> None:
    parameters, secret, public = keys
    rng = np.random.default_rng(0)
    for spread in (1, 30, 120):
        a, b = rng.integers(-spread, spread, (2, SLOTS))
        square = encrypted(parameters, public, a).squared_difference(encrypted(parameters, public, b))
        sent = total_of_square(parameters, square, public).serialize()
        opened = secret.open_total(Total.load(parameters, sent, power=2)) * SLOTS / 4**parameters.scale_bits
        exact = float(((a - b) ** 2).sum())
        assert opened == pytest.approx(exact, abs=10 * 2 * 966 / 2**parameters.scale_bits * math.sqrt(exact) + 1)


def test_real_slots_have_no_imaginary_total(keys: tuple[HeParameters, SecretContext, PublicContext]) -> None:
    parameters, secret, public = keys
    a = np.random.default_rng(0).integers(-120, 120, SLOTS)
    weighed = encrypted(parameters, public, a).weighed(random_weights(SLOTS))
    sent = total_of_imaginary_parts(parameters, weighed, public).serialize()
    opened = secret.open_total(Total.load(parameters, sent, power=1), imaginary=True) * SLOTS / 4**parameters.scale_bits
    assert 0 < abs(opened) < 10 * 683 * 256 * math.sqrt(SLOTS / 12) / 2**parameters.scale_bits


@given(number=st.integers(-(2**84), 2**84))
def test_a_number_comes_back_from_its_residues(number: int) -> None:
    moduli = data_moduli(HeParameters("ckks", 43, scale_bits=20, data_primes=2))
    assert from_residues([number % q for q in moduli], moduli) == number


def test_the_square_root_of_minus_one_is_one() -> None:
    for parameters in (HeParameters("ckks", 60), HeParameters("ckks", 40, data_primes=2)):
        for prime in data_moduli(parameters):
            assert square_root_of_minus_one(prime) ** 2 % prime == prime - 1


def test_weights_are_uniform_and_fresh() -> None:
    weights = random_weights(20_000)
    assert -128 <= weights.min() < -127
    assert 127 < weights.max() < 128
    assert abs(float(weights.mean())) < 3
    assert float(weights.var()) == pytest.approx(256**2 / 12, rel=0.05)
    assert not np.intersect1d(weights[:1000], random_weights(1000)).size
