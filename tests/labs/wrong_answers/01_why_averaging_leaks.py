"""Wrong answers to the exercises of lesson 1. A name is EXERCISE__WHAT_IS_WRONG; the test puts each in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def features_of__the_first_neuron(gradient: Matrix) -> Matrix:
    first: Matrix = gradient[0, :-1] / gradient[0, -1]
    return first


def features_of__the_mean_of_all_quotients(gradient: Matrix) -> Matrix:
    quotients: Matrix = (gradient[:, :-1] / gradient[:, -1:]).mean(axis=0)
    return quotients


def features_of__the_largest_bias_but_for_its_sign(gradient: Matrix) -> Matrix:
    live = gradient[:, -1].argmax()
    row: Matrix = gradient[live, :-1] / gradient[live, -1]
    return row


def features_of__not_divided(gradient: Matrix) -> Matrix:
    row: Matrix = gradient[np.abs(gradient[:, -1]).argmax(), :-1]
    return row


def features_of__with_the_bias(gradient: Matrix) -> Matrix:
    row = gradient[np.abs(gradient[:, -1]).argmax()]
    scaled: Matrix = row / row[-1]
    return scaled
