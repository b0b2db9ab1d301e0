"""BFV sums: exact wherever the planner accepts, smaller than CKKS, and with the noise that the planner claims."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi

from secure_fl.secagg import plan, simulate
from secure_fl.secagg.budget import BfvPlan, HeParameters
from secure_fl.secagg.budget.ckks import COEFFICIENT_NOISE
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.primes import is_prime, next_prime

SLOTS = 4096


def bfv_plan(banks: int, parameters: int, bits: int) -> BfvPlan:
    planned = plan("bfv", banks, parameters, bits)
    assert isinstance(planned, BfvPlan)
    return planned


@settings(deadline=None, max_examples=300)
@given(st.integers(3, 10_000), st.integers(1, 10**8), st.integers(4, 24))
def test_a_plan_keeps_every_promise(banks: int, parameters: int, bits: int) -> None:
    p = bfv_plan(banks, parameters, bits)
    assert banks * (2**bits - 1) < p.field_base
    assert p.field_base**p.fields_per_slot <= p.plain_modulus < 2**p.prime_bits
    assert p.plain_modulus % (2 * SLOTS) == 1
    assert is_prime(p.plain_modulus)
    assert p.failure_bits >= 40
    assert p.ciphertexts * SLOTS * p.fields_per_slot >= parameters
    assert sum(p.parameters_of_context.coeff_mod_bit_sizes) <= 106


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8, 12, 16, 24])
@pytest.mark.parametrize("banks", [3, 4, 16, 100])
def test_random_sums_are_exact(banks: int, bits: int, random_updates: Callable[..., IntVector]) -> None:
    updates = random_updates(banks, 5000, bits)
    assert (simulate("bfv", updates, bits=bits).total == updates.sum(axis=0)).all()


@pytest.mark.parametrize(("banks", "bits"), [(3, 8), (3, 24), (4, 8), (8, 16), (64, 4)])
@pytest.mark.parametrize("share", [0, 1])
def test_sums_of_the_extremes_are_exact(banks: int, bits: int, share: int) -> None:
    value = share * (2**bits - 1)
    assert set(simulate("bfv", np.full((banks, 9000), value), bits=bits).total.tolist()) == {banks * value}


def test_uploads_are_smaller_than_float32_in_the_clear() -> None:
    assert bfv_plan(3, 10_379, 8).ciphertexts == 1
    assert bfv_plan(3, 10_379, 8).upload_bytes <= 36_000
    for banks in (3, 4):
        assert bfv_plan(banks, 1_000_000, 8).upload_bytes <= 3.2 * 1_000_000


def wrong_coefficients(parameters: HeParameters, banks: int) -> int:
    """Of a sum of zeros, nothing of which is left out."""
    secret = SecretContext(parameters)
    public = PublicContext.load(secret.public_key(), parameters)
    modulus, zeros = np.uint64(data_moduli(parameters)[0]), np.zeros((1, SLOTS), dtype=np.int64)
    halves = [np.zeros(SLOTS, dtype=np.uint64) for _ in range(2)]
    for _ in range(banks):
        halves = [(total + one) % modulus for total, one in zip(halves, public.encrypt(zeros), strict=True)]
    return int(np.count_nonzero(secret.decrypt(*halves)))


@pytest.mark.parametrize(("prime_bits", "room"), [(54, 2.2), (54, 2.8), (60, 2.5)])
def test_sums_with_too_large_a_modulus_fail_as_the_noise_model_says(prime_bits: int, room: float) -> None:
    """`room`: how many standard deviations of noise fit below q / 2t; normal tails, where failures can be counted."""
    banks = 3
    sigma = COEFFICIENT_NOISE * math.sqrt(banks)
    modulus = next_prime(int(2**prime_bits / (2 * room * sigma)), residue=1, step=2 * SLOTS)
    tight = HeParameters("bfv", prime_bits, plain_modulus=modulus)
    wrong = sum(wrong_coefficients(tight, banks) for _ in range(10))
    assert wrong == pytest.approx(10 * SLOTS * math.erfc(room / math.sqrt(2)), rel=0.35)
    roomy = HeParameters("bfv", prime_bits, plain_modulus=next_prime(modulus >> 3, residue=1, step=2 * SLOTS))
    assert wrong_coefficients(roomy, banks) == 0, "eight times the room, over 17 deviations, is enough"


def test_primes_are_prime() -> None:
    sieve = [n for n in range(2, 2000) if all(n % d for d in range(2, n))]
    assert [n for n in range(2000) if is_prime(n)] == sieve
    assert is_prime(2**61 - 1)
    assert not is_prime((2**31 - 1) * (2**29 - 3))
    for composite in (3_215_031_751, 3_474_749_660_383, 341_550_071_728_321, 3_825_123_056_546_413_051):
        assert not is_prime(composite), "it passes with the first 4, 6, 7 and 9 witnesses"


def test_the_next_prime_is_the_first_of_its_kind() -> None:
    assert [next_prime(above, residue=1, step=4) for above in (10, 12, 13, 16, 17)] == [13, 13, 17, 17, 29]
    assert [next_prime(above, residue=3, step=4) for above in (2, 3, 7)] == [3, 7, 11]


@given(st.integers(3, 2000), st.integers(1, 10**7), st.integers(4, 20))
def test_the_chance_of_failure_counts_every_coefficient(banks: int, parameters: int, bits: int) -> None:
    """Recomputed: 2 exp(-B**2 / 2 sigma**2) for each coefficient in use and part of its noise."""
    p = bfv_plan(banks, parameters, bits)
    bound = 0.99 * 2**p.prime_bits / (2 * p.plain_modulus) - 2 * banks - (333 if p.dropped.second else 0)
    first, second = (2**dropped / math.sqrt(12) if dropped else 0 for dropped in p.dropped)
    sigma = 15.0877 + first + second * math.sqrt((2 / 3 + 1 / 8) * SLOTS)
    parts = 1 + sum(bits_ > 0 for bits_ in p.dropped)
    for noise, bits_ in ((math.sqrt(banks), p.failure_bits), (banks, p.repeated_failure_bits)):
        claimed = (bound / (sigma * noise)) ** 2 / 2 / math.log(2) - 1 - math.log2(parts * p.slots)
        assert bits_ == pytest.approx(claimed, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("times", [2, 16, 1024])
def test_so_many_times_the_coefficients_fail_so_many_times_as_often(times: int) -> None:
    p = bfv_plan(3, 1024 * 5 * SLOTS, 8)
    assert p.fields_per_slot == 5
    short, long_ = p.resized(5 * SLOTS), p.resized(times * 5 * SLOTS)
    assert (short.ciphertexts, long_.ciphertexts) == (1, times)
    assert short.failure_bits - long_.failure_bits == pytest.approx(math.log2(times))
    assert short.repeated_failure_bits - long_.repeated_failure_bits == pytest.approx(math.log2(times))


def test_coefficients_that_hold_nothing_are_not_sent() -> None:
    p = bfv_plan(3, 10, 8)
    first, second = p.words
    assert (first.count, second.count) == (math.ceil(10 / p.fields_per_slot), SLOTS)


@pytest.mark.parametrize("prime_bits", [46, 60])
def test_the_primes_are_what_the_bound_takes_them_for(prime_bits: int) -> None:
    """SEAL's data primes are at least 0.99 of the next power of two; the special prime gets the rest of 106 bits."""
    sizes = HeParameters("bfv", prime_bits, plain_modulus=40_961).coeff_mod_bit_sizes
    assert sizes == (prime_bits, 106 - prime_bits)
    assert 0.99 < int(sealapi.CoeffModulus.Create(SLOTS, list(sizes))[0].value()) / 2**prime_bits < 1
