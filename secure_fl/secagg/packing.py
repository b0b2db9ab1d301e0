"""Small integers <-> the dense forms that travel: bit-packed words, and fields side by side in a wide slot.

*Packed words* lay values out in `rows` rows of equal length, so that each operation works on whole rows: with the
values of one column side by side, lowest row first, a column fills a whole number of 64-bit words. Word 0 of all
columns comes first, then word 1, and so on. The last row is filled up with zeros.

*Fields* keep sums apart: a slot is a number whose digits are values, to a base above the largest sum
(`HePlan.field_base`), so adding packed slots adds every field and no carry crosses a border. The first `slots` values
are the lowest digits, the next ones the second, and so on, which makes packing a few whole-vector products.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError

IntVector = NDArray[np.int64]
Words = NDArray[np.uint64]
WORD_BITS = 64
_LITTLE = np.dtype("<u8")
_AT_A_TIME = 1 << 18
"""Values that are packed at a time, so that they stay in the cache."""


def packed_bytes(count: int, bits: int) -> int:
    """Length of `count` packed values."""
    if bits in _WHOLE:
        return count * bits // 8
    _, words, columns = _shape(count, bits)
    return 8 * words * columns


def pack_bits(values: NDArray[Any], bits: int) -> bytes:
    """Integers in [0, 2**bits), bits <= 64, as packed words; those as wide as a machine word follow each other."""
    if bits in _WHOLE:
        return values.astype(f"<u{bits // 8}").tobytes()
    rows, words, columns = _shape(len(values), bits)
    laid_out = np.zeros((rows, columns), dtype=np.uint64)
    laid_out.reshape(-1)[: len(values)] = values
    packed = np.zeros((words, columns), dtype=np.uint64)
    step = _AT_A_TIME // rows
    for start in range(0, columns, step):
        _pack(laid_out[:, start : start + step], packed[:, start : start + step], bits)
    return packed.astype(_LITTLE, copy=False).tobytes()


def unpack_bits(data: bytes | memoryview, bits: int, count: int) -> IntVector:
    """The inverse of `pack_bits`. Raises `MessageError` where the length does not fit `count` values."""
    total = PackedSum(count, bits)
    total.add(data)
    return total.values.view(np.int64)


class PackedSum:
    """The sum of vectors as they come out of packed words, in 64-bit words that wrap around."""

    def __init__(self, count: int, bits: int, shift: int = 0) -> None:
        """`shift`: every value counts 2**shift."""
        self._count, self._bits, self._shift = count, bits, np.uint64(shift)
        self._rows, self._words, columns = _shape(count, bits)
        self._total = np.zeros((self._rows, columns), dtype=np.uint64)

    def add(self, data: bytes | memoryview) -> None:
        """Packed values, as many as there are. Raises `MessageError`, and leaves the sum as it is."""
        if len(data) != packed_bytes(self._count, self._bits):
            raise MessageError(
                f"a payload of {len(data)} bytes cannot hold {self._count} values of {self._bits} bits; send it again"
            )
        if self._bits in _WHOLE:
            added = self.values
            added += np.frombuffer(data, dtype=f"<u{self._bits // 8}").astype(np.uint64) << self._shift
            return
        packed = np.frombuffer(data, dtype=_LITTLE).reshape(self._words, -1)
        step = _AT_A_TIME // self._rows
        values = np.empty((self._rows, min(step, packed.shape[1])), dtype=np.uint64)
        for start in range(0, packed.shape[1], step):
            total = self._total[:, start : start + step]
            part = values[:, : total.shape[1]]
            _unpack(packed[:, start : start + step], part, self._bits)
            if self._shift:
                part <<= self._shift
            total += part

    @property
    def values(self) -> Words:
        """[count], which can be changed in place."""
        return self._total.reshape(-1)[: self._count]


_WHOLE = (8, 16, 32, 64)


def _shape(count: int, bits: int) -> tuple[int, int, int]:
    """Rows of values, rows of words, columns."""
    if bits in _WHOLE:
        return 1, 1, count
    common = math.gcd(bits, WORD_BITS)
    rows = WORD_BITS // common
    return rows, bits // common, math.ceil(count / rows)


def _pack(values: Words, packed: Words, bits: int) -> None:
    shifted = np.empty(values.shape[1], dtype=np.uint64)
    for row, value in enumerate(values):
        word, offset = divmod(row * bits, WORD_BITS)
        packed[word] |= np.left_shift(value, offset, out=shifted)
        if offset + bits > WORD_BITS:
            np.right_shift(value, WORD_BITS - offset, out=packed[word + 1])


def _unpack(packed: Words, values: Words, bits: int) -> None:
    mask, upper = np.uint64((1 << bits) - 1), np.empty(values.shape[1], dtype=np.uint64)
    for row, value in enumerate(values):
        word, offset = divmod(row * bits, WORD_BITS)
        np.right_shift(packed[word], offset, out=value)
        if offset + bits > WORD_BITS:
            value |= np.left_shift(packed[word + 1], WORD_BITS - offset, out=upper)
        value &= mask


def pack_fields(values: IntVector, fields: int, base: int) -> IntVector:
    """`fields` values in each slot: int64 [ceil(len / fields)], the last fields padded with zeros."""
    slots = math.ceil(len(values) / fields)
    padded = np.zeros(fields * slots, dtype=np.int64)
    padded[: len(values)] = values
    packed = padded[-slots:].copy()
    for row in padded.reshape(fields, slots)[-2::-1]:
        packed *= base
        packed += row
    return packed


def unpack_fields(packed: IntVector, fields: int, base: int, count: int) -> IntVector:
    """The inverse of `pack_fields`, also after packed vectors were added: int64 [count]."""
    values, rest = np.empty((fields, len(packed)), dtype=np.int64), packed
    for row in values[:-1]:
        above = rest // base
        np.subtract(rest, above * base, out=row)
        rest = above
    values[-1] = rest
    return values.reshape(-1)[:count]


def repeat_in_fields(value: int, fields: int, base: int) -> int:
    """The slot that holds `value` in each of its fields."""
    return sum(value * base**field for field in range(fields))
