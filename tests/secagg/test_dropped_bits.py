"""Low bits that are not sent: the noise is what the planner says, and sums fail where it says and not before."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from secure_fl.secagg.budget import BfvPlan, HePlan
from secure_fl.secagg.budget.ckks import COEFFICIENT_NOISE
from secure_fl.secagg.budget.dropping import HALF_STEP, deviation_of
from secure_fl.secagg.budget.he import FAILURE_BITS, Dropped
from secure_fl.secagg.budget.rlwe import FRESH_NOISE
from secure_fl.secagg.he.words import unpack_sum
from secure_fl.secagg.packing import IntVector, pack_fields
from tests.secagg.parties import DEGREE, Parties, he_plan

dropping_schemes = pytest.mark.parametrize("scheme", ["bfv", "rlwe"])


def noise(there: Parties, banks: int, sums: int = 1) -> IntVector:
    """Of all coefficients of sums of zeros, dropped bits and all."""
    zeros = np.zeros(there.plan.parameters, dtype=np.int64)
    sent = (there.summed(there.upload(zeros) for _ in range(banks)) for _ in range(sums))
    return np.concatenate([there.phases(unpack_sum(there.plan, one, banks)) for one in sent])


def fresh_variance(plan: HePlan) -> float:
    """Of one ciphertext under a key of the usual length: rounding of the special prime, or e_i u + e'_i + e s_i."""
    return (1 + 2 * DEGREE / 3) / 12 if isinstance(plan, BfvPlan) else 10.5 * (2 * 2 / 3 * DEGREE + 1)


@dropping_schemes
@pytest.mark.parametrize("banks", [1, 3, 10])
@pytest.mark.parametrize("dropped", [(0, 0), (14, 0), (0, 9), (13, 8)])
def test_the_noise_has_the_deviation_that_the_planner_reckons_with(
    scheme: str, banks: int, dropped: tuple[int, int]
) -> None:
    """Measured, that of independent parts, for this key; the planner's claim is that of parts that may add up."""
    plan = replace(he_plan(scheme, 10, 5 * 3 * DEGREE), dropped=Dropped(*dropped))
    there = Parties(plan)
    measured = noise(there, banks)
    length = float(np.mean([(key**2).sum() for key in there.keys]))
    assert length == pytest.approx(2 / 3 * DEGREE, rel=0.07), "a key is ternary"
    first, second = (4**bits / 12 if bits else 0 for bits in dropped)
    expected = math.sqrt(banks * (fresh_variance(plan) + first + second * length))
    assert measured.std() == pytest.approx(expected, rel=0.04)
    fresh = COEFFICIENT_NOISE if isinstance(plan, BfvPlan) else FRESH_NOISE
    claimed = math.sqrt(banks) * (fresh + deviation_of(plan.dropped))
    assert measured.std() < 1.03 * claimed
    assert claimed < 1.7 * measured.std(), "and not far below it"


@dropping_schemes
def test_what_is_put_back_is_the_mean_of_what_was_cut_off(scheme: str) -> None:
    """Left out, it would be banks * (2**d0 - 1) / 2 in each coefficient."""
    plan = replace(he_plan(scheme, 10, 3 * 3 * DEGREE), dropped=Dropped(14, 0))
    there, banks = Parties(plan), 10
    measured = noise(there, banks)
    assert abs(measured.mean()) < 6 * measured.std() / math.sqrt(len(measured)) + banks
    assert 6 * measured.std() / math.sqrt(len(measured)) < banks * 2**14 / 20


@dropping_schemes
def test_half_a_step_times_the_key_is_more_than_rounding_moves_and_within_its_own_allowance(scheme: str) -> None:
    """Of an odd number of banks the mean of the second words' low bits is put back with half a step too little."""
    fewest = 3
    plan = replace(he_plan(scheme, fewest, 3 * 3 * DEGREE), dropped=Dropped(0, 1))
    off = unpack_sum(plan, memoryview(bytes(sum(run.nbytes for run in plan.summed_words))), fewest).second[0]
    assert fewest / 2 - float(off) == 0.5
    steps = [np.cumsum(key) - key.sum() / 2 for key in Parties(plan).keys]  # the key times 1/2 + X/2 + ...
    assert 2 * fewest + 4 < max(np.abs(step).max() for step in steps) < HALF_STEP


def failing_share(plan: HePlan) -> float:
    """The bound on the share of coefficients that are wrong."""
    return min(1.0, float(2 ** (-plan.failure_bits - math.log2(plan.slots))))


def over_dropped(plan: HePlan, at_least: float, first: int, second: int) -> HePlan:
    """So many more bits dropped, again and again, until the bound says that at least that share may fail."""
    while failing_share(plan) < at_least:
        plan = replace(plan, dropped=Dropped(plan.dropped.first + first, plan.dropped.second + second))
    return plan


def wrong_coefficients(plan: HePlan, sums: int) -> int:
    there, rng, wrong = Parties(plan), np.random.default_rng(3), 0
    for _ in range(sums):
        values = rng.integers(0, 256, (plan.banks, plan.parameters))
        summed = unpack_sum(plan, there.summed(map(there.upload, values)), plan.banks)
        found = np.rint(there.secret.decrypt(plan, summed))[: plan.slots]
        expected = np.sum([pack_fields(row, plan.fields_per_slot, plan.field_base) for row in values], axis=0)
        wrong += int((found != expected).sum())
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("banks", [3, 10])
@pytest.mark.parametrize(("first", "second"), [(1, 0), (0, 1)])
def test_coefficients_of_bfv_fail_where_the_bound_says_and_not_before(banks: int, first: int, second: int) -> None:
    """Bits are over-dropped on purpose: never more failures than the bound says, and some where it says many.

    Those of our own ring: `rlwe.test_rlwe`.
    """
    plan = he_plan("bfv", banks, 60_000)
    assert plan.failure_bits >= FAILURE_BITS
    assert wrong_coefficients(plan, 2) == 0
    for share in (1e-4, 0.2):
        failing = over_dropped(plan, share, first, second)
        assert wrong_coefficients(failing, 4) <= 4 * failing.slots * failing_share(failing)
    dropped = Dropped(failing.dropped.first + 3 * first, failing.dropped.second + 3 * second)
    assert wrong_coefficients(replace(failing, dropped=dropped), 4) > 10
