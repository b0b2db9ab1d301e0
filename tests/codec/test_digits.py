"""Numbers of any size come out of a sum of small fields exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.codec.digits import FRACTION_BITS, FixedPointCodec, IntegerCodec, digits_for, from_digits, to_digits
from secure_fl.errors import ConfigurationError, TrainingError

BITS = st.integers(4, 24)
RESOLUTION = Fraction(1, 2**FRACTION_BITS)


@given(bits=BITS, capacity=st.integers(1, 400), data=st.data())
def test_a_number_of_any_size_survives(bits: int, capacity: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 2**capacity - 1))
    digits = to_digits(number, capacity, bits)
    assert len(digits) == digits_for(capacity, bits)
    assert digits.min() >= 0
    assert digits.max() < 2**bits
    assert from_digits(digits, bits) == number


@given(bits=BITS, crowd=st.lists(st.tuples(st.integers(0, 2**128 - 1), st.integers(1, 2_000)), min_size=1, max_size=5))
def test_summed_digits_are_the_digits_of_the_sum_for_up_to_10000_banks(bits: int, crowd: list[tuple[int, int]]) -> None:
    summed = np.sum([banks * to_digits(number, 128, bits) for number, banks in crowd], axis=0)
    assert from_digits(summed, bits) == sum(banks * number for number, banks in crowd)


@pytest.mark.parametrize("number", [-1, 2**40, 10**50])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError, match="does not fit 40 bits"):
        to_digits(number, 40, 8)


@given(bits=BITS, numerators=st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=20))
def test_fixed_point_sums_of_dyadic_numbers_are_exact(bits: int, numerators: list[int]) -> None:
    codec = FixedPointCodec(count=1, bits=bits)
    total = np.sum([codec.encode(np.array([n / 2**FRACTION_BITS])) for n in numerators], axis=0)
    assert codec.decode(total, len(numerators)).tolist() == [sum(numerators) / 2**FRACTION_BITS]


@given(bits=BITS, rows=st.lists(st.tuples(*[st.floats(-(2.0**86), 2.0**86)] * 3), min_size=1, max_size=20))
def test_fixed_point_sums_of_any_reals_are_as_exact_as_float64(bits: int, rows: list[tuple[float, ...]]) -> None:
    codec = FixedPointCodec(count=3, bits=bits)
    encoded = [codec.encode(np.array(row)) for row in rows]
    assert all(len(vector) == codec.length and vector.min() >= 0 and vector.max() < 2**bits for vector in encoded)
    for column, sum_ in zip(zip(*rows, strict=True), codec.decode(np.sum(encoded, axis=0), len(rows)), strict=True):
        exact = sum(map(Fraction, column), Fraction(0))
        assert abs(Fraction(float(sum_)) - exact) <= len(rows) * RESOLUTION + abs(exact) / 2**53


def test_ten_thousand_banks_may_send_the_largest_magnitudes() -> None:
    codec = FixedPointCodec(count=2, bits=24)
    extremes = np.array([np.nextafter(-(2.0**89), 0), np.nextafter(2.0**89, 0)])
    assert codec.decode(10_000 * codec.encode(extremes), 10_000).tolist() == (10_000 * extremes).tolist()


@pytest.mark.parametrize("value", [2.0**89, -(2.0**89), 1e290])
def test_a_real_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="rescale its column"):
        FixedPointCodec(count=1, bits=8).encode(np.array([value]))


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf, -np.inf, np.nan])
def test_a_real_far_out_of_range_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError):
        FixedPointCodec(count=1, bits=8).encode(np.array([value]))


INTEGERS = st.integers(-(2**39), 2**39 - 1)


@given(bits=BITS, rows=st.lists(st.tuples(INTEGERS, INTEGERS), min_size=1, max_size=20))
def test_sums_of_integers_of_either_sign_are_exact(bits: int, rows: list[tuple[int, int]]) -> None:
    codec = IntegerCodec(count=2, bits=bits)
    encoded = [codec.encode(np.array(row, dtype=np.int64)) for row in rows]
    assert all(len(vector) == codec.length and vector.min() >= 0 and vector.max() < 2**bits for vector in encoded)
    total = codec.decode(np.sum(encoded, axis=0), len(rows))
    assert total.tolist() == [sum(column) for column in zip(*rows, strict=True)]
    assert total.dtype == np.int64


def test_ten_thousand_banks_may_send_the_largest_integers() -> None:
    codec = IntegerCodec(count=2, bits=24)
    extremes = np.array([-(2**39), 2**39 - 1])
    assert codec.decode(10_000 * codec.encode(extremes), 10_000).tolist() == (10_000 * extremes).tolist()


@pytest.mark.parametrize("value", [2**39, -(2**39) - 1, 2**62])
def test_an_integer_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ConfigurationError, match="does not fit 40 bits"):
        IntegerCodec(count=1, bits=8).encode(np.array([value]))


def test_a_short_vector_takes_the_fields_that_its_length_says() -> None:
    assert IntegerCodec(count=7, bits=16).length == 7 * 3
    assert IntegerCodec(count=1, bits=24).length == 2


@pytest.mark.parametrize(("bits", "ring_bits"), [(13, 24), (16, 32), (8, 16)])
def test_digits_that_no_banks_can_have_sent_are_refused(bits: int, ring_bits: int) -> None:
    """Masks hide digits beyond their base; an int64 does not hold what these stand for."""
    codec = IntegerCodec(2, bits)
    with pytest.raises(TrainingError, match="one of them sends wrong digits"):
        codec.decode(np.full(codec.length, 2**ring_bits - 1, dtype=np.int64), contributors=9)
