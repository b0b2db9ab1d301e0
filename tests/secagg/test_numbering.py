"""Lists and tables of banks: one form only, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secure_fl.errors import MessageError
from secure_fl.secagg.numbering import decode_numbers, decode_table, encode_numbers, encode_table

BELOW = 300
NUMBERS = st.sets(st.integers(0, BELOW - 1), max_size=20)


def test_known_bytes() -> None:
    assert encode_numbers([258, 0, 3]).hex() == "000003000201"
    assert encode_table({258: b"bb", 1: b"aa"}).hex() == "01006161" + "02016262"


@given(NUMBERS.flatmap(lambda numbers: st.permutations(sorted(numbers))))
def test_lists_come_back_in_order(numbers: list[int]) -> None:
    assert decode_numbers(encode_numbers(numbers), BELOW) == tuple(sorted(numbers))


@given(st.data(), NUMBERS, st.integers(0, 5))
def test_tables_come_back_whatever_their_order(data: st.DataObject, numbers: set[int], row_bytes: int) -> None:
    row = st.binary(min_size=row_bytes, max_size=row_bytes)
    rows = {number: data.draw(row) for number in data.draw(st.permutations(sorted(numbers)))}
    assert decode_table(encode_table(rows), row_bytes, BELOW) == rows
    assert list(decode_table(encode_table(rows), row_bytes, BELOW)) == sorted(numbers)


@pytest.mark.parametrize("numbers", [[1, 1], [2, 1], [0, 300], [300], [299, 300], [65_535]])
def test_a_bank_twice_out_of_order_or_unknown_is_refused(numbers: list[int]) -> None:
    data = b"".join(number.to_bytes(2, "little") for number in numbers)
    with pytest.raises(MessageError, match="names one twice or an unknown one"):
        decode_numbers(data, BELOW)
    with pytest.raises(MessageError, match="names one twice or an unknown one"):
        decode_table(b"".join(number.to_bytes(2, "little") + b"x" for number in numbers), 1, BELOW)


def test_the_largest_known_bank_is_read() -> None:
    assert decode_numbers(encode_numbers([BELOW - 1]), BELOW) == (BELOW - 1,)


@pytest.mark.parametrize("length", [1, 3, 5])
def test_a_truncated_list_or_table_is_refused(length: int) -> None:
    with pytest.raises(MessageError, match="a list of banks is truncated"):
        decode_numbers(encode_numbers([1, 2, 3])[:length], BELOW)
    with pytest.raises(MessageError, match="a table of banks is truncated"):
        decode_table(encode_table({1: b"abcd", 2: b"efgh"})[:length], 4, BELOW)
