"""From decrypted slots to the sum: what no sum can be is refused, and the extremes of what it can be are not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from secure_fl.errors import ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import HePlan, SealPlan
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.packing import pack_fields

PARAMETERS, BITS = 9000, 8
every_scheme = pytest.mark.parametrize("scheme", ["ckks", "bfv", "rlwe"])


def he_plan(scheme: str, banks: int = 3) -> HePlan:
    """With three fields in a slot."""
    planned = plan(scheme, banks, PARAMETERS, BITS)
    assert isinstance(planned, HePlan)
    return replace(planned, fields_per_slot=3)


def slots_of(planned: HePlan, value: int, contributors: int) -> np.ndarray:
    """What decrypts when each of the contributors put in the same value throughout, and something behind it."""
    one = pack_fields(np.full(PARAMETERS, value), 3, planned.field_base) - planned.centre
    return contributors * np.append(one, np.zeros(100)).astype(np.float64)


@every_scheme
@pytest.mark.parametrize("contributors", [1, 2, 3])
@pytest.mark.parametrize("value", [0, 1, 2**BITS - 1])
def test_every_sum_that_can_be_is_decoded(scheme: str, contributors: int, value: int) -> None:
    planned = he_plan(scheme)
    total = decode_slots(planned, slots_of(planned, value, contributors), contributors)
    assert set(total.tolist()) == {contributors * value}


@every_scheme
@pytest.mark.parametrize("place", [0, 17, -1])
@pytest.mark.parametrize("wrong", [-1, -(2.0**50), 2.0**50, math.inf, -math.inf, math.nan])
def test_a_slot_below_or_above_all_sums_is_refused(scheme: str, place: int, wrong: float) -> None:
    """-1 is the first number below: a sum of zeros with one slot that is less."""
    planned = he_plan(scheme)
    slots = slots_of(planned, 0, 2)
    slots[: planned.slots][place] += wrong
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(planned, slots, 2)


@every_scheme
@pytest.mark.parametrize("contributors", [1, 2, 3])
@pytest.mark.parametrize("field", [0, 1, 2])
def test_a_field_with_more_than_its_contributors_can_put_in_is_refused(
    scheme: str, contributors: int, field: int
) -> None:
    """One more than the largest sum, which is far from filling the field."""
    planned = he_plan(scheme)
    slots = slots_of(planned, 2**BITS - 1, contributors)
    slots[5] += planned.field_base**field
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(planned, slots, contributors)


@every_scheme
def test_a_top_field_that_runs_over_is_refused(scheme: str) -> None:
    planned = he_plan(scheme, banks=4)
    slots = slots_of(planned, 0, 4)
    slots[5] += float(planned.field_base**planned.fields_per_slot)
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(planned, slots, 4)


@every_scheme
@pytest.mark.parametrize("off", [-0.49, 0.49])
def test_less_than_half_a_step_of_noise_does_not_count(scheme: str, off: float) -> None:
    planned = he_plan(scheme)
    assert set(decode_slots(planned, slots_of(planned, 7, 3) + off, 3).tolist()) == {21}


@every_scheme
def test_what_fills_up_the_last_ciphertext_does_not_count(scheme: str) -> None:
    planned = he_plan(scheme)
    slots = slots_of(planned, 7, 3)
    assert len(slots) > planned.slots
    slots[planned.slots :] = -1e9
    assert set(decode_slots(planned, slots, 3).tolist()) == {21}


def test_unused_slots_are_zero_and_only_ckks_is_centred() -> None:
    ckks, bfv, rlwe = he_plan("ckks"), he_plan("bfv"), he_plan("rlwe")
    for planned in (ckks, bfv):
        assert isinstance(planned, SealPlan)
        slots = encode_slots(planned, np.full(PARAMETERS, 255))
        assert slots.shape == (planned.ciphertexts, 2048 if planned is ckks else 4096)
        assert (slots.reshape(-1)[: planned.slots] == slots_of(planned, 255, 1)[: planned.slots]).all()
        assert not slots.reshape(-1)[planned.slots :].any()
    assert bfv.centre == rlwe.centre == 0
    base = ckks.field_base
    assert base == 3 * 255 + 1 + 3
    assert ckks.centre == 128 + 128 * base + 128 * base**2


@every_scheme
def test_random_slots_are_refused_almost_surely(scheme: str) -> None:
    """As another key opens them: some field of 9,000 lies between the largest sum and the base."""
    planned = he_plan(scheme)
    noise = np.random.default_rng(0).integers(0, planned.field_base**3, planned.slots) - 3 * planned.centre
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(planned, noise.astype(np.float64), 3)
