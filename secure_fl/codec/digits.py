"""Exact numbers of any size inside a secure sum whose fields are small.

A number is cut into digits in base 2**bits; each digit is one field. Sums of digits are digits of the sum, so
`from_digits` recovers the sum exactly, although single summed digits may exceed their base. Whoever sees the sum
sees the sum of each digit, which is a little more than the sum of the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError, TrainingError

Integers: TypeAlias = NDArray[Any]
"""int64, or Python's integers of any size (dtype object)."""

FRACTION_BITS = 70
CAPACITY_BITS = 160
_INTEGER_BITS = 40
_INTEGER_OFFSET = 1 << (_INTEGER_BITS - 1)
_OFFSET = 1 << (CAPACITY_BITS - 1)
LARGEST = 2.0 ** (CAPACITY_BITS - 1 - FRACTION_BITS)


def digits_for(capacity_bits: int, bits: int) -> int:
    """How many digits in base 2**bits a number below 2**capacity_bits has."""
    return math.ceil(capacity_bits / bits)


def to_digits(numbers: int | Sequence[int] | Integers, capacity_bits: int, bits: int) -> NDArray[np.int64]:
    """The digits of numbers in base 2**bits, number after number, lowest first: int64 [numbers x digits_for(...)].

    `numbers` are non-negative: one, a sequence, or an array of int64 or (where they are larger) of Python's integers.
    """
    array = np.atleast_1d(numbers if isinstance(numbers, np.ndarray) else np.array(numbers, dtype=object))
    if len(array) and not 0 <= int(array.min()) <= int(array.max()) < 1 << capacity_bits:
        raise ConfigurationError(f"a number does not fit {capacity_bits} bits in a secure sum; rescale its column")
    places = np.arange(digits_for(capacity_bits, bits)) * bits
    digits: Integers = (array[:, np.newaxis] >> places.astype(array.dtype)) & ((1 << bits) - 1)
    return digits.ravel().astype(np.int64)


def from_digits(summed: NDArray[np.int64], bits: int) -> int:
    """The number that summed digits stand for."""
    (number,) = numbers_from_digits(summed, 1, bits)
    return int(number)


def numbers_from_digits(summed: NDArray[np.int64], count: int, bits: int) -> Integers:
    """The `count` numbers that summed digits stand for: Python's integers, shape [count]."""
    digits = summed.reshape(count, -1).astype(object)
    numbers: Integers = np.zeros(count, dtype=object)
    for place in reversed(range(digits.shape[1])):
        numbers = (numbers << bits) + digits[:, place]
    return numbers


@dataclass(frozen=True)
class IntegerCodec:
    """Vectors of integers between -2**39 and 2**39, such as noisy counts, as digits."""

    count: int
    """Integers in a vector."""
    bits: int

    @property
    def length(self) -> int:
        """Fields that a vector takes."""
        return self.count * digits_for(_INTEGER_BITS, self.bits)

    def encode(self, vector: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [count] -> int64 [length] in [0, 2**bits)."""
        return to_digits(vector + _INTEGER_OFFSET, _INTEGER_BITS, self.bits)

    def decode(self, total: NDArray[np.int64], contributors: int) -> NDArray[np.int64]:
        """The sum of the vectors of `contributors` banks, int64 [count].

        Raises `TrainingError` for one that they cannot have: digits beyond their base, which schemes do not see.
        """
        sums = numbers_from_digits(total, self.count, self.bits)
        if max(sums) >= contributors << _INTEGER_BITS:
            raise TrainingError(
                "a sum of the banks' integers is larger than all of them together can say; one of them sends wrong "
                "digits, so find out which before you go on"
            )
        return sums.astype(np.int64) - contributors * _INTEGER_OFFSET


@dataclass(frozen=True)
class FixedPointCodec:
    """Vectors of real numbers, such as sums of a bank's statistics, as digits of 160-bit fixed-point integers.

    Resolution 2**-70, range +-2**89: finer than float64 for sums of squares of columns that vary by 1e-9 or more.
    """

    count: int
    """Numbers in a vector."""
    bits: int

    @property
    def length(self) -> int:
        """Fields that a vector takes."""
        return self.count * digits_for(CAPACITY_BITS, self.bits)

    def encode(self, vector: NDArray[np.float64]) -> NDArray[np.int64]:
        """float64 [count] -> int64 [length] in [0, 2**bits)."""
        if not (np.abs(vector) < LARGEST).all():
            raise ConfigurationError("a sum over a numeric column is too large to add up; rescale its column")
        integers = [int(value * 2.0**FRACTION_BITS) + _OFFSET for value in vector.tolist()]
        return to_digits(integers, CAPACITY_BITS, self.bits)

    def decode(self, total: NDArray[np.int64], contributors: int) -> NDArray[np.float64]:
        """The sum of the vectors of `contributors` banks, float64 [count]."""
        integers = numbers_from_digits(total, self.count, self.bits)
        return np.array([(integer - contributors * _OFFSET) / 2**FRACTION_BITS for integer in integers])
