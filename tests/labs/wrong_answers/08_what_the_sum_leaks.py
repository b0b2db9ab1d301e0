"""Wrong answers to the exercises of lesson 8. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from secure_fl.privacy.accounting import SampledGaussian, epsilon

Rows = NDArray[np.float64]


def clipped__number_by_number(rows: Rows, norm_bound: float) -> Rows:
    return np.clip(rows, -norm_bound, norm_bound)


def clipped__short_rows_too(rows: Rows, norm_bound: float) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Rows = rows * (norm_bound / np.maximum(lengths, 1e-300))
    return shortened


def clipped__all_rows_by_one_factor(rows: Rows, norm_bound: float) -> Rows:
    longest = np.linalg.norm(rows, axis=1).max()
    shortened: Rows = rows * min(1.0, norm_bound / longest)
    return shortened


def clipped__long_rows_left_out(rows: Rows, norm_bound: float) -> Rows:
    kept: Rows = np.where(np.linalg.norm(rows, axis=1, keepdims=True) > norm_bound, 0.0, rows)
    return kept


def clipped__divided_by_zero(rows: Rows, norm_bound: float) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Rows = rows / lengths * np.minimum(lengths, norm_bound)
    return shortened


def noise_for__of_one_sum_by_the_textbook(target: float, rate: float, steps: int, delta: float) -> float:
    return math.sqrt(2 * math.log(1.25 / delta)) / target


def noise_for__of_one_step_only(target: float, rate: float, steps: int, delta: float) -> float:
    return _searched(target, rate, 1, delta)


def noise_for__without_the_sampling(target: float, rate: float, steps: int, delta: float) -> float:
    return _searched(target, 1.0, steps, delta)


def noise_for__a_constant(target: float, rate: float, steps: int, delta: float) -> float:
    return 1.1


def _searched(target: float, rate: float, steps: int, delta: float) -> float:
    low, high = 0.3, 1000.0
    while high > 1.005 * low:
        middle = math.sqrt(low * high)
        enough = epsilon([SampledGaussian(middle, rate, steps)], delta, "rdp") <= target
        low, high = (low, middle) if enough else (middle, high)
    return high
