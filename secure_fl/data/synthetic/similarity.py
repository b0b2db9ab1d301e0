"""Whether two patterns are the same but for their words: then the second one teaches a detector nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

from secure_fl.data.synthetic.patterns import FraudPattern

TOLERANCE = 0.1
"""Largest difference, as a share, in every number of two patterns that count as the same."""


def resembles_any(pattern: FraudPattern, others: Iterable[FraudPattern]) -> bool:
    """Whether one of the others has the same words of the form, and every number within `TOLERANCE`."""
    words, numbers = _words(pattern), _numbers(pattern)
    return any(
        words == _words(other)
        and all(abs(math.log(a / b)) <= TOLERANCE for a, b in zip(numbers, _numbers(other), strict=True))
        for other in others
    )


def _words(pattern: FraudPattern) -> tuple[object, ...]:
    return (
        pattern.amount.basis,
        pattern.amount.shape,
        pattern.amount.course,
        frozenset(share.category for share in pattern.categories),
        pattern.gaps.shape,
        pattern.account_origin,
        pattern.terminal_origin,
        pattern.channel,
        frozenset(pattern.countries),
    )


def _numbers(pattern: FraudPattern) -> tuple[float, ...]:
    """All above 0. The first hour counts from 1, so that early hours differ as much as they do from others."""
    ranges = (pattern.amount, pattern.payments, pattern.gaps, pattern.accounts, pattern.terminals)
    ends = [float(end) for each in ranges for end in (each.low, each.high)]
    hours = (pattern.hours.first + 1.0, float(pattern.hours.length))
    return (*ends, *hours, float(pattern.velocity), pattern.duration_days)
