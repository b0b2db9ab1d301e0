"""How a customer or a terminal behaved lately: counts, mean amounts and known fraud over 1, 7 and 30 days.

The feature transformation of the Fraud Detection Handbook (Le Borgne et al. 2022, chapter 3): for each row, over
the rows of the same identifier in one bank's own table,
- count and mean amount in (t - w, t], the current row included;
- risk: the share of fraud in (t - 7 d - w, t - 7 d], because a fraud is known only a week after it happened.

Rules: only rows up to the current one are used, in order of time (rows of the same second: in order of the
table); a bank uses its own rows only. Everything is sorting, cumulative sums and binary search, O(n log n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0
WINDOWS_DAYS = (1, 7, 30)
DELAY_DAYS = 7
LOOKS_BACK = (DELAY_DAYS + max(WINDOWS_DAYS)) * DAY
"""Seconds after which a row is in nobody's past."""


@dataclass(frozen=True, eq=False, repr=False)
class Behaviour:
    """float64 [n, 3] each, one column per window of 1, 7 and 30 days, rows in the order of the table."""

    count: NDArray[np.float64]
    mean_amount: NDArray[np.float64]
    risk: NDArray[np.float64]
    """Share of fraud, in [0, 1]; 0 where the window holds no row."""


def behaviour(
    codes: NDArray[np.int64], when: NDArray[np.float64], amount: NDArray[np.float64], fraud: NDArray[np.bool_]
) -> Behaviour:
    """The past of each row's identifier.

    codes: int64 [n], the identifier of each row as 0, 1, ...; when: float64 [n], seconds; amount: float64 [n];
    fraud: bool [n].
    """
    n = codes.shape[0]
    order = np.lexsort((when, codes))
    codes, when = codes[order], when[order]
    amounts, frauds = _running(amount[order]), _running(fraud[order].astype(np.float64))
    moments_in_time = np.unique(when)
    stride = moments_in_time.shape[0] + 1
    keys = codes * stride + np.searchsorted(moments_in_time, when)

    def first_after(times: NDArray[np.float64]) -> NDArray[np.int64]:
        """For each row: the first row, in sorted order, of its identifier (or the next one) after the given time."""
        ranks = np.searchsorted(moments_in_time, times, side="right")
        rows: NDArray[np.int64] = np.searchsorted(keys, codes * stride + ranks, side="left")
        return rows

    result = Behaviour(*(np.empty((n, len(WINDOWS_DAYS))) for _ in range(3)))
    here = np.arange(1, n + 1)
    reported = first_after(when - DELAY_DAYS * DAY)
    for column, days in enumerate(WINDOWS_DAYS):
        start = first_after(when - days * DAY)
        result.count[order, column] = here - start
        result.mean_amount[order, column] = (amounts[here] - amounts[start]) / (here - start)
        start = first_after(when - (DELAY_DAYS + days) * DAY)
        result.risk[order, column] = (frauds[reported] - frauds[start]) / np.maximum(reported - start, 1)
    return result


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [n + 1]: sums of the first 0, 1, ..., n values."""
    return np.concatenate([[0.0], np.cumsum(values)])
