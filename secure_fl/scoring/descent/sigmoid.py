"""A cubic in the place of the sigmoid: the least squares fit on an interval, among those that rise all over it.

    p(z) = 1/2 + linear z - cubic z**3

Ciphertexts can be added and multiplied, so the sigmoid of logistic regression becomes a polynomial (as in Kim, Song,
Wang, Xia, Jiang, "Secure Logistic Regression Based on Homomorphic Encryption", JMIR Medical Informatics 2018). The
plain fit turns back inside its interval: beyond some four fifths of it, a larger logit gets a smaller probability. One
that rises keeps the loss convex, so descent has one goal and does not blow its errors up (`error_bound`). Outside of
the interval a cubic means nothing; `RowOwner` lets no row go there.

In units of shrink z the cubic needs no factor on ciphertexts:

    1/2 - p(z) = s (s**2 - turn),   s = shrink z,   shrink = cubic**(1/3),   turn = linear / shrink
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from secure_fl.scoring.network import Vector

_NODES = 200
"""Of the quadrature: exact to float64 on every interval that a plan takes."""


@dataclass(frozen=True)
class Sigmoid:
    """p on [-interval, interval]."""

    interval: float
    linear: float
    cubic: float

    def value(self, z: Vector) -> Vector:
        """p(z), float64, of the shape of z."""
        found: Vector = 0.5 + self.linear * z - self.cubic * z**3
        return found

    @property
    def shrink(self) -> float:
        return float(self.cubic ** (1 / 3))

    @property
    def turn(self) -> float:
        return self.linear / self.shrink

    @property
    def steepest(self) -> float:
        """The largest p' of the interval: that at 0."""
        return self.linear

    @property
    def largest_residual(self) -> float:
        """Of |p(z) - label| over the interval, for labels of 0 and 1: at an end, since p rises."""
        return 0.5 + self.linear * self.interval - self.cubic * self.interval**3


def fit_sigmoid(interval: float) -> Sigmoid:
    """The fit; interval: positive.

    Of all cubics with linear >= 3 cubic interval**2. The squares are convex, so where the free fit is not among them
    the best one is on the border: a multiple of z - z**3 / (3 interval**2).
    """
    nodes, weights = _quadrature()
    z = interval * nodes
    wanted, root = 1 / (1 + np.exp(-z)) - 0.5, np.sqrt(weights)
    linear, cubic = np.linalg.lstsq(np.stack([z, -(z**3)], axis=1) * root[:, None], wanted * root, rcond=None)[0]
    if linear < 3 * cubic * interval**2:
        rising = z - z**3 / (3 * interval**2)
        linear = float(weights @ (rising * wanted)) / float(weights @ rising**2)
        cubic = linear / (3 * interval**2)
    return Sigmoid(float(interval), float(linear), float(cubic))


@cache
def _quadrature() -> tuple[Vector, Vector]:
    """Nodes and weights of Gauss and Legendre on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights
