"""BFV sums: exact wherever the planner accepts, smaller than CKKS, and with the noise that the planner claims."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.budget import BfvPlan, HeParameters
from secure_fl.secagg.budget.he import COEFFICIENT_NOISE, FAILURE_BITS
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
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
    assert banks * (2**bits - 1) < 2**p.field_bits
    assert 2 ** (p.fields_per_slot * p.field_bits) < p.plain_modulus < 2**p.prime_bits
    assert p.plain_modulus % (2 * SLOTS) == 1
    assert is_prime(p.plain_modulus)
    assert p.failure_bits >= FAILURE_BITS
    assert p.ciphertexts * SLOTS * p.fields_per_slot >= parameters


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
    assert bfv_plan(3, 10_379, 8).upload_bytes <= 64_000
    for banks in (3, 4):
        assert bfv_plan(banks, 1_000_000, 8).upload_bytes <= 3.9 * 1_000_000


@pytest.mark.parametrize(("prime_bits", "room"), [(54, 2.2), (54, 2.8), (60, 2.5)])
def test_sums_with_too_large_a_modulus_fail_as_the_noise_model_says(prime_bits: int, room: float) -> None:
    """`room`: how many standard deviations of noise fit below q / 2t; normal tails, where failures can be counted.

    One wrong coefficient spoils a whole ciphertext, so the share of spoiled ciphertexts is what the model predicts.
    """
    banks = 3
    sigma = COEFFICIENT_NOISE * math.sqrt(banks)
    modulus = next_prime(int(2**prime_bits / (2 * room * sigma)), residue=1, step=2 * SLOTS)
    context = HeParameters("bfv", prime_bits, plain_modulus=modulus)
    secret = SecretContext(context)
    public = PublicContext.load(secret.public_key(), context)
    zeros = np.zeros(SLOTS, dtype=np.int64)
    total, *others = [public.load_vector(public.encrypt(zeros)) for _ in range(banks)]
    for other in others:
        total.add(other)
    assert secret.decrypt(total.serialize()).any(), "at so little room a ciphertext practically never survives"
    roomy = HeParameters("bfv", prime_bits, plain_modulus=next_prime(modulus >> 3, residue=1, step=2 * SLOTS))
    secret = SecretContext(roomy)
    public = PublicContext.load(secret.public_key(), roomy)
    total, *others = [public.load_vector(public.encrypt(zeros)) for _ in range(banks)]
    for other in others:
        total.add(other)
    assert not secret.decrypt(total.serialize()).any(), "eight times the room, over 17 deviations, is enough"


def test_a_ckks_ciphertext_is_not_taken_for_bfv() -> None:
    ckks = HeParameters("ckks", 54, scale_bits=17)
    bfv = HeParameters("bfv", 54, plain_modulus=next_prime(1 << 30, residue=1, step=2 * SLOTS))
    public = PublicContext.load(SecretContext(bfv).public_key(), bfv)
    foreign = PublicContext.load(SecretContext(ckks).public_key(), ckks).encrypt(np.zeros(2048, dtype=np.int64))
    with pytest.raises(MessageError):
        public.load_vector(foreign)


def test_primes_are_prime() -> None:
    sieve = [n for n in range(2, 2000) if all(n % d for d in range(2, n))]
    assert [n for n in range(2000) if is_prime(n)] == sieve
    assert is_prime(2**61 - 1)
    assert not is_prime((2**31 - 1) * (2**29 - 3))
    assert next_prime(10, residue=1, step=4) == 13
