"""Packing: bits to bytes, and fields that stay apart when packed slots are added."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg.packing import IntVector, pack_bits, pack_fields, repeat_in_fields, unpack_bits, unpack_fields


def vector(*values: int) -> IntVector:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [
        (1, [1, 0, 1, 1, 0, 0, 0, 0, 1], "0d01"),
        (4, [1, 2, 3], "2103"),
        (8, [7, 255, 0], "07ff00"),
        (10, [1, 1023, 512], "01fc0f20"),
        (12, [0xABC, 0x123], "bc3a12"),
        (16, [0x1234], "3412"),
        (24, [0x010203], "030201"),
        (63, [2**63 - 1], "ffffffffffffff7f"),
    ],
)
def test_known_bytes(bits: int, values: list[int], expected: str) -> None:
    assert pack_bits(vector(*values), bits).hex() == expected


@settings(deadline=None, max_examples=300)
@given(st.data(), st.integers(1, 63))
def test_bits_are_one_little_endian_number_and_come_back(data: st.DataObject, bits: int) -> None:
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    packed = pack_bits(vector(*values), bits)
    assert len(packed) == math.ceil(len(values) * bits / 8)
    assert int.from_bytes(packed, "little") == sum(value << (place * bits) for place, value in enumerate(values))
    assert unpack_bits(packed, bits, len(values)).tolist() == values
    assert unpack_bits(memoryview(packed), bits, len(values)).dtype == np.int64


@pytest.mark.parametrize("bits", range(1, 64))
def test_extremes_of_every_width(bits: int) -> None:
    for value in (0, 2**bits - 1):
        assert unpack_bits(pack_bits(vector(*[value] * 11), bits), bits, 11).tolist() == [value] * 11


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 32, 63])
def test_a_wrong_length_is_refused(bits: int) -> None:
    packed = pack_bits(vector(*[1] * 20), bits)
    for wrong in (b"", packed[:-1], packed + b"\0", packed * 2):
        with pytest.raises(MessageError, match=f"{len(wrong)} bytes cannot hold 20 values of {bits} bits"):
            unpack_bits(wrong, bits, 20)


def test_the_first_values_sit_in_the_lowest_field() -> None:
    assert pack_fields(vector(1, 2, 3, 4, 5), 2, 8).tolist() == [0x0401, 0x0502, 0x0003]


@dataclass(frozen=True)
class Banks:
    fields: int
    field_bits: int
    updates: IntVector


@st.composite
def banks_in_fields(draw: st.DrawFn) -> Banks:
    """As many banks as a field has room for, with values up to the largest."""
    fields = draw(st.integers(1, 10))
    field_bits = draw(st.integers(1, 62 // fields))
    bits = draw(st.integers(max(1, field_bits - 4), field_bits))
    banks, length = 1 << (field_bits - bits), draw(st.integers(1, 25))
    value = st.one_of(st.just(0), st.just(2**bits - 1), st.integers(0, 2**bits - 1))
    rows = draw(st.lists(st.lists(value, min_size=length, max_size=length), min_size=banks, max_size=banks))
    return Banks(fields, field_bits, np.array(rows, dtype=np.int64))


@settings(deadline=None, max_examples=150)
@given(banks_in_fields())
def test_adding_packed_slots_adds_every_field(banks: Banks) -> None:
    fields, width, updates = banks.fields, banks.field_bits, banks.updates
    total = updates.sum(axis=0)
    packed = np.sum([pack_fields(row, fields, width) for row in updates], axis=0)
    assert len(packed) == math.ceil(len(total) / fields)
    assert packed.tolist() == pack_fields(total, fields, width).tolist()
    assert unpack_fields(packed, fields, width, len(total)).tolist() == total.tolist()


@pytest.mark.parametrize(("fields", "field_bits"), [(1, 62), (2, 31), (3, 20), (4, 15), (6, 10), (10, 6), (62, 1)])
@pytest.mark.parametrize("share", [0, 1])
def test_full_and_empty_fields(fields: int, field_bits: int, share: int) -> None:
    value = share * (2**field_bits - 1)
    values = np.full(7 * fields, value)
    packed = pack_fields(values, fields, field_bits)
    assert (
        set(packed.tolist())
        == {repeat_in_fields(value, fields, field_bits)}
        == {share * (2 ** (fields * field_bits) - 1)}
    )
    assert unpack_fields(packed, fields, field_bits, len(values)).tolist() == values.tolist()


def test_packing_leaves_its_input_alone() -> None:
    values = vector(1, 2, 3, 4)
    pack_fields(values, 1, 8)
    pack_fields(values, 2, 8)
    assert values.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("bits", [1, 7, 10, 17, 33, 63])
@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 131_072, 140_001])
def test_long_vectors_come_back_across_the_borders_of_chunks(bits: int, length: int) -> None:
    values = np.random.default_rng(length).integers(0, 2**bits, length, dtype=np.int64)
    packed = pack_bits(values, bits)
    assert len(packed) == math.ceil(length * bits / 8)
    assert np.array_equal(unpack_bits(packed, bits, length), values)
    for start in {
        0,
        65_528,
        min(65_536, length - 3),
        length - 3,
    }:  # the bits of each value stand where one number would have them
        number = int.from_bytes(packed[start * bits // 8 : math.ceil((start + 3) * bits / 8) + 8], "little")
        assert (number >> (start * bits % 8)) % 2**bits == values[start]


def test_no_chunk_is_packed_with_a_gap_before_the_next() -> None:
    """65,537 values of 1 bit, all set: 8,192 full bytes and one more bit."""
    assert pack_bits(np.ones(65_537, dtype=np.int64), 1) == b"\xff" * 8_192 + b"\x01"
