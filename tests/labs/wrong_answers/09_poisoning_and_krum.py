"""Wrong answers to the exercises of lesson 9. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def scores_of__with_itself(squared: Matrix, f: int) -> Matrix:
    scores: Matrix = np.sort(squared, axis=1)[:, : len(squared) - f - 2].sum(axis=1)
    return scores


def scores_of__one_too_many(squared: Matrix, f: int) -> Matrix:
    scores: Matrix = np.sort(squared, axis=1)[:, 1 : len(squared) - f].sum(axis=1)
    return scores


def scores_of__to_all_others(squared: Matrix, f: int) -> Matrix:
    scores: Matrix = squared.sum(axis=1)
    return scores


def scores_of__of_distances(squared: Matrix, f: int) -> Matrix:
    scores: Matrix = np.sqrt(np.sort(squared, axis=1)[:, 1 : len(squared) - f - 1]).sum(axis=1)
    return scores


def located__the_mean_of_the_known(known: Matrix, squared: Matrix) -> Matrix:
    mean: Matrix = known.mean(axis=0)
    return mean


def located__the_closest_known_one(known: Matrix, squared: Matrix) -> Matrix:
    closest: Matrix = known[squared.argmin()]
    return closest


def located__without_the_lengths(known: Matrix, squared: Matrix) -> Matrix:
    found: Matrix = np.linalg.lstsq(2 * (known[1:] - known[0]), squared[0] - squared[1:], rcond=None)[0]
    return found


def located__half_as_far(known: Matrix, squared: Matrix) -> Matrix:
    right_side = (known[1:] ** 2).sum(axis=1) - (known[0] ** 2).sum() - squared[1:] + squared[0]
    found: Matrix = np.linalg.lstsq(known[1:] - known[0], right_side, rcond=None)[0]
    return found
