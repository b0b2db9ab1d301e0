"""Model updates <-> the vectors that a secure sum can add.

A bank's contribution is one vector with three parts:

    [ its update x its number of examples / the mean number of examples | number of examples | clipped values ]

The first part is quantized: clipped to [-clip, clip], scaled to [0, 2**bits - 1] and rounded up or down at random so
that the expectation is exact (stochastic rounding; Alistarh et al., "QSGD", NeurIPS 2017). The counts travel as
digits in base 2**bits, which add up like every other field. So the sum gives the mean weighted by number of
examples (FedAvg) while nobody learns any bank's number of examples or how much of its update was clipped.

The clip range is public, because all banks must use the same: it follows the means of earlier rounds (`next_clip`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secure_fl.digits import digits_for, from_digits, to_digits
from secure_fl.errors import ConfigurationError, TrainingError

FloatVector: TypeAlias = NDArray[np.float64]
Vector: TypeAlias = NDArray[Any]
"""What is summed: int64, or float32 whose sum is float64."""

COUNT_BITS = 40
"""Counts are below 2**40 summed over all banks."""
CLIP_RANGE = (1e-30, 1e30)
"""Beyond these, steps and weights leave float32."""
RANGE_MARGIN = 3.0
"""How much larger than the largest mean value of the last round the next clip range is."""


@dataclass(frozen=True)
class Contribution:
    """What one bank wants to add, before it is encoded."""

    update: FloatVector = field(repr=False)
    """New minus old weights, [parameters]."""
    num_examples: int = field(repr=False)


@dataclass(frozen=True)
class MeanUpdate:
    """What the sum over the contributors says."""

    update: FloatVector
    """Mean weighted by number of examples, [parameters]."""
    num_examples: int | None
    """None where no number of examples travels."""
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
class QuantizedCodec:
    """Integers in [0, 2**bits); see the module's text."""

    parameters: int
    bits: int
    clip: float
    mean_examples: float
    """The mean number of examples per bank: a public figure that weights are relative to."""

    def __post_init__(self) -> None:
        if not CLIP_RANGE[0] <= self.clip <= CLIP_RANGE[1]:
            raise ConfigurationError(
                f"a clip range of {self.clip} is refused; use {CLIP_RANGE[0]:.0e} to {CLIP_RANGE[1]:.0e}"
            )

    @property
    def length(self) -> int:
        return self.parameters + 2 * digits_for(COUNT_BITS, self.bits)

    @property
    def unit(self) -> float:
        """Width of one quantization step of a weighted update."""
        return 2 * self.clip / ((1 << self.bits) - 1)

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.int64]:
        weighted = _weighted(contribution, self.mean_examples)
        scaled = np.clip(weighted, -self.clip, self.clip)
        clipped = int(np.count_nonzero(scaled != weighted))
        scaled += self.clip
        scaled /= self.unit
        scaled += rng.random(len(scaled), dtype=np.float32)
        quantized = scaled.astype(np.int64)  # cuts off what is behind the point: the floor, as nothing is negative
        np.minimum(quantized, 2**self.bits - 1, out=quantized)
        counts = [to_digits(count, COUNT_BITS, self.bits) for count in (contribution.num_examples, clipped)]
        return np.concatenate([quantized, *counts])

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        integers = total.astype(np.int64)
        num_examples, clipped = _counts(integers[self.parameters :], self.bits)
        weight = _total_weight(num_examples, self.mean_examples)
        weighted_sum = integers[: self.parameters].astype(np.float64)
        weighted_sum *= self.unit
        weighted_sum -= contributors * self.clip
        return MeanUpdate(weighted_sum / weight, num_examples, clipped, step=self.unit * contributors / weight)


@dataclass(frozen=True)
class Float32Codec:
    """No quantization: float32 values, with the count as float32 digits in base 256."""

    parameters: int
    mean_examples: float

    @property
    def length(self) -> int:
        return self.parameters + digits_for(COUNT_BITS, 8)

    def encode(self, contribution: Contribution, rng: np.random.Generator) -> NDArray[np.float32]:
        weighted = _weighted(contribution, self.mean_examples)
        if np.abs(weighted).max() > np.finfo(np.float32).max:
            raise TrainingError("an update is too large for float32: local training diverged; lower the learning rate")
        count = to_digits(contribution.num_examples, COUNT_BITS, 8)
        return np.concatenate([weighted, count]).astype(np.float32)

    def decode(self, total: Vector, contributors: int) -> MeanUpdate:
        num_examples = from_digits(np.rint(total[self.parameters :]).astype(np.int64), 8)
        weight = _total_weight(num_examples, self.mean_examples)
        return MeanUpdate(total[: self.parameters] / weight, num_examples, clipped=0, step=None)


def make_codec(parameters: int, bits: int | None, clip: float, mean_examples: float) -> Codec:
    """The codec for `bits`, None meaning float32."""
    if bits is None:
        return Float32Codec(parameters, mean_examples)
    return QuantizedCodec(parameters, bits, clip, mean_examples)


def next_clip(mean: FloatVector, clip: float, clipped_fraction: float | None) -> float:
    """The clip range of the next round, from public numbers only.

    `RANGE_MARGIN` times the largest value of the mean, since single banks deviate from it; but doubled instead where
    banks did clip, because then the mean understates what they wanted to send. None: a range that does not move.
    """
    if clipped_fraction is None:
        return clip
    if clipped_fraction > 0:
        return 2 * clip
    largest = float(np.abs(mean).max())
    return RANGE_MARGIN * largest if largest > 0 else clip


def _counts(digits: NDArray[np.int64], bits: int) -> tuple[int, int]:
    examples, clipped = digits.reshape(2, -1)
    return from_digits(examples, bits), from_digits(clipped, bits)


def _weighted(contribution: Contribution, mean_examples: float) -> FloatVector:
    if not np.isfinite(contribution.update).all():
        raise TrainingError("an update is not finite: local training diverged; lower the learning rate")
    return contribution.update * (contribution.num_examples / mean_examples)


def _total_weight(num_examples: int, mean_examples: float) -> float:
    if num_examples <= 0:
        raise TrainingError("the contributors have no examples; check the data of the banks")
    return num_examples / mean_examples
