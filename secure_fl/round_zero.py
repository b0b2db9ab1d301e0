"""Round 0: the banks agree on how features are scaled, and on the mean number of examples per bank.

By the same secure sum as every other round, so that no bank shows another its figures: exact sums; or, where rows are
private, noisy histograms of magnitudes, from which the scale can only be estimated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from secure_fl.aggregation import SecureAggregation
from secure_fl.bank import Bank
from secure_fl.data import BINS, DIMENSION, Moments, Standardization, from_histogram
from secure_fl.digits import FixedPointCodec, IntegerCodec
from secure_fl.privacy import histogram_noise


def agree_on_statistics(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    """Standardization over all banks, and the mean number of examples per bank."""
    agree = _agree_privately if aggregation.experiment.private_rows else _agree_exactly
    standardization, count = agree(aggregation, banks)
    cohort = aggregation.cohort(0, 1, context=_CONTEXT)
    aggregation.broadcast(cohort, np.array([standardization.mean, standardization.std]).tobytes())
    return standardization, count / len(banks)


def private_length(bits: int | None) -> int:
    """Length of the longest vector that private statistics may need."""
    return IntegerCodec(1 + DIMENSION * BINS, bits or _DIGIT_BITS).length


def _agree_exactly(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    vectors = {bank.name: bank.statistics() for bank in banks}
    codec = FixedPointCodec(len(vectors[banks[0].name]), aggregation.plan.bits or _DIGIT_BITS)
    total = _sum_digits(aggregation, {name: codec.encode(vector) for name, vector in vectors.items()})
    sums = Moments.from_vector(codec.decode(total, len(banks)))
    return Standardization.from_moments(sums), sums.count


def _agree_privately(aggregation: SecureAggregation, banks: tuple[Bank, ...]) -> tuple[Standardization, float]:
    vectors = {bank.name: bank.private_statistics() for bank in banks}
    codec = IntegerCodec(len(vectors[banks[0].name]), aggregation.plan.bits or _DIGIT_BITS)
    total = _sum_digits(aggregation, {name: codec.encode(vector) for name, vector in vectors.items()})
    count, *histogram = codec.decode(total, len(banks)).astype(np.float64)
    counts = np.reshape(histogram, (-1, BINS))
    return from_histogram(counts, math.sqrt(len(banks)) * histogram_noise(len(counts))), float(count)


def _sum_digits(aggregation: SecureAggregation, digits: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    length = len(next(iter(digits.values())))
    cohort = aggregation.cohort(0, length, context=_CONTEXT)
    summable = aggregation.plan.bits is not None
    clients = {
        name: aggregation.client(cohort, name, vector if summable else vector.astype(np.float32))
        for name, vector in digits.items()
    }
    total: NDArray[np.int64] = np.rint(aggregation.sum(cohort, clients).sum.total).astype(np.int64)
    return total


_CONTEXT = b"statistics"
_DIGIT_BITS = 8
"""Of sums that are not quantized."""
