"""Round 0: the banks agree on how features are scaled, and on the mean number of examples per bank.

By the same secure sum as every other round, so that no bank shows another its figures: exact sums; or, where rows are
private, noisy histograms of magnitudes, from which the scale can only be estimated.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
from secure_fl.secagg.protocol import Party


def agree_on_statistics(
    aggregation: SecureAggregation, banks: tuple[Bank, ...], privately: bool = False
) -> tuple[Standardization, float]:
    """Standardization over all banks, and the mean number of examples per bank; `privately`: from noisy histograms."""
    agree = _agree_privately if privately else _agree_exactly
    standardization, mean_examples = agree(aggregation, banks)
    cohort = aggregation.cohort(0, 1, context=CONTEXT)
    aggregation.broadcast(cohort, np.array([standardization.mean, standardization.std]).tobytes())
    return standardization, mean_examples


def statistics_length(features: int, bits: int | None, *, privately: bool) -> int:
    """Length of the longest vector that the statistics of so many numeric features may need."""
    if privately:
        return IntegerCodec(1 + features * BINS, bits or _DIGIT_BITS).length
    return statistics_codec(features, bits).length


def _agree_exactly(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    vectors = {bank.name: bank.statistics() for bank in banks}
    codec = statistics_codec((len(vectors[banks[0].name]) - 1) // 2, aggregation.plan.bits)
    total, contributors = _sum_digits(aggregation, codec.length, lambda bank: codec.encode(vectors[bank]))
    return statistics_in(codec, total, contributors)


def statistics_codec(features: int, bits: int | None) -> FixedPointCodec:
    """How a bank's statistics of so many numeric features become digits that can be summed."""
    return FixedPointCodec(1 + 2 * features, bits or _DIGIT_BITS)


def statistics_in(codec: FixedPointCodec, total: NDArray[np.int64], contributors: int) -> tuple[Standardization, float]:
    """Standardization over all banks and the mean number of examples per bank, from the sum of their digits."""
    sums = Moments.from_vector(codec.decode(total, contributors))
    mean_examples = _mean_examples(sums.count, contributors)  # first, since it says more of what cannot be
    return Standardization.from_moments(sums), mean_examples


def _agree_privately(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    vectors = {bank.name: bank.private_statistics() for bank in banks}
    codec = IntegerCodec(len(vectors[banks[0].name]), aggregation.plan.bits or _DIGIT_BITS)
    total, contributors = _sum_digits(aggregation, codec.length, lambda bank: codec.encode(vectors[bank]))
    count, *histogram = codec.decode(total, contributors).astype(np.float64)
    counts = np.reshape(histogram, (-1, BINS))
    standardization = from_histogram(counts, math.sqrt(contributors) * histogram_noise(len(counts)))
    return standardization, _mean_examples(float(count), contributors)


def _mean_examples(count: float, contributors: int) -> float:
    """Raises `TrainingError` for a total that no honest banks can have: one of them then says something wrong."""
    if not (contributors <= count <= contributors * LARGEST_BANK and count.is_integer()):
        raise TrainingError(
            f"the banks say that they have {count:g} training rows together, and {contributors} banks have "
            f"{contributors} to {contributors * LARGEST_BANK}; find out which of them sends a wrong number"
        )
    return count / contributors


def _sum_digits(
    aggregation: SecureAggregation, length: int, digits: Callable[[str], NDArray[np.int64]]
) -> tuple[NDArray[np.int64], int]:
    """The sum of the banks' digits, and over how many banks it is."""
    summable = aggregation.plan.bits is not None

    def clients(cohort: Cohort[Plan]) -> dict[str, Party]:
        vectors = {name: digits(name) for name in cohort.banks}
        return {
            name: aggregation.client(cohort, name, vector if summable else vector.astype(np.float32))
            for name, vector in vectors.items()
        }

    done = aggregation.sum(aggregation.cohort(0, length, context=CONTEXT), clients).outcome.sum
    total: NDArray[np.int64] = np.rint(done.total).astype(np.int64)
    return total, len(done.contributors)


CONTEXT = b"statistics"
"""Of the cohorts of round 0."""
_DIGIT_BITS = 8
"""Of sums that are not quantized."""
LARGEST_BANK = 1 << 32
"""Training rows of one bank, at most."""
