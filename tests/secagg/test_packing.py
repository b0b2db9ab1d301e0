"""Packing: integers to words and back, and fields that stay apart when packed slots are added."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg.packing import (
    IntVector,
    PackedSum,
    pack_bits,
    pack_fields,
    packed_bytes,
    repeat_in_fields,
    unpack_bits,
    unpack_fields,
)

WIDTHS = range(1, 64)
MACHINE_WORDS = (8, 16, 32)
"""Widths whose values follow each other; all others lie in rows."""
AT_A_TIME = 1 << 18
"""Values that are packed."""


def vector(*values: int) -> IntVector:
    return np.array(values, dtype=np.int64)


def rows_of(bits: int) -> int:
    """So many values side by side are the fewest that fill whole 64-bit words."""
    return math.lcm(bits, 64) // bits


def layout(values: list[int], bits: int) -> bytes:
    """Packed words by their definition, in Python's integers: each column is one number, its lowest row first."""
    if bits in MACHINE_WORDS:
        return b"".join(value.to_bytes(bits // 8, "little") for value in values)
    rows = rows_of(bits)
    columns = math.ceil(len(values) / rows)
    padded = [*values, *[0] * (rows * columns - len(values))]
    numbers = [sum(padded[row * columns + c] << (row * bits) for row in range(rows)) for c in range(columns)]
    words = rows * bits // 64
    return b"".join(
        (number >> (64 * word) & 2**64 - 1).to_bytes(8, "little") for word in range(words) for number in numbers
    )


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [
        (1, [1, 0, 1, 1, 0, 0, 0, 0, 1], "0d01000000000000"),
        (4, [1, 2, 3], "2103000000000000"),
        (8, [7, 255, 0], "07ff00"),
        (12, [0xABC, 0x123], "bc3a12" + "00" * 21),
        (16, [0x1234], "3412"),
        (24, [0x010203, 0xFFFFFF, 0xABCDEF], "030201ffffffefcd" + "ab" + "00" * 15),
        (4, [*range(1, 16), 0, 1], "3175b9fd010000004286ca0e00000000"),  # two columns: odd and even places
        (32, [0x12345678, 1], "7856341201000000"),
        (63, [2**63 - 1], "ffffffffffffff7f" + "00" * 62 * 8),
    ],
)
def test_known_bytes(bits: int, values: list[int], expected: str) -> None:
    assert pack_bits(vector(*values), bits).hex() == expected


@settings(deadline=None, max_examples=300)
@given(st.data(), st.integers(1, 63))
def test_columns_are_little_endian_numbers_and_come_back(data: st.DataObject, bits: int) -> None:
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=140))
    packed = pack_bits(vector(*values), bits)
    assert packed == layout(values, bits)
    assert len(packed) == packed_bytes(len(values), bits)
    assert unpack_bits(packed, bits, len(values)).tolist() == values
    assert unpack_bits(memoryview(packed), bits, len(values)).dtype == np.int64


@pytest.mark.parametrize("bits", WIDTHS)
def test_every_length_comes_back_at_every_width(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, 3 * 64 + 2, dtype=np.int64)
    for length in range(len(values) + 1):
        packed = pack_bits(values[:length], bits)
        assert len(packed) == packed_bytes(length, bits)
        assert np.array_equal(unpack_bits(packed, bits, length), values[:length])


@pytest.mark.parametrize("bits", WIDTHS)
def test_hardly_more_is_sent_than_the_bits_of_the_values(bits: int) -> None:
    """At most what fills up the last row: less than one column's words and a value of each column but one."""
    for length in (1, 63, 1000, 100_003):
        columns = 1 if bits in MACHINE_WORDS else math.ceil(length / rows_of(bits))
        spare = 0 if bits in MACHINE_WORDS else rows_of(bits) * columns - length
        assert 8 * packed_bytes(length, bits) == length * bits + spare * bits
        assert spare < rows_of(bits)


@pytest.mark.parametrize("bits", WIDTHS)
def test_extremes_of_every_width(bits: int) -> None:
    for value in (0, 2**bits - 1):
        assert unpack_bits(pack_bits(vector(*[value] * 11), bits), bits, 11).tolist() == [value] * 11


def test_whole_words_of_64_bits_are_themselves() -> None:
    words = np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)
    assert pack_bits(words, 64) == words.tobytes()
    assert unpack_bits(words.tobytes(), 64, 4).view(np.uint64).tolist() == words.tolist()


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 32, 63])
def test_a_wrong_length_is_refused(bits: int) -> None:
    packed = pack_bits(vector(*[1] * 20), bits)
    for wrong in (b"", packed[:-1], packed + b"\0", packed * 2, packed[:-8], packed + bytes(8)):
        with pytest.raises(MessageError, match=f"{len(wrong)} bytes cannot hold 20 values of {bits} bits"):
            unpack_bits(wrong, bits, 20)


BORDERS = [-1, 0, 1]


@pytest.mark.parametrize("bits", [1, 7, 10, 12, 17, 33, 45, 63])
@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("extra", BORDERS)
def test_long_vectors_come_back_across_the_borders_of_what_is_packed_at_a_time(
    bits: int, blocks: int, extra: int
) -> None:
    length, step = blocks * AT_A_TIME + extra, AT_A_TIME // rows_of(bits)
    values = np.random.default_rng(length).integers(0, 2**bits, length, dtype=np.int64)
    packed = pack_bits(values, bits)
    assert len(packed) == packed_bytes(length, bits)
    assert np.array_equal(unpack_bits(packed, bits, length), values)
    words = np.frombuffer(packed, dtype="<u8").reshape(rows_of(bits) * bits // 64, -1)
    columns = words.shape[1]
    for column in {0, step - 1, columns - 1, min(step, columns - 1)}:  # each holds what one number would have
        number = sum(int(word) << (64 * place) for place, word in enumerate(words[:, column]))
        expected = values[column::columns]
        assert [number >> (row * bits) & 2**bits - 1 for row in range(len(expected))] == expected.tolist()


# Sums of packed words


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 64), st.integers(0, 20), st.integers(1, 5))
def test_a_packed_sum_is_the_sum_of_what_was_packed(data: st.DataObject, bits: int, shift: int, banks: int) -> None:
    """In words that wrap around at 2**64, and as often as it is asked in between."""
    length = data.draw(st.integers(1, 200))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows = rng.integers(0, 2**bits - 1, (banks, length), dtype=np.uint64, endpoint=True)
    total, expected = PackedSum(length, bits, shift), np.zeros(length, dtype=np.uint64)
    for row in rows:
        total.add(pack_bits(row, bits))
        expected += row << np.uint64(shift)
        assert np.array_equal(total.values, expected)


@pytest.mark.parametrize("bits", [12, 16, 45])
def test_long_packed_sums_are_exact_too(bits: int) -> None:
    length = 2 * AT_A_TIME + 5
    rows = np.random.default_rng(bits).integers(0, 2**bits, (3, length), dtype=np.int64)
    total = PackedSum(length, bits)
    for row in rows:
        total.add(memoryview(pack_bits(row, bits)))
    assert np.array_equal(total.values, rows.sum(axis=0))


@pytest.mark.parametrize("bits", [8, 12, 64])
def test_the_values_of_a_packed_sum_can_be_reduced_in_place(bits: int) -> None:
    total, packed = PackedSum(100, bits), pack_bits(np.arange(100), bits)
    total.add(packed)
    total.values[:] %= np.uint64(7)
    total.add(packed)
    assert total.values.tolist() == [place % 7 + place for place in range(100)]


@pytest.mark.parametrize("bits", [8, 12])
def test_a_wrong_length_leaves_a_packed_sum_as_it_is(bits: int) -> None:
    total, packed = PackedSum(100, bits), pack_bits(np.arange(100), bits)
    total.add(packed)
    for wrong in (b"", packed[:-1], packed + b"\0", packed * 2):
        with pytest.raises(MessageError, match="cannot hold 100 values"):
            total.add(wrong)
    assert total.values.tolist() == list(range(100))


@pytest.mark.parametrize("bits", [4, 12, 63])
def test_what_fills_up_the_last_row_does_not_count(bits: int) -> None:
    """A bank can put there what it likes."""
    count = rows_of(bits) + 1
    packed = np.frombuffer(pack_bits(np.zeros(count, dtype=np.int64), bits), dtype=np.uint64)
    noise = packed | np.uint64(2**64 - 1)
    honest = np.frombuffer(pack_bits(np.full(count, 2**bits - 1), bits), dtype=np.uint64)
    assert (noise != honest).any()
    assert unpack_bits((noise & ~honest).tobytes(), bits, count).tolist() == [0] * count


# Fields


def test_the_first_values_sit_in_the_lowest_field() -> None:
    assert pack_fields(vector(1, 2, 3, 4, 5), 2, 256).tolist() == [0x0401, 0x0502, 0x0003]
    assert pack_fields(vector(1, 2, 3, 4, 5), 2, 1000).tolist() == [4001, 5002, 3]


@dataclass(frozen=True)
class Banks:
    fields: int
    base: int
    updates: IntVector


@st.composite
def banks_in_fields(draw: st.DrawFn) -> Banks:
    """As many banks as a field has room for, with values up to the largest; bases of any kind."""
    fields = draw(st.integers(1, 10))
    base = draw(st.integers(2, math.floor(2 ** (62 / fields))))
    banks = draw(st.integers(1, min(base - 1, 16)))
    largest, length = (base - 1) // banks, draw(st.integers(1, 25))
    value = st.one_of(st.just(0), st.just(largest), st.integers(0, largest))
    rows = draw(st.lists(st.lists(value, min_size=length, max_size=length), min_size=banks, max_size=banks))
    return Banks(fields, base, np.array(rows, dtype=np.int64))


@settings(deadline=None, max_examples=150)
@given(banks_in_fields())
def test_adding_packed_slots_adds_every_field(banks: Banks) -> None:
    fields, base, updates = banks.fields, banks.base, banks.updates
    total = updates.sum(axis=0)
    packed = np.sum([pack_fields(row, fields, base) for row in updates], axis=0)
    assert len(packed) == math.ceil(len(total) / fields)
    assert packed.tolist() == pack_fields(total, fields, base).tolist()
    assert unpack_fields(packed, fields, base, len(total)).tolist() == total.tolist()


@pytest.mark.parametrize(
    ("fields", "base"), [(1, 2**62), (2, 2**31), (3, 10**6), (4, 3**9), (6, 771), (10, 70), (39, 3), (62, 2)]
)
@pytest.mark.parametrize("share", [0, 1])
def test_full_and_empty_fields(fields: int, base: int, share: int) -> None:
    value = share * (base - 1)
    values = np.full(7 * fields, value)
    packed = pack_fields(values, fields, base)
    assert set(packed.tolist()) == {repeat_in_fields(value, fields, base)} == {share * (base**fields - 1)}
    assert unpack_fields(packed, fields, base, len(values)).tolist() == values.tolist()


def test_packing_leaves_its_input_alone() -> None:
    values = vector(1, 2, 3, 4)
    for fields in (1, 2):
        packed = pack_fields(values, fields, 256)
        unpack_fields(packed, fields, 256, 4)[:] = 0
        assert packed.tolist() == pack_fields(values, fields, 256).tolist()
    pack_bits(values, 12)
    assert values.tolist() == [1, 2, 3, 4]
