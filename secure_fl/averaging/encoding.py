"""Arrays of one bank <-> the vector that a secure sum adds, and how far the mean that comes out can be off.

    [ floats, quantized | clipped values | weight | integers ]

*Floats.* Each array has a range of its own, since a state_dict holds weights of 1e-3 beside variances of 1e2: the
smallest power of two that no bank's values, times its weight, exceed, so that nothing is clipped; or one clip range for
all, where the caller gives one. Values are divided by the range, which is exact for powers of two, times the bank's
weight, and quantized (`Quantizer`). Where a clip range is given, the number of clipped values travels as digits.

*Weights* are at most one, relative to a public power of two, and travel as digits without any rounding: the sum holds
the total weight of whoever is in it.

*Integers* travel as digits too, times the weight: their mean is exact before it is rounded to an integer.

Error bound. With n contributors of total weight W <= n, a quantization step u and a range R, the sum of the quantized
values is off by less than n u, so the weighted mean by less than R n u / W. Float64 rounds on the way: all of it
together stays below ROUNDING for each bank, relative to the range (a few half units in the last place of numbers up to
2). What rounding to the arrays' own type adds is measured by whoever does that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.digits import Integers, digits_for, numbers_from_digits, to_digits
from secure_fl.codec.quantization import COUNT_BITS, FloatVector, Quantizer
from secure_fl.errors import ConfigurationError, DropoutError

ROUNDING = 2.0**-48
SLACK = 1 + 2.0**-40
"""For the roundings of the bound itself."""
SMALLEST_WEIGHT_BITS = 40
"""A weight above zero is at least 2**-40 of the largest."""
WEIGHT_PLACES = SMALLEST_WEIGHT_BITS + 53
"""Binary places after which such a weight, a float64, has none left."""
_INT64_BITS = 62


@dataclass(frozen=True)
class Range:
    """[-R, R] with R = fraction * 2**exponent. Kept apart, as R itself may lie beyond float64."""

    fraction: float
    exponent: int

    @classmethod
    def around(cls, largest: float, weight: float = 1.0) -> Range:
        """The smallest power of two that is not below the product; for zero the range of nothing but zeros."""
        fraction, exponent = math.frexp(largest)
        fraction, more = math.frexp(fraction * weight)  # apart from the exponent, so that no small product underflows
        if fraction == 0:
            return cls(0.0, 0)
        return cls(1.0, exponent + more - (fraction == 0.5))

    @classmethod
    def exactly(cls, clip: float) -> Range:
        return cls(*math.frexp(clip))

    @property
    def rank(self) -> tuple[bool, int]:
        """What rises with powers of two."""
        return self.fraction > 0, self.exponent

    def relative(self, values: FloatVector) -> FloatVector:
        """Values over R: a new array."""
        if self.fraction == 0:
            return np.zeros_like(values)
        with np.errstate(over="ignore"):
            relative: FloatVector = np.ldexp(values, -self.exponent)
            relative /= self.fraction
        return relative

    def absolute(self, relative: FloatVector) -> FloatVector:
        """Values times R: a new array, infinite where float64 ends."""
        if self.fraction == 0:
            return np.zeros_like(relative)
        with np.errstate(over="ignore"):
            values: FloatVector = np.ldexp(relative * self.fraction, self.exponent)
        return values

    def bound(self, relative: float) -> float:
        """A relative error as an absolute one, never rounded down."""
        if self.fraction == 0:
            return 0.0
        return math.nextafter(float(self.absolute(np.array(relative * SLACK))), math.inf)


@dataclass(frozen=True)
class Weight:
    """One bank's weight relative to the public power of two: `numerator` / 2**WEIGHT_PLACES, at most one."""

    numerator: int

    @property
    def value(self) -> float:
        return math.ldexp(self.numerator, -WEIGHT_PLACES)


def relative_weights(weights: FloatVector) -> list[Weight]:
    """Weights over the smallest power of two that none exceeds, without rounding. Raises `ConfigurationError`."""
    largest = float(weights.max())
    fractions = Range.around(largest).relative(weights)
    if fractions[fractions > 0].min() < 2.0**-SMALLEST_WEIGHT_BITS:
        raise ConfigurationError(
            f"the smallest weight above zero is less than 2**-{SMALLEST_WEIGHT_BITS} of the largest, and would not be "
            "felt in the mean; set it to zero or give larger ones"
        )
    return [Weight(int(math.ldexp(fraction, WEIGHT_PLACES))) for fraction in fractions.tolist()]


@dataclass(frozen=True)
class Mean:
    """What the sum over the contributors says, all arrays flat."""

    floats: list[FloatVector]
    float_bounds: list[float]
    """How far `floats` can be from the exact mean."""
    integers: list[Integers]
    """Rounded to the nearest integer, halves to the even one."""
    integer_bounds: list[float]
    clipped: int


@dataclass(frozen=True)
class MeanCodec:
    """What all banks agree on before they encode; all of it is public."""

    bits: int
    sizes: tuple[int, ...]
    """Numbers in each array of floats."""
    ranges: tuple[Range, ...]
    """One for each of them."""
    clips: bool
    """Whether values may lie outside their range: these count as its edge, and are counted."""
    weighted: bool
    integer_sizes: tuple[int, ...]
    integer_bits: tuple[int, ...]
    """Of each array of integers: no bank's exceed +-2**bits."""

    @property
    def length(self) -> int:
        """Fields that a vector takes."""
        return self._borders[-1]

    def encode(
        self, floats: list[FloatVector], integers: list[NDArray[Any]], weight: Weight | None, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """One bank's vector: int64 [length], each in [0, 2**bits). `weight`: None where there are none."""
        assert self.weighted == (weight is not None)
        clipped, parts = 0, []
        for values, range_ in zip(floats, self.ranges, strict=True):
            counts = weight is None or weight.numerator
            relative = range_.relative(values) if counts else np.zeros_like(values)
            if self.clips:
                clipped += int(np.count_nonzero(np.abs(relative) > 1))
                np.clip(relative, -1, 1, out=relative)
            if weight is not None:
                relative *= weight.value
            parts.append(self._quantizer.quantize(relative, rng))
        if self.clips:
            parts.append(to_digits(clipped, COUNT_BITS, self.bits))
        if weight is not None:
            parts.append(to_digits(weight.numerator, self._weight_bits, self.bits))
        factor = 1 if weight is None else weight.numerator
        for numbers, magnitude, capacity in zip(integers, self.integer_bits, self._capacities, strict=True):
            kind = np.int64 if capacity <= _INT64_BITS else object
            shifted = (numbers.astype(kind) + (1 << magnitude)) * factor
            parts.append(to_digits(shifted, capacity, self.bits))
        return np.concatenate(parts)

    def decode(self, total: NDArray[np.int64], contributors: int) -> Mean:
        """The mean. Raises `DropoutError` where all contributors have a weight of zero."""
        parts = iter([total[start:stop] for start, stop in pairwise(self._borders)])
        sums = [next(parts) for _ in self.sizes]
        clipped = int(numbers_from_digits(next(parts), 1, self.bits)[0]) if self.clips else 0
        one = 1 << WEIGHT_PLACES if self.weighted else 1
        weight = int(numbers_from_digits(next(parts), 1, self.bits)[0]) if self.weighted else contributors
        if weight == 0:
            raise DropoutError("the banks that are left in the sum have a weight of zero; wait for others")
        stretch = contributors / (weight / one)
        error = stretch * (self._quantizer.unit + ROUNDING)
        floats = [
            _within_float64(range_.absolute(self._quantizer.mean(part, contributors) * stretch))
            for part, range_ in zip(sums, self.ranges, strict=True)
        ]
        rounded = [
            _nearest(numbers_from_digits(part, size, self.bits) - (weight << magnitude), weight)
            for part, size, magnitude in zip(parts, self.integer_sizes, self.integer_bits, strict=True)
        ]
        return Mean(
            floats,
            [range_.bound(error) for range_ in self.ranges],
            [integers for integers, _ in rounded],
            [bound for _, bound in rounded],
            clipped,
        )

    @property
    def _quantizer(self) -> Quantizer:
        return Quantizer(self.bits, clip=1.0)

    @property
    def _weight_bits(self) -> int:
        return WEIGHT_PLACES + 1

    @property
    def _capacities(self) -> list[int]:
        """Bits that a bank's numbers take, shifted and weighted, for each array of integers."""
        return [magnitude + 2 + (WEIGHT_PLACES if self.weighted else 0) for magnitude in self.integer_bits]

    @property
    def _borders(self) -> list[int]:
        """Where each part of a vector starts, and where the last one ends."""
        lengths = list(self.sizes)
        lengths += [digits_for(COUNT_BITS, self.bits)] * self.clips
        lengths += [digits_for(self._weight_bits, self.bits)] * self.weighted
        lengths += [
            size * digits_for(capacity, self.bits)
            for size, capacity in zip(self.integer_sizes, self._capacities, strict=True)
        ]
        return [0, *np.cumsum(lengths).tolist()]


def _nearest(numerators: Integers, denominator: int) -> tuple[Integers, float]:
    """Quotients rounded to the nearest integer, halves to the even one, and by how much the worst was rounded."""
    floors, remainders = numerators // denominator, numerators % denominator
    up = (2 * remainders > denominator) | ((2 * remainders == denominator) & (floors % 2 == 1))
    distances = np.minimum(remainders, denominator - remainders)
    worst = Fraction(int(distances.max()), denominator)
    return floors + up, math.nextafter(float(worst), math.inf) if worst else 0.0


def _within_float64(values: FloatVector) -> FloatVector:
    """A mean with its error may lie beyond float64, and the exact one does not: the nearest number is nearer to it."""
    largest = np.finfo(np.float64).max
    return np.clip(values, -largest, largest)
