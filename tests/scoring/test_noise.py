"""The noise that the planner counts on, measured in SEAL's ciphertexts."""

from __future__ import annotations

import numpy as np
import pytest

from secure_fl.errors import PlanError
from secure_fl.scoring.hazmat.hiding import Hiding
from secure_fl.scoring.hazmat.objects import chain_of
from secure_fl.scoring.hazmat.public import Encrypted, Evaluation, encoding_error
from secure_fl.scoring.hazmat.secret import SecretKey
from secure_fl.scoring.noise import Noise
from secure_fl.scoring.parameters import MODULUS_BITS, SEAL_MODULUS_BITS, CkksParameters
from secure_fl.secagg.hazmat.he_words import saved

ONE_PRIME = CkksParameters(4096, (57,))
SQUARING = CkksParameters(8192, (60, 57), 60)


def _answer(evaluation: Evaluation, value: Encrypted) -> bytes:
    evaluation.shrink(value, 1)
    return saved(value)


def test_fresh_noise_has_the_deviation_of_the_plan() -> None:
    """A factor of 1.2 in the planner's deviation would be noticed: 40,960 slots."""
    key, evaluation = SecretKey(ONE_PRIME), Evaluation(ONE_PRIME, [], ())
    scale, one = 2.0**20, np.zeros(ONE_PRIME.slots)
    noise = []
    for _ in range(20):
        value = evaluation.load(memoryview(key.encrypt(one, scale)), scale)
        noise.append(key.decrypt(memoryview(_answer(evaluation, value)), scale) * scale)
    measured, planned = np.concatenate(noise), Noise(4096, 1)
    assert np.std(measured) == pytest.approx(planned.fresh, rel=0.03)
    assert np.abs(measured).max() < planned.tail * planned.fresh


def test_rounding_after_a_square_stays_below_the_plan_and_not_far() -> None:
    """Zeros, squared and rescaled: what is left is the rounding alone, since the squared noise is divided away."""
    key = SecretKey(SQUARING)
    keys = [memoryview(part) for part in key.evaluation_keys((), squares=True)]
    evaluation, scale = Evaluation(SQUARING, keys, ()), 2.0**40
    largest = []
    for _ in range(10):
        value = evaluation.load(memoryview(key.encrypt(np.zeros(SQUARING.slots), scale)), scale)
        evaluation.square(value)
        evaluation.rescale(value)
        left = value.scale
        largest.append(np.abs(key.decrypt(memoryview(_answer(evaluation, value)), left)).max() * left)
    planned = Noise(8192, 1, 2, 1)
    bound = planned.tail * planned.rounding
    assert bound / 40 < max(largest) < bound


def test_an_encrypted_zero_stays_below_the_plan_and_not_far() -> None:
    """Under the only prime there is, so that none is divided away: e u + e_0 + e_1 s, and the noise it is added to."""
    key, scale, noise = SecretKey(ONE_PRIME), 2.0**20, []
    hiding, evaluation = Hiding(ONE_PRIME, memoryview(key.public_key())), Evaluation(ONE_PRIME, [], ())
    for _ in range(10):
        value = evaluation.load(memoryview(key.encrypt(np.zeros(ONE_PRIME.slots), scale)), scale)
        hiding.add_encrypted_zero(value)
        noise.append(key.decrypt(memoryview(_answer(evaluation, value)), scale) * scale)
    measured, planned = np.abs(np.concatenate(noise)), Noise(4096, 1, 4)
    assert planned.encrypted_zero / 100 < measured.max() < planned.encrypted_zero


def test_no_encoding_is_off_by_more_than_the_plan_says() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=2048), np.ones(2048) / 3, rng.choice([-1.0, 1.0], 2048)):
        errors = encoding_error(ONE_PRIME, values, 20) * 2.0**20
        assert 0 < errors.max() < Noise(4096, 1).encoding


def test_the_primes_are_those_that_were_asked_for() -> None:
    chain = chain_of(SQUARING)
    assert [prime.bit_length() for prime in (*chain.data, chain.special or 0)] == [60, 57, 60]
    assert all(prime % (2 * 8192) == 1 for prime in chain.data)


@pytest.mark.parametrize("degree", MODULUS_BITS)
def test_parameters_beyond_the_guidelines_cannot_be_made(degree: int) -> None:
    """Those that SEAL alone would allow are refused as well."""
    limit = MODULUS_BITS[degree]
    sizes = [50] * (limit // 50 - 1) if limit > 100 else []
    rest = limit - sum(sizes)
    first = [rest // 2, rest - rest // 2] if rest > 60 else [rest]
    assert CkksParameters(degree, (*sizes, *first)).modulus_bits == limit < SEAL_MODULUS_BITS[degree]
    with pytest.raises(PlanError, match="not secure"):
        CkksParameters(degree, (*sizes, *first[:-1], first[-1] + 1))


def test_a_special_prime_counts_for_security() -> None:
    assert CkksParameters(8192, (60, 57, 57), 40).modulus_bits == MODULUS_BITS[8192]
    with pytest.raises(PlanError, match="not secure"):
        CkksParameters(8192, (60, 57, 57), 41)


@pytest.mark.parametrize("parameters", [(1024, (20,)), (4096, ()), (4096, (61,)), (4096, (19,))])
def test_parameters_that_nobody_plans_are_refused(parameters: tuple[int, tuple[int, ...]]) -> None:
    with pytest.raises(PlanError):
        CkksParameters(*parameters)
