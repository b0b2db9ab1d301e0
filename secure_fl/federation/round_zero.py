"""Round 0: the banks agree on how features are scaled, and on the mean number of examples per bank.

By the same secure sum as every other round, so that no bank shows another its figures: exact sums; or, where rows are
private, noisy histograms of magnitudes, from which the scale can only be estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from secure_fl.codec.digits import FixedPointCodec, IntegerCodec
from secure_fl.data import BINS, Moments, Standardization, from_histogram
from secure_fl.errors import TrainingError
from secure_fl.federation.aggregation import SecureAggregation
from secure_fl.federation.bank import Bank
from secure_fl.privacy.rows import histogram_noise
from secure_fl.secagg.budget import Plan
from secure_fl.secagg.messages import Cohort
from secure_fl.secagg.protocol import Party, SecureSum, Values


class Statistics(Protocol):
    """What round 0 sums: how each bank says it, and what comes of the sum. `statistics_of` chooses."""

    @property
    def length(self) -> int:
        """Digits of each bank's vector."""

    def digits(self, bank: Bank) -> NDArray[np.int64]:
        """What a bank adds, int64 [length]."""

    def read(self, total: NDArray[np.int64], contributors: int) -> tuple[Standardization, float]:
        """Standardization over all banks, and the mean number of examples per bank. Raises `TrainingError`."""


@dataclass(frozen=True)
class Exact:
    """Sums of each numeric feature and of its square."""

    features: int
    bits: int

    @property
    def length(self) -> int:
        return self._codec.length

    @property
    def _codec(self) -> FixedPointCodec:
        return FixedPointCodec(1 + 2 * self.features, self.bits)

    def digits(self, bank: Bank) -> NDArray[np.int64]:
        return self._codec.encode(bank.statistics())

    def read(self, total: NDArray[np.int64], contributors: int) -> tuple[Standardization, float]:
        sums = Moments.from_vector(self._codec.decode(total, contributors))
        mean_examples = _mean_examples(sums.count, contributors)  # first, since it says more of what cannot be
        return Standardization.from_moments(sums), mean_examples


@dataclass(frozen=True)
class Noisy:
    """Histograms of each numeric feature's magnitudes, with the noise of every bank."""

    features: int
    bits: int

    @property
    def length(self) -> int:
        return self._codec.length

    @property
    def _codec(self) -> IntegerCodec:
        return IntegerCodec(1 + self.features * BINS, self.bits)

    def digits(self, bank: Bank) -> NDArray[np.int64]:
        return self._codec.encode(bank.private_statistics())

    def read(self, total: NDArray[np.int64], contributors: int) -> tuple[Standardization, float]:
        count, *histogram = self._codec.decode(total, contributors).astype(np.float64)
        counts = np.reshape(histogram, (-1, BINS))
        standardization = from_histogram(counts, math.sqrt(contributors) * histogram_noise(len(counts)))
        return standardization, _mean_examples(float(count), contributors)


def statistics_of(features: int, bits: int | None, *, privately: bool) -> Statistics:
    """Of so many numeric features; `privately`: from noisy histograms, since rows are private."""
    return (Noisy if privately else Exact)(features, bits or _DIGIT_BITS)


def agree_on_statistics(
    aggregation: SecureAggregation, banks: tuple[Bank, ...], privately: bool = False
) -> tuple[Standardization, float]:
    """Standardization over all banks, and the mean number of examples per bank; `privately`: from noisy histograms."""
    statistics = statistics_of(banks[0].features, aggregation.plan.bits, privately=privately)
    digits = {bank.name: summable(statistics.digits(bank), aggregation.plan) for bank in banks}

    def clients(cohort: Cohort[Plan]) -> dict[str, Party]:
        return {name: aggregation.client(cohort, name, digits[name]) for name in cohort.banks}

    done = aggregation.sum(aggregation.cohort(0, statistics.length, context=CONTEXT), clients).outcome.sum
    standardization, mean_examples = read_statistics(statistics, done)
    cohort = aggregation.cohort(0, 1, context=CONTEXT)
    aggregation.broadcast(cohort, np.array([standardization.mean, standardization.std]).tobytes())
    return standardization, mean_examples


def summable(digits: NDArray[np.int64], plan: Plan) -> Values:
    """Digits as a plan's sums take them."""
    return digits if plan.bits is not None else digits.astype(np.float32)


def read_statistics(statistics: Statistics, summed: SecureSum) -> tuple[Standardization, float]:
    """What the sum of round 0 comes to. Raises `TrainingError`."""
    return statistics.read(np.rint(summed.total).astype(np.int64), len(summed.contributors))


def _mean_examples(count: float, contributors: int) -> float:
    """Raises `TrainingError` for a total that no honest banks can have: one of them then says something wrong."""
    if not (contributors <= count <= contributors * LARGEST_BANK and count.is_integer()):
        raise TrainingError(
            f"the banks say that they have {count:g} training rows together, and {contributors} banks have "
            f"{contributors} to {contributors * LARGEST_BANK}; find out which of them sends a wrong number"
        )
    return count / contributors


CONTEXT = b"statistics"
"""Of the cohorts of round 0."""
_DIGIT_BITS = 8
"""Of sums that are not quantized."""
LARGEST_BANK = 1 << 32
"""Training rows of one bank, at most."""
