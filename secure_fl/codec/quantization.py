"""Model updates <-> the vectors that a secure sum can add.

A bank's contribution is one vector with two parts:

    [ its update x its number of examples / the mean number of examples | clipped values ]

The first part is quantized: clipped to [-clip, clip], scaled to [0, 2**bits - 1] and rounded up or down at random so
that the expectation is exact (stochastic rounding; Alistarh et al., "QSGD", NeurIPS 2017). The count of clipped values
travels as digits in base 2**bits, which add up like every other field.

The mean number of examples is agreed on once, in round 0. No later sum holds any number of examples: the totals of two
rounds with different contributors would differ by one bank's number. So the sum divided by the number of contributors
is the mean weighted by number of examples (FedAvg) where all banks contribute. Where some are missing it is that mean
times one factor, their mean number of examples over that of all banks: the same direction, a slightly longer or shorter
step.

What one bank says is not checked, beyond what is impossible: it can send any update within the clip range, and have the
range doubled by claiming that it clipped. Under a rule that bears byzantine banks all count the same and say nothing
of themselves: there is no mean number of examples, and no count of clipped values travels.

The clip range is public, because all banks must use the same: it follows the means of earlier rounds (`next_clip`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.digits import digits_for, from_digits, to_digits
from secure_fl.errors import ConfigurationError, TrainingError

FloatVector: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[Any]
"""What is summed: int64, or float32 whose sum is float64."""

COUNT_BITS = 40
"""Counts are below 2**40 summed over all banks."""
CLIP_RANGE = (1e-30, 1e30)
"""Beyond these, steps and weights leave float32."""
RANGE_MARGIN = 3.0
"""How much larger than the largest mean value of the last round the next clip range usually is."""


@dataclass(frozen=True)
class Contribution:
    """What one bank wants to add, before it is encoded."""

    update: FloatVector = field(repr=False)
    """New minus old weights, [parameters]."""
    num_examples: int = field(repr=False)

    def weighted(self, mean_examples: float | None) -> FloatVector:
        """The update times its weight, the number of examples over the mean number of all banks: what is summed.

        None: every bank counts the same.
        """
        return self.update if mean_examples is None else self.update * (self.num_examples / mean_examples)


@dataclass(frozen=True)
class MeanUpdate:
    """What the sum over the contributors says."""

    update: FloatVector
    """Mean weighted by number of examples, [parameters]."""
    clipped: int | None
    """Values that were clipped, over all contributors; None where no such count travels."""
    step: float | None
    """What one unit of the integer sum means in `update`; None without quantization."""


class Codec(Protocol):
    """Contributions of all banks in a round <-> vectors that add up."""

    @property
    def length(self) -> int:
        """Length of the encoded vector."""

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> Vector:
        """One bank's vector."""

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        """The mean from the sum of the vectors of `contributors` banks."""


@dataclass(frozen=True)
class Quantizer:
    """Numbers in [-clip, clip] <-> integers in [0, 2**bits), by stochastic rounding.

    A number and what its integer stands for differ by less than one `unit`, whatever is drawn, but for the rounding of
    float64: a mean of such integers is that close to the mean of the numbers.
    """

    bits: int
    clip: float

    @property
    def unit(self) -> float:
        """Width of one quantization step."""
        return 2 * self.clip / ((1 << self.bits) - 1)

    def quantize(self, values: FloatVector, rng: np.random.Generator) -> NDArray[np.int64]:
        """float64 [any length] within [-clip, clip] -> int64; `values` is used as scratch space."""
        values += self.clip
        values /= self.unit
        values += rng.random(len(values), dtype=np.float32)
        quantized = values.astype(np.int64)  # cuts off what is behind the point: the floor, as nothing is negative
        np.minimum(quantized, 2**self.bits - 1, out=quantized)
        return quantized

    def steps(self, norm: float, length: int) -> float:
        """The farthest that so many numbers of an L2 norm can lie from 2**(bits - 1), whatever is drawn, in steps.

        Each is off by less than one by rounding, and by one half as the middle of the range is no integer.
        """
        return norm / self.unit + 1.5 * math.sqrt(length)

    def mean(self, total: NDArray[np.int64], contributors: int) -> FloatVector:
        """The mean of the numbers whose integers sum to `total`, float64."""
        mean = total.astype(np.float64)
        mean *= self.unit / contributors
        mean -= self.clip
        return mean


@dataclass(frozen=True)
class QuantizedCodec:
    """Integers in [0, 2**bits); see the module's text."""

    parameters: int
    bits: int
    clip: float
    mean_examples: float | None
    """The mean number of examples per bank: a public figure that weights are relative to. None: all count the same, and
    do not say how many values they clipped."""

    def __post_init__(self) -> None:
        require_clip(self.clip)

    @property
    def length(self) -> int:
        return self.parameters + (0 if self.mean_examples is None else digits_for(COUNT_BITS, self.bits))

    @property
    def unit(self) -> float:
        """Width of one quantization step of a weighted update."""
        return self._quantizer.unit

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.int64]:
        weighted = _weighted(contribution, self.mean_examples)
        within = np.clip(weighted, -self.clip, self.clip)
        clipped = int(np.count_nonzero(within != weighted))
        quantized = self._quantizer.quantize(within, rng)
        if self.mean_examples is None:
            return quantized
        return np.concatenate([quantized, to_digits(clipped, COUNT_BITS, self.bits)])

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        integers = total.astype(np.int64)
        mean = self._quantizer.mean(integers[: self.parameters], contributors)
        return MeanUpdate(mean, self._clipped(integers[self.parameters :], contributors), step=self.unit)

    def _clipped(self, digits: NDArray[np.int64], contributors: int) -> int | None:
        if self.mean_examples is None:
            return None
        clipped = from_digits(digits, self.bits)
        if clipped > contributors * self.parameters:
            raise TrainingError(
                f"the banks say that they clipped {clipped} of {contributors * self.parameters} values; one of them "
                "sends a wrong count, so find out which before you go on"
            )
        return clipped

    @property
    def _quantizer(self) -> Quantizer:
        return Quantizer(self.bits, self.clip)


@dataclass(frozen=True)
class Float32Codec:
    """No quantization: float32 values."""

    parameters: int
    mean_examples: float | None

    @property
    def length(self) -> int:
        return self.parameters

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.float32]:
        weighted = _weighted(contribution, self.mean_examples)
        if np.abs(weighted).max() > np.finfo(np.float32).max:
            raise TrainingError("an update is too large for float32: local training diverged; lower the learning rate")
        return weighted.astype(np.float32)

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        return MeanUpdate(total / contributors, clipped=0, step=None)


def make_codec(parameters: int, bits: int | None, clip: float, mean_examples: float | None) -> Codec:
    """The codec for `bits`, None meaning float32; `mean_examples` None: every bank counts the same."""
    if bits is None:
        return Float32Codec(parameters, mean_examples)
    return QuantizedCodec(parameters, bits, clip, mean_examples)


def require_clip(clip: float) -> None:
    """Raises `ConfigurationError` unless a clip range can be worked with."""
    if not CLIP_RANGE[0] <= clip <= CLIP_RANGE[1]:
        raise ConfigurationError(f"a clip range of {clip} is refused; use {CLIP_RANGE[0]:.0e} to {CLIP_RANGE[1]:.0e}")


def next_clip(mean: FloatVector, clip: float, clipped: int | None, margin: float = RANGE_MARGIN) -> float:
    """The clip range of the next round, from public numbers only.

    `margin` times the largest value of the mean, since single banks deviate from it; but doubled instead where
    banks did clip, because then the mean understates what they wanted to send. `clipped`: how many values that were;
    None: a range that does not move.
    """
    if clipped is None:
        return clip
    if clipped > 0:
        return 2 * clip
    largest = float(np.abs(mean).max())
    return margin * largest if largest > 0 else clip


def _weighted(contribution: Contribution, mean_examples: float | None) -> FloatVector:
    if not np.isfinite(contribution.update).all():
        raise TrainingError("an update is not finite: local training diverged; lower the learning rate")
    return contribution.weighted(mean_examples)
