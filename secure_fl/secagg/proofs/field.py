"""Arithmetic in the field of p = 2**64 - 2**32 + 1 elements, on whole arrays (draft-irtf-cfrg-vdaf: Field64).

Elements are canonical: 64-bit words below p. Products are computed in halves of 32 bits and reduced by

    2**64 = 2**32 - 1,    2**96 = -1    (modulo p).

Every function takes and gives canonical elements, of shapes that broadcast; scalars are Python integers in [0, p).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import MessageError
from secure_fl.secagg.hazmat.prg import words

PRIME = 2**64 - 2**32 + 1
ELEMENT_BYTES = 8

FieldArray = NDArray[np.uint64]

_P = np.uint64(PRIME)
_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_BLOCK = 1 << 13
"""Elements that are multiplied at a time, so that what comes in between stays in the cache."""
_SPARE = 8
"""Words that are drawn beside those in need: one of 2**32 is no element."""


def element(value: int) -> FieldArray:
    """An integer as an element, of shape []."""
    return np.array(value % PRIME, dtype=np.uint64)


_wrapping = np.errstate(over="ignore")
"""Words wrap around on purpose, which numpy warns of where they are scalars."""


@_wrapping
def add(a: FieldArray, b: FieldArray) -> FieldArray:
    missing = _P - b
    return a - missing + _P * (a < missing)


@_wrapping
def subtract(a: FieldArray, b: FieldArray) -> FieldArray:
    return a - b + _P * (a < b)


def multiply(a: FieldArray, b: FieldArray) -> FieldArray:
    """Products, block by block."""
    a, b = np.broadcast_arrays(a, b)
    product = np.empty(a.shape, dtype=np.uint64)
    if a.size <= _BLOCK:
        product[...] = _multiply(a, b)
        return product
    step = max(1, _BLOCK * len(a) // a.size)
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        product[part] = _multiply(a[part], b[part])
    return product


@_wrapping
def _multiply(a: FieldArray, b: FieldArray) -> FieldArray:
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    lowest = a0 * b0
    middle = a1 * b0 + (lowest >> _HALF)
    other = a0 * b1 + (middle & _LOW)
    low = (other << _HALF) | (lowest & _LOW)
    high = a1 * b1 + (middle >> _HALF) + (other >> _HALF)
    # low + 2**64 * (high & _LOW) + 2**96 * (high >> 32)
    top, rest = high >> _HALF, high & _LOW
    reduced: FieldArray = low - top
    reduced -= _LOW * (low < top)
    more = (rest << _HALF) - rest
    reduced += more
    reduced += _LOW * (reduced < more)
    reduced -= _P * (reduced >= _P)
    return reduced


def total(elements: FieldArray, axis: int = 0) -> FieldArray:
    """The sum along an axis of fewer than 2**31 elements."""
    low: FieldArray = (elements & _LOW).sum(axis=axis) % _P
    high: FieldArray = (elements >> _HALF).sum(axis=axis) % _P
    return add(multiply(high, element(2**32)), low)


def powers(bases: FieldArray, count: int) -> FieldArray:
    """base, base**2, ..., base**count for each of the bases: [bases, count]."""
    table = np.empty((len(bases), count), dtype=np.uint64)
    table[:, 0] = bases
    done = 1
    while done < count:
        more = min(done, count - done)
        table[:, done : done + more] = multiply(table[:, :more], table[:, done - 1 : done])
        done += more
    return table


def expand(seed: bytes, count: int) -> FieldArray:
    """Uniform elements from a 256-bit seed: words of a keystream, without those that are no elements; [count]."""
    spare = _SPARE
    while True:
        drawn = words(seed, count + spare)
        elements = drawn[drawn < _P]
        if len(elements) >= count:
            return elements[:count]
        spare *= 2


def to_bytes(elements: FieldArray) -> bytes:
    """As they travel: 8 bytes each, little-endian."""
    return elements.astype("<u8", copy=False).tobytes()


def from_bytes(data: bytes | memoryview, count: int) -> FieldArray:
    """The inverse. Raises `MessageError` for another length and for words that are no elements."""
    if len(data) != ELEMENT_BYTES * count:
        raise MessageError(f"{len(data)} bytes are not {count} elements of the field; send them again")
    elements = np.frombuffer(data, dtype="<u8").astype(np.uint64, copy=False)
    if (elements >= _P).any():
        raise MessageError("a word is no element of the field; send it again")
    return elements
