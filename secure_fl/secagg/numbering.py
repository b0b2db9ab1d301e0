"""Lists and tables of banks as bytes. The number of a bank is its place in the cohort, from 0; all are sorted by it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from secure_fl.errors import MessageError

_NUMBER = struct.Struct("<H")


def encode_numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(map(_NUMBER.pack, sorted(numbers)))


def decode_numbers(data: bytes | memoryview, below: int) -> tuple[int, ...]:
    """Distinct numbers in rising order. Raises `MessageError`."""
    if len(data) % _NUMBER.size:
        raise MessageError("a list of banks is truncated; make a new attempt")
    numbers = tuple(number for (number,) in _NUMBER.iter_unpack(data))
    if any(a >= b for a, b in zip(numbers, (*numbers[1:], below), strict=False)):
        raise MessageError("a list of banks names one twice or an unknown one; make a new attempt")
    return numbers


def encode_table(rows: Mapping[int, bytes]) -> bytes:
    """Rows of one length, each behind its bank's number."""
    return b"".join(_NUMBER.pack(bank) + rows[bank] for bank in sorted(rows))


def decode_table(data: bytes | memoryview, row_bytes: int, below: int) -> dict[int, bytes]:
    """The inverse of `encode_table`. Raises `MessageError`."""
    step = _NUMBER.size + row_bytes
    if len(data) % step:
        raise MessageError("a table of banks is truncated; make a new attempt")
    rows = [bytes(data[start : start + step]) for start in range(0, len(data), step)]
    numbers = decode_numbers(b"".join(row[: _NUMBER.size] for row in rows), below)
    return {number: row[_NUMBER.size :] for number, row in zip(numbers, rows, strict=True)}
