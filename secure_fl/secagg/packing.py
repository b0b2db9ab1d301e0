"""Small integers <-> the dense forms that travel: bit-packed bytes, and fields side by side in a wide slot.

Both keep sums apart: a field is as wide as the largest sum (`Plan.field_bits`), so adding packed slots adds every
field and no carry crosses a border. The first `slots` values sit in the lowest field, the next ones in the second,
and so on, which makes packing a few whole-vector shifts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError

IntVector = NDArray[np.int64]
_CHUNK = 1 << 16
"""Values that are spread into single bits at a time; a multiple of 8, so that chunks meet on a byte."""


def pack_bits(values: IntVector, bits: int) -> bytes:
    """Integers in [0, 2**bits), bits <= 63, as ceil(len * bits / 8) bytes, little-endian throughout."""
    word = _word_bits(bits)
    words = values.astype(f"<u{word // 8}")
    if bits == word:
        return words.tobytes()
    return b"".join(_narrow(words[start : start + _CHUNK], bits) for start in range(0, len(words), _CHUNK))


def unpack_bits(data: bytes | memoryview, bits: int, count: int) -> IntVector:
    """The inverse of `pack_bits`. Raises `MessageError` where the length does not fit `count` values."""
    if len(data) != math.ceil(count * bits / 8):
        raise MessageError(f"a payload of {len(data)} bytes cannot hold {count} values of {bits} bits; send it again")
    raw = np.frombuffer(data, dtype=np.uint8)
    word = _word_bits(bits)
    if bits == word:
        return raw.view(f"<u{word // 8}").astype(np.int64)
    values = np.empty(count, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        part = raw[start * bits // 8 : math.ceil(min(start + _CHUNK, count) * bits / 8)]
        values[start : start + _CHUNK] = _widen(part, bits, min(_CHUNK, count - start))
    return values


def _narrow(words: NDArray[Any], bits: int) -> bytes:
    """The low bits of each word, side by side."""
    single = np.unpackbits(words.view(np.uint8).reshape(len(words), -1), axis=1, bitorder="little")
    return np.packbits(single[:, :bits], axis=None, bitorder="little").tobytes()


def _widen(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[Any]:
    """The inverse of `_narrow`."""
    word = _word_bits(bits)
    single = np.zeros((count, word), dtype=np.uint8)
    single[:, :bits] = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    return np.packbits(single, axis=None, bitorder="little").view(f"<u{word // 8}")


def _word_bits(bits: int) -> int:
    """The smallest machine word that holds `bits`."""
    return next(word for word in (8, 16, 32, 64) if bits <= word)


def pack_fields(values: IntVector, fields: int, field_bits: int) -> IntVector:
    """`fields` values in each slot: int64 [ceil(len / fields)], the last fields padded with zeros."""
    slots = math.ceil(len(values) / fields)
    padded = np.zeros(fields * slots, dtype=np.int64)
    padded[: len(values)] = values
    packed = padded[-slots:].copy()
    for row in padded.reshape(fields, slots)[-2::-1]:
        packed <<= field_bits
        packed |= row
    return packed


def unpack_fields(packed: IntVector, fields: int, field_bits: int, count: int) -> IntVector:
    """The inverse of `pack_fields`, also after packed vectors were added: int64 [count]."""
    mask = (np.int64(1) << field_bits) - 1
    shifts = np.arange(fields, dtype=np.int64)[:, None] * field_bits
    return ((packed >> shifts) & mask).reshape(-1)[:count]


def repeat_in_fields(value: int, fields: int, field_bits: int) -> int:
    """The slot that holds `value` in each of its fields."""
    return sum(value << (field * field_bits) for field in range(fields))
