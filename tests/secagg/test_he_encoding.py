"""From decrypted slots to the sum: what no sum can be is refused, and the extremes of what it can be are not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from secure_fl.errors import MessageError, ProtocolError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import HePlan
from secure_fl.secagg.he.encoding import MAX_CIPHERTEXT_BYTES, decode_slots, encode_slots, split_ciphertexts

PARAMETERS, BITS = 9000, 8
every_scheme = pytest.mark.parametrize("scheme", ["ckks", "bfv"])


def he_plan(scheme: str, banks: int = 3) -> HePlan:
    planned = plan(scheme, banks, PARAMETERS, BITS)
    assert isinstance(planned, HePlan)
    return planned


def slots_of(planned: HePlan, value: int, contributors: int) -> np.ndarray:
    """What decrypts when each of the contributors put in the same value throughout."""
    one = encode_slots(planned, np.full(PARAMETERS, value))
    return contributors * one.reshape(-1).astype(np.float64)


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
    assert planned.fields_per_slot == 3
    slots = slots_of(planned, 2**BITS - 1, contributors)
    slots[5] += 1 << (field * planned.field_bits)
    with pytest.raises(ProtocolError, match="outside its range"):
        decode_slots(planned, slots, contributors)


@every_scheme
def test_a_top_field_that_runs_over_is_refused(scheme: str) -> None:
    planned = he_plan(scheme, banks=4)
    slots = slots_of(planned, 0, 4)
    slots[5] += 2.0 ** (planned.fields_per_slot * planned.field_bits)
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


def test_unused_slots_are_zero_and_bfv_is_not_centred() -> None:
    ckks, bfv = he_plan("ckks"), he_plan("bfv")
    for planned in (ckks, bfv):
        assert not encode_slots(planned, np.full(PARAMETERS, 255)).reshape(-1)[planned.slots :].any()
    assert bfv.centre == 0
    width = ckks.field_bits
    assert ckks.centre == 128 + (128 << width) + (128 << 2 * width)


def test_the_longest_ciphertext_is_split_off_and_one_byte_more_is_not() -> None:
    longest = bytes(MAX_CIPHERTEXT_BYTES)
    for extra, fits in ((b"", True), (b"x", False)):
        data = longest + extra
        payload = memoryview(len(data).to_bytes(4, "little") + data)
        if fits:
            assert split_ciphertexts(payload, 1) == [data]
        else:
            with pytest.raises(MessageError, match="1 ciphertexts of the plan"):
                split_ciphertexts(payload, 1)
